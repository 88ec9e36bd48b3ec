"""PyTorch: its own kernels where these are accurate, NumPy's tiles on the same memory, and one ``autograd.Function``.

    watch      what may be read, and whether PyTorch's own operations must run
    kernels    PyTorch's softmax on the CPU, kept within the promises
    namespace  the functions that the formulas call
    ways       which way an op runs
    functions  how PyTorch differentiates it
    single     what autocast computes in float32

Tensors in the host's memory are NumPy's arrays too, at no cost, and the formula then runs as it does there: a small one
without PyTorch's microseconds per operation, a large one over tiles that stay in the cache, in as many threads as
PyTorch uses.
"""

from __future__ import annotations

import array_api_compat.torch as compat
import torch

from axisoft import _core
from axisoft._backends import numpy
from axisoft._backends.torch.functions import do
from axisoft._backends.torch.namespace import xp as _xp
from axisoft._backends.torch.single import autocast
from axisoft._backends.torch.watch import is_watched, lengths, read, values, varies, without_subclass
from axisoft._backends.torch.ways import has_kernel, on_host, small

__all__ = [
    "autocast",
    "device",
    "evaluate",
    "find_device",
    "lengths",
    "namespace",
    "read",
    "together",
    "values",
    "vjp",
]

vjp = torch.func.vjp


def evaluate(op, arrays, *, given, dtype, out, xp, **static):
    if given is None and arrays[0].dtype is dtype is out and not is_watched() and not varies(arrays):
        y = small(op, arrays, static)
        if y is not None:
            return y
        host = None if has_kernel(op, arrays, static) else on_host(arrays)
        if host is not None:
            threads, dtype = torch.get_num_threads(), host[0].dtype
            y = numpy.evaluate(op, host, xp=None, given=None, dtype=dtype, out=dtype, threads=threads, **static)
            return torch.from_numpy(y)
    return _core.evaluate(do, op, arrays, xp=_xp, given=given, dtype=dtype, out=out, **static)


def together(arrays):
    """The arrays of one call: those after the first as plain tensors, where they are subclasses of their own."""
    first, *others = arrays
    return [first, *(a if a is None or type(a) is type(first) else without_subclass(a) for a in others)]


def namespace(x):
    """Where torch.compile traces, which warns of the look-up that finds it for any array."""
    return compat if isinstance(x, torch.Tensor) else None


def device(x):
    return x.device


def find_device(name):
    if name == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("torch finds no CUDA device")
    return torch.device(name)
