"""Words that the error texts share."""

from __future__ import annotations

from collections.abc import Sequence


def a(noun: str) -> str:
    """The noun with its article."""
    return f"an {noun}" if noun[0] in "aeiouAEIOU" or noun.startswith("nd") else f"a {noun}"


def nearest(word: str, words: Sequence[str]) -> str | None:
    """The word that was likely meant."""
    import difflib  # an error may take its time, importing axisoft may not

    found = difflib.get_close_matches(word, words, n=1, cutoff=0.75)
    return found[0] if found else None


def listed(names: Sequence[str], word: str = "or") -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"
