"""Words that the error texts share."""

from __future__ import annotations


def a(noun: str) -> str:
    """The noun with its article."""
    return f"an {noun}" if noun[0] in "aeiouAEIOU" or noun.startswith("nd") else f"a {noun}"
