"""PyTorch: its own kernels where these are accurate, NumPy's tiles on the same memory, and one ``autograd.Function``.

    watch      what may be read, and whether PyTorch's own operations must run
    limits     every size that decides, with its evidence
    namespace  the functions that the formulas call
    rows       PyTorch's softmax on the CPU, kept within the promises, in value and gradient
    device     the same where no value may be looked at
    ways       the table: which way an op runs
    functions  how PyTorch differentiates it
    single     what autocast computes in float32

Tensors in the host's memory are NumPy's arrays too, at no cost, and the formula then runs as it does there where no
kernel of PyTorch's is better: over tiles that stay in the cache, in as many threads as PyTorch uses.
"""

from __future__ import annotations

import array_api_compat.torch as compat
import torch

from axisoft import _core
from axisoft._backends.torch.functions import do
from axisoft._backends.torch.limits import HALF
from axisoft._backends.torch.namespace import xp as _xp
from axisoft._backends.torch.single import autocast
from axisoft._backends.torch.watch import is_traced, lengths, read, values, varies, without_subclass
from axisoft._backends.torch.ways import place, run

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


def evaluate(op, arrays, *, given, dtype, out, xp, floats=(), reduction="none", weighted=False, **static):
    x = arrays[0]
    if given is None and not is_traced():
        if x.dtype in HALF and dtype is torch.float32 and place(arrays) != "any":
            # It goes to the ways as it is; what is no floating number beside it does not.
            arrays = _core.cast(arrays, None, None, (), xp)
            for i in floats:
                if arrays[i] is not None and not arrays[i].is_floating_point():
                    arrays[i] = arrays[i].to(dtype)
            dtype = None
        elif x.dtype is dtype is out and reduction == "none" and not floats and not varies(arrays):
            return run(op, arrays, static)
    more = {"floats": floats, "reduction": reduction, "weighted": weighted}
    return _core.evaluate(do, op, arrays, xp=_xp, given=given, dtype=dtype, out=out, **more, **static)


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
