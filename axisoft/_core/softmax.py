"""Softmax, log-softmax and log-sum-exp over any axes.

With m the largest element of a slice, d = x - m and s = sum(exp(d)):

    softmax = exp(d) / s        log_softmax = d - log(s)        logsumexp = m + log(s)

and log(s) is log1p of the sum *without* its largest term, which is exp(0) = 1: a confident slice keeps its digits.
The derivatives need 1 - p of a dominant class; it is the sum of the other probabilities, never a difference.
"""

from __future__ import annotations

import math

from axisoft._core.op import Op, Promise
from axisoft._core.stable import (
    count,
    divide,
    expand,
    exponential,
    hide,
    is_empty,
    others,
    product,
    shifted,
    subtract,
    total,
    visible,
)

# Each addition of a small term to 1 rounds, by up to half an ulp of the sum, which is a whole one of a p just below 1.
# For this many terms the sum is taken as it is.
FEW = 16


def softmax(x, where, *, xp, axis, zero_if_empty=False):
    """``zero_if_empty``: a slice of nothing but -inf gives 0, the gradient of its logsumexp, rather than NaN."""
    if is_empty(x, xp):
        return xp.zeros_like(x)
    x = hide(x, where, xp)
    _, _, d = shifted(x, axis, xp, empty=0.0 if zero_if_empty else None)
    e = exponential(d, xp)
    terms = count(x, xp, axis)
    few = terms is not None and terms <= FEW and not zero_if_empty
    e = divide(e, total(e, axis, xp) if few else 1.0 + others(e, axis, xp)[1], xp)
    return visible(e, where, xp)


def centred(t, p, axes, xp):
    """``t_i - sum_j p_j t_j``: the derivative of log_softmax along t; ``p`` times it is that of softmax.

    Where p_i > 1/2, which only one class of a slice can be, the difference would lose the digits of 1 - p_i. It is
    ``t_i * sum_{j != i} p_j - sum_{j != i} p_j t_j`` there. ``p * centred(t, p)`` is ``(diag(p) - p p^T) t``, a
    symmetric matrix: it serves both directions, and a framework that transposes this code keeps the digits.
    """
    dominant = p > 0.5
    pt = product(p, t, xp)
    rest = total(xp.where(dominant, 0.0, p), axes, xp)
    mean_of_rest = total(xp.where(dominant, 0.0, pt), axes, xp)
    return xp.where(dominant, rest * t - mean_of_rest, t - total(pt, axes, xp))


def _softmax_jvp(tangents, y, arrays, do, xp, *, axis, zero_if_empty=False):
    return product(y, centred(tangents[0], y, axis, xp), xp)


def _softmax_vjp(g, y, arrays, wanted, do, xp, *, axis, zero_if_empty=False):
    return product(y, centred(g, y, axis, xp), xp), None


def log_softmax(x, where, *, xp, axis):
    if is_empty(x, xp):
        return xp.zeros_like(x)
    _, _, d = shifted(hide(x, where, xp), axis, xp)
    _, rest = others(xp.exp(d), axis, xp)
    return hide(subtract(d, xp.log1p(rest), xp), where, xp)


def _log_softmax_jvp(tangents, y, arrays, do, xp, *, axis):
    return visible(centred(tangents[0], xp.exp(y), axis, xp), arrays[1], xp)


def _log_softmax_vjp(g, y, arrays, wanted, do, xp, *, axis):
    # The transpose of centred: g_i - p_i sum_j g_j, and for a dominant class (1 - p_i) g_i - p_i sum_{j != i} g_j.
    g = visible(g, arrays[1], xp)
    p = xp.exp(y)
    dominant = p > 0.5
    rest = total(xp.where(dominant, 0.0, p), axis, xp)
    g_of_rest = total(xp.where(dominant, 0.0, g), axis, xp)
    x_g = xp.where(dominant, rest * g - p * g_of_rest, g - p * total(g, axis, xp))
    return visible(x_g, arrays[1], xp), None


def logsumexp(x, where, *, xp, axis, keepdims=False):
    if is_empty(x, xp):
        y = xp.sum(x, axis=axis, keepdims=True) - math.inf
    else:
        m, _, d = shifted(hide(x, where, xp), axis, xp)
        _, rest = others(exponential(d, xp), axis, xp)
        y = xp.where(xp.isfinite(m), m + xp.log1p(rest), m)
    return y if keepdims else xp.squeeze(y, axis=axis)


def _logsumexp_jvp(tangents, y, arrays, do, xp, *, axis, keepdims=False):
    p = do(SOFTMAX, *arrays, axis=axis, zero_if_empty=True)
    t = total(product(p, tangents[0], xp), axis, xp)
    return t if keepdims else xp.squeeze(t, axis=axis)


def _logsumexp_vjp(g, y, arrays, wanted, do, xp, *, axis, keepdims=False):
    p = do(SOFTMAX, *arrays, axis=axis, zero_if_empty=True)
    return product(p, g if keepdims else expand(g, axis, xp), xp), None


INPUTS = ("x", "where")
PER_TERM = (Promise(8, "distances", ("terms",)),)
LOG_PROMISES = (Promise(4, None, ("y", "1")), Promise(8, "gap"))
LSE_PROMISES = (Promise(4, None, ("y", "x", "1")),)
SOFTMAX = Op(
    "softmax", softmax, _softmax_jvp, _softmax_vjp, INPUTS, (Promise(8, "distance"),), PER_TERM, result="element"
)
LOG_SOFTMAX = Op(
    "log_softmax", log_softmax, _log_softmax_jvp, _log_softmax_vjp, INPUTS, LOG_PROMISES, PER_TERM, result="element"
)
LOGSUMEXP = Op("logsumexp", logsumexp, _logsumexp_jvp, _logsumexp_vjp, INPUTS, LSE_PROMISES, PER_TERM, result="slice")
