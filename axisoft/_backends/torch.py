"""PyTorch: one ``autograd.Function`` that takes any op and differentiates it by the op's own rules."""

from __future__ import annotations

from functools import lru_cache

import array_api_compat.torch as xp
import torch

from axisoft import _core


class _Bound:
    """An op with its options. Opaque to PyTorch, which looks into tuples and dicts for tensors."""

    def __init__(self, op, options):
        self.op, self.options = op, dict(options)


@lru_cache(maxsize=1024)
def _bound(op, options):
    return _Bound(op, options)


class _Apply(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(bound, *arrays):
        return bound.op.formula(*arrays, xp=xp, **bound.options)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.bound, *arrays = inputs
        ctx.save_for_backward(output, *arrays)
        ctx.save_for_forward(output, *arrays)

    @staticmethod
    def backward(ctx, g):
        y, *arrays = ctx.saved_tensors
        wanted = ctx.needs_input_grad[1:]
        return None, *ctx.bound.op.vjp(g, y, tuple(arrays), wanted, do, xp, **ctx.bound.options)

    @staticmethod
    def jvp(ctx, _, *tangents):
        y, *arrays = ctx.saved_tensors
        return ctx.bound.op.jvp(tangents, y, tuple(arrays), do, xp, **ctx.bound.options)


def do(op, *arrays, **options):
    return _Apply.apply(_bound(op, tuple(options.items())), *arrays)


def evaluate(op, arrays, *, xp, **static):
    return _core.evaluate(do, op, arrays, xp=xp, **static)


def values(x):
    """A plain tensor in the host's memory, that no compiler or transform is tracing; None for any other."""
    plain = type(x) is torch.Tensor and x.device.type == "cpu" and not torch.compiler.is_compiling()
    return x if plain and not torch._C._functorch.is_functorch_wrapped_tensor(x) else None


def find_device(name):
    if name == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("torch finds no CUDA device")
    return torch.device(name)
