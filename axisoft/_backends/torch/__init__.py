"""PyTorch: its own kernels where these are accurate, NumPy's tiles on the same memory, and one ``autograd.Function``.

    watch      what may be read, and whether PyTorch's own operations must run
    limits     every size that decides, with its evidence
    namespace  the functions that the formulas call
    rows       PyTorch's softmax on the CPU, kept within the promises, in value and gradient
    along_rows what these are for
    elements   functions of each element, over tiles
    device     where no value may be looked at
    fallback   what fits anything
    ways       the table: which way an op runs
    functions  how PyTorch differentiates it
    single     what autocast computes in float32
    shared     tensors that several processes share

Tensors in the host's memory are NumPy's arrays too, at no cost, and the formula then runs as it does there where no
kernel of PyTorch's is better: over tiles that stay in the cache, in as many threads as PyTorch uses.
"""

from __future__ import annotations

import sys

import array_api_compat.torch as compat
import torch

from axisoft import _core
from axisoft._backends.torch import layer
from axisoft._backends.torch.functions import do, step
from axisoft._backends.torch.limits import HALF
from axisoft._backends.torch.namespace import xp as _xp
from axisoft._backends.torch.single import autocast
from axisoft._backends.torch.watch import lengths, read, values, without_subclass
from axisoft._backends.torch.ways import place

__all__ = [
    "autocast",
    "device",
    "evaluate",
    "find_device",
    "lengths",
    "namespace",
    "parts",
    "read",
    "together",
    "values",
    "vjp",
    "vjp_of_layer",
]


def parts(group):
    from axisoft._backends.torch import shared

    return shared.parts(group)


def _shared(arrays):
    """The ways of DTensors, if there is one."""
    if "torch.distributed.tensor" not in sys.modules:
        return None
    from axisoft._backends.torch import shared

    return shared if shared.is_shared(arrays) else None


def vjp(fun, *primals):
    shared = _shared(primals)
    return torch.func.vjp(fun, *primals) if shared is None else shared.vjp(fun, *primals)


def vjp_of_layer(fun, *primals):
    """What the caller records besides is to be recorded here as well."""
    plain = place(primals) != "any" and not (torch.is_grad_enabled() and any(a.requires_grad for a in primals))
    return layer.vjp(fun, *primals) if plain else vjp(fun, *primals)


def evaluate(op, arrays, *, xp, across=None, **static):
    if op is not _core.LINEAR_CROSS_ENTROPY:
        return _evaluate(op, arrays, across=across, **static)
    if across is None and _shared(arrays) is None:
        return layer.run(arrays, layer.WAYS, **static)
    from axisoft._backends.torch import shared_layer

    return shared_layer.on_mesh(arrays, **static) if across is None else shared_layer.in_group(arrays, across, **static)


def _evaluate(op, arrays, *, given, dtype, out, floats=(), reduction="none", weighted=False, across=None, **static):
    x, run = arrays[0], do
    where = "any" if given is not None or across is not None else place(arrays)
    if across is not None:
        from axisoft._backends.torch import shared

        run = shared.in_group(across)
    elif where == "any" and (shared := _shared(arrays)):
        run = shared.do
    if given is None and (where != "any" or run is not do):
        if x.dtype in HALF and dtype is torch.float32:
            # It goes to the ways as it is; what is no floating number beside it does not.
            arrays = tuple(
                a.to(dtype) if i in floats and a is not None and not a.is_floating_point() else a
                for i, a in enumerate(arrays)
            )
            dtype = None
        if where == "host" and (reduction != "mean" or not weighted) and _is_cast(arrays, dtype, floats):
            y = step(op, arrays, static, reduction)
            return y if y.dtype is out else y.to(out)
    more = {"floats": floats, "reduction": reduction, "weighted": weighted}
    return _core.evaluate(run, op, arrays, xp=_xp, given=given, dtype=dtype, out=out, **more, **static)


def _is_cast(arrays, dtype, floats):
    """Whether the arrays have the dtype that is computed in, which is None for half precision."""
    if dtype is None:
        return True
    return arrays[0].dtype is dtype and (
        not floats or all(arrays[i] is None or arrays[i].dtype is dtype for i in floats)
    )


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
