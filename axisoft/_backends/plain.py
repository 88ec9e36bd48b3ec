"""The formulas as they are: on any namespace that follows the standard, and on one that a backend made for them."""

from __future__ import annotations

from typing import Any

from axisoft import _core
from axisoft._backends import linear


def evaluate(op: Any, arrays: Any, *, xp: Any, **static: Any) -> Any:
    if op is _core.LINEAR_CROSS_ENTROPY:
        return linear.evaluate(linear.How(xp), arrays, **static)
    return _core.evaluate(_core.by_formula(xp), op, arrays, xp=xp, **static)


def pullback(op: Any, arrays: Any, wanted: Any, *, xp: Any, **static: Any) -> Any:
    if op is _core.LINEAR_CROSS_ENTROPY:
        return linear.pullback(linear.How(xp), arrays, wanted, **static)
    return _core.pullback(_core.by_formula(xp), op, arrays, wanted, xp=xp, **static)
