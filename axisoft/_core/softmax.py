"""Softmax, log-softmax and log-sum-exp over any axes.

With m the largest element of a slice, d = x - m and s = sum(exp(d)):

    softmax = exp(d) / s        log_softmax = d - log(s)        logsumexp = m + log(s)

and log(s) is log1p of the sum *without* its largest term, which is exp(0) = 1: a confident slice keeps its digits.
The derivatives along a slice sum to 0; that of a dominant class, p > 1/2, is minus the sum of the others.
"""

from __future__ import annotations

import math

from axisoft._core.op import Op, Promise
from axisoft._core.stable import (
    balanced,
    count,
    deviation,
    divisor,
    dominant,
    exp_below,
    expand,
    exponentials,
    hide,
    is_empty,
    others,
    over,
    product,
    shifted,
    total,
    visible,
    weighted,
)

# Each addition of a small term to 1 rounds, by up to half an ulp of the sum, which is a whole one of a p just below 1.
# For this many terms the sum is taken as it is.
FEW = 16


def softmax(x, where, *, xp, axis, zero_if_empty=False):
    """``zero_if_empty``: a slice of nothing but -inf gives 0, the gradient of its logsumexp, rather than NaN."""
    if is_empty(x, xp):
        return xp.zeros_like(x)
    x = hide(x, where, xp)
    terms = count(x, xp, axis)
    if terms is not None and terms <= FEW and not zero_if_empty:
        e = exp_below(x, shifted(x, axis, xp, mark=False)[1], xp)
        s = total(e, axis, xp)
    else:
        of = exponentials(x, axis, xp, empty=0.0 if zero_if_empty else None)
        rest, e = others(of, axis, xp)
        s = divisor(of, rest)
        if zero_if_empty and hasattr(xp, "sums"):
            s = xp.where(of.m == math.inf, math.nan, s)
    return visible(over("divide", xp, e, s), where, xp)


def _softmax_jvp(tangents, y, arrays, do, xp, *, axis, zero_if_empty=False):
    return deviation(tangents[0], y, axis, xp)


def _softmax_vjp(g, y, arrays, wanted, do, xp, *, axis, zero_if_empty=False):
    return deviation(g, y, axis, xp), None


def log_softmax(x, where, *, xp, axis):
    if is_empty(x, xp):
        return xp.zeros_like(x)
    of = exponentials(hide(x, where, xp), axis, xp, distances=True)
    return hide(over("subtract", xp, of.d, xp.log1p(others(of, axis, xp, again=False)[0])), where, xp)


def _log_softmax_jvp(tangents, y, arrays, do, xp, *, axis):
    """``t_i - sum_j p_j t_j``; of a dominant element, minus the sum of the others' p times theirs, over p."""
    (t, *_), p = tangents, xp.exp(y)
    pt, mean = weighted(p, t, axis, xp)
    large = p > 0.5
    rest = total(xp.where(large, 0.0, pt - p * mean), axis, xp)
    return visible(xp.where(large, -rest / xp.where(large, p, 1.0), t - mean), arrays[1], xp)


def _log_softmax_vjp(g, y, arrays, wanted, do, xp, *, axis):
    """``g_i - p_i sum_j g_j``."""
    g, p = visible(g, arrays[1], xp), xp.exp(y)
    large = dominant(p, axis, xp)
    plain = g - over("multiply", xp, p, total(g, axis, xp))
    return visible(balanced(plain, large, axis, xp), arrays[1], xp), None


def logsumexp(x, where, *, xp, axis, keepdims=False):
    if is_empty(x, xp):
        y = xp.sum(x, axis=axis, keepdims=True) - math.inf
    else:
        # The shift that its derivative has, so that a compiler makes exp(d) once for both.
        shares = hasattr(xp, "sums")
        of = exponentials(hide(x, where, xp), axis, xp, empty=0.0 if shares else None)
        y = of.m + xp.log1p(others(of, axis, xp, again=False)[0])
        y = y if shares else xp.where(xp.isfinite(of.m), y, of.m)
    return y if keepdims else xp.squeeze(y, axis=axis)


def _logsumexp_jvp(tangents, y, arrays, do, xp, *, axis, keepdims=False):
    p = do(SOFTMAX, *arrays, axis=axis, zero_if_empty=True)
    t = weighted(p, tangents[0], axis, xp)[1]
    return t if keepdims else xp.squeeze(t, axis=axis)


def _logsumexp_vjp(g, y, arrays, wanted, do, xp, *, axis, keepdims=False):
    p = do(SOFTMAX, *arrays, axis=axis, zero_if_empty=True)
    return product(p, g if keepdims else expand(g, axis, xp), xp), None


INPUTS = ("x", "where")
PER_TERM = (Promise(8, "distances", ("terms",)),)
LOG_PROMISES = (Promise(4, None, ("y", "1")), Promise(8, "gap"))
LSE_PROMISES = (Promise(4, None, ("y", "x", "1")),)
SOFTMAX = Op(
    "softmax",
    softmax,
    _softmax_jvp,
    _softmax_vjp,
    INPUTS,
    (Promise(8, "distance"),),
    PER_TERM,
    result="element",
    reads=("where", "y"),
)
LOG_SOFTMAX = Op(
    "log_softmax",
    log_softmax,
    _log_softmax_jvp,
    _log_softmax_vjp,
    INPUTS,
    LOG_PROMISES,
    PER_TERM,
    result="element",
    reads=("where", "y"),
)
LOGSUMEXP = Op("logsumexp", logsumexp, _logsumexp_jvp, _logsumexp_vjp, INPUTS, LSE_PROMISES, PER_TERM, result="slice")
