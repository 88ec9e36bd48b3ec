"""What several peers have: weights inside of a logarithm of a sum, broadcasting both ways, results rounded back."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import axisoft
from axisoft import _check


def quiet(xp: Any) -> Any:
    """NumPy warns of the infinities that pass through a formula, other libraries do not."""
    return xp.errstate(all="ignore") if hasattr(xp, "errstate") else contextlib.nullcontext()


def finish(xp: Any, y: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """The result as an array: NumPy's arithmetic makes scalars of arrays without axes."""
    y = y if shape else xp.reshape(y, (1,))
    return xp.astype(xp.reshape(y, shape), dtype, copy=False)


def promoted(function: str, xp: Any, x: Any, dtype: Any = None) -> tuple[Any, Any]:
    """x in the dtype to compute in, and the dtype of the result: float16 and bfloat16 are computed in float32."""
    dtypes = _check.dtypes(function, xp, x, dtype)
    if dtypes["given"] is not None:
        x = xp.astype(x, dtypes["given"], copy=False)
    return xp.astype(x, dtypes["dtype"], copy=False), dtypes["out"]


def common_shape(function: str, **shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that all broadcast to."""
    ndim = max(len(shape) for shape in shapes.values())
    padded = [(1,) * (ndim - len(shape)) + tuple(shape) for shape in shapes.values()]
    result = []
    for lengths in zip(*padded, strict=True):
        others = set(lengths) - {1}
        if len(others) > 1:
            said = " and ".join(f"{name} with shape {tuple(shape)}" for name, shape in shapes.items())
            hint = "each of their axes, counted from the last, must be 1 or agree"
            raise ValueError(f"{function}: {said} do not broadcast to one shape; {hint}.")
        result.append(others.pop() if others else 1)
    return tuple(result)


def signed_logsumexp(function: str, a: Any, b: Any, where: Any, axis: Any, keepdims: bool) -> tuple[Any, Any]:
    """``log(abs(sum(b * exp(a))))`` over the axes where the mask is True, and the sign of the sum: 1, 0, -1 or NaN."""
    xp, (a, b, where) = _check.arrays(function, a=a, b=b, where=where)
    empty = False
    if b is not None:
        shapes = {name: tuple(x.shape) for name, x in (("a", a), ("b", b), ("where", where)) if x is not None}
        shape = common_shape(function, **shapes)
        empty = 0 in shape
        a = xp.broadcast_to(a, shape)
    if b is None or empty:
        y = axisoft.logsumexp(a, axis=axis, where=where, keepdims=keepdims)
        return y, xp.where(xp.isnan(y), y, xp.astype(y != -math.inf, y.dtype))
    with quiet(xp):
        return _weighted(function, xp, a, xp.broadcast_to(b, shape), where, axis, keepdims)


def _weighted(function: str, xp: Any, a: Any, b: Any, where: Any, axis: Any, keepdims: bool) -> tuple[Any, Any]:
    """By the logarithms of the positive and of the negative part, so that no weight over- or underflows.

    The largest a goes first: ``a + log|b|`` would round to ulp(a), and the parts of a sum that cancels lose as many
    digits as that is large: 4 of 16 for 1000 + log(1.1) - log(1.0), none of them for 0 + log(1.1) - log(1.0).
    """
    axes = _check.axes(function, axis, a, "a")
    x, out = promoted(function, xp, a)
    if _check.kind_of(xp, b.dtype) == "floating":
        w, other = promoted(function, xp, b)
        dtype, out = xp.result_type(x.dtype, w.dtype), xp.result_type(out, other)
        x, w = xp.astype(x, dtype, copy=False), xp.astype(w, dtype, copy=False)
    else:
        w = xp.astype(b, x.dtype)
    seen = w != 0  # a weight of 0 hides what it multiplies, NaN and inf included, as in SciPy and JAX
    if where is not None:
        _check.mask(function, where, a, xp, "a")
        seen = seen & where
    top = xp.max(xp.where(seen, x, -math.inf), axis=axes, keepdims=True)
    top = xp.where(xp.isfinite(top), top, 0.0)
    gone = x == -math.inf  # 0 times an infinite weight is NaN
    t = (x - top) + xp.log(xp.abs(xp.where((w == 0) | gone, 1.0, w)))
    t = xp.where(gone & xp.isinf(w), math.nan, t)
    over: dict[str, Any] = {"axis": axes, "keepdims": keepdims}
    plus = axisoft.logsumexp(t, where=seen & ~(w < 0), **over)  # NaN among the weights is in here
    minus = axisoft.logsumexp(t, where=seen & (w < 0), **over)
    large, small = xp.maximum(plus, minus), xp.minimum(plus, minus)
    sound = xp.isfinite(large)
    gap = xp.where(sound, small, -1.0) - xp.where(sound, large, 0.0)
    rest = xp.log(xp.where(gap == 0, 1.0, -xp.expm1(gap)))  # log(1 - exp(gap))
    y = (top if keepdims else xp.squeeze(top, axis=axes)) + large + xp.where(sound, rest, 0.0)
    y = xp.where(sound & (gap == 0), -math.inf, y)
    y = xp.where((small == math.inf) | xp.isnan(small), math.nan, y)
    sign = xp.astype(plus > minus, x.dtype) - xp.astype(plus < minus, x.dtype)
    sign = xp.where(xp.isnan(y), y, sign)
    shape = tuple(y.shape)
    return finish(xp, y, shape, out), finish(xp, sign, shape, out)


def real_logsumexp(function: str, a: Any, b: Any, where: Any, axis: Any, keepdims: bool) -> Any:
    """As ``signed_logsumexp``, but NaN for a negative sum, which has no real logarithm."""
    if b is None:
        return axisoft.logsumexp(a, axis=axis, where=where, keepdims=keepdims)
    y, sign = signed_logsumexp(function, a, b, where, axis, keepdims)
    xp, _ = _check.arrays(function, a=y)
    return xp.where(sign < 0, math.nan, y)
