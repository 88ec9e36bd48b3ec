"""How an op's arrays are cut into tiles, whatever library they are of.

A formula is some ten passes over its array. Run over all of a large array they wait for memory; run over one tile after
another they find it in the cache, and what they make on the way is as small as the tile.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

# Bytes of a tile in the dtype that is computed in: a formula then works within a few megabytes of cache, and a tile is
# worth the handful of microseconds that each call of a library takes.
TILE = 1 << 21
# A run along memory is short up to here, and a library's loops spend their time between runs. A class axis that runs so
# is short from less on, since its largest element is found by its position, in few steps.
SHORT = 64
SHORT_AXIS = 16

# glibc gives blocks above a threshold back to the system as soon as they are freed, and each tile would wait for fresh
# pages: 3.7 ns an element for a cross-entropy that takes 1.1 without. Freeing one large block raises the threshold.
bytearray((1 << 25) - (1 << 16))


class Tiles:
    """Where the tiles of an op's arrays are, and of ``results``, arrays in the shape of its result.

    A backend says how its library does what the standard has no name for.

    turns : whether a tile may be copied into another memory order, if that makes for longer runs along memory.
    """

    turns = True

    @staticmethod
    def strides(x: Any) -> tuple[int, ...]:
        raise NotImplementedError

    @staticmethod
    def empty(shape: tuple[int, ...], dtype: Any, like: Any) -> Any:
        """An array on the device of ``like``, and in its memory order if it has its shape."""
        raise NotImplementedError

    @staticmethod
    def contiguous(a: Any) -> Any:
        raise NotImplementedError

    def spread(self, run: Any, count: int) -> None:
        """Call ``run`` with each number below ``count``."""
        for i in range(count):
            run(i)

    def __init__(self, op: Any, arrays: Any, options: Any, reach: int, xp: Any, results: Any = ()) -> None:
        """``reach`` : the elements of a tile."""
        arrays = (*arrays, *results)
        self.x = x = arrays[0]
        self.xp = xp
        shape = tuple(x.shape)
        axis = options.get("axis", ())
        self.axes = (axis,) if isinstance(axis, int) else axis
        self.slices = tuple(n for i, n in enumerate(shape) if i not in self.axes)
        self.result = op.result
        self.per = [*op.per[: len(arrays) - len(results)], *[op.result] * len(results)]
        for i, a in enumerate(arrays):
            if self.per[i] == "slice" and a is not None and a.ndim == len(shape) > len(self.slices):
                self.per[i] = "element"
        shapes = {"element": shape, "slice": self.slices}
        self.arrays = [
            a if a is None or per == "class" or tuple(a.shape) == shapes[per] else xp.broadcast_to(a, shapes[per])
            for a, per in zip(arrays, self.per, strict=True)
        ]
        strides = self.strides(x)
        sizes = _sizes(shape, strides, self.axes, reach)
        self.order = _order(shape, strides, self.axes, sizes) if self.turns else None
        self.options = options
        if self.order is not None:
            self.options = options | {"axis": self.order[0] if isinstance(axis, int) else self.order}
        cuts = ([slice(k, min(k + size, n)) for k in range(0, n, size)] for n, size in zip(shape, sizes, strict=True))
        self.places = list(itertools.product(*cuts))

    def of_slices(self, place: Any) -> tuple[slice, ...]:
        return tuple(s for i, s in enumerate(place) if i not in self.axes)

    def of_result(self, place: Any) -> tuple[slice, ...]:
        return place if self.result == "element" else self.of_slices(place)

    def cut(self, place: Any) -> list[Any]:
        """The parts of all arrays in one place."""
        return [
            a if a is None or per == "class" else a[self.of_slices(place)] if per == "slice" else self._turned(a[place])
            for a, per in zip(self.arrays, self.per, strict=True)
        ]

    def _turned(self, a: Any) -> Any:
        return a if self.order is None else self.contiguous(self.xp.moveaxis(a, self.axes, self.order))

    def run(self, per: str, dtype: Any, compute: Any) -> Any:
        """An array of what ``compute`` gives for each tile, with a value per element or per slice.

        ``compute(arrays, room)`` may make its result in the room, the part of the array that it goes to.
        """
        if len(self.places) == 1 and self.order is None:
            return self.xp.astype(compute(self.arrays, None), dtype, copy=False)
        y = self.empty(self.slices if per == "slice" else tuple(self.x.shape), dtype, self.x)

        def fill(i: int) -> None:
            place = self.places[i]
            if per == "slice":
                y[self.of_slices(place)] = compute(self.cut(place), None)
            elif self.order is not None:
                y[place] = self.xp.moveaxis(compute(self.cut(place), None), self.order, self.axes)
            else:
                room = y[place]
                part = compute(self.cut(place), room)
                if part is not room:
                    room[...] = part

        self.spread(fill, len(self.places))
        return y


def _sizes(shape: Any, strides: Any, axes: Any, reach: int) -> list[int]:
    """The extent of a tile: all of ``axes``, and of the others as far as ``reach`` elements go, fastest axis first."""
    reach = max(reach // math.prod(shape[i] for i in axes), 1)
    sizes = list(shape)
    for i in sorted(set(range(len(shape))) - set(axes), key=lambda i: abs(strides[i])):
        count = math.ceil(shape[i] / min(shape[i], reach))
        sizes[i] = math.ceil(shape[i] / count)
        reach = max(reach // sizes[i], 1)
    return sizes


def _order(shape: Any, strides: Any, axes: Any, sizes: Any) -> tuple[int, ...] | None:
    """Where ``axes`` go in a copy of each tile, so that it runs along memory for long; None if it does as it is.

    First, if they are what runs along memory now and they are short; last, if another axis does and the tile's part of
    that is short while they are long.
    """
    fastest = min((i for i, n in enumerate(shape) if n > 1), key=lambda i: abs(strides[i]))
    length = math.prod(shape[i] for i in axes)
    if fastest in axes:
        return None if length > SHORT_AXIS else tuple(range(len(axes)))
    return tuple(range(len(shape) - len(axes), len(shape))) if length > SHORT >= sizes[fastest] else None
