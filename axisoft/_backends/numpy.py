"""NumPy: the formulas, over tiles that stay in the processor's cache, spread over threads.

A formula is some ten passes over its array. Run over all of a large array they wait for memory; run over one tile after
another they find it in the cache, and what they make on the way is as small as the tile. No warning of the infinities
and NaN that pass through comes out.
"""

from __future__ import annotations

import itertools
import math
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import array_api_compat.numpy as compat
import numpy as np

from axisoft import _backends, _core

# Bytes of a tile in the dtype that is computed in: a formula then works within a few megabytes of cache, and a tile is
# worth the handful of microseconds that each of NumPy's calls takes.
TILE = 1 << 21
# Elements of the smallest tile: some hundred microseconds.
LEAST = 1 << 17
# Elements below which a call is run as it is: looking for tiles would take longer than they save.
SMALL = 1 << 14
# A run along memory is short up to here, and NumPy's loops spend their time between runs.
SHORT = 64


class _Namespace:
    """array_api_compat.numpy, and which of the formulas' precautions NumPy can do without."""

    rounds = quiet = True

    def __init__(self):
        self.__dict__.update({name: f for name, f in vars(compat).items() if not hasattr(type(self), name)})

    # The methods, since NumPy's functions of these names look for subclasses first: 1.2 us a call.
    @staticmethod
    def max(x, axis, keepdims):
        return np.maximum.reduce(x, axis=axis, keepdims=keepdims)

    @staticmethod
    def sum(x, axis, keepdims=False):
        return np.add.reduce(x, axis=axis, keepdims=keepdims)

    @staticmethod
    def exp_of(d):
        return np.exp(d, out=d if isinstance(d, np.ndarray) else None)  # no scalar

    @staticmethod
    def sums_in_pairs(x, axis):
        """Along memory; in sequence along other axes."""
        return x.strides[axis] == x.itemsize

    @staticmethod
    def none(mask):
        return not mask.any()

    @staticmethod
    def put_over(x, index, value, axis):
        np.put_along_axis(x, index, value, axis)
        return x

    @staticmethod
    def where_true(mask, function, y, x, axes):
        count = np.count_nonzero(mask)
        if 4 * count > mask.size:  # to pick them out would cost more
            return np.where(mask, function(x, axes), y)
        if count:
            last = tuple(range(-len(axes), 0))
            mask, view, x = (np.moveaxis(a, axes, last) for a in (mask, y, x))
            at = np.nonzero(mask.reshape(mask.shape[: mask.ndim - len(axes)]))
            view[at] = function(x[at], tuple(range(1, len(axes) + 1)))
        return y


# glibc gives blocks above a threshold back to the system as soon as they are freed, and each tile would wait for fresh
# pages: 3.7 ns an element for a cross-entropy that takes 1.1 without. Freeing one large block raises the threshold.
np.empty((1 << 25) - (1 << 16), dtype=np.uint8)

_xp = _Namespace()
_formula = _core.by_formula(_xp)


def evaluate(op, arrays, *, xp, given, dtype, out, floats=(), **static):
    arrays = _plain(arrays)
    with np.errstate(all="ignore"):
        if arrays[0].size <= SMALL:
            y = _core.evaluate(_formula, op, arrays, xp=_xp, given=given, dtype=dtype, out=out, floats=floats, **static)
            return np.asarray(y)
        tiled = _Tiled(out, given=given, dtype=dtype, floats=floats)
        return np.asarray(tiled.evaluate(op, arrays, **static))


def pullback(op, arrays, wanted, *, xp, **static):
    arrays, options = _plain(arrays), {}
    do = _formula
    if arrays[0].size > SMALL:
        casts = {name: static.pop(name) for name in ("given", "dtype", "floats") if name in static}
        tiled = _Tiled(casts["dtype"], **casts)
        do, options = tiled.do, {"vjp": tiled.vjp, "given": None, "dtype": None}
    with np.errstate(all="ignore"):
        y, pull = _core.pullback(do, op, arrays, wanted, xp=_xp, **options, **static)

    def quiet(g):
        with np.errstate(all="ignore"):
            return _plain(pull(g))

    return np.asarray(y), quiet


def _plain(arrays):
    """What they hold, as ndarrays: the arithmetic of subclasses (numpy.matrix) is not that of arrays, and a reduction
    over everything gives NumPy a scalar, where an array went in and so an array comes out."""
    return [None if a is None else np.asarray(a) for a in arrays]


def values(x):
    return np.asarray(x)


# Tiles ----------------------------------------------------------------------------------------------------------------


class _Tiled:
    """Runs ops of one call tile by tile. The arrays are cast in each tile; ``out`` is the dtype of what comes out."""

    def __init__(self, out, given=None, dtype=None, floats=()):
        self.out, self.casts = out, {"given": given, "dtype": dtype, "floats": floats}

    def evaluate(self, op, arrays, *, reduction="none", weighted=False, **options):
        """All of a call. A sum or a mean is made of those of the tiles: no array has a loss per element."""
        if reduction == "none":
            return self.do(op, *arrays, **options)
        tiles = _Tiles(op, arrays, self.casts["dtype"], options)
        sums = np.empty((2, len(tiles.places)), dtype=self.out)

        def run(i):
            place = tiles.places[i]
            tile = tiles.cut(place)
            sums[0, i] = self._whole(op, tile, tiles.options, reduction="sum")
            if weighted and reduction == "mean":
                sums[1, i] = self._whole(op.weights, tile, tiles.options, reduction="sum")
            else:
                sums[1, i] = math.prod(s.stop - s.start for s in tiles.of_result(place))

        _spread(run, len(tiles.places))
        return _formula(_core.REDUCTION, *sums, mean=reduction == "mean")

    def do(self, op, *arrays, **options):
        if op.result is None:
            return _formula(op, *arrays, **options)
        keepdims = options.pop("keepdims", False)
        tiles = _Tiles(op, arrays, self.casts["dtype"], options)
        y = tiles.run(op.result, self.out, lambda tile: self._whole(op, tile, tiles.options))
        return np.expand_dims(y, tiles.axes) if keepdims else y

    def vjp(self, op, g, y, arrays, wanted, do, xp, **options):
        """The cotangent along the first array, slice by slice; those along others are sums over all of it."""
        if op.result is None or not wanted[0] or any(wanted[1:]):
            return op.vjp(g, y, _core.cast(arrays, **self.casts, xp=xp), wanted, _formula, xp, **options)
        if options.pop("keepdims", False):
            g, y = (np.squeeze(a, axis=options["axis"]) for a in (g, y))
        tiles = _Tiles(op, arrays, self.casts["dtype"], options, (g, y))

        def pull(tile):
            *tile, g, y = tile
            return op.vjp(g, y, _core.cast(tile, **self.casts, xp=xp), wanted, _formula, xp, **tiles.options)[0]

        return [tiles.run("element", arrays[0].dtype, pull), *[None] * (len(arrays) - 1)]

    def _whole(self, op, tile, options, **more):
        return _core.evaluate(_formula, op, tile, xp=_xp, out=self.out, **self.casts, **options, **more)


class _Tiles:
    """Where the tiles of an op's arrays are, and of ``results``, arrays in the shape of its result."""

    def __init__(self, op, arrays, dtype, options, results=()):
        arrays = (*arrays, *results)
        self.x = x = arrays[0]
        axis = options.get("axis", ())
        self.axes = (axis,) if isinstance(axis, int) else axis
        self.slices = tuple(n for i, n in enumerate(x.shape) if i not in self.axes)
        self.result = op.result
        self.per = [*op.per[: len(arrays) - len(results)], *[op.result] * len(results)]
        for i, a in enumerate(arrays):
            if self.per[i] == "slice" and a is not None and a.ndim == x.ndim > len(self.slices):
                self.per[i] = "element"
        shapes = {"element": x.shape, "slice": self.slices}
        self.arrays = [
            a if a is None or per == "class" else np.broadcast_to(a, shapes[per])
            for a, per in zip(arrays, self.per, strict=True)
        ]
        # A tile for each thread at least, but for the smallest that are worth their while.
        each = max(math.ceil(x.size / _backends.thread_limit()), LEAST)
        sizes = _sizes(x, self.axes, min(each, TILE // np.dtype(dtype).itemsize))
        self.order = _order(x, self.axes, sizes)
        self.options = options
        if self.order is not None:
            self.options = options | {"axis": self.order[0] if isinstance(axis, int) else self.order}
        cuts = ([slice(k, min(k + size, n)) for k in range(0, n, size)] for n, size in zip(x.shape, sizes, strict=True))
        self.places = list(itertools.product(*cuts))

    def of_slices(self, place):
        return tuple(s for i, s in enumerate(place) if i not in self.axes)

    def of_result(self, place):
        return place if self.result == "element" else self.of_slices(place)

    def cut(self, place):
        """The parts of all arrays in one place, turned if that makes for longer runs along memory."""
        return [
            a if a is None or per == "class" else a[self.of_slices(place)] if per == "slice" else self._turned(a[place])
            for a, per in zip(self.arrays, self.per, strict=True)
        ]

    def _turned(self, a):
        return a if self.order is None else np.ascontiguousarray(np.moveaxis(a, self.axes, self.order))

    def run(self, per, dtype, compute):
        """An array of what ``compute`` gives for each tile, with a value per element or per slice."""
        if len(self.places) == 1 and self.order is None:
            return compute(self.arrays).astype(dtype, copy=False)
        if per == "slice":
            y = np.empty(self.slices, dtype=dtype)
        else:
            y = np.empty_like(self.x, dtype=dtype, subok=False)

        def fill(i):
            place = self.places[i]
            part = compute(self.cut(place))
            if per == "slice":
                y[self.of_slices(place)] = part
            else:
                y[place] = part if self.order is None else np.moveaxis(part, self.order, self.axes)

        _spread(fill, len(self.places))
        return y


def _sizes(x, axes, reach):
    """The extent of a tile: all of ``axes``, and of the others as far as ``reach`` elements go, fastest axis first."""
    reach = max(reach // math.prod(x.shape[i] for i in axes), 1)
    sizes = list(x.shape)
    for i in sorted(set(range(x.ndim)) - set(axes), key=lambda i: abs(x.strides[i])):
        count = math.ceil(x.shape[i] / min(x.shape[i], reach))
        sizes[i] = math.ceil(x.shape[i] / count)
        reach = max(reach // sizes[i], 1)
    return sizes


def _order(x, axes, sizes):
    """Where ``axes`` go in a copy of each tile, so that it runs along memory for long; None if it does as it is.

    First, if they are what runs along memory now and they are short; last, if another axis does and the tile's part of
    that is short while they are long.
    """
    fastest = min((i for i, n in enumerate(x.shape) if n > 1), key=lambda i: abs(x.strides[i]))
    long = math.prod(x.shape[i] for i in axes) > SHORT
    if fastest in axes:
        return None if long else tuple(range(len(axes)))
    return tuple(range(x.ndim - len(axes), x.ndim)) if long and sizes[fastest] <= SHORT else None


# Threads --------------------------------------------------------------------------------------------------------------


class _Pool:
    """Threads that wait for tiles. A forked child has none of its parent's, and makes its own."""

    def __init__(self):
        self.forget()

    def forget(self):
        self.lock, self.threads = threading.Lock(), 0
        self.executor: ThreadPoolExecutor | None = None

    def submit(self, run, threads):
        """Up to ``threads`` futures of ``run``: none once the interpreter has begun to exit."""
        with self.lock:
            if threads > self.threads:
                if self.executor is not None:
                    self.executor.shutdown(wait=False)
                self.threads, self.executor = threads, ThreadPoolExecutor(threads, thread_name_prefix="axisoft")
            try:
                return [self.executor.submit(run) for _ in range(threads)] if self.executor else []
            except RuntimeError:
                return []


_pool = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.forget)


def _spread(run, count):
    """Call ``run`` with each number below ``count``, in this thread and in as many others as the limit allows.

    This thread works too and takes what nobody else has taken, so a pool that others keep busy delays nothing. An
    exception stops all of them after the tile that they are at, and is raised here.
    """
    threads = min(_backends.thread_limit(), count)
    number, stop = itertools.count(), threading.Event()

    def work():
        with np.errstate(all="ignore"):
            try:
                for i in number:
                    if i >= count or stop.is_set():
                        return
                    run(i)
            except BaseException:
                stop.set()
                raise

    others = _pool.submit(work, threads - 1) if threads > 1 else []
    try:
        work()
    finally:
        for other in others:
            if not other.cancel():
                other.result()
