"""PyTorch: one ``autograd.Function`` that takes any op and differentiates it by the op's own rules."""

from __future__ import annotations

from functools import lru_cache

import array_api_compat.torch as compat
import torch

from axisoft import _core


class _Namespace:
    """array_api_compat.torch, but for two functions that it runs by way of ``result_type``, which cannot be traced."""

    def __getattr__(self, name):
        return getattr(compat, name)

    @staticmethod
    def minimum(a, b):
        return torch.clamp(a, max=b) if isinstance(b, float) else torch.minimum(a, b)

    @staticmethod
    def maximum(a, b):
        return torch.clamp(a, min=b) if isinstance(b, float) else torch.maximum(a, b)


xp = _Namespace()


class _Bound:
    """An op with its options. Opaque to PyTorch, which looks into tuples and dicts for tensors."""

    def __init__(self, op, options):
        self.op, self.options = op, dict(options)


@lru_cache(maxsize=1024)
def _bound(op, options):
    return _Bound(op, options)


class _Reverse(torch.autograd.Function):
    """Backward only: torch.compile takes no Function that has a ``jvp`` as well."""

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
        # What is compiled cannot be differentiated twice, so there the rule's own ops need no rules.
        inner = _formula if torch.compiler.is_compiling() else do
        return None, *ctx.bound.op.vjp(g, y, tuple(arrays), wanted, inner, xp, **ctx.bound.options)


class _Apply(_Reverse):
    generate_vmap_rule = True

    @staticmethod
    def jvp(ctx, _, *tangents):
        y, *arrays = ctx.saved_tensors
        return ctx.bound.op.jvp(tangents, y, tuple(arrays), do, xp, **ctx.bound.options)


_formula = _core.by_formula(xp)


def do(op, *arrays, **options):
    if torch.compiler.is_compiling():
        # Traced without a gradient, a Function with setup_context is handed the wrong arguments (PyTorch 2.13).
        if not any(a is not None and a.requires_grad for a in arrays):
            return _formula(op, *arrays, **options)
        return _Reverse.apply(_Bound(op, options), *arrays)
    return _Apply.apply(_bound(op, tuple(options.items())), *arrays)


def evaluate(op, arrays, **static):
    return _core.evaluate(do, op, arrays, **{**static, "xp": xp})


def values(x):
    """A plain tensor in the host's memory, that no compiler or transform is tracing; None for any other."""
    plain = type(x) is torch.Tensor and x.device.type == "cpu" and not torch.compiler.is_compiling()
    return x if plain and not torch._C._functorch.is_functorch_wrapped_tensor(x) else None


def device(x):
    return x.device


def find_device(name):
    if name == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("torch finds no CUDA device")
    return torch.device(name)
