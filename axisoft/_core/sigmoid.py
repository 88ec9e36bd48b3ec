"""Sigmoid, its logarithm, and softplus: functions of each element by itself.

Everything rests on ``e = exp(-|x|)``, which never overflows and keeps its relative accuracy down to the smallest normal
number. ``1 - sigmoid(x)`` is never formed: it is ``sigmoid(-x)``, to full accuracy.
"""

from __future__ import annotations

from axisoft._core.op import Op, Promise, elementwise


def sigmoid(x, *, xp):
    e = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1.0, e) / (1.0 + e)


def tail(x, *, xp):
    """``log(1 + exp(-|x|))``: what softplus adds to ``max(x, 0)``, the same for x and -x."""
    return xp.log1p(xp.exp(-xp.abs(x)))


def softplus(x, *, xp):
    return xp.maximum(x, 0.0) + tail(x, xp=xp)


def log_sigmoid(x, *, xp):
    return -softplus(-x, xp=xp)


SIGMOID: Op = elementwise("sigmoid", sigmoid, lambda x, do: do(SIGMOID, x) * do(SIGMOID, -x), Promise(4), Promise(8))
LOG_SIGMOID = elementwise("log_sigmoid", log_sigmoid, lambda x, do: do(SIGMOID, -x), Promise(4), Promise(6))
SOFTPLUS = elementwise("softplus", softplus, lambda x, do: do(SIGMOID, x), Promise(4), Promise(6))
