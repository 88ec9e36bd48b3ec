"""Functions of each element: PyTorch's kernels, and the formulas over tiles that stay in the cache."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from axisoft._backends import tiles
from axisoft._backends.torch.fallback import wide
from axisoft._backends.torch.limits import GRAIN, HALF, TILE
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


def _over_tiles(op, arrays, options, results, dtype, compute):
    """What ``compute`` makes of the arrays in float32 or float64: of a tile at a time, if there are several."""
    x = arrays[0]
    reach = TILE // max(x.itemsize, 4)
    if x.numel() <= reach:
        return compute(wide((*arrays, *results))).to(dtype)
    cut = _Tiles(op, arrays, options, reach, host, results)
    return cut.run("element", dtype, lambda tile, room: compute(wide(tile)))


def by_tiles(op):
    def value(arrays, options):
        dtype = torch.float32 if op.weights is not None and arrays[0].dtype in HALF else arrays[0].dtype
        return _over_tiles(op, arrays, options, (), dtype, lambda tile: op.formula(*tile, xp=host, **options))

    return value


def gradient_by_tiles(op):
    wanted = (True, *(False,) * (len(op.inputs) - 1))

    def gradient(g, y, arrays, options):
        def compute(tile):
            *tile, of_g, of_y = tile
            if of_y is None and "y" in op.reads:
                of_y = op.formula(*tile, xp=host, **options)
            return op.vjp(of_g, of_y, tuple(tile), wanted, _do_on_host, host, **options)[0]

        return _over_tiles(op, arrays, options, (g, y), arrays[0].dtype, compute)

    return gradient


def _do_on_host(op, *arrays, **options):
    """Of a few elements by PyTorch's kernel, which is one call."""
    if op.name in KERNELS and arrays[0].numel() < GRAIN:
        return KERNELS[op.name](*arrays)
    return op.formula(*arrays, xp=host, **options)
