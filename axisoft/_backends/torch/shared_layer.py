"""A linear layer's cross-entropy where processes share the samples, the rows of the matrix, or both."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard

from axisoft import _core
from axisoft._backends.parts import Part
from axisoft._backends.torch import layer, shared
from axisoft._backends.torch.fallback import formula
from axisoft._backends.torch.namespace import memory, xp
from axisoft._core.stable import total
from axisoft._core.weights import of_each


class _How(layer.How):
    """On the rows of the matrix that are here. What features get from them is the sum of what all processes have."""

    def __init__(self, where, world):
        super().__init__(where)
        self.world = world
        self.space = Part(memory, (1,), 2, world)
        self._value, self._gradient = formula(self.space, _core.by_formula(self.space))

    def run(self, op, arrays, options):
        return super().run(op, arrays, options) if op is _core.REDUCTION else self._value(op, arrays, options)

    def both(self, op, g, arrays, wanted, options):
        y = self.run(op, arrays, options)
        return y, self._gradient(op, g, y, arrays, wanted, options)

    def rows(self, matrix):
        return self.world.most

    def joined(self, dx):
        return self.world.sum([dx])[0]


class _Recorded(layer.Recorded):
    def __init__(self, world):
        super().__init__()
        self.world = world

    def run(self, op, arrays, options):
        return (
            super().run(op, arrays, options)
            if op is _core.REDUCTION
            else shared.in_parts(op, arrays, options, self.world)
        )

    def rows(self, matrix):
        return self.world.most

    def enters(self, x):
        return _Everywhere.apply(x, self.world)


class _Everywhere(torch.autograd.Function):
    """What all processes have; its gradient is the sum of what each makes of it."""

    @staticmethod
    def forward(ctx, x, world):
        ctx.world = world
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return ctx.world.sum([g])[0], None


class Ways:
    """How the layer runs: with the gradient made in the value's pass, and as PyTorch records it."""

    def __init__(self, world):
        self.world = world

    def fast(self, where):
        return _How(where, self.world)

    def recorded(self):
        return _Recorded(self.world)


def in_group(arrays, group, **options):
    """``arrays`` : the matrix, the bias and what else is per class are a part of one length in each process."""
    matrix = arrays[1]
    n = matrix.shape[0]
    world = shared.World([group], n * dist.get_world_size(group), n * dist.get_rank(group))
    spoilt = shared.checked("linear_cross_entropy", "matrix", matrix, group)
    return spoilt(layer.run(arrays, Ways(world), **options))


def on_mesh(arrays, *, reduction, **options):
    """DTensors, and plain tensors that every process has all of. The samples are where features has them; the classes
    where the matrix has its rows, unless the same processes share the samples."""
    op = _core.LINEAR_CROSS_ENTROPY
    mesh = shared.on_one_mesh(op, arrays)
    x, matrix, targets, bias, weight, sample_weight, where = arrays
    x, matrix = shared.placed(x, mesh), shared.placed(matrix, mesh)
    last, (classes, _) = x.ndim - 1, matrix.shape
    batch = {i: p.dim for i, p in enumerate(x.placements) if type(p) is Shard and p.dim != last}
    rows = [i for i, p in enumerate(matrix.placements) if type(p) is Shard and p.dim == 0 and i not in batch]

    def here(a, *, of_batch=False, of_class=None, shape=None):
        """The part of an array that is here. ``of_class`` : the axis of its classes."""
        if a is None:
            return None
        if shape is not None and a.shape != shape:
            a = (shared.everywhere(a) if isinstance(a, DTensor) else a).expand(shape)
        a = shared.placed(a, mesh)
        places: list[Any] = [Replicate()] * mesh.ndim
        for i, dim in batch.items() if of_batch else ():
            places[i] = Shard(dim)
        for i in rows if of_class is not None else ():
            places[i] = Shard(of_class)
        summed = [Partial() if i in batch and not of_batch else p for i, p in enumerate(places)]
        return a.redistribute(mesh, places).to_local(grad_placements=summed)

    per_class = where is not None and (where.ndim == 0 or math.prod(where.shape) == where.shape[-1])
    if per_class:
        where = where.reshape(-1).expand(classes)
    logits = torch.Size((*x.shape[:-1], classes))
    local = (
        here(x, of_batch=True),
        here(matrix, of_class=0),
        here(targets, of_batch=True, of_class=last if targets.ndim == x.ndim else None),
        here(bias, of_class=0),
        here(weight, of_class=0),
        here(sample_weight, of_batch=True, shape=x.shape[:-1]),
        here(where, of_class=0) if per_class else here(where, of_batch=True, of_class=last, shape=logits),
    )
    ways = Ways(shared.World.of(mesh, rows, classes)) if rows else layer.WAYS
    how = "sum" if reduction == "mean" else reduction
    y = layer.run(local, ways, reduction=how, **options)
    if reduction == "none":
        places = [Shard(batch[i]) if i in batch else Replicate() for i in range(mesh.ndim)]
        return _of_processes(y, mesh, places, x.shape[:-1])
    y = _summed(y, mesh, batch)
    if reduction == "sum":
        return y
    weights = layer.weights(local, ways, **options)
    if weights is None:
        return y / max(math.prod(x.shape[:-1]), 1)
    return of_each(y, None, _summed(total(weights, (0,), xp)[0], mesh, batch), True, xp)


def _of_processes(y, mesh, places, shape):
    strides = torch.empty(shape, device="meta").stride()
    return DTensor.from_local(y, mesh, places, run_check=False, shape=torch.Size(shape), stride=strides)


def _summed(y, mesh, batch):
    """The sum of one number of each part of the samples, in every process."""
    places = [Shard(0) if i in batch else Replicate() for i in range(mesh.ndim)]
    n = math.prod(mesh.size(i) for i in batch)
    return shared.everywhere(torch.sum(_of_processes(y.reshape(1), mesh, places, (n,))))
