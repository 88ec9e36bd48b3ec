"""NumPy: the formulas, over tiles that stay in the processor's cache, spread over threads.

No warning of the infinities and NaN that pass through comes out.
"""

from __future__ import annotations

import contextvars
import itertools
import math
import os
import queue
import sys
import threading
from concurrent.futures import Future
from typing import Any

import numpy as np

from axisoft import _backends, _core
from axisoft._backends import linear, tiles
from axisoft._backends.numpy.namespace import room as _room
from axisoft._backends.numpy.namespace import xp as _xp
from axisoft._backends.numpy.recorded import Recorded

# Elements of the smallest tile: some hundred microseconds.
LEAST = 1 << 17
# Tiles of an array that is not large: threads need some to share.
TILES = 8
# Elements below which a call is run as it is: looking for tiles would take longer than they save.
SMALL = 1 << 14
# Classes of a linear layer whose gradient is summed at a time.
PART = 1 << 12

_formula = _core.by_formula(_xp)
_recorded = Recorded()
_QUIET = contextvars.Context()
_QUIET.run(np.seterr, all="ignore")


def evaluate(op, arrays, *, xp, given, dtype, out=None, floats=(), **static):
    arrays = _plain(arrays)
    x = arrays[0]
    if op is _core.LINEAR_CROSS_ENTROPY:
        with np.errstate(all="ignore"):
            return np.asarray(linear.evaluate(Layer(), arrays, given=given, dtype=dtype, **static))
    if _is_one_tile(x, static.get("axis", ())):
        # Entering a copy of a context takes a tenth of the microsecond that numpy.errstate takes.
        run = _QUIET.copy().run
        key = (op, given, dtype, out, floats, *static.items())
        y = run(_recorded, _evaluate, arrays, key, op, given, dtype, out, floats, static)
        return y if type(y) is np.ndarray else np.asarray(y)
    with np.errstate(all="ignore"):
        tiled = _Tiled(out, given=given, dtype=dtype, floats=floats)
        return np.asarray(tiled.evaluate(op, arrays, **static))


def _evaluate(arrays, op, given, dtype, out, floats, static):
    return _core.evaluate(_formula, op, arrays, xp=_xp, given=given, dtype=dtype, out=out, floats=floats, **static)


def _do(op, *arrays, **options):
    """As ``_formula``, of few elements."""
    return _recorded(_formula_of, arrays, (op, *options.items()), op, options)


def _formula_of(arrays, op, options):
    return op.formula(*arrays, xp=_xp, **options)


def _rule(op, g, y, arrays, wanted, do, xp, **options):
    """The rule of an op, of few elements."""
    return _recorded(_rule_of, (g, y, *arrays), (op, tuple(wanted), *options.items()), op, wanted, options)


def _rule_of(arrays, op, wanted, options):
    g, y, *arrays = arrays
    return op.vjp(g, y, arrays, wanted, _formula, _xp, **options)


def pullback(op, arrays, wanted, *, xp, **static):
    arrays = _plain(arrays)
    if op is _core.LINEAR_CROSS_ENTROPY:
        with np.errstate(all="ignore"):
            return _quietly(linear.pullback(Layer(), arrays, wanted, **static))
    do: Any = _do
    options: dict[str, Any] = {"vjp": _rule}
    if not _is_one_tile(arrays[0], static.get("axis", ())):
        casts = {name: static.pop(name) for name in ("given", "dtype", "floats") if name in static}
        tiled = _Tiled(casts["dtype"], **casts)
        do, options = tiled.do, {"vjp": tiled.vjp, "given": None, "dtype": None}
    with np.errstate(all="ignore"):
        return _quietly(_core.pullback(do, op, arrays, wanted, xp=_xp, **options, **static))


def _quietly(found):
    y, pull = found

    def quiet(g):
        with np.errstate(all="ignore"):
            return _plain(pull(g))

    return np.asarray(y), quiet


def run(op, arrays, options, threads):
    """One op on arrays of the dtypes it takes, for a library that shares NumPy's memory."""
    with np.errstate(all="ignore"):
        if arrays[0].size <= SMALL:
            return np.asarray(_do(op, *arrays, **options))
        return np.asarray(_Tiled(arrays[0].dtype, threads).do(op, *arrays, **options))


def pull(op, g, y, arrays, wanted, options, threads):
    """As ``run``, its rule: a list of cotangents. A first array that it does not read may be None."""
    arrays = [y if arrays[0] is None else arrays[0], *arrays[1:]]
    with np.errstate(all="ignore"):
        if arrays[0].size <= SMALL:
            return _plain(_rule(op, g, y, arrays, wanted, _formula, _xp, **options))
        tiled = _Tiled(arrays[0].dtype, threads, dtype=arrays[0].dtype)
        return _plain(tiled.vjp(op, g, y, arrays, wanted, _formula, _xp, **options))


class Layer(linear.How):
    """A linear layer's loss, a tile of logits at a time; what runs on a tile runs over tiles of its own."""

    reads = True

    def __init__(self):
        super().__init__(_xp)
        self.threads = _backends.thread_limit()

    def run(self, op, arrays, options):
        return run(op, arrays, options, self.threads)

    def both(self, op, g, arrays, wanted, options):
        y = self.run(op, arrays, options)
        return y, pull(op, g, y, arrays, wanted, options, self.threads)

    def add_product(self, whole, a, b):
        """A part of the sum after another, which stays in the cache."""
        for i in range(0, len(whole), PART):
            whole[i : i + PART] += a[:, i : i + PART].T @ b
        return whole

    def nothing(self, shape, dtype, like):
        return np.zeros(shape, dtype)


def _is_one_tile(x, axis):
    """Whether a call is run as it is: the array is small; or no thread shares it, and no tile would be turned."""
    if x.size <= SMALL or x.size > LEAST:
        return x.size <= SMALL
    last = x.ndim - 1
    turns_not = axis in (last, (last,)) and x.shape[-1] > tiles.SHORT_AXIS and x.flags.c_contiguous
    return axis == () or turns_not


def _plain(arrays):
    """What they hold, as ndarrays: the arithmetic of subclasses (numpy.matrix) is not that of arrays, and a reduction
    over everything gives NumPy a scalar, where an array went in and so an array comes out."""
    return [a if a is None or type(a) is np.ndarray else np.asarray(a) for a in arrays]


def values(x):
    return np.asarray(x)


def device(x):
    """None: there is only one."""
    return None


# Tiles ----------------------------------------------------------------------------------------------------------------


class _Tiled:
    """Runs ops of one call tile by tile. The arrays are cast in each tile; ``out`` is the dtype of what comes out."""

    def __init__(self, out, threads=None, given=None, dtype=None, floats=()):
        self.out, self.casts = out, {"given": given, "dtype": dtype, "floats": floats}
        self.threads = _backends.thread_limit() if threads is None else threads

    def tiles(self, op, arrays, options, results=()):
        dtype = self.casts["dtype"] or self.out
        # By size alone: the number of threads must not show in a sum.
        each = max(math.ceil(arrays[0].size / TILES), LEAST)
        reach = min(each, tiles.TILE // np.dtype(dtype).itemsize)
        return _Tiles(self.threads, op, arrays, options, reach, _xp, results)

    def evaluate(self, op, arrays, *, reduction="none", weighted=False, **options):
        """All of a call. A sum or a mean is made of those of the tiles: no array has a loss per element."""
        if reduction == "none":
            return self.do(op, *arrays, **options)
        cut = self.tiles(op, arrays, options)
        sums = np.empty((2, len(cut.places)), dtype=self.out)

        def run(i):
            place = cut.places[i]
            tile = cut.cut(place)
            sums[0, i] = self._whole(op, tile, cut.options, reduction="sum")
            if weighted and reduction == "mean":
                sums[1, i] = self._whole(op.weights, tile, cut.options, reduction="sum")
            else:
                sums[1, i] = math.prod(s.stop - s.start for s in cut.of_result(place))

        cut.spread(run, len(cut.places))
        return _formula(_core.REDUCTION, *sums, mean=reduction == "mean")

    def do(self, op, *arrays, **options):
        if op.result is None:
            return _formula(op, *arrays, **options)
        keepdims = options.pop("keepdims", False)
        cut = self.tiles(op, arrays, options)
        y = cut.run(op.result, self.out, lambda tile, room: self._whole(op, tile, cut.options, room))
        return np.expand_dims(y, cut.axes) if keepdims else y

    def vjp(self, op, g, y, arrays, wanted, do, xp, **options):
        """The cotangent along the first array, slice by slice; those along others are sums over all of it."""
        if op.result is None or not wanted[0] or any(wanted[1:]):
            return op.vjp(g, y, _core.cast(arrays, **self.casts, xp=xp), wanted, _formula, xp, **options)
        if options.pop("keepdims", False):
            g, y = (np.squeeze(a, axis=options["axis"]) for a in (g, y))
        cut = self.tiles(op, arrays, options, (g, y))

        def pull(tile, room):
            *tile, g, y = tile
            return op.vjp(g, y, _core.cast(tile, **self.casts, xp=xp), wanted, _formula, xp, **cut.options)[0]

        return [cut.run("element", arrays[0].dtype, pull), *[None] * (len(arrays) - 1)]

    def _whole(self, op, tile, options, room=None, **more):
        _room.y = room
        try:
            return _core.evaluate(_formula, op, tile, xp=_xp, out=self.out, **self.casts, **options, **more)
        finally:
            _room.y = None  # not all formulas take it


class _Tiles(tiles.Tiles):
    def __init__(self, threads, *args):
        super().__init__(*args)
        self.threads = threads

    @staticmethod
    def strides(x):
        return x.strides

    @staticmethod
    def empty(shape, dtype, like):
        return np.empty_like(like, dtype=dtype, subok=False) if shape == like.shape else np.empty(shape, dtype=dtype)

    contiguous = staticmethod(np.ascontiguousarray)

    def spread(self, run, count):
        spread(run, count, self.threads)


# Threads --------------------------------------------------------------------------------------------------------------


class _Pool:
    """Threads that wait for tiles. A forked child has none of its parent's, and makes its own.

    They are daemons of this module: concurrent.futures has its own joined at exit, so that it cannot even be imported
    once the main thread has ended, when other threads and what ``atexit`` runs may still call. Threads only help: where
    none can be started any more, the calling one does all.
    """

    def __init__(self):
        self.forget()

    def forget(self):
        # A lock that its holder may take again: a call may come out of a finalizer or a signal handler amid another.
        self.lock, self.threads = threading.RLock(), 0
        self.waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def submit(self, run, threads):
        """Up to ``threads`` futures of ``run``."""
        if sys.is_finalizing():  # threads that have been started never run again, and new ones not at all
            return []
        with self.lock:
            while self.threads < threads and self._start():
                pass
            futures: list[Future[None]] = [Future() for _ in range(min(threads, self.threads))]
            for future in futures:
                self.waiting.put((future, run))
        return futures

    def _start(self):
        try:
            threading.Thread(target=_work, args=(self.waiting,), name="axisoft", daemon=True).start()
        except RuntimeError:  # no room for another, or the interpreter has begun to exit
            return False
        self.threads += 1
        return True


def _work(waiting):
    while True:
        future, run = waiting.get()
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(run())
            except BaseException as error:
                future.set_exception(error)
        del future, run  # they hold arrays, and the next may be long in coming


_pool = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.forget)


def spread(run, count, limit):
    """Call ``run`` with each number below ``count``, in at most ``limit`` threads, of which this is one.

    This thread works too and takes what nobody else has taken, so a pool that others keep busy delays nothing. An
    exception stops all of them after the tile that they are at, and is raised here.
    """
    threads = min(limit, count)
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
