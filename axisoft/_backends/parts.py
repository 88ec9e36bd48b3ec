"""A namespace for a part of an array whose slices go on elsewhere: on other devices, in other processes.

What the formulas ask along the axes of a slice (the largest element, sums, a look-up, class numbers, a length) it finds
in the part that is here, and joins with what the others found. So they run unchanged, and nothing goes between the
parts but numbers per slice.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

from axisoft._core.stable import total, totals

# What takes one path or another by what an array holds, and so need not take the same one everywhere, where each has
# messages of its own; and what marks the largest element of a part.
_BY_VALUE = {"add_over", "exponentials", "is_free_of_nan", "none", "position", "surprisal", "where_true"}
_INFINITY = math.inf


class World(Protocol):
    """How the parts know of each other. All of them call these in the same order."""

    def count(self, n: int) -> int:
        """How many elements all of a slice has, of which n are here."""

    def first(self, n: int) -> Any:
        """How many of them come before those n."""

    def max(self, a: Any) -> Any:
        """The largest of what each part has; NaN where one has that."""

    def sum(self, arrays: Any) -> Any:
        """Of several arrays of one shape, each summed over the parts: one message."""


class Part:
    """``base`` on what is here of arrays with ``ndim`` axes, whose slices along ``axes`` are shared out."""

    sized = False

    def __init__(self, base: Any, axes: tuple[int, ...], ndim: int, world: World) -> None:
        self.base, self.axes, self.ndim, self.world = base, axes, ndim, world

    def __getattr__(self, name: str) -> Any:
        if name in _BY_VALUE:
            raise AttributeError(name)
        found = getattr(self.base, name)
        return self._put_over if name == "put_over" else found

    def _shares(self, x: Any, axes: Any) -> bool:
        """Whether ``axes`` of x are those of a slice, and not of what has a number per slice."""
        axes = (axes,) if isinstance(axes, int) else axes
        return len(x.shape) == self.ndim and bool(axes) and tuple(axes) == self.axes

    def lengths(self, x: Any) -> tuple[Any, ...]:
        """The product of those of a slice is what counts."""
        shape = list(x.shape)
        if len(shape) != self.ndim:
            return tuple(shape)
        n = math.prod(shape[i] for i in self.axes)
        for i in self.axes:
            shape[i] = 1
        shape[self.axes[0]] = self.world.count(n)
        return tuple(shape)

    def max(self, x: Any, axis: Any, keepdims: bool = False) -> Any:
        if not self._shares(x, axis):
            return self.base.max(x, axis=axis, keepdims=keepdims)
        if 0 in (x.shape[i] for i in self.axes):
            return self.world.max(self.base.sum(x, axis=axis, keepdims=keepdims) - _INFINITY)
        return self.world.max(self.base.max(x, axis=axis, keepdims=keepdims))

    def sums(self, arrays: Any, axes: Any) -> Any:
        arrays = tuple(arrays)
        here = totals(arrays, axes, self.base)  # type: ignore[no-untyped-call]
        return self.world.sum(here) if self._shares(arrays[0], axes) else here

    def sum(self, x: Any, axis: Any, keepdims: bool = False) -> Any:
        if not self._shares(x, axis):
            return self.base.sum(x, axis=axis, keepdims=keepdims)
        (y,) = self.world.sum([total(x, self.axes, self.base)])  # type: ignore[no-untyped-call]
        return y if keepdims else self.base.squeeze(y, axis=self.axes)

    def any(self, x: Any, axis: Any, keepdims: bool = False) -> Any:
        y = self.base.any(x, axis=axis, keepdims=keepdims)
        return self.world.max(self.base.astype(y, self.base.float32)) > 0 if self._shares(x, axis) else y

    def arange(self, n: int, **device: Any) -> Any:
        """The class numbers."""
        return self.base.arange(n, **device) + self.world.first(n)

    def take_along_axis(self, x: Any, index: Any, axis: int) -> Any:
        """One part has it; the sum has one term that is not 0."""
        at, is_here = self._place(x, index, axis)
        if at is None:
            y = self.base.zeros_like(index, dtype=x.dtype)
        else:
            y = self.base.where(is_here, self.base.take_along_axis(x, at, axis=axis), 0.0)
        return self.world.sum([y])[0]

    def _put_over(self, x: Any, index: Any, value: Any, axis: int) -> Any:
        at, is_here = self._place(x, index, axis)
        if at is None:
            return x
        value = self.base.where(is_here, value, self.base.take_along_axis(x, at, axis=axis))
        return self.base.put_over(x, at, value, axis)

    def _place(self, x: Any, index: Any, axis: int) -> tuple[Any, Any]:
        """Where the part has an element of an index into the whole axis, and whether; None if it has no element."""
        n = x.shape[axis]
        at = index - self.world.first(n)
        is_here = (at >= 0) & (at < n)
        return (self.base.where(is_here, at, 0) if n else None), is_here
