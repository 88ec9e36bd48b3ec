"""``log(sum(b * exp(a)))`` with weights of any sign, real or complex: the logsumexp of SciPy and of jax.nn."""

from __future__ import annotations

import math
from typing import Any

import axisoft
from axisoft import _check
from axisoft.compat import _complex, _shared


def logsumexp(a: Any, axis: Any, b: Any, keepdims: Any, return_sign: Any, where: Any) -> Any:
    """The value; or, with ``return_sign``, the pair of that of the sum's modulus and of its sign or phase."""
    name = "logsumexp"
    keepdims = _check.flag(name, "keepdims", keepdims)
    return_sign = _check.flag(name, "return_sign", return_sign)
    if _shared.is_complex(a) or _shared.is_complex(b):
        return _complex.logsumexp(name, a, axis, b, keepdims, return_sign, where)
    if b is None and not return_sign:
        return axisoft.logsumexp(a, axis=axis, where=where, keepdims=keepdims)
    value, sign = _signed(name, a, axis, b, keepdims, where)
    if return_sign:
        return value, sign
    xp, _ = _check.arrays(name, a=value)
    return xp.where(sign < 0, math.nan, value)  # a negative sum has no real logarithm


def _signed(function: str, a: Any, axis: Any, b: Any, keepdims: bool, where: Any) -> tuple[Any, Any]:
    """``log(abs(sum(b * exp(a))))`` over the axes where the mask is True, and the sign of the sum: 1, 0, -1 or NaN."""
    xp, (a, b, where) = _check.arrays(function, a=a, b=b, where=where)
    if b is not None:
        a, b = (xp.broadcast_to(x, shape_of(function, a, b, where)) for x in (a, b))
        out = _shared.combined(xp, a, b)
        if 0 not in a.shape:
            with _shared.quiet(xp):
                return _weighted(function, xp, a, b, where, axis, keepdims, out)
        a = xp.astype(a, out, copy=False)
    y = axisoft.logsumexp(a, axis=axis, where=where, keepdims=keepdims)
    return y, xp.where(xp.isnan(y), y, xp.astype(y != -math.inf, y.dtype))


def shape_of(function: str, a: Any, b: Any, where: Any) -> tuple[int, ...]:
    shapes = {name: tuple(x.shape) for name, x in (("a", a), ("b", b), ("where", where)) if x is not None}
    return _shared.common_shape(function, **shapes)


def _weighted(
    function: str, xp: Any, a: Any, b: Any, where: Any, axis: Any, keepdims: bool, out: Any
) -> tuple[Any, Any]:
    """By the logarithms of the positive and of the negative part, so that no weight over- or underflows.

    The largest a goes first: ``a + log|b|`` would round to ulp(a), and the parts of a sum that cancels lose as many
    digits as that is large: 4 of 16 for 1000 + log(1.1) - log(1.0), none of them for 0 + log(1.1) - log(1.0).
    """
    axes = _check.axes(function, axis, a, "a")
    (x, out), (w, _) = (_shared.promoted(function, xp, xp.astype(array, out, copy=False)) for array in (a, b))
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
    return _shared.finish(xp, y, shape, out), _shared.finish(xp, sign, shape, out)
