"""The functions of ``scipy.special`` over arrays of any library; lists and numbers become NumPy arrays.

As in SciPy, NumPy results without axes are NumPy scalars. Complex numbers are a TypeError.
"""

from __future__ import annotations

from typing import Any

import axisoft
from axisoft import _backends, _check
from axisoft.compat import _shared

__all__ = ["expit", "log_expit", "log_softmax", "logsumexp", "softmax"]


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
    :func:`axisoft.softmax`, with its dtypes, errors and special values.
    """
    return _along(axisoft.softmax, "softmax", x, axis)


def log_softmax(x: Any, axis: int | tuple[int, ...] | None = None) -> Any:
    """The logarithm of :func:`softmax`, in nats.

    Parameters and results are those of :func:`softmax`. It is :func:`axisoft.log_softmax`: a slice with +inf in it is
    NaN throughout, as its softmax is, where SciPy has -inf beside the NaN.
    """
    return _along(axisoft.log_softmax, "log_softmax", x, axis)


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
    b : weights, of any sign; a and b broadcast together. Where b is 0, nothing of a counts, NaN and inf included.
    keepdims : whether the axes stay, with length 1.
    return_sign : whether to return the logarithm of the absolute value of the sum, and the sign of the sum.

    Returns
    -------
    array of the same library without the axes, or a NumPy scalar; with ``return_sign``, a pair of them. The sign is 1,
        -1, 0 for a sum of 0 and NaN for one that is NaN. Without it, a negative sum gives NaN.

    Raises
    ------
    TypeError : a or b is complex, or the arrays are of two libraries.
    ValueError : the shapes do not broadcast, or the axis is out of bounds.

    Notes
    -----
    -inf for a sum of nothing and for a sum of 0, which have gradient 0. With b, the positive and the negative terms are
    summed apart, by :func:`axisoft.logsumexp` of ``a - max(a) + log|b|``, so no weight over- or underflows. The
    difference of the two sums cancels: the relative error of the sum is about ``sum(|b| exp(a)) / |sum(b exp(a))|``
    times ``1 + max|log|b||`` times the precision of the dtype.

    Examples
    --------
    >>> value, sign = logsumexp([1.0, 2.0], b=[1, -1], return_sign=True)
    >>> round(float(value), 6), float(sign)
    (1.541325, -1.0)
    """
    xp, (a, b) = _arrays("logsumexp", a=a, b=b)
    keepdims = _check.flag("logsumexp", "keepdims", keepdims)
    a = xp.reshape(a, (1,)) if not a.shape else a
    if _check.flag("logsumexp", "return_sign", return_sign):
        value, sign = _shared.signed_logsumexp("logsumexp", a, b, None, axis, keepdims)
        return _unwrapped(xp, value), _unwrapped(xp, sign)
    return _unwrapped(xp, _shared.real_logsumexp("logsumexp", a, b, None, axis, keepdims))


def expit(x: Any) -> Any:
    """The logistic function of each element, :func:`axisoft.sigmoid`, for an array of any library or an array-like."""
    xp, (x,) = _arrays("expit", x=x)
    return _unwrapped(xp, axisoft.sigmoid(x))


def log_expit(x: Any) -> Any:
    """The logarithm of :func:`expit`, :func:`axisoft.log_sigmoid`, in nats."""
    xp, (x,) = _arrays("log_expit", x=x)
    return _unwrapped(xp, axisoft.log_sigmoid(x))


def _along(run: Any, function: str, x: Any, axis: Any) -> Any:
    """SciPy takes a number for one element along axis 0."""
    xp, (x,) = _arrays(function, x=x)
    if x.shape:
        return run(x, axis=axis)
    return _unwrapped(xp, xp.reshape(run(xp.reshape(x, (1,)), axis=axis), ()))


def _arrays(function: str, **named: Any) -> tuple[Any, list[Any]]:
    """The arguments as arrays of one library: that of the first array among them, else NumPy."""
    like = next((a for a in named.values() if _is_array(a)), None)
    if like is None:
        import numpy

        made = {name: a if a is None else numpy.asarray(a) for name, a in named.items()}
    else:
        xp = _backends.namespace(like)
        where = {"device": _backends.device(like, xp)}
        made = {n: a if a is None or _is_array(a) else xp.asarray(a, **where) for n, a in named.items()}
    return _check.arrays(function, **made)


def _is_array(a: Any) -> bool:
    try:
        _backends.namespace(a)
    except TypeError:
        return False
    return True


def _unwrapped(xp: Any, y: Any) -> Any:
    """A NumPy array without axes as a scalar."""
    return y[()] if not y.shape and _backends.name_of(xp) == "numpy" else y
