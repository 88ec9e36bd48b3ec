"""What was found out once, and is looked up again in the next call of its kind."""

from __future__ import annotations

import sys
from typing import Any

_modules = sys.modules


def compiles() -> bool:
    """Whether torch.compile or torch.export is tracing what runs."""
    compiler = sys.modules.get("torch.compiler")
    return compiler is not None and bool(getattr(compiler, "is_compiling", bool)())


class Kept:
    """Answers by key, up to so many of them: a few of the microseconds that a small call takes.

    torch.compile makes a condition of what it sees of a dict, and compiles anew where something has been added since;
    so it finds nothing here and adds nothing.
    """

    def __init__(self, most: int = 256) -> None:
        self.most = most
        self.answers: dict[Any, Any] = {}

    def find(self, key: Any) -> Any:
        compiler = _modules.get("torch.compiler")  # compiles(), in line
        if compiler is not None and getattr(compiler, "is_compiling", bool)():
            return None
        return self.answers.get(key)

    def keep(self, key: Any, answer: Any) -> Any:
        if not compiles() and len(self.answers) < self.most:
            self.answers[key] = answer
        return answer
