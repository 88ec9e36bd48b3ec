"""The graph of an op: one task a block where blocks have whole slices, passes and a tree where they have parts."""

from __future__ import annotations

import itertools
import math
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
from dask._task_spec import Alias, Task, convert_legacy_graph
from dask.base import clone_key, tokenize
from dask.highlevelgraph import HighLevelGraph

from axisoft._backends import numpy
from axisoft._backends.dask.passes import Pass, Work, block, fields, join, passes, slices
from axisoft._core.weights import WEIGHTS

# Of how many blocks a task joins what they have noted.
SPLIT = 8
# How the names of what is known of slices begin.
KNOWN = "axisoft-known"


def run(op, arrays, options, wanted=None, like=None):
    """An op, or with ``wanted`` its rule, whose arrays begin with the cotangent and the result, and have None for what
    it does not read; ``like`` is the first array of the op even so."""
    options = dict(options)
    arrays = [*arrays, *[None] * (len(op.inputs) - len(arrays) + (0 if wanted is None else 2))]
    results = 0 if wanted is None else 2
    x = arrays[results] if like is None else like
    ndim, axis = x.ndim, options.get("axis", ())
    axes = (axis,) if isinstance(axis, int) else axis
    if options.pop("keepdims", False):
        arrays = [a if a is None or i >= results else da.squeeze(a, axis=axes) for i, a in enumerate(arrays)]
        kept = wanted is None
    else:
        kept = False
    soft = "targets" in op.inputs and arrays[results + 1].ndim == ndim and bool(axes)
    if _waits(op, wanted, arrays, soft):
        arrays = [
            a if a is None or i == 0 or a.ndim < ndim else _again(a, (op.name, wanted)) for i, a in enumerate(arrays)
        ]
    if op is WEIGHTS:  # which reads no logits
        x = arrays[results + 1] if soft else _nothing_like(x, axes)
        arrays[results] = x
    there = tuple(a is not None for a in arrays)
    work = Work(op, tuple(options.items()), wanted, there, soft)
    placed = [
        None if a is None else _beside(a, x, per, axes, soft and i == results + 1)
        for i, (a, per) in enumerate(zip(arrays, work.per, strict=True))
    ]
    result = "element" if wanted is not None else op.result
    if all(x.numblocks[i] == 1 for i in axes):
        y = _whole(work, placed, x, result)
    else:
        y = _in_passes(work, placed, x, result)
    return da.expand_dims(y, axes) if kept else y


def _waits(op, wanted, arrays, soft):
    """Whether blocks that have been read for something else would be held for long.

    For the value, until there is a cotangent that comes of all of them; and probabilities for their weights, which such
    a cotangent needs first, until the logits beside them are read.
    """
    if wanted is None:
        return op is WEIGHTS and soft
    g, _, *arrays = arrays
    return any(a is not None and a.name in g.dask.layers for a in arrays)


def _nothing_like(x, axes):
    """Zeros that take no memory, in blocks that have whole slices."""
    chunks = tuple((n,) if i in axes else c for i, (n, c) in enumerate(zip(x.shape, x.chunks, strict=True)))
    return da.broadcast_to(da.zeros((1,) * x.ndim, dtype=x.dtype, chunks=1), x.shape, chunks=chunks)


def _beside(a, x, per, axes, is_element):
    """An array in the shape and the chunks of what it belongs to."""
    if per == "element" or is_element:
        shape, chunks = x.shape, x.chunks
    elif per == "class":
        shape, chunks = a.shape, (x.chunks[axes[0]],)
    else:
        shape = tuple(n for i, n in enumerate(x.shape) if i not in axes)
        chunks = tuple(c for i, c in enumerate(x.chunks) if i not in axes)
    a = a if a.shape == shape else da.broadcast_to(a, shape)
    return a if a.chunks == chunks else a.rechunk(chunks)


def _index(a, per, axes, ndim):
    if a.ndim == ndim and per != "class":
        return tuple(range(ndim))
    return tuple(i for i in range(ndim) if (i in axes) == (per == "class"))


def _blockwise(function, index, arrays, indices, dtype, **more):
    pairs = itertools.chain.from_iterable(zip(arrays, indices, strict=True))
    meta = np.empty((0,) * len(index), dtype)
    return da.blockwise(function, index, *pairs, dtype=dtype, meta=meta, align_arrays=False, concatenate=True, **more)


def _whole(work, arrays, x, result):
    """Blocks that have whole slices."""
    given = [a for a in arrays if a is not None]
    indices = [_index(a, per, work.axes, x.ndim) for a, per in zip(arrays, work.per, strict=True) if a is not None]
    index = tuple(i for i in range(x.ndim) if result == "element" or i not in work.axes)
    function = partial(_one_block, work=work)
    return _blockwise(function, index, given, indices, x.dtype)


def _one_block(*given, work):
    every = iter(given)
    arrays = [next(every) if there else None for there in work.there]
    options = dict(work.options)
    if work.wanted is None:
        return numpy.run(work.op, arrays, options, 1)
    g, y, *arrays = arrays
    wanted = work.wanted
    return next(
        a for a, want in zip(numpy.pull(work.op, g, y, arrays, wanted, options, 1), wanted, strict=True) if want
    )


def _in_passes(work, arrays, x, result):
    ndim, axes = x.ndim, work.axes
    whole = math.prod(x.shape[i] for i in axes)
    stages, kinds = passes(work, ndim, whole)
    step = Pass(work, ndim, whole, tuple(kinds), (), ())
    batch = tuple(i for i in range(ndim) if i not in axes)
    if len(axes) == 1:
        first, of_first = np.cumsum([0, *x.chunks[axes[0]][:-1]]), axes
    else:
        first, of_first = np.zeros(1, dtype=int), (ndim + 1,)
    first = da.from_array(first, chunks=1)
    known = da.zeros((*(x.shape[i] for i in batch), 0), dtype=x.dtype, chunks=(*(x.chunks[i] for i in batch), (0,)))
    indices = [_index(a, per, axes, ndim) for a, per in zip(arrays, work.per, strict=True) if a is not None]

    def over_blocks(step, index, again, **more):
        given = [a for a in arrays if a is not None]
        if again:  # read again, rather than kept until all have been read once
            given = [
                _again(a, len(step.before)) if len(at) == ndim else a for a, at in zip(given, indices, strict=True)
            ]
        every = [*given, first, known]
        return _blockwise(
            partial(block, step=step), index, every, [*indices, of_first, (*batch, ndim)], x.dtype, **more
        )

    for number, wanted in enumerate(stages):
        step = step._replace(before=step.before + step.wanted, wanted=wanted)
        count = sum(fields(kinds[i]) for i in wanted)
        # What is known goes in along the axis that what is noted comes out along; neither is a block's concern.
        notes = over_blocks(
            step, (*range(ndim), ndim + 2), number > 0,
            new_axes={ndim + 2: count}, adjust_chunks={i: (1,) * x.numblocks[i] for i in axes},
        )  # fmt: skip
        together = partial(join, step=step)
        joined = da.reduction(
            notes, chunk=_as_it_is, combine=together, aggregate=together, axis=axes, keepdims=True, dtype=x.dtype,
            split_every=SPLIT,
            meta=np.empty((0,) * (ndim + 1), x.dtype),
        )  # fmt: skip
        known = da.blockwise(
            partial(_and, axes=axes), (*batch, ndim), known, (*batch, ndim + 3), joined, (*range(ndim), ndim + 2),
            new_axes={ndim: known.shape[-1] + count}, dtype=x.dtype, meta=known._meta, align_arrays=False,
            concatenate=True, token=KNOWN,
        )  # fmt: skip
    step = step._replace(before=step.before + step.wanted, wanted=())
    if result == "element":
        return over_blocks(step, tuple(range(ndim)), True)
    per_slice = [
        a
        for i, (a, per) in enumerate(zip(arrays, work.per, strict=True))
        if a is not None and per == "slice" and a.ndim < ndim
    ]
    function = partial(slices, step=step, dtype=x.dtype)
    return _blockwise(function, batch, [*per_slice, known], [*[batch] * len(per_slice), (*batch, ndim)], x.dtype)


def _again(x, seed):
    """x under other names, whose blocks are made anew: kept, they would be all of x. What is there already stays, and
    so do the few numbers that are known of each slice.

    ``dask.graph_manipulation.clone`` is for this, and up to Dask 2026.8 loses tasks of what has been rechunked.
    """
    graph = convert_legacy_graph(dict(x.__dask_graph__()))
    names: dict[Any, Any] = {}
    ahead = [key for key in graph if isinstance(key, tuple) and key[0] == x.name]
    while ahead:
        key = ahead.pop()
        if key in names or not isinstance(graph[key], (Task, Alias)) or str(key[0]).startswith(KNOWN):
            continue
        names[key] = _renamed(key, seed)
        ahead += graph[key].dependencies
    if (x.name, *[0] * x.ndim) not in names:
        return x
    tasks = {names.get(key, key): task.substitute(names, key=names.get(key)) for key, task in graph.items()}
    name = clone_key(x.name, seed)
    return da.Array(HighLevelGraph.from_collections(name, tasks), name, x.chunks, meta=x._meta)


def _renamed(key, seed):
    named = isinstance(key, str) or (isinstance(key, tuple) and key and isinstance(key[0], str))
    return clone_key(key, seed) if named else f"again-{tokenize(key, seed)}"


def _and(known, joined, axes):
    return np.concatenate([known, np.squeeze(joined, axis=axes)], axis=-1)


def _as_it_is(a, axis, keepdims):
    return a
