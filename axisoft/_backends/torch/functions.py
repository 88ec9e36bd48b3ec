"""How PyTorch differentiates an op: by the op's own rules, in one ``autograd.Function``, or one that can more."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch._C import _functorch
from torch.autograd import forward_ad

from axisoft._backends.torch.fallback import formula
from axisoft._backends.torch.limits import HALF
from axisoft._backends.torch.namespace import xp
from axisoft._backends.torch.watch import are_plain, is_traced, requires_gradient, varies
from axisoft._backends.torch.ways import place, pull, run
from axisoft._core import REDUCTION


class _Step(torch.autograd.Function):
    """Backward, again and again; of a step of training, which is cheaper than all that PyTorch can do with a Function.

    call : the op, its options, the reduction, whose weights are all one, and the place of the arrays. What is kept is
    what the rule reads, the result or the input; of half precision the input, since its result is rounded.
    """

    @staticmethod
    def forward(ctx, call, *arrays):
        op, options, how, where = call
        shared: list[Callable[..., Any]] = []
        y = run(op, arrays, options, where, shared)
        if arrays[0].dtype in HALF:
            ctx.save_for_backward(None, *arrays)
        else:
            kept = [a if reads else None for a, reads in zip(arrays, op.reads_inputs, strict=False)]
            ctx.save_for_backward(y if op.reads_result else None, *kept)
        ctx.call, ctx.shared, ctx.shape = call, shared, y.shape
        return y if how == "none" else reduced(y, how, where)

    @staticmethod
    def backward(ctx, g):
        y, *arrays = ctx.saved_tensors
        op, options, how, where = ctx.call
        wanted = ctx.needs_input_grad[1:]
        if how != "none":
            g = (g / ctx.shape.numel() if how == "mean" else g).expand(ctx.shape)
        # Gradients are on where the result may be differentiated again.
        if torch.is_grad_enabled():
            return None, *_again(op, g, y, tuple(arrays), wanted, options)
        where = where if are_plain((g,)) else None  # what is saved is where it was
        if ctx.shared and where and not any(wanted[1:]):
            return None, ctx.shared[0](g), *[None] * (len(wanted) - 1)
        return None, *pull(op, g, y, tuple(arrays), wanted, options, where)


def reduced(y, how, where):
    return run(REDUCTION, (y, None), {"mean": how == "mean"}, where)


# What ``_Step.apply`` comes to where torch.func has no part in any of the tensors.
_apply = super(torch.autograd.Function, _Step).apply


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
        return run(bound.op, arrays, bound.options)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.bound, *arrays = inputs
        ctx.save_for_backward(output, *arrays)
        ctx.save_for_forward(output, *arrays)

    @staticmethod
    def backward(ctx, g):
        y, *arrays = ctx.saved_tensors
        wanted = ctx.needs_input_grad[1:]
        # Gradients are on where the result may be differentiated again, which what is compiled never is.
        if torch.compiler.is_compiling() or not torch.is_grad_enabled():
            return None, *pull(ctx.bound.op, g, y, tuple(arrays), wanted, ctx.bound.options)
        return None, *ctx.bound.op.vjp(g, y, tuple(arrays), wanted, do, xp, **ctx.bound.options)


class _Apply(_Reverse):
    """For the transformations of torch.func, and for forward mode."""

    generate_vmap_rule = True

    @staticmethod
    def jvp(ctx, _, *tangents):
        # PyTorch calls this with forward mode off, and forward mode over forward mode would come out as 0. With it on,
        # the tangents that are being asked about must not be seen.
        y, *arrays = (None if a is None else _primal(a) for a in ctx.saved_tensors)
        with forward_ad._set_fwd_grad_enabled(True):
            return ctx.bound.op.jvp(tangents, y, tuple(arrays), do, xp, **ctx.bound.options)


def _primal(a):
    """a without its tangent; PyTorch has no such operation for what vmap maps."""
    if _functorch.is_batchedtensor(a):
        axis, level = _functorch.maybe_get_bdim(a), _functorch.maybe_get_level(a)
        inner = _primal(_functorch.get_unwrapped(a))
        return _functorch._add_batch_dim(inner, axis, level)
    return forward_ad.unpack_dual(a).primal


# PyTorch asks for the signature at each call; looking it up anew takes 30 us of a small loss.
_Reverse.forward.__signature__ = inspect.signature(_Reverse.forward)  # type: ignore[attr-defined]


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
    # What torch.func differentiates along is known to vary only once an operation has seen it: here, an empty one.
    arrays = [None if a is None else a.to(a.dtype) for a in arrays]
    # Traced without a gradient, a Function with setup_context is handed the wrong arguments (PyTorch 2.13).
    varies = any(a is not None and a.requires_grad for a in arrays)
    return _Reverse.apply(_Bound(op, options), *arrays) if varies else run(op, arrays, options)


def do(op, *arrays, **options):
    if torch.compiler.is_compiling():
        return _traced(op, arrays, options)
    # What torch.jit.trace records is differentiated as it stands: a Function could not be saved.
    if is_traced() or not varies(arrays):
        return run(op, arrays, options)
    if forward_ad._current_level >= 0 or _functorch.maybe_current_level() is not None:
        return _Apply.apply(_bound(op, tuple(options.items())), *arrays)
    return _Step.apply((op, options, "none", place(arrays)), *arrays)  # which knows what torch.func has left behind


# A rule whose steps are recorded.
_, _again = formula(xp, do)


def step(op, arrays, options, how):
    """An op and its sum or mean, without weights, of tensors in the host's memory."""
    if forward_ad._current_level >= 0:
        y = do(op, *arrays, **options)
        return y if how == "none" else do(REDUCTION, y, None, mean=how == "mean")
    if torch.is_grad_enabled() and requires_gradient(arrays):
        return _apply((op, options, how, "host"), *arrays)
    y = run(op, arrays, options, "host")
    return y if how == "none" else reduced(y, how, "host")
