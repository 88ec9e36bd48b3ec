"""PyTorch's functions under the standard's names, and which of the formulas' precautions it can do without."""

from __future__ import annotations

from typing import Any

import array_api_compat.torch as compat
import torch

from axisoft._backends.torch import kernels
from axisoft._backends.torch.watch import are_plain, is_plain, is_traced, varies
from axisoft._core.stable import classes

_OVER: Any = {
    "add": torch.Tensor.add_,
    "exp": torch.Tensor.exp_,
    "subtract": torch.Tensor.sub_,
    "multiply": torch.Tensor.mul_,
    "divide": torch.Tensor.div_,
    "log1p": torch.Tensor.log1p_,
    "reciprocal": torch.Tensor.reciprocal_,
}


class _Namespace:
    """array_api_compat.torch, but for functions that it runs by way of ``result_type``, which cannot be traced, or by
    way of two others, and which of the formulas' precautions PyTorch can do without."""

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
        """A sum to one number as one of two rows: a row is one thread's (kernels.GRAIN)."""
        n = x.numel() if isinstance(axis, int) and not is_traced() and x.is_cpu else 0
        if isinstance(n, int) and n >= kernels.GRAIN and n == x.shape[axis]:
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
    def over(name, a, *others):
        """Where nothing is recorded: what a gradient may be made of later has to stay."""
        if is_traced() or varies(b for b in (a, *others) if isinstance(b, torch.Tensor)):
            return getattr(xp, name)(a, *others)
        return _OVER[name](a, *others)

    @staticmethod
    def none(mask):
        return is_plain(mask) and not mask.any()

    @staticmethod
    def put_over(x, index, value, axis):
        if not are_plain((x, index, value)) or varies((x, value)):
            return torch.where(classes(x, axis, xp) == index, value, x)
        return x.scatter_(axis, index, value)

    @staticmethod
    def surprisal(x, index, axis):
        if not are_plain((x, index)) or not kernels.is_fast(x, axis):
            return None
        return kernels.surprisal(kernels.flat(x), index.reshape(-1, 1)).view(index.shape)

    @staticmethod
    def minimum(a, b):
        return torch.clamp(a, max=b) if isinstance(b, float) else torch.minimum(a, b)

    @staticmethod
    def maximum(a, b):
        return torch.clamp(a, min=b) if isinstance(b, float) else torch.maximum(a, b)

    @staticmethod
    def broadcast_to(a, shape):
        return a.expand(shape)


xp = _Namespace()
