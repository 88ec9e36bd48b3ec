"""Functions of each element: PyTorch's kernels and the formulas, over blocks that stay in the cache."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch.nn import functional

from axisoft._backends import tiles
from axisoft._backends.torch.fallback import widened
from axisoft._backends.torch.limits import BLOCK, GRAIN, GRAINS, HALF, TILE, VECTOR
from axisoft._backends.torch.namespace import host

KERNELS: dict[str, Any] = {
    "sigmoid": torch.sigmoid,
    "log_sigmoid": functional.logsigmoid,
    "softplus": lambda x: functional.logsigmoid(-x).neg_(),
}


class _Tiles(tiles.Tiles):
    turns = False

    @staticmethod
    def strides(x):
        return x.stride()

    @staticmethod
    def empty(shape, dtype, like):
        return torch.empty_like(like, dtype=dtype) if shape == tuple(like.shape) else torch.empty(shape, dtype=dtype)


def _over_blocks(op, arrays, options, results, dtype, compute):
    """What ``compute`` makes of the arrays in float32 or float64, a block at a time.

    Where not all arrays lie in memory alike, these are tiles along the axes, which no threads share.
    """
    x = arrays[0]
    if x.numel() * x.itemsize <= TILE and shows_no_threads(x):  # in the cache as a whole; to cut it would cost more
        return compute(widened((*arrays, *results))).to(dtype)
    result = torch.empty_like(x, dtype=dtype)
    flat = [_flat(a, result) for a in (*arrays, *results)]
    if any(a is None and b is not None for a, b in zip(flat, (*arrays, *results), strict=True)):
        cut = _Tiles(op, arrays, options, BLOCK, host, results)
        return cut.run("element", dtype, lambda tile, room: compute(widened(tile)))
    sizes = _blocks(x.numel())
    parts = [itertools.repeat(None) if a is None else a.split(sizes) for a in (_flat(result, result), *flat)]
    for room, *block in zip(*parts, strict=False):
        room.copy_(compute(widened(block)))
    return result


def _blocks(count):
    """Their lengths: each of PyTorch's threads takes whole grains, but for what is left of less than one."""
    threads, sizes = torch.get_num_threads(), []
    while count:
        each = min(threads, count // GRAIN) * GRAIN
        sizes.append(min(count // each, GRAINS) * each if each else count)
        count -= sizes[-1]
    return sizes


def _flat(a, like):
    """Its elements in the order of memory, which is that of ``like``; None where it is not."""
    if a is None or a.shape != like.shape:
        return None
    a, strides = a.detach(), a.stride()
    if strides == like.stride():
        return a.view(-1) if a.is_contiguous() else a.as_strided((a.numel(),), (1,), a.storage_offset())
    return None if any(strides) else a.as_strided((a.numel(),), (0,), a.storage_offset())


def by_blocks(op):
    def value(arrays, options):
        dtype = torch.float32 if op.weights is not None and arrays[0].dtype in HALF else arrays[0].dtype
        return _over_blocks(op, arrays, options, (), dtype, lambda block: _do_on_host(op, *block, **options))

    return value


def gradient_by_blocks(op):
    wanted = (True, *(False,) * (len(op.inputs) - 1))

    def gradient(g, y, arrays, options):
        def compute(block):
            *block, of_g, of_y = block
            if of_y is None and op.reads_result:
                of_y = _do_on_host(op, *block, **options)
            return op.vjp(of_g, of_y, tuple(block), wanted, _do_on_host, host, **options)[0]

        return _over_blocks(op, arrays, options, (g, y), arrays[0].dtype, compute)

    return gradient


def _do_on_host(op, *arrays, **options):
    """PyTorch's kernel, where there is one and threads do not show in it."""
    if op.name in KERNELS and shows_no_threads(arrays[0]):
        return KERNELS[op.name](*arrays)
    return op.formula(*arrays, xp=host, **options)


def shows_no_threads(x):
    """Whether PyTorch's sigmoid of such a tensor on the host is the same in any number of threads.

    It computes what is left over of a thread's part, less than a few vectors, in another way. So nothing may be left
    over but at the end; where that is depends on the layout, if not all of memory is taken in turn.
    """
    count = x.numel()
    if count < GRAIN or not x.is_contiguous():
        return count < GRAIN
    threads = min(torch.get_num_threads(), -(-count // GRAIN))
    return threads == 1 or -(-count // threads) % VECTOR == 0
