"""Dask: as few tasks a block as an op needs, in NumPy's fast way, and nothing that is computed before it is asked for.

passes  what one block does, where blocks have parts of slices
blocks  the graph
layer   a linear layer's loss
"""

from __future__ import annotations

from typing import Any

import array_api_compat.dask.array as compat
import dask.array as da
import numpy as np

from axisoft import _core
from axisoft._backends.dask import blocks, layer
from axisoft._backends.numpy import namespace as numpy
from axisoft._core.stable import total


class _Namespace:
    """dask.array, with casts that do not warn of what overflows when they run, and sums in a tree of accurate ones."""

    def __getattr__(self, name):
        return getattr(compat, name)

    @staticmethod
    def astype(x, dtype, copy=True):
        return x if x.dtype == dtype else x.map_blocks(_cast, dtype=dtype, meta=_cast(x._meta, dtype), to=dtype)

    @staticmethod
    def sums(arrays, axes):
        if not _is_numpy(arrays):
            return [total(a, axes, compat) for a in arrays]
        return [
            da.reduction(a, chunk=_total, aggregate=_total, axis=axes, keepdims=True, dtype=a.dtype, meta=a._meta)
            for a in arrays
        ]


def _total(a, axis, keepdims):
    with np.errstate(all="ignore"):
        return total(a, axis, numpy.xp)


def _cast(a, to):
    with np.errstate(all="ignore"):
        return a.astype(to)


_xp = _Namespace()
_formula = _core.by_formula(_xp)


def _do(op, *arrays, **options):
    if op.result is None or arrays[0].ndim == 0 or not _is_numpy(arrays) or 0 in arrays[0].shape:
        return _formula(op, *arrays, **options)
    return blocks.run(op, list(arrays), options)


def _is_numpy(arrays):
    return all(a is None or isinstance(a._meta, np.ndarray) for a in arrays)


def _pull(op, g, y, arrays, wanted, do, xp, **options):
    if op.result is None or arrays[0].ndim == 0 or not _is_numpy(arrays) or 0 in arrays[0].shape:
        return op.vjp(g, y, arrays, wanted, do, xp, **options)
    found: list[Any] = []
    for i, want in enumerate(wanted):
        one = tuple(k == i for k in range(len(wanted)))
        if not want:
            found.append(None)
        elif arrays[i].shape == arrays[0].shape:
            given = [a if reads else None for a, reads in zip(arrays, op.reads_inputs, strict=True)]
            found.append(blocks.run(op, [g, y if op.reads_result else None, *given], options, one, arrays[0]))
        else:
            found.append(op.vjp(g, y, arrays, one, do, xp, **options)[i])
    return found


_HOW = layer.How(_xp, _do)


def evaluate(op, arrays, *, xp, **static):
    if op is _core.LINEAR_CROSS_ENTROPY:
        return layer.evaluate(arrays, _HOW, _pull, **static)[0]
    return _core.evaluate(_do, op, arrays, xp=_xp, **static)


def pullback(op, arrays, wanted, *, xp, **static):
    if op is _core.LINEAR_CROSS_ENTROPY:
        return layer.evaluate(arrays, _HOW, _pull, wanted, **static)
    return _core.pullback(_do, op, arrays, wanted, vjp=_pull, xp=_xp, **static)


def values(x):
    """None: reading would compute the graph."""
    return None


def looked_at(x, check, more):
    """x, with each block's values checked when the graph runs."""
    return x.map_blocks(_look, check, more, dtype=x.dtype, meta=x._meta) if _is_numpy([x]) else x


def _look(x, check, more, block_info=None):
    check(x, tuple(start for start, _ in block_info[0]["array-location"]), *more)
    return x
