"""Tensors that processes share: DTensors, and the parts that each process of a group holds.

Of a DTensor an op runs on what is here. Where no process has more of a slice than another, that is all; where they
share the slices, the op runs in a namespace that joins what the parts say, as one Function with messages of its own
both ways. What PyTorch itself does with a DTensor, a sum of the losses, it does.
"""

from __future__ import annotations

import math

import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard

from axisoft import _core
from axisoft._backends.parts import Part
from axisoft._backends.torch import functions
from axisoft._backends.torch.fallback import formula
from axisoft._backends.torch.namespace import memory, xp
from axisoft._backends.torch.watch import is_traced
from axisoft._core.stable import total


class World:
    """The processes that share the slices of a tensor: ``groups`` of them, one per axis of a mesh.

    whole : how many elements a slice has. before : how many of these come before the ones that are here.
    """

    def __init__(self, groups, whole, before):
        self.groups, self.whole, self.before = groups, whole, before

    @classmethod
    def of(cls, mesh, shares, whole):
        """``shares`` : the axes of a mesh that share the slices, each what the one before it has given to it."""
        first, n = 0, whole  # of one axis; nobody asks for that of several
        for i in shares:
            part = -(-n // mesh.size(i))
            start = min(part * mesh.get_local_rank(i), n)
            first, n = first + start, min(part, n - start)
        return cls([mesh.get_group(i) for i in shares], whole, first)

    @property
    def most(self):
        """The most elements of a slice that a process has."""
        return -(-self.whole // math.prod(map(dist.get_world_size, self.groups)))

    def count(self, n):
        return self.whole

    def first(self, n):
        return self.before

    def _all(self, a, how):
        for group in self.groups:
            dist.all_reduce(a, how, group)
        return a

    def max(self, a):
        """Libraries differ in what the larger of a number and NaN is: each NaN goes as a second number."""
        pair = torch.stack((torch.nan_to_num(a, -math.inf, math.inf, -math.inf), torch.isnan(a).to(a.dtype)))
        largest, spoilt = self._all(pair, dist.ReduceOp.MAX)
        return largest.masked_fill_(spoilt > 0, math.nan)

    def sum(self, arrays):
        return self._all(torch.stack(tuple(arrays)), dist.ReduceOp.SUM).unbind()


class _Joined(torch.autograd.Function):
    """An op on the part that is here, and its rule."""

    @staticmethod
    def forward(ctx, call, *arrays):
        op, options, run, _ = call
        y = run(op, arrays, options)
        ctx.call = call
        ctx.save_for_backward(y if op.reads_result else None, *arrays)
        return y

    @staticmethod
    def backward(ctx, g):
        op, options, _, pull = ctx.call
        if torch.is_grad_enabled():
            hint = "replicate it first, x.redistribute(placements=[Replicate()] * x.device_mesh.ndim)"
            what = "the gradient along slices that processes share cannot be differentiated again"
            raise NotImplementedError(f"{op.name}: {what}; {hint}.")
        y, *arrays = ctx.saved_tensors
        return None, *pull(op, g, y, tuple(arrays), ctx.needs_input_grad[1:], options)


def in_parts(op, arrays, options, world):
    axis = options["axis"]
    base = xp if is_traced() else memory
    space = Part(base, (axis,) if isinstance(axis, int) else axis, arrays[0].ndim, world)
    return _Joined.apply((op, options, *formula(space, _core.by_formula(space))), *arrays)


def in_group(group):
    """``do`` for tensors of which each process of a group has a part."""

    def do(op, *arrays, **options):
        if op is _core.REDUCTION:
            return functions.do(op, *arrays, **options)
        x, axis = arrays[0], options["axis"]
        n = x.shape[axis] if isinstance(axis, int) else math.prod(x.shape[i] for i in axis)
        world = World([group], n * dist.get_world_size(group), n * dist.get_rank(group))
        spoilt = checked(op.name, op.inputs[0], x, group)
        return spoilt(in_parts(op, arrays, options, world))

    return do


def checked(function, name, x, group):
    """An error if the parts of x in a group differ in shape; where a look would wait, what makes a result NaN then."""
    sizes = torch.tensor([*x.shape, *(-n for n in x.shape)], device=x.device)
    dist.all_reduce(sizes, dist.ReduceOp.MAX, group)
    most, least = sizes.chunk(2)
    uneven = (most != -least).any()
    if not x.is_cpu:
        return lambda y: torch.where(uneven, math.nan, y)
    if uneven:
        hint = "give each process a part of one shape, or make a DTensor of them"
        raise ValueError(f"{function}: {name} with shape {tuple(x.shape)} has another elsewhere; {hint}.")
    return lambda y: y


def parts(group):
    """How many processes share a slice; or what is wrong with the group, and the way out."""
    if not isinstance(group, dist.ProcessGroup):
        hint = "give one, such as mesh.get_group(), or leave it out for a DTensor"
        return TypeError, "which is no process group of torch.distributed", hint
    if dist.get_rank(group) < 0:
        return ValueError, "a process group that this process is not in", "call it in the processes of the group"
    return dist.get_world_size(group)


def is_shared(arrays):
    return any(isinstance(a, DTensor) for a in arrays)


class _Layout:
    """Where the values of x are, and of what belongs to its elements, slices and classes."""

    def __init__(self, x, axes):
        self.mesh, self.shape, self.axes = x.device_mesh, x.shape, axes
        # What is summed over processes, or laid out in a way that has no name here, each gets all of.
        self.element = tuple(p if type(p) is Shard else Replicate() for p in x.placements)
        dims = {i: p.dim for i, p in enumerate(self.element) if isinstance(p, Shard)}
        self.shares = [i for i, dim in dims.items() if dim in axes]
        self.others = {i: dim for i, dim in dims.items() if dim not in axes}

    def world(self):
        return World.of(self.mesh, self.shares, math.prod(self.shape[i] for i in self.axes))

    def _of(self, per, keepdims=False):
        """The shape of what there is one of ``per`` element, slice or class, its placements and its gradient's."""
        if per == "element":
            return self.shape, self.element, self.element
        if per == "class":
            places = [Shard(0) if i in self.shares else Replicate() for i in range(self.mesh.ndim)]
            return None, places, [Partial() if i in self.others else p for i, p in enumerate(places)]
        gone = () if keepdims else self.axes
        shape = [1 if i in self.axes else n for i, n in enumerate(self.shape) if i not in gone]
        places = [Replicate()] * self.mesh.ndim
        for i, dim in self.others.items():
            places[i] = Shard(dim - sum(axis < dim for axis in gone))
        return torch.Size(shape), places, places

    def local(self, a, per):
        """The part of an array that is here. A plain tensor is one that every process has all of."""
        if a is None:
            return None
        shape, places, gradient = self._of(per)
        if shape is not None and a.shape != shape:  # an axis of length 1 that is shared out cannot be made longer
            a = (everywhere(a) if isinstance(a, DTensor) else a).expand(shape)
        return placed(a, self.mesh).redistribute(self.mesh, places).to_local(grad_placements=gradient)

    def whole(self, y, per, keepdims):
        shape, places, _ = self._of(per, keepdims)
        strides = torch.empty(shape, device="meta").stride()
        return DTensor.from_local(y, self.mesh, places, run_check=False, shape=shape, stride=strides)


def placed(a, mesh):
    """A plain tensor as one that every process has all of."""
    if isinstance(a, DTensor):
        return a
    return DTensor.from_local(a, mesh, [Replicate()] * mesh.ndim, run_check=False)


def on_one_mesh(op, arrays):
    """The mesh of all DTensors there are."""
    found = [(name, a.device_mesh) for name, a in zip(op.inputs, arrays, strict=False) if isinstance(a, DTensor)]
    (first, mesh), *others = found
    for name, other in others:
        if other != mesh:
            hint = "redistribute one of them, so that both are on the same mesh"
            raise ValueError(f"{op.name}: {first} is on {mesh} and {name} on {other}; {hint}.")
    return mesh


class _Whole(type(xp)):  # type: ignore[misc]
    """PyTorch's functions, with sums that every process gets."""

    @staticmethod
    def sums(arrays, axes):
        return [everywhere(total(a, axes, xp)) for a in arrays]


def everywhere(y):
    """The sum of what the processes have: one axis of the mesh after the other, as PyTorch would warn that it does."""
    places = list(y.placements)
    for i, p in enumerate(places):
        if not p.is_replicate():
            places[i] = Replicate()
            y = y.redistribute(y.device_mesh, places)
    return y


_whole = _Whole()


def do(op, *arrays, **options):
    """An op on DTensors, and plain tensors beside them."""
    if op is _core.REDUCTION:
        return op.formula(*arrays, xp=_whole, **options)
    x = placed(arrays[0], on_one_mesh(op, arrays))
    axis = options.get("axis", ())
    layout = _Layout(x, (axis,) if isinstance(axis, int) else axis)
    local = []
    for name, a, per in zip(op.inputs, (x, *arrays[1:]), op.per, strict=False):  # weights need no mask
        is_probability = name == "targets" and a.ndim == x.ndim
        local.append(layout.local(a, "element" if is_probability else per))
    y = in_parts(op, local, options, layout.world()) if layout.shares else functions.do(op, *local, **options)
    return layout.whole(y, op.result, options.get("keepdims", False))


def vjp(fun, *primals):
    """As ``torch.func.vjp``, which PyTorch does not have for DTensors."""
    with torch.enable_grad():
        varying = [a.detach().requires_grad_() for a in primals]
        out = fun(*varying)
    mesh = out.device_mesh
    return out.detach(), lambda g: torch.autograd.grad(out, varying, placed(g, mesh), retain_graph=True)
