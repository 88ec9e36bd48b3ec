"""The functions of ``scipy.special`` over arrays of any library; lists and numbers become NumPy arrays.

As in SciPy, NumPy results without axes are NumPy scalars, and the softmaxes and logsumexp take complex numbers.
"""

from __future__ import annotations

from typing import Any

import axisoft
from axisoft import _backends
from axisoft.compat import _complex, _shared, _sums
from axisoft.compat._facade import facade

__all__ = ["expit", "log_expit", "log_softmax", "logsumexp", "softmax"]

NAMES = {"the functions that take a mask": "axisoft's own functions"}  # SciPy's take none


@facade(NAMES)
def softmax(x: Any, axis: int | tuple[int, ...] | None = None) -> Any:
    """``exp(x) / sum(exp(x))`` along the axes, over all of them unless some are named.

    Parameters
    ----------
    x : array of any shape and library, or array-like.
    axis : int, tuple of ints, or None for all axes.

    Returns
    -------
    array like x; a NumPy scalar for a number.

    Notes
    -----
    :func:`axisoft.softmax`, with its dtypes and special values. Complex numbers go by the same formula.
    """
    return _along(axisoft.softmax, _complex.softmax, "softmax", x, axis)


@facade(NAMES)
def log_softmax(x: Any, axis: int | tuple[int, ...] | None = None) -> Any:
    """The logarithm of :func:`softmax`, in nats.

    Parameters and results are those of :func:`softmax`. It is :func:`axisoft.log_softmax`: a slice with +inf in it is
    NaN throughout, as its softmax is, where SciPy has -inf beside the NaN. Of complex numbers it is
    ``x - first - log(sum(exp(x - first)))``, first being that of the largest real part.
    """
    return _along(axisoft.log_softmax, _complex.log_softmax, "log_softmax", x, axis)


@facade({"x": "a", **NAMES})
def logsumexp(
    a: Any,
    axis: int | tuple[int, ...] | None = None,
    b: Any = None,
    keepdims: bool = False,
    return_sign: bool = False,
) -> Any:
    """``log(sum(b * exp(a)))`` over the axes, in nats.

    Parameters
    ----------
    a : array of any shape and library, or array-like.
    axis : int, tuple of ints, or None for all axes.
    b : weights, of any sign or complex; a and b broadcast together. Where b is 0, nothing of a counts, NaN and inf
        included.
    keepdims : whether the axes stay, with length 1.
    return_sign : whether to return the logarithm of the absolute value of the sum, and the sign of the sum.

    Returns
    -------
    array of the same library without the axes, or a NumPy scalar; with ``return_sign``, a pair of them. The sign is 1,
        -1, 0 for a sum of 0 and NaN for one that is NaN. Without it, a negative sum gives NaN. The dtype is what a and
        b combine to by the library's rules: float32 and int64 give float64 in NumPy, float32 in PyTorch and JAX. Of
        complex numbers, the principal logarithm, its imaginary part in (-pi, pi]; with ``return_sign``, the real
        logarithm of the modulus, and the phase as a complex number of modulus 1.

    Raises
    ------
    TypeError : a or b is neither real nor complex, or the arrays are of two libraries.
    ValueError : the shapes do not broadcast, or the axis is out of bounds.

    Notes
    -----
    -inf for a sum of nothing and for a sum of 0, which have gradient 0. With b, the positive and the negative terms are
    summed apart, by :func:`axisoft.logsumexp` of ``a - max(a) + log|b|``, so no weight over- or underflows. The
    difference of the two sums cancels: the relative error of the sum is about ``sum(|b| exp(a)) / |sum(b exp(a))|``
    times ``1 + max|log|b||`` times the precision of the dtype. Complex terms are taken by their moduli and phases with
    the same care. Where the largest modulus is infinite, it is the library's own ``log(sum(b * exp(a)))``, as in SciPy.

    Examples
    --------
    >>> value, sign = logsumexp([1.0, 2.0], b=[1, -1], return_sign=True)
    >>> round(float(value), 6), float(sign)
    (1.541325, -1.0)
    """
    a, b = _shared.with_lists(a, b)
    if getattr(a, "shape", None) == ():
        a = _backends.namespace(a).reshape(a, (1,))
    y = _sums.logsumexp(a, axis, b, keepdims, return_sign, None)
    return tuple(map(_unwrapped, y)) if return_sign else _unwrapped(y)


@facade(NAMES)
def expit(x: Any) -> Any:
    """The logistic function of each element, :func:`axisoft.sigmoid`, for an array of any library or an array-like."""
    (x,) = _shared.with_lists(x)
    return _unwrapped(axisoft.sigmoid(x))


@facade(NAMES)
def log_expit(x: Any) -> Any:
    """The logarithm of :func:`expit`, :func:`axisoft.log_sigmoid`, in nats."""
    (x,) = _shared.with_lists(x)
    return _unwrapped(axisoft.log_sigmoid(x))


def _along(run: Any, of_complex: Any, function: str, x: Any, axis: Any) -> Any:
    """SciPy takes a number for one element along axis 0."""
    (x,) = _shared.with_lists(x)
    number = getattr(x, "shape", None) == ()
    if number:
        x = _backends.namespace(x).reshape(x, (1,))
    y = of_complex(function, x, axis) if _shared.is_complex(x) else run(x, axis=axis)
    return _unwrapped(_backends.namespace(y).reshape(y, ())) if number else y


def _unwrapped(y: Any) -> Any:
    """A NumPy array without axes as a scalar."""
    return y[()] if not y.shape and _backends.name_of(_backends.namespace(y)) == "numpy" else y
