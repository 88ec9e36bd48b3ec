"""PyTorch: one ``autograd.Function`` that takes any op and differentiates it by the op's own rules.

What runs inside of it is PyTorch's own kernel where that means the same and is faster, and else the formula. Tensors in
the host's memory are NumPy's arrays too, at no cost, and the formula then runs as it does there: a small one without
PyTorch's microseconds per operation, a large one over tiles that stay in the cache, in as many threads as PyTorch uses.
"""

from __future__ import annotations

from functools import lru_cache

import array_api_compat.torch as compat
import torch
from torch.autograd import forward_ad

from axisoft import _core
from axisoft._backends import numpy, tiles
from axisoft._core.stable import classes

# PyTorch's softmax adds the terms of a slice in some sequence, and more of them drift beyond what is promised: along
# memory in 16 lanes or so (0.11 of the promise at 1000 equal terms, 10 times it at 10 000), along other axes one by one
# (0.9 of it at 21, 1.5 times it at 100).
ALONG_MEMORY = 1024
ACROSS = 21
# Its kernel is faster than the formula on NumPy from this many classes on, along memory, and for this many elements.
MANY = 64
LARGE = 1 << 16
# Elements of a tile around that kernel: what it makes stays in the cache, and is made in the same memory again.
REACH = 1 << 19


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
        """By the probabilities of the others: ``-log1p(-sum_{j != i} p_j)``, or ``-log p_i`` if they are the many."""
        if not _are_plain((x, index)) or not _is_fast(x, axis):
            return None
        p = torch.softmax(x, axis)
        p_index = torch.gather(p, axis, index)
        rest = p.scatter_(axis, index, 0.0).sum(axis, keepdim=True)
        y = torch.where(p_index < 0.5, -torch.log(p_index), -torch.log1p(-rest))
        tiny = p_index < 1e-30  # or 0, though its logarithm is far from -inf; then the largest element is another
        if tiny.any():
            d = torch.gather(x, axis, index) - torch.amax(x, axis, keepdim=True)
            y = torch.where(tiny, -torch.log(torch.amax(p, axis, keepdim=True)) - d, y)
        return y

    @staticmethod
    def surprisal_slope(x, index, axis):
        if not _are_plain((x, index)) or not _is_fast(x, axis):
            return None
        p = torch.softmax(x, axis).scatter_(axis, index, 0.0)
        return p.scatter_(axis, index, -p.sum(axis, keepdim=True))

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


class _Tiles(tiles.Tiles):
    """One after another, since each of PyTorch's kernels is spread over its threads; and as they lie in memory."""

    turns = False

    @staticmethod
    def strides(x):
        return x.stride()

    @staticmethod
    def empty(shape, dtype, like):
        return torch.empty_like(like) if shape == like.shape else like.new_empty(shape)


def _are_plain(arrays):
    """Whether all that is there can be read here and now."""
    return all(a is None or _is_plain(a) for a in arrays)


def _is_accurate(x, axis):
    """Whether PyTorch's softmax over this axis keeps axisoft's promise."""
    return x.shape[axis] <= (ALONG_MEMORY if x.stride(axis) == 1 else ACROSS)


def _is_fast(x, axis):
    """Whether it is accurate, and faster than the formula on NumPy."""
    return x.numel() > LARGE and MANY <= x.shape[axis] <= ALONG_MEMORY and x.stride(axis) == 1


def _on_host(arrays):
    """NumPy's view of them; None where there is none, or something else than NumPy is in charge."""
    if arrays[0].dtype not in _HOST or not _are_plain(arrays) or torch._C._functorch.maybe_current_level() is not None:
        return None
    if any(a is not None and a.dtype == torch.bfloat16 for a in arrays):
        return None
    return [None if a is None else values(a.resolve_neg()) for a in arrays]


_HOST = {torch.float32: "float32", torch.float64: "float64"}


def _run(op, arrays, options):
    """An op without derivatives, in whatever way is fastest for such arrays."""
    if torch.compiler.is_compiling():
        return _formula(op, *arrays, **options)
    if op.name == "softmax":
        y = _softmax(*arrays, **options)
        if y is not None:
            return y
    if _has_kernel(op, arrays, options):
        cut = _Tiles(op, arrays, options, REACH, xp)
        return cut.run(op.result, arrays[0].dtype, lambda tile: _formula(op, *tile, **options))
    host = _on_host(arrays)
    if host is None:
        return _formula(op, *arrays, **options)
    return torch.from_numpy(numpy.run(op, host, options, torch.get_num_threads()))


def _softmax(x, where, *, axis, zero_if_empty=False):
    """By PyTorch's kernel; None where it is not accurate, or the formula on NumPy is faster."""
    if where is not None or zero_if_empty or len(axis) != 1 or not _is_accurate(x, *axis):
        return None
    small_or_long = x.numel() <= LARGE or (x.stride(*axis) == 1 and x.shape[axis[0]] >= MANY)
    if small_or_long or x.device.type != "cpu" or x.dtype not in _HOST:
        return torch.softmax(x, *axis)
    return None


def _has_kernel(op, arrays, options):
    """Whether the formula of an op finds a kernel of PyTorch's that is faster."""
    plain = (
        op.name == "cross_entropy" and arrays[4] is None and not options["label_smoothing"] and not options["z_loss"]
    )
    return plain and not arrays[1].is_floating_point() and _is_fast(arrays[0], options["axis"]) and _are_plain(arrays)


def _pull(op, g, y, arrays, wanted, options):
    """An op's rule, without derivatives of its own: the cotangents of the arrays."""
    if op.result is not None and not torch.compiler.is_compiling():
        if _has_kernel(op, arrays, options) and not any(wanted[1:]) and _is_plain(g):
            cut = _Tiles(op, arrays, options, REACH, xp, (g, y))

            def pull(tile):
                *tile, g, y = tile
                return op.vjp(g, y, tile, wanted, _formula, xp, **options)[0]

            return [cut.run("element", y.dtype, pull), *[None] * (len(arrays) - 1)]
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


def _varies(arrays):
    """Whether anything may be differentiated along any of the arrays, or is being transformed."""
    if forward_ad._current_level >= 0 or any(a is not None and _is_wrapped(a) for a in arrays):
        return True
    return torch.is_grad_enabled() and any(a is not None and a.requires_grad for a in arrays)


def do(op, *arrays, **options):
    if torch.compiler.is_compiling():
        return _traced(op, arrays, options)
    if not _varies(arrays):
        return _run(op, arrays, options)
    return _Apply.apply(_bound(op, tuple(options.items())), *arrays)


def evaluate(op, arrays, *, given, dtype, out, **static):
    if given is None and arrays[0].dtype == dtype == out and not torch.compiler.is_compiling() and not _varies(arrays):
        if not (op.name == "softmax" or _has_kernel(op, arrays, static)):
            host = _on_host(arrays)
            if host is not None:
                dtype = host[0].dtype
                return torch.from_numpy(
                    numpy.evaluate(
                        op, host, given=None, dtype=dtype, out=dtype, threads=torch.get_num_threads(), **static
                    )
                )
    static |= {"given": given, "dtype": dtype, "out": out}
    return _core.evaluate(do, op, arrays, **{**static, "xp": xp})


vjp = torch.func.vjp


def values(x):
    """The values of a plain tensor, as NumPy; None for any other."""
    if not _is_plain(x):
        return None
    # Inside of torch.func whatever is done to a tensor, even this, makes it one whose memory is out of reach.
    return x if torch._C._functorch.maybe_current_level() is not None else x.detach().numpy()


def _is_plain(x):
    """Whether a tensor is in the host's memory, and no compiler or transform is tracing it."""
    if type(x) is not torch.Tensor or torch.compiler.is_compiling():
        return False
    return x.device.type == "cpu" and not _is_wrapped(x)


def _is_wrapped(x):
    """Whether a transformation stands between a tensor and its values; the second kind is that of ``autograd.grad``."""
    return torch._C._functorch.is_functorch_wrapped_tensor(x) or torch._C._functorch.is_legacy_batchedtensor(x)


def device(x):
    return x.device


def find_device(name):
    if name == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("torch finds no CUDA device")
    return torch.device(name)
