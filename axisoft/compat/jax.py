"""The functions of ``jax.nn`` over arrays of any library. Numbers are no arrays here: convert them first."""

from __future__ import annotations

from typing import Any, overload

import axisoft
from axisoft import _check
from axisoft._typing import Array, ArrayT, Axes, FromNumPy
from axisoft.compat import _shared

__all__ = ["log_sigmoid", "log_softmax", "logsumexp", "sigmoid", "softmax", "softplus"]


@overload
def softmax(x: FromNumPy | complex, axis: Axes = -1, where: Array | None = None) -> Any: ...
@overload
def softmax(x: ArrayT, axis: Axes = -1, where: Array | None = None) -> ArrayT: ...
def softmax(x: Any, axis: Axes = -1, where: Array | None = None) -> Any:
    """``exp(x) / sum(exp(x))`` along the axes: :func:`axisoft.softmax`.

    Parameters
    ----------
    x : array of any shape and library.
    axis : int, tuple of ints, or None for all axes.
    where : boolean array that broadcasts to x; what it hides takes no part and comes out as 0.

    Returns
    -------
    array like x.
    """
    return axisoft.softmax(x, axis=axis, where=where)


@overload
def log_softmax(x: FromNumPy | complex, axis: Axes = -1, where: Array | None = None) -> Any: ...
@overload
def log_softmax(x: ArrayT, axis: Axes = -1, where: Array | None = None) -> ArrayT: ...
def log_softmax(x: Any, axis: Axes = -1, where: Array | None = None) -> Any:
    """The logarithm of :func:`softmax`, in nats: :func:`axisoft.log_softmax`. What the mask hides comes out as -inf."""
    return axisoft.log_softmax(x, axis=axis, where=where)


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
    a : array of any shape and library.
    axis : int, tuple of ints, or None for all axes.
    b : array of weights, of any sign; a and b broadcast together. Where b is 0, nothing of a counts.
    keepdims : whether the axes stay, with length 1.
    return_sign : whether to return the logarithm of the absolute value of the sum, and the sign of the sum.
    where : boolean array that broadcasts to a and b; what it hides takes no part.

    Returns
    -------
    array of the same library without the axes; with ``return_sign``, a pair of them. The sign is 1, -1, 0 for a sum of
        0 and NaN for one that is NaN. Without it, a negative sum gives NaN.

    Raises
    ------
    TypeError : a or b is complex, or no array, or the arrays are of two libraries.
    ValueError : the shapes do not broadcast, or the axis is out of bounds.

    Notes
    -----
    -inf for a sum of nothing and for a sum of 0, which have gradient 0. What cancels with weights of two signs is said
    at :func:`axisoft.compat.scipy.logsumexp`.
    """
    keepdims = _check.flag("logsumexp", "keepdims", keepdims)
    run = _shared.real_logsumexp
    if _check.flag("logsumexp", "return_sign", return_sign):
        run = _shared.signed_logsumexp
    return run("logsumexp", a, b, where, axis, keepdims)


@overload
def sigmoid(x: FromNumPy | complex) -> Any: ...
@overload
def sigmoid(x: ArrayT) -> ArrayT: ...
def sigmoid(x: Any) -> Any:
    """The logistic function of each element: :func:`axisoft.sigmoid`."""
    return axisoft.sigmoid(x)


@overload
def log_sigmoid(x: FromNumPy | complex) -> Any: ...
@overload
def log_sigmoid(x: ArrayT) -> ArrayT: ...
def log_sigmoid(x: Any) -> Any:
    """The logarithm of :func:`sigmoid`, in nats: :func:`axisoft.log_sigmoid`."""
    return axisoft.log_sigmoid(x)


@overload
def softplus(x: FromNumPy | complex) -> Any: ...
@overload
def softplus(x: ArrayT) -> ArrayT: ...
def softplus(x: Any) -> Any:
    """``log(1 + exp(x))`` of each element: :func:`axisoft.softplus`."""
    return axisoft.softplus(x)
