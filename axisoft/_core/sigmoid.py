"""Sigmoid, its logarithm, and softplus: functions of each element by itself.

``1 - sigmoid(x)`` is never formed: it is ``sigmoid(-x)``, to full accuracy. The logarithms rest on ``exp(-|x|)``, which
never overflows.
"""

from __future__ import annotations

from axisoft._core.op import Op, Promise, elementwise
from axisoft._core.stable import over


def sigmoid(x, *, xp):
    """``exp(-x)`` overflows where the result is no normal number, and 1 over it is then 0."""
    if getattr(xp, "quiet", False):
        e = over("exp", xp, -x)
        return over("reciprocal", xp, over("add", xp, e, 1.0))
    e = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1.0, e) / (1.0 + e)


def tail(x, xp):
    """``log(1 + exp(-|x|))``: what softplus adds to ``max(x, 0)``, the same for x and -x."""
    return over("log1p", xp, over("exp", xp, -xp.abs(x)))


def softplus(x, *, xp):
    return over("add", xp, xp.maximum(x, 0.0), tail(x, xp))


def log_sigmoid(x, *, xp):
    return over("subtract", xp, xp.minimum(x, 0.0), tail(x, xp))


SIGMOID: Op = elementwise(
    "sigmoid", sigmoid, lambda x, y, do, xp: over("multiply", xp, do(SIGMOID, -x), y), Promise(4), Promise(8)
)
LOG_SIGMOID = elementwise("log_sigmoid", log_sigmoid, lambda x, y, do, xp: do(SIGMOID, -x), Promise(4), Promise(6))
SOFTPLUS = elementwise("softplus", softplus, lambda x, y, do, xp: do(SIGMOID, x), Promise(4), Promise(6))
