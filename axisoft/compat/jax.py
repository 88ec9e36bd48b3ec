"""The functions of ``jax.nn`` over arrays of any library, and over numbers, as in JAX.

A Python number becomes an array of the library of the other arrays in the call, or of NumPy if there is none; lists are
a TypeError. Complex numbers are taken by all of them.
"""

from __future__ import annotations

from typing import Any, overload

import axisoft
from axisoft._typing import Array, ArrayT, Axes, FromNumPy
from axisoft.compat import _complex, _shared, _sums
from axisoft.compat._facade import facade

__all__ = ["log_sigmoid", "log_softmax", "logsumexp", "sigmoid", "softmax", "softplus"]


@overload
def softmax(x: FromNumPy | complex, axis: Axes = -1, where: Array | None = None) -> Any: ...
@overload
def softmax(x: ArrayT, axis: Axes = -1, where: Array | None = None) -> ArrayT: ...
@facade()
def softmax(x: Any, axis: Axes = -1, where: Array | None = None) -> Any:
    """``exp(x) / sum(exp(x))`` along the axes: :func:`axisoft.softmax`.

    Parameters
    ----------
    x : array of any shape and library; real or complex numbers.
    axis : int, tuple of ints, or None for all axes.
    where : boolean array that broadcasts to x; what it hides takes no part and comes out as 0.

    Returns
    -------
    array like x.
    """
    x, where = _shared.with_numbers(x, where)
    if _shared.is_complex(x):
        return _complex.softmax("softmax", x, axis, where)
    return axisoft.softmax(x, axis=axis, where=where)


@overload
def log_softmax(x: FromNumPy | complex, axis: Axes = -1, where: Array | None = None) -> Any: ...
@overload
def log_softmax(x: ArrayT, axis: Axes = -1, where: Array | None = None) -> ArrayT: ...
@facade()
def log_softmax(x: Any, axis: Axes = -1, where: Array | None = None) -> Any:
    """The logarithm of :func:`softmax`, in nats: :func:`axisoft.log_softmax`. What the mask hides comes out as -inf."""
    x, where = _shared.with_numbers(x, where)
    if _shared.is_complex(x):
        return _complex.log_softmax("log_softmax", x, axis, where)
    return axisoft.log_softmax(x, axis=axis, where=where)


@facade({"x": "a"})
def logsumexp(
    a: Array | complex,
    axis: Axes = None,
    b: Array | complex | None = None,
    keepdims: bool = False,
    return_sign: bool = False,
    where: Array | None = None,
) -> Any:
    """``log(sum(b * exp(a)))`` over the axes, in nats.

    Parameters
    ----------
    a : array of any shape and library, or a number.
    axis : int, tuple of ints, or None for all axes.
    b : weights, of any sign or complex; a and b broadcast together. Where b is 0, nothing of a counts.
    keepdims : whether the axes stay, with length 1.
    return_sign : whether to return the logarithm of the absolute value of the sum, and the sign of the sum.
    where : boolean array that broadcasts to a and b; what it hides takes no part.

    Returns
    -------
    array of the same library without the axes; with ``return_sign``, a pair of them. The sign is 1, -1, 0 for a sum of
        0 and NaN for one that is NaN. Without it, a negative sum gives NaN. Dtypes, and complex numbers, are as for
        :func:`axisoft.compat.scipy.logsumexp`.

    Raises
    ------
    TypeError : a or b is neither an array nor a number, or the arrays are of two libraries.
    ValueError : the shapes do not broadcast, or the axis is out of bounds.

    Notes
    -----
    -inf for a sum of nothing and for a sum of 0, which have gradient 0. What cancels with weights of two signs is said
    at :func:`axisoft.compat.scipy.logsumexp`.
    """
    a, b = _shared.with_numbers(a, b, alike=True)
    a, where = _shared.with_numbers(a, where)
    return _sums.logsumexp(a, axis, b, keepdims, return_sign, where)


@overload
def sigmoid(x: FromNumPy | complex) -> Any: ...
@overload
def sigmoid(x: ArrayT) -> ArrayT: ...
@facade()
def sigmoid(x: Any) -> Any:
    """The logistic function of each element: :func:`axisoft.sigmoid`."""
    (x,) = _shared.with_numbers(x)
    if _shared.is_complex(x):
        return _complex.sigmoid("sigmoid", x)
    return axisoft.sigmoid(x)


@overload
def log_sigmoid(x: FromNumPy | complex) -> Any: ...
@overload
def log_sigmoid(x: ArrayT) -> ArrayT: ...
@facade()
def log_sigmoid(x: Any) -> Any:
    """The logarithm of :func:`sigmoid`, in nats: :func:`axisoft.log_sigmoid`."""
    (x,) = _shared.with_numbers(x)
    if _shared.is_complex(x):
        return -_complex.softplus("log_sigmoid", -x)
    return axisoft.log_sigmoid(x)


@overload
def softplus(x: FromNumPy | complex) -> Any: ...
@overload
def softplus(x: ArrayT) -> ArrayT: ...
@facade()
def softplus(x: Any) -> Any:
    """``log(1 + exp(x))`` of each element: :func:`axisoft.softplus`."""
    (x,) = _shared.with_numbers(x)
    if _shared.is_complex(x):
        return _complex.softplus("softplus", x)
    return axisoft.softplus(x)
