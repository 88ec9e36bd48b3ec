"""The way from a checked call to its result: find who runs this namespace's arrays, and hand over."""

from __future__ import annotations

from typing import Any

from axisoft import _backends, _core


def run(op: str, arrays: tuple[Any, ...], *, xp: Any, **static: Any) -> Any:
    """The result of one op on arrays of one namespace."""
    executor = _backends.executor(xp)
    evaluate = plain if executor is None else executor.evaluate
    return evaluate(_core.OPS[op], arrays, xp=xp, **static)


def plain(op: Any, arrays: tuple[Any, ...], *, xp: Any, **static: Any) -> Any:
    """Run the formula as it is: any namespace that follows the standard."""
    return _core.evaluate(_core.by_formula(xp), op, arrays, xp=xp, **static)
