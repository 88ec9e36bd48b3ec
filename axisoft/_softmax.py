"""The public functions of the softmax family."""

from __future__ import annotations

from typing import Any, Literal, Unpack, overload

from axisoft import _check
from axisoft._run import run
from axisoft._typing import (
    AnyNumPy,
    AnyShape,
    Array,
    ArrayT,
    Axes,
    Floating,
    FloatT,
    Logsumexp,
    NoAxes,
    NumPy,
    Scalar,
    ShapeT,
    Softmax,
)


def _over_axes(function: str, x: Any, axis: Any, where: Any, dtype: Any, across: Any, **options: Any) -> Any:
    arrays, static = _check.over_axes(function, x, axis, where, dtype, across)
    return run(function, arrays, **static, **options)


@overload
def softmax(x: Scalar, /, **options: Unpack[Softmax[Any]]) -> Any: ...
@overload
def softmax(x: NumPy[ShapeT, FloatT], /, **options: Unpack[Softmax[None]]) -> NumPy[ShapeT, FloatT]: ...
@overload
def softmax(x: AnyNumPy[ShapeT], /, **options: Unpack[Softmax[Any]]) -> NumPy[ShapeT, Floating]: ...
@overload
def softmax(x: ArrayT, /, **options: Unpack[Softmax[Any]]) -> ArrayT: ...
@_check.spelled
def softmax(
    x: ArrayT, /, *, axis: Axes = -1, where: Array | None = None, dtype: Any = None, across: Any = None
) -> ArrayT:
    """``exp(x) / sum(exp(x))`` along the axes: non-negative numbers that sum to 1.

    Parameters
    ----------
    x : array of any shape, of any library. Integers and booleans become the library's default floating dtype; float16
        and bfloat16 are computed in float32 and rounded once.
    axis : int, tuple of ints, or None for all axes. With several axes, they are normalised together.
    where : boolean array that broadcasts to x. False elements take no part and come out as 0; nothing of what they
        hold, NaN included, reaches a value or a gradient.
    dtype : floating dtype that x is cast to first.
    across : where the slices go on, if x holds a part of each: the name of a mesh axis inside of ``jax.shard_map``, or
        a tuple of names; or a process group of ``torch.distributed``. Each part has the same shape (docs/scale.md).

    Returns
    -------
    array like x : the same library, device and shape.

    Raises
    ------
    TypeError : x is not an array, its dtype or ``dtype`` is not real, where is not boolean, the arrays are of two
        libraries, or the axis is not an integer.
    ValueError : the axis is out of bounds or repeated, where does not broadcast, or the arrays are on two devices.

    Notes
    -----
    A slice with NaN or +inf in it, or with nothing but -inf, is NaN throughout; one that ``where`` hides entirely is 0,
    with gradient 0. One element alone is exactly 1. Within ``8 + |x_i - max x|`` ulp, whatever the axis, the memory
    order and the number of classes up to a million. The derivation is in docs/numerics.md.

    Examples
    --------
    >>> import numpy as np
    >>> softmax(np.asarray([[1.0, 2.0, 3.0], [1000.0, 1000.0, -np.inf]]))
    array([[0.09003057, 0.24472847, 0.66524096],
           [0.5       , 0.5       , 0.        ]])
    """
    return _over_axes("softmax", x, axis, where, dtype, across)


@overload
def log_softmax(x: Scalar, /, **options: Unpack[Softmax[Any]]) -> Any: ...
@overload
def log_softmax(x: NumPy[ShapeT, FloatT], /, **options: Unpack[Softmax[None]]) -> NumPy[ShapeT, FloatT]: ...
@overload
def log_softmax(x: AnyNumPy[ShapeT], /, **options: Unpack[Softmax[Any]]) -> NumPy[ShapeT, Floating]: ...
@overload
def log_softmax(x: ArrayT, /, **options: Unpack[Softmax[Any]]) -> ArrayT: ...
@_check.spelled
def log_softmax(
    x: ArrayT, /, *, axis: Axes = -1, where: Array | None = None, dtype: Any = None, across: Any = None
) -> ArrayT:
    """``x - log(sum(exp(x)))`` along the axes: the logarithm of :func:`softmax`, in nats.

    Parameters
    ----------
    x, axis, where, dtype, across : as for :func:`softmax`; elements where the mask is False come out as -inf.

    Returns
    -------
    array like x : the same library, device and shape.

    Raises
    ------
    TypeError, ValueError : as for :func:`softmax`.

    Notes
    -----
    A slice with NaN or +inf in it, or with nothing but -inf, is NaN throughout; one that ``where`` hides entirely is
    -inf, with gradient 0. One element alone is exactly 0. Within 4 ulp of ``max(|y|, 1)`` and within ``8 + g`` ulp of y
    itself, where g is the distance from the largest element to the second largest: a confident slice keeps its digits,
    which takes ``log1p`` of the sum without its largest term (docs/numerics.md).

    Examples
    --------
    >>> import numpy as np
    >>> log_softmax(np.asarray([0.0, -40.0]))
    array([-4.24835426e-18, -4.00000000e+01])
    """
    return _over_axes("log_softmax", x, axis, where, dtype, across)


@overload
def logsumexp(x: Scalar, /, **options: Unpack[Logsumexp[Axes, bool, Any]]) -> Any: ...
@overload
def logsumexp(x: NumPy[Any, FloatT], /, **options: Unpack[Logsumexp[None, Literal[False], None]]) -> NoAxes[FloatT]: ...
@overload
def logsumexp(x: NumPy[Any, FloatT], /, **options: Unpack[Logsumexp[Axes, bool, None]]) -> AnyShape[FloatT]: ...
@overload
def logsumexp(x: AnyNumPy[Any], /, **options: Unpack[Logsumexp[None, Literal[False], Any]]) -> NoAxes[Floating]: ...
@overload
def logsumexp(x: AnyNumPy[Any], /, **options: Unpack[Logsumexp[Axes, bool, Any]]) -> AnyShape[Floating]: ...
@overload
def logsumexp(x: ArrayT, /, **options: Unpack[Logsumexp[Axes, bool, Any]]) -> ArrayT: ...
@_check.spelled
def logsumexp(
    x: ArrayT,
    /,
    *,
    axis: Axes = None,
    where: Array | None = None,
    keepdims: bool = False,
    dtype: Any = None,
    across: Any = None,
) -> ArrayT:
    """``log(sum(exp(x)))`` over the axes, in nats.

    Parameters
    ----------
    x, axis, where, dtype, across : as for :func:`softmax`, but for the axis: all of them unless some are named.
    keepdims : whether the axes stay, with length 1.

    Returns
    -------
    array of the same library and device : x's shape without the axes.

    Raises
    ------
    TypeError, ValueError : as for :func:`softmax`.

    Notes
    -----
    -inf for nothing but -inf, for a slice that ``where`` hides entirely and for an empty one, each with gradient 0;
    +inf for a slice with +inf in it, with gradient NaN; NaN for one with NaN. Within 4 ulp of ``max(|y|, |max x|, 1)``.

    Examples
    --------
    >>> import numpy as np
    >>> logsumexp(np.asarray([[1000.0, 1000.0], [0.0, -np.inf]]), axis=1)
    array([1000.69314718,    0.        ])
    """
    keepdims = _check.flag("logsumexp", "keepdims", keepdims)
    return _over_axes("logsumexp", x, axis, where, dtype, across, keepdims=keepdims)


@overload
def softmax2d(x: Scalar, /) -> Any: ...
@overload
def softmax2d(x: NumPy[ShapeT, FloatT], /) -> NumPy[ShapeT, FloatT]: ...
@overload
def softmax2d(x: AnyNumPy[ShapeT], /) -> NumPy[ShapeT, Floating]: ...
@overload
def softmax2d(x: ArrayT, /) -> ArrayT: ...
@_check.spelled
def softmax2d(x: ArrayT, /) -> ArrayT:
    """Softmax over the channel axis of images: the classes of each pixel sum to 1.

    Despite the name that it has from neural-network libraries it does not normalise over height and width; for that,
    use ``softmax(x, axis=(-2, -1))``.

    Parameters
    ----------
    x : array of shape (C, H, W) or (N, C, H, W), of any library; dtypes as for :func:`softmax`.

    Returns
    -------
    array like x : the same library, device and shape.

    Raises
    ------
    TypeError : x is not an array, or its dtype is not real.
    ValueError : x has another number of axes.

    Notes
    -----
    ``softmax(x, axis=-3)``, with its special values and its accuracy.

    Examples
    --------
    >>> import numpy as np
    >>> softmax2d(np.zeros((4, 1, 2)))[:, 0, 0]
    array([0.25, 0.25, 0.25, 0.25])
    """
    xp, (x,) = _check.arrays("softmax2d", x=x)
    _check.channels("softmax2d", x)
    return run("softmax", (x, None), xp=xp, **_check.dtypes("softmax2d", xp, x, None), axis=(len(x.shape) - 3,))
