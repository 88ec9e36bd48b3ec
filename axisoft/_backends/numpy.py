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
# Elements below which a call is run as it is: looking for tiles would take longer than they save.
SMALL = 1 << 14
# A run along memory is short up to here, and NumPy's loops spend their time between runs.
SHORT = 64


class _Namespace:
    """array_api_compat.numpy, and what NumPy's sums are like: in pairs along memory, in sequence along other axes."""

    def __getattr__(self, name):
        return getattr(compat, name)

    @staticmethod
    def sums_in_pairs(x, axis):
        return x.strides[axis] == x.itemsize


_xp = _Namespace()
_formula = _core.by_formula(_xp)


def evaluate(op, arrays, *, xp, **static):
    arrays = _plain(arrays)
    with np.errstate(all="ignore"):
        if op.result is not None and arrays[0].size > SMALL:
            return _over_tiles(op, arrays, **static)
        return np.asarray(_core.evaluate(_formula, op, arrays, xp=_xp, **static))


def pullback(op, arrays, wanted, *, xp, **static):
    with np.errstate(all="ignore"):
        y, pull = _core.pullback(_formula, op, _plain(arrays), wanted, xp=_xp, **static)

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


def _over_tiles(op, arrays, *, out, **static):
    x = arrays[0]
    arrays = [None if a is None else np.broadcast_to(a, x.shape) for a in arrays]
    axes = static.get("axis", ())
    if op.result == "slices":
        y = np.empty([1 if i in axes else n for i, n in enumerate(x.shape)], dtype=out)
        squeezed = () if static.get("keepdims") else axes
        static["keepdims"] = True
    else:
        y, squeezed = np.empty_like(x, dtype=out, subok=False), ()
    sizes = _sizes(x, axes, TILE // np.dtype(static["dtype"]).itemsize)
    order = _order(x, axes, sizes)
    if order is not None:
        static["axis"] = order

    def run(place):
        tile = [None if a is None else a[place] for a in arrays]
        if order is not None:
            tile = [None if a is None else np.ascontiguousarray(np.moveaxis(a, axes, order)) for a in tile]
        result = _core.evaluate(_formula, op, tile, xp=_xp, out=out, **static)
        part = y[tuple(slice(None) if y.shape[i] == 1 else s for i, s in enumerate(place))]
        part[...] = result if order is None else np.moveaxis(result, order, axes)

    cuts = ([slice(k, k + size) for k in range(0, n, size)] for n, size in zip(x.shape, sizes, strict=True))
    _spread(run, list(itertools.product(*cuts)))
    return np.squeeze(y, axis=squeezed) if squeezed else y


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


def _spread(run, places):
    """Run every place once, in this thread and in as many others as the limit allows.

    This thread works too and takes what nobody else has taken, so a pool that others keep busy delays nothing. An
    exception stops all of them after the tile that they are at, and is raised here.
    """
    threads = min(_backends.thread_limit(), len(places))
    number, stop = itertools.count(), threading.Event()

    def work():
        with np.errstate(all="ignore"):
            try:
                for i in number:
                    if i >= len(places) or stop.is_set():
                        return
                    run(places[i])
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
