"""Types of the public signatures. Any library's array fits; what goes in is the type of what comes out."""

from __future__ import annotations

from typing import Any, Literal, Protocol, TypeVar


class Array(Protocol):
    """What every array has: enough to turn a list or a number away before the program runs."""

    @property
    def shape(self) -> Any: ...

    @property
    def dtype(self) -> Any: ...


ArrayT = TypeVar("ArrayT", bound=Array)
Axes = int | tuple[int, ...] | None
Reduction = Literal["none", "sum", "mean"]
Loss = Literal["cross_entropy", "nll_loss", "binary_cross_entropy_with_logits"]
