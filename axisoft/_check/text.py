"""Words that the error texts share."""

from __future__ import annotations

from typing import Any


def shape(x: Any) -> tuple[int, ...]:
    return tuple(x.shape)


def a(noun: str) -> str:
    """The noun with its article."""
    return f"an {noun}" if noun[0] in "aeiouAEIOU" or noun.startswith("nd") else f"a {noun}"
