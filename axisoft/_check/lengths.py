"""Lengths that need not be numbers yet: a symbol that a later run fills in, or None where a shape does not tell."""

from __future__ import annotations

from typing import Any

from axisoft import _backends


def lengths(x: Any) -> tuple[Any, ...]:
    """The shape of an array. Where a library has tensors for lengths while it traces, the numbers that they hold."""
    shape = tuple(x.shape)
    return _backends.lengths(x) if shape and type(shape[0]).__name__ == "Tensor" else shape


def agree(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    """Whether two shapes are the same, as far as is known. Those of another number of axes are not compared."""
    if len(a) != len(b):
        return False
    return a == b or all(None in pair or pair[0] == pair[1] for pair in zip(a, b, strict=True))
