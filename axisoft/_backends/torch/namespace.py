"""PyTorch's functions under the standard's names, and which of the formulas' precautions it can do without.

Three namespaces, by what may be done with a tensor: nothing is known of it (it is traced, mapped, recorded for a second
derivative, or a subclass); it is memory that may be written to, on whatever device; and that memory is the host's, so
that its values may be looked at. A namespace has what the one before it has.
"""

from __future__ import annotations

import math
from typing import Any

import array_api_compat.torch as compat
import torch

from axisoft._backends.torch import rows
from axisoft._backends.torch.limits import GRAIN
from axisoft._backends.torch.watch import is_traced


class _Any:
    """array_api_compat.torch, but for functions that it runs by way of ``result_type``, which cannot be traced, or by
    way of two others."""

    quiet = True

    def __init__(self):
        self.__dict__.update({name: f for name, f in vars(compat).items() if not hasattr(type(self), name)})

    @property
    def rounds(self):
        """Each kernel does; torch.compile makes one of many."""
        return not torch.compiler.is_compiling()

    @staticmethod
    def is_number(n):
        """Not one that torch.compile or torch.export will fill in, nor the tensor that torch.jit.trace has for one."""
        if torch.compiler.is_compiling():
            from torch.fx.experimental.symbolic_shapes import has_static_value

            return has_static_value(n)
        return isinstance(n, int)

    @staticmethod
    def sums_in_pairs(x, axis):
        """In a cascade, which is as accurate; torch.compile's own kernels do not."""
        return not torch.compiler.is_compiling()

    @staticmethod
    def max(x, axis, keepdims):
        return torch.amax(x, axis, keepdim=keepdims)

    @staticmethod
    def sum(x, axis, keepdims=False):
        """A sum to one number as one of two rows: a row is one thread's."""
        n = x.numel() if isinstance(axis, int) and not is_traced() and x.is_cpu else 0
        if isinstance(n, int) and n >= GRAIN and n == x.shape[axis]:
            return torch.sum(x.expand(2, *x.shape), axis + 1, keepdim=keepdims)[0]
        return torch.sum(x, axis, keepdim=keepdims)

    @staticmethod
    def arange(n, device=None):
        return torch.arange(n, device=device)

    @staticmethod
    def squeeze(x, axis):
        """One axis after another: jagged tensors have no more."""
        for i in sorted((axis,) if isinstance(axis, int) else axis, reverse=True):
            x = torch.squeeze(x, i)
        return x

    @staticmethod
    def take_along_axis(x, index, axis):
        """Of one shape but for the axis. PyTorch's ``take_along_dim`` makes numbers of symbolic lengths."""
        return torch.gather(x, axis, index)

    @staticmethod
    def minimum(a, b):
        return torch.clamp(a, max=b) if isinstance(b, float) else torch.minimum(a, b)

    @staticmethod
    def maximum(a, b):
        return torch.clamp(a, min=b) if isinstance(b, float) else torch.maximum(a, b)

    @staticmethod
    def broadcast_to(a, shape):
        return a.expand(shape)


class _Memory(_Any):
    """Of tensors that nobody records: on a device, where a pass over memory and a kernel are what costs.

    The largest element is marked by its position: what is done to it is a gather and a scatter of one number a slice.
    """

    @staticmethod
    def over(name, a, *others):
        return _OVER[name](a, *others)

    @staticmethod
    def put_over(x, index, value, axis):
        return x.scatter_(axis, index, value)

    @staticmethod
    def within(index, n):
        wide = (
            index if index.dtype in (torch.int64, torch.int32) else index.to(torch.int64)
        )  # n may be more than it holds
        return torch.clamp(wide, 0, n - 1)

    @staticmethod
    def position(x, axes):
        return torch.argmax(x, axes[0], keepdim=True) if len(axes) == 1 else None

    @staticmethod
    def exponentials(x, axes):
        """By the kernel of softmax, which is one read and one write."""
        return torch.softmax(x, axes[0]) if len(axes) == 1 else None

    @staticmethod
    def alive(t, coefficient):
        """One kernel, whose name says something else: 0 where the second is no larger than 0 in size."""
        return torch.ops.aten.hardshrink_backward(t, coefficient, 0.0)

    @classmethod
    def product(cls, coefficient, t):
        return cls.alive(t, coefficient).mul_(coefficient)

    @staticmethod
    def between(a, b, t):
        """From a for t below 1/2, and from b above: nothing cancels but where the terms do."""
        return torch.lerp(a, b, t) if t.dtype == a.dtype else (1.0 - t) * a + t * b


class _Host(_Memory):
    """Of tensors in the host's memory. Masks are to be avoided: they take up to forty times as long as a sum."""

    @staticmethod
    def surprisal(x, index, axis):
        """Of logits that lie along memory, which the table of ways sees to."""
        return rows.surprisal(rows.flat(x), index.reshape(-1)).view(index.shape)

    @staticmethod
    def none(mask):
        return not mask.any()

    @staticmethod
    def is_free_of_nan(x):
        """By a sum, which NaN spoils; so do infinities of both signs, and are then looked for where there are none."""
        return not math.isnan(torch.sum(x).item())


_OVER: dict[str, Any] = {
    "add": torch.Tensor.add_,
    "divide": torch.Tensor.div_,
    "exp": torch.Tensor.exp_,
    "log1p": torch.Tensor.log1p_,
    "multiply": torch.Tensor.mul_,
    "negative": torch.Tensor.neg_,
    "reciprocal": torch.Tensor.reciprocal_,
    "subtract": torch.Tensor.sub_,
}

xp, memory, host = _Any(), _Memory(), _Host()

# PyTorch's first call of one of these finds its kernel, and where several threads share that call, one of them may be
# left with a kernel of half the digits (pytorch/pytorch#188792): 11 of 9000 processes. One element is one thread's.
for _function in (torch.exp, torch.log, torch.log1p):
    for _dtype in (torch.float32, torch.float64):
        _function(torch.ones(1, dtype=_dtype, device="cpu"))
