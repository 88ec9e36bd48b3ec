"""``across``: where the slices of an array go on."""

from __future__ import annotations

from typing import Any

from axisoft import _backends
from axisoft._check.foreign import library_of
from axisoft._check.text import a as _a


def parts(function: str, across: Any, xp: Any) -> int:
    """How many parts a slice has, of which the array at hand holds one."""
    if across is None:
        return 1
    executor = _backends.executor(xp)
    if not hasattr(executor, "parts"):
        hint = "leave it out, since the whole array is here"
        raise TypeError(
            f"{function}: across is given for {_a(library_of(xp))} array, which has no other parts; {hint}."
        )
    found = executor.parts(across)
    if isinstance(found, int):
        return found
    kind, wrong, hint = found
    raise kind(f"{function}: across is {across!r}, {wrong}; {hint}.")
