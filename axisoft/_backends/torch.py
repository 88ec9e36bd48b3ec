"""PyTorch: one ``autograd.Function`` that takes any op and differentiates it by the op's own rules."""

from __future__ import annotations

from functools import lru_cache

import array_api_compat.torch as compat
import torch
from torch.autograd import forward_ad

from axisoft import _core


class _Namespace:
    """array_api_compat.torch, but for two functions that it runs by way of ``result_type``, which cannot be traced, and
    one that some transformations do not know by that name."""

    def __getattr__(self, name):
        return getattr(compat, name)

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
        # PyTorch calls this with forward mode off, and forward mode over forward mode would come out as 0. With it on,
        # the tangents that are being asked about must not be seen.
        y, *arrays = (None if a is None else forward_ad.unpack_dual(a).primal for a in ctx.saved_tensors)
        with forward_ad._set_fwd_grad_enabled(True):
            return ctx.bound.op.jvp(tangents, y, tuple(arrays), do, xp, **ctx.bound.options)


_formula = _core.by_formula(xp)


@torch.compiler.assume_constant_result
def _is_repeated():
    """Whether torch.func is taking a derivative while torch.compile traces, and it need not be the only one.

    With gradients on outside of ``torch.func.grad``, what it gives may be differentiated again.
    """
    stack = list(torch._C._functorch.get_interpreter_stack() or [])
    keys = [level.key() for level in stack]
    kind = torch._C._functorch.TransformType
    if kind.Grad not in keys:
        return kind.Jvp in keys
    return len(keys) > 1 or torch._C._functorch.CGradInterpreterPtr(stack[0]).prevGradMode()


def _traced(op, arrays, options):
    """An op for torch.compile, which looks into the rules: what it differentiates twice, it differentiates wrongly."""
    if _is_repeated() or forward_ad._current_level >= 0:
        raise NotImplementedError(
            f"{op.name}: torch.compile is tracing a derivative that is in forward mode or may be differentiated again, "
            "which would come out wrong; differentiate outside of what is compiled, or under torch.no_grad()."
        )
    # What torch.func differentiates along is known to vary only once an operation has seen it: here, one that does nothing.
    arrays = [None if a is None else a.to(a.dtype) for a in arrays]
    # Traced without a gradient, a Function with setup_context is handed the wrong arguments (PyTorch 2.13).
    varies = any(a is not None and a.requires_grad for a in arrays)
    return _Reverse.apply(_Bound(op, options), *arrays) if varies else _formula(op, *arrays, **options)


def do(op, *arrays, **options):
    if torch.compiler.is_compiling():
        return _traced(op, arrays, options)
    return _Apply.apply(_bound(op, tuple(options.items())), *arrays)


def evaluate(op, arrays, **static):
    return _core.evaluate(do, op, arrays, **{**static, "xp": xp})


vjp = torch.func.vjp


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
