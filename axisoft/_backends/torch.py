"""PyTorch: one ``autograd.Function`` that takes any op and differentiates it by the op's own rules.

What runs inside of it is PyTorch's own kernel where that means the same and is faster, and else the formula. Tensors in
the host's memory are NumPy's arrays too, at no cost, and the formula then runs as it does there: a small one without
PyTorch's microseconds per operation, a large one over tiles that stay in the cache, in as many threads as PyTorch uses.
"""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import Any

import array_api_compat.torch as compat
import torch
from torch.autograd import forward_ad

from axisoft import _core
from axisoft._backends import numpy, torch_cpu
from axisoft._core.stable import classes
from axisoft._core.weights import WEIGHTS, read_samples

# PyTorch's softmax over another axis than the last adds a slice in sequence: up to this many terms without drift.
STEADY = 16
# Along memory its kernel is faster than the formula on NumPy, from this many classes on, for this many elements.
MANY = 16
LARGE = 1 << 16


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
    def sums_in_pairs(x, axis):
        """In a cascade, which is as accurate; torch.compile's own kernels do not."""
        return not torch.compiler.is_compiling()

    @staticmethod
    def max(x, axis, keepdims):
        return torch.amax(x, axis, keepdim=keepdims)

    @staticmethod
    def sum(x, axis, keepdims=False):
        return torch.sum(x, axis, keepdim=keepdims)

    @staticmethod
    def exp_of(d):
        return d.exp() if torch.compiler.is_compiling() else d.exp_()

    @staticmethod
    def none(mask):
        return _is_plain(mask) and not mask.any()

    @staticmethod
    def put_over(x, index, value, axis):
        if not _are_plain((x, index, value)):
            return torch.where(classes(x, axis, xp) == index, value, x)
        return x.scatter_(axis, index, value)

    @staticmethod
    def where_true(mask, function, y, x, axes):
        if not _is_plain(x):
            return torch.where(mask, function(x, axes), y)
        count = int(torch.count_nonzero(mask))
        if 4 * count > mask.numel():  # to pick them out would cost more
            return torch.where(mask, function(x, axes), y)
        if count:
            last = tuple(range(-len(axes), 0))
            mask, view, x = (torch.movedim(a, axes, last) for a in (mask, y, x))
            at = torch.nonzero(mask.reshape(mask.shape[: mask.ndim - len(axes)]), as_tuple=True)
            view[at] = function(x[at], tuple(range(1, len(axes) + 1)))
        return y

    @staticmethod
    def surprisal(x, index, axis):
        if not _is_fast(x, axis) or not _are_plain((x, index)):
            return None
        return torch_cpu.surprisal(_flat(x), index.reshape(-1, 1)).view(index.shape)

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


def _are_plain(arrays):
    """Whether all that is there can be read here and now."""
    return all(a is None or _is_plain(a) for a in arrays)


def _is_fast(x, axis):
    """Whether a large array lies so in memory that PyTorch's softmax beats the formula on NumPy."""
    return axis == x.ndim - 1 and x.numel() > LARGE and x.shape[axis] >= MANY and x.is_contiguous()


def _on_host(arrays):
    """NumPy's view of them; None where there is none, or something else than NumPy is in charge."""
    if arrays[0].dtype not in _HOST or not _are_plain(arrays) or torch._C._functorch.maybe_current_level() is not None:
        return None
    if any(a is not None and a.dtype == torch.bfloat16 for a in arrays):
        return None
    return [None if a is None else a.detach().resolve_neg().numpy() for a in arrays]


_HOST = {torch.float32: "float32", torch.float64: "float64"}


def _run(op, arrays, options):
    """An op without derivatives, in whatever way is fastest for such arrays."""
    if torch.compiler.is_compiling():
        return _formula(op, *arrays, **options)
    if _has_kernel(op, arrays, options):
        return _by_kernel(op, arrays, options)
    host = _on_host(arrays)
    if host is None:
        return _formula(op, *arrays, **options)
    return torch.from_numpy(numpy.run(op, host, options, torch.get_num_threads()))


def _flat(x):
    """A slice after another."""
    return x.view(-1, x.shape[-1])


def _softmax(x, axis):
    if _is_fast(x, axis) and _is_plain(x):
        return torch_cpu.softmax(_flat(x)).view(x.shape)
    p = torch.softmax(x, axis)
    return p if _is_steady(x, axis) else p.div_(torch.sum(p, axis, keepdim=True))


def _is_steady(x, axis):
    """Whether PyTorch's sum in its softmax does not drift."""
    if x.shape[axis] <= STEADY:
        return True
    return axis == x.ndim - 1 and x.device.type == "cpu" and x.is_contiguous() and torch_cpu.is_steady(x)


# A difference of kernels must not make one of these another function than the other.
_ELEMENTWISE = {
    "sigmoid": torch.sigmoid,
    "log_sigmoid": torch.nn.functional.logsigmoid,
    "softplus": lambda x: torch.nn.functional.logsigmoid(-x).neg_(),
}


# Ops by PyTorch's softmax, where the slices lie along memory.
_ALONG_MEMORY = {
    "softmax": torch_cpu.softmax,
    "log_softmax": torch_cpu.log_softmax,
    "logsumexp": torch_cpu.logsumexp,
}


def _has_kernel(op, arrays, options):
    """Whether a kernel of PyTorch's is the better way for all of the op, or for a part of its formula."""
    x = arrays[0]
    if op.name in _ELEMENTWISE:
        return True
    if op.name == "cross_entropy":
        _, targets, _, _, where = arrays
        if where is not None or options["label_smoothing"] or options["z_loss"] or targets.is_floating_point():
            return False
        return _is_fast(x, options["axis"]) and _are_plain(arrays)
    if op.name not in _ALONG_MEMORY or arrays[1] is not None or len(options["axis"]) != 1:
        return False
    if options.get("zero_if_empty"):
        return False
    (axis,) = options["axis"]
    if op.name == "softmax" and 0 not in x.shape and not _is_wrapped(x):
        # A small one is a call of PyTorch's and nothing else; and elsewhere than here there is no other way as fast.
        return x.numel() <= LARGE or _is_fast(x, axis) or x.device.type != "cpu" or x.dtype not in _HOST
    return _is_fast(x, axis) and _is_plain(x)


def _by_kernel(op, arrays, options):
    """The result by PyTorch's kernel."""
    if op.name in _ELEMENTWISE:
        return _ELEMENTWISE[op.name](*arrays)
    x, *_ = arrays
    if op.name == "cross_entropy":
        return _formula(op, *arrays, **options)  # which asks for the surprisal
    if op.name == "softmax":
        return _softmax(x, *options["axis"])
    y = _ALONG_MEMORY[op.name](_flat(x))
    if op.name == "log_softmax":
        return y.view(x.shape)
    return y.view(*x.shape[:-1], 1) if options.get("keepdims") else y.view(x.shape[:-1])


def _logit_gradient(g, x, targets, weight, sample_weight, *, axis, ignore_index, checked=False, **_):
    read = {"axis": axis, "ignore_index": ignore_index, "checked": checked, "xp": xp}
    known, factor = read_samples(x, targets, weight, sample_weight, **read), g
    if known.kept is not None or known.bad is not None:
        factor = g * WEIGHTS.formula(x, targets, weight, sample_weight, **read)
    return torch_cpu.logit_gradient(_flat(x), known.index.reshape(-1, 1), factor.reshape(-1, 1)).view(x.shape)


def _pull(op, g, y, arrays, wanted, options):
    """An op's rule, without derivatives of its own: the cotangents of the arrays."""
    if op.result is not None and not torch.compiler.is_compiling():
        by_kernel = op.name == "cross_entropy" and _has_kernel(op, arrays, options) and not any(wanted[1:])
        if by_kernel and _is_plain(g) and torch.isfinite(g).all():
            return [_logit_gradient(g, *arrays[:4], **options), *[None] * (len(arrays) - 1)]
        host = _on_host((*arrays, g, y))
        if host is not None:
            *host, g, y = host
            found = numpy.pull(op, g, y, host, wanted, options, torch.get_num_threads())
            return [None if a is None else torch.from_numpy(a) for a in found]
    return op.vjp(g, y, arrays, wanted, _formula, xp, **options)


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
        return _run(bound.op, arrays, bound.options)

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
            return None, *_pull(ctx.bound.op, g, y, tuple(arrays), wanted, ctx.bound.options)
        return None, *ctx.bound.op.vjp(g, y, tuple(arrays), wanted, do, xp, **ctx.bound.options)


class _Apply(_Reverse):
    generate_vmap_rule = True

    @staticmethod
    def jvp(ctx, _, *tangents):
        # PyTorch calls this with forward mode off, and forward mode over forward mode would come out as 0. With it on,
        # the tangents that are being asked about must not be seen.
        y, *arrays = (None if a is None else forward_ad.unpack_dual(a).primal for a in ctx.saved_tensors)
        with forward_ad._set_fwd_grad_enabled(True):
            return ctx.bound.op.jvp(tangents, y, tuple(arrays), do, xp, **ctx.bound.options)


# PyTorch asks for the signature at each call; looking it up anew takes 30 us of a small loss.
_Reverse.forward.__signature__ = inspect.signature(_Reverse.forward)  # type: ignore[attr-defined]
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
    # What torch.func differentiates along is known to vary only once an operation has seen it: here, an empty one.
    arrays = [None if a is None else a.to(a.dtype) for a in arrays]
    # Traced without a gradient, a Function with setup_context is handed the wrong arguments (PyTorch 2.13).
    varies = any(a is not None and a.requires_grad for a in arrays)
    return _Reverse.apply(_Bound(op, options), *arrays) if varies else _formula(op, *arrays, **options)


def _varies(arrays):
    """Whether anything may be differentiated along any of the arrays, or is being transformed."""
    if forward_ad._current_level >= 0:
        return True
    gradients = torch.is_grad_enabled()
    return any(a is not None and (_is_wrapped(a) or (gradients and a.requires_grad)) for a in arrays)


def do(op, *arrays, **options):
    if torch.compiler.is_compiling():
        return _traced(op, arrays, options)
    if not _varies(arrays):
        return _run(op, arrays, options)
    return _Apply.apply(_bound(op, tuple(options.items())), *arrays)


def evaluate(op, arrays, *, given, dtype, out, **static):
    x = arrays[0]
    if given is None and x.dtype is dtype is out and not torch.compiler.is_compiling() and not _varies(arrays):
        small = _SMALL.get(op.name) if x.numel() <= LARGE and type(x) is torch.Tensor else None
        y = None if small is None else small(*arrays, **static)
        if y is not None:
            return y
        host = None if _has_kernel(op, arrays, static) else _on_host(arrays)
        if host is not None:
            threads, dtype = torch.get_num_threads(), host[0].dtype
            return torch.from_numpy(
                numpy.evaluate(op, host, given=None, dtype=dtype, out=dtype, threads=threads, **static)
            )
    static |= {"given": given, "dtype": dtype, "out": out}
    return _core.evaluate(do, op, arrays, **{**static, "xp": xp})


# A call of PyTorch's and little else: of small tensors, where nothing varies. None where that would not be accurate.


def _small_softmax(x, where, *, axis, **_):
    if where is None and len(axis) == 1 and _is_steady(x, axis[0]):
        return torch.softmax(x, axis[0])
    return None


def _small_log_softmax(x, where, *, axis, **_):
    if where is None and len(axis) == 1 and x.numel() and _is_steady(x, axis[0]) and x.device.type == "cpu":
        y = torch.log_softmax(x, axis[0])
        if torch.amax(y).item() < -torch_cpu.UNSURE:
            return y
    return None


def _small_cross_entropy(
    x, targets, weight, sample_weight, where, *, axis, reduction, ignore_index, label_smoothing, z_loss, checked, **_
):
    if not (weight is sample_weight is where is ignore_index is None) or label_smoothing or z_loss or not checked:
        return None
    if x.ndim != 2 or axis != 1 or not x.numel() or targets.dtype is not torch.int64 or not _is_steady(x, 1):
        return None
    y = torch.nn.functional.cross_entropy(x, targets, reduction="none")
    if torch.amin(y).item() <= torch_cpu.UNSURE:
        return None
    return y if reduction == "none" else y.sum() if reduction == "sum" else y.mean()


_SMALL: dict[str, Any] = {
    "softmax": _small_softmax,
    "log_softmax": _small_log_softmax,
    "cross_entropy": _small_cross_entropy,
}


vjp = torch.func.vjp


def values(x):
    """A plain tensor as it is; None for any other."""
    return x if _is_plain(x) else None


def _is_plain(x):
    """Whether a tensor is in the host's memory, and no compiler or transform is tracing it."""
    if type(x) is not torch.Tensor or torch.compiler.is_compiling():
        return False
    return x.is_cpu and not _is_wrapped(x)


def _is_wrapped(x):
    """Whether a transformation stands between a tensor and its values; the second kind is that of ``autograd.grad``."""
    return torch._C._functorch.is_functorch_wrapped_tensor(x) or torch._C._functorch.is_legacy_batchedtensor(x)


# Functions that autocast computes in float32: on every device, and on all but the CPU.
_SINGLE = frozenset({"nll_loss", "cross_entropy", "binary_cross_entropy_with_logits"})
_SINGLE_ON_DEVICES = _SINGLE | {"softmax", "softmin", "log_softmax", "logsumexp", "softplus"}


def autocast(function, x):
    """x in float32, if it is in half precision and autocast is on for a function that PyTorch computes so."""
    if x.dtype is not torch.float16 and x.dtype is not torch.bfloat16:
        return x
    kind = x.device.type
    if function not in (_SINGLE if kind == "cpu" else _SINGLE_ON_DEVICES):
        return x
    return x.float() if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind) else x


def device(x):
    return x.device


def find_device(name):
    if name == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("torch finds no CUDA device")
    return torch.device(name)
