"""What one block of an array does for an op, where blocks have parts of slices: a pass.

A pass runs the formula on each block, in a namespace for a part of a slice, as far as it can: what the formula asks the
other parts it notes, goes on with its own answer where that is of use (exponentials below a block's own largest element
can be rescaled), and stops. A tree joins what the blocks have noted, and the next pass goes on from there. So a block
of logits is read once for a loss and once more for its gradient, and no task holds more than one.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from axisoft import _core
from axisoft._backends import tiles
from axisoft._backends.numpy.namespace import xp
from axisoft._backends.parts import Part


class _Enough(Exception):
    """Nothing more is wanted of a pass."""


class _World:
    """The other parts, by what is known of them.

    answers : by the number of the question; what is missing is answered by this part alone and noted, and after the
    last that is ``wanted`` the formula stops. kinds : of the questions, "largest", "exponentials", "one" or "sum".
    """

    def __init__(self, whole, before, answers, wanted=(), taints=False):
        self.whole, self.before, self.answers, self.wanted, self.taints = whole, before, answers, wanted, taints
        self.notes: dict[int, Any] = {}
        self.kinds: list[str] = []

    def count(self, n):
        return self.whole

    def first(self, n):
        return self.before

    def _ask(self, kind, arrays):
        i = len(self.kinds)
        self.kinds.append(kind)
        if i in self.answers:
            return self.answers[i]
        self.notes[i] = arrays
        if self.wanted and i == self.wanted[-1]:
            raise _Enough
        if self.taints and kind in ("one", "sum"):
            return [np.full_like(a, np.nan) for a in arrays]
        return arrays

    def max(self, a):
        return self._ask("largest", [a])[0]

    def sum(self, arrays):
        pair = len(arrays) == 2 and self.kinds[-1:] == ["largest"]
        return self._ask("exponentials" if pair else "sum", list(arrays))

    def one(self, y):
        return self._ask("one", [y])[0]


class _Part(Part):
    def __init__(self, axes, ndim, world):
        super().__init__(xp, axes, ndim, world)

    def __getattr__(self, name):
        if name in ("put_over", "exp_below"):
            raise AttributeError(name)
        return super().__getattr__(name)

    def take_along_axis(self, x, index, axis):
        at, is_here = self._place(x, index, axis)
        if at is None:
            y = np.zeros(index.shape, x.dtype)
        else:
            y = np.where(is_here, np.take_along_axis(x, at, axis=axis), 0.0).astype(x.dtype)
        return self.world.one(y)  # type: ignore[attr-defined]


class Work(NamedTuple):
    """An op's formula, or with ``wanted`` its rule, whose arrays begin with the cotangent and the result."""

    op: Any
    options: tuple[tuple[str, Any], ...]
    wanted: tuple[bool, ...] | None
    there: tuple[bool, ...]  # which arrays are given
    soft: bool  # whether the targets are probabilities

    @property
    def axes(self):
        axis = dict(self.options).get("axis", ())
        return (axis,) if isinstance(axis, int) else axis

    @property
    def per(self):
        """What each array has a value for."""
        results = () if self.wanted is None else (self.op.result,) * 2
        return (*results, *self.op.per)

    def __call__(self, arrays, ndim, world):
        space = _Part(self.axes, ndim, world)
        with np.errstate(all="ignore"):
            if self.wanted is None:
                return self.op.formula(*arrays, xp=space, **dict(self.options))
            g, y, *arrays = arrays
            do = _core.by_formula(space)
            found = self.op.vjp(g, y, arrays, self.wanted, do, space, **dict(self.options))
            return next(a for a, want in zip(found, self.wanted, strict=True) if want)


@lru_cache(maxsize=1024)
def passes(work, ndim, whole):
    """Which questions each pass answers, and all their kinds: by a run on one element, where what depends on an answer
    that is not there is NaN."""
    shapes = {"element": (1,) * ndim, "class": (1,), "slice": tuple(1 for i in range(ndim) if i not in work.axes)}
    shapes["slice"] = (1,) * ndim if dict(work.options).get("keepdims") else shapes["slice"]
    arrays = []
    for i, (per, there) in enumerate(zip(work.per, work.there, strict=True)):
        name = ("g", "y", *work.op.inputs)[i + (2 if work.wanted is None else 0)]
        of = bool if name == "where" else np.int64 if name == "targets" and not work.soft else np.float64
        shape = shapes["element" if name == "targets" and work.soft else per]
        arrays.append(np.ones(shape, of) * (of is not np.int64) if there else None)
    known: dict[int, Any] = {}
    found: list[tuple[int, ...]] = []
    while True:
        world = _World(whole, 0, known, taints=True)
        work(arrays, ndim, world)
        ready, seen = [], False  # seen : whether this pass has found a largest element by itself
        for i, kind in enumerate(world.kinds):
            if i in known:
                continue
            clean = all(np.isfinite(a).all() for a in world.notes[i])
            if clean and (kind in ("largest", "one", "exponentials") or not seen):
                ready.append(i)
            seen = seen or kind == "largest"
        if not ready:
            return found, world.kinds
        found.append(tuple(ready))
        known |= {i: [np.ones_like(a) for a in world.notes[i]] for i in ready}


class Pass(NamedTuple):
    """A pass over blocks. Its questions are answered by ``wanted``; of those before it the answers are known."""

    work: Work
    ndim: int
    whole: int
    kinds: tuple[str, ...]
    before: tuple[int, ...]
    wanted: tuple[int, ...]

    def answers(self, known):
        """By the number of the question, from an array that has them along its last axis."""
        found: dict[int, Any] = {}
        at = 0
        for i in self.before:
            n = fields(self.kinds[i])
            found[i] = [np.expand_dims(known[..., at + k], self.work.axes) for k in range(n)]
            at += n
        return found

    def arrays(self, given):
        given = iter(given)
        return [next(given) if there else None for there in self.work.there]


def fields(kind):
    return 2 if kind == "exponentials" else 1


def block(*given, step):
    """One pass on one block, a few slices at a time, so that what the formula makes on its way is small: what it notes,
    along a last axis; or, in the last pass, the result."""
    *arrays, first, known = given
    work, arrays = step.work, step.arrays(arrays)
    axes, ndim, per = work.axes, step.ndim, work.per
    x = next(a for a, kind in zip(arrays, per, strict=True) if kind == "element" and a is not None)
    along = next((i for i in range(ndim) if i not in axes), None)
    each = max(tiles.TILE // max(x.nbytes // max(x.shape[along], 1), 1), 1) if along is not None else 1
    places = [slice(None)] if along is None else [slice(i, i + each) for i in range(0, max(x.shape[along], 1), each)]
    of_slices = 0 if along is None else along - sum(axis < along for axis in axes)

    def cut(a, kind, place):
        if along is None or a is None or kind == "class":
            return a
        return a[(slice(None),) * (along if kind == "element" or a.ndim == ndim else of_slices) + (place,)]

    if step.wanted and 0 in x.shape:  # of which a formula asks nothing
        shape = [1 if i in axes else n for i, n in enumerate(x.shape)]
        return np.zeros((*shape, sum(fields(step.kinds[i]) for i in step.wanted)), x.dtype)
    found = []
    for place in places:
        world = _World(step.whole, int(first[0]), step.answers(cut(known, "slice", place)), step.wanted)
        try:
            y = work([cut(a, kind, place) for a, kind in zip(arrays, per, strict=True)], ndim, world)
        except _Enough:
            shape = [1 if i in axes else n for i, n in enumerate(cut(x, "element", place).shape)]
            y = np.stack([np.broadcast_to(a, shape) for i in step.wanted for a in world.notes[i]], axis=-1)
        found.append(y)
    return found[0] if len(found) == 1 else np.concatenate(found, axis=along)


def slices(*given, step, dtype):
    """The last pass of what has a value per slice: no element is read."""
    *arrays, known = given
    work, ndim = step.work, step.ndim
    given_slices = iter(arrays)
    lengths = iter(known.shape[:-1])
    shape = tuple(0 if i in work.axes else next(lengths) for i in range(ndim))
    every: list[Any] = []
    for i, (per, there) in enumerate(zip(work.per, work.there, strict=True)):
        if not there:
            every.append(None)
        elif per == "slice" and not (i == 1 and work.soft):
            every.append(next(given_slices))
        else:
            kind = bool if work.op.inputs[i] == "where" else dtype
            every.append(np.zeros((0,) if per == "class" else shape, kind))
    return work(every, ndim, _World(step.whole, 0, step.answers(known)))


def join(parts, axis, keepdims, step):
    """What several blocks have noted, as one."""
    axes = tuple(axis)
    a = np.moveaxis(parts, axes, range(len(axes)))
    a = a.reshape(math.prod(a.shape[: len(axes)]), *a.shape[len(axes) :])
    joined, at, largest = [], 0, None
    with np.errstate(all="ignore"):
        for i in step.wanted:
            kind = step.kinds[i]
            if kind == "largest":
                largest = a[..., at]
                joined.append(np.max(largest, axis=0))
            elif kind == "exponentials" and largest is not None:
                joined += _rescaled(largest, a[..., at], a[..., at + 1])
            else:
                joined += [np.sum(a[..., at + k], axis=0) for k in range(fields(kind))]
            at += fields(kind)
    return np.expand_dims(np.stack(joined, axis=-1), axes)


def _rescaled(m, s, rest):
    """Of the sums of ``exp(x - m)`` of several parts, of all terms and without the largest, those of all parts.

    What is added has one sign, so no digit is lost. A part of nothing but -inf adds nothing, unless all are.
    """
    top, whole = np.argmax(m, axis=0)[None], np.max(m, axis=0)
    k = np.where(m == whole, 1.0, np.exp(m - whole))
    others = np.where(m == -np.inf, 0.0, np.where(s < 2.0, rest, s - 1.0) * k)
    np.put_along_axis(k, top, 0.0, axis=0)
    others = np.sum(others, axis=0) + np.sum(k, axis=0)
    empty = whole == -np.inf
    return [np.where(empty, s[0], 1.0 + others), np.where(empty, rest[0], others)]
