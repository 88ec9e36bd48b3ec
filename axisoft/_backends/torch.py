"""PyTorch: one ``autograd.Function`` that takes any op and differentiates it by the op's own rules.

What runs inside of it is PyTorch's own kernel where that means the same and is faster, and else the formula. Tensors in
the host's memory are NumPy's arrays too, at no cost, and the formula then runs as it does there: a small one without
PyTorch's microseconds per operation, a large one over tiles that stay in the cache, in as many threads as PyTorch uses.
"""

from __future__ import annotations

import math
from functools import lru_cache

import array_api_compat.torch as compat
import torch
from torch.autograd import forward_ad

from axisoft import _core
from axisoft._backends import numpy, tiles
from axisoft._core.softmax import LOG_SOFTMAX
from axisoft._core.stable import classes
from axisoft._core.weights import WEIGHTS, read_samples

# PyTorch's softmax adds the terms of a slice in sequence, at best in a few lanes: 1000 nearly equal ones drift by 12
# ulp in float32 and by 24 in float64. Up to this many it keeps axisoft's promise as it is, and beyond that when it is
# divided by its own sum, which tells how far it drifted.
STEADY = 16
# Along memory its kernel is faster than the formula on NumPy, from this many classes on, for this many elements.
MANY = 16
LARGE = 1 << 16
# Elements of a tile around that kernel: what it makes stays in the cache, and is made in the same memory again.
REACH = 1 << 20


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
        if not _is_fast(x, axis) or not _are_plain((x, index)):
            return None
        p = torch.softmax(x, axis)
        p_index = torch.gather(p, axis, index)
        rest = p.scatter_(axis, index, 0.0).sum(axis, keepdim=True)
        s = p_index + rest
        y = torch.where(p_index < 0.5, torch.log(s / p_index), -torch.log1p(-rest / s))
        tiny = p_index < 1e-30  # or 0, though its logarithm is far from -inf; then the largest element is another
        if tiny.any():
            d = torch.gather(x, axis, index) - torch.amax(x, axis, keepdim=True)
            y = torch.where(tiny, torch.log(s / torch.amax(p, axis, keepdim=True)) - d, y)
        return y

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


def _is_fast(x, axis):
    """Whether a large array lies so in memory that PyTorch's softmax beats the formula on NumPy."""
    return axis == x.ndim - 1 and x.numel() > LARGE and x.shape[axis] >= MANY and x.is_contiguous()


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
    if _has_kernel(op, arrays, options):
        y = _by_kernel(op, arrays, options)
        if y is not None:
            return y
    host = _on_host(arrays)
    if host is None:
        return _formula(op, *arrays, **options)
    return torch.from_numpy(numpy.run(op, host, options, torch.get_num_threads()))


def _rows(x, *others):
    """2-D views of contiguous tensors whose slices lie along memory, a tile of each after another."""
    count = x.shape[-1]
    views = [a.view(-1, count if a.shape == x.shape else 1) for a in (x, *others)]
    return zip(*(a.split(max(REACH // count, 1)) for a in views), strict=True)


def _softmax(x, axis):
    if x.shape[axis] <= STEADY or not _is_fast(x, axis) or not _is_plain(x):
        p = torch.softmax(x, axis)
        return p if x.shape[axis] <= STEADY else p.div_(torch.sum(p, axis, keepdim=True))
    result, near = torch.empty_like(x), 4 * torch.finfo(x.dtype).eps
    for row, p in _rows(x, result):
        s = torch.softmax(row, 1, out=p).sum(1, keepdim=True)
        if (torch.abs(s - 1.0) > near).any():
            p.div_(s)
    return result


def _logsumexp(x, axis):
    """The largest probability is that of exp(0) = 1 in the sum of exp(x - max x)."""
    m, log_s = _log_sum(x, axis)
    return torch.where(torch.isfinite(m), m + log_s, m).squeeze(axis)


def _log_softmax(x, axis):
    result = torch.empty_like(x)
    exact = lambda x, axis: LOG_SOFTMAX.formula(x, None, xp=xp, axis=axis)
    for row, y in _rows(x, result):
        m, log_s = _log_sum(row, 1)
        confident = log_s < math.log(1.35)
        if 4 * torch.count_nonzero(confident) > confident.numel():
            return None  # their digits take the formula
        xp.where_true(confident, exact, torch.sub(row, m, out=y).sub_(log_s), row, (1,))
    return result


def _log_sum(x, axis):
    p = torch.softmax(x, axis)
    s = torch.sum(p, axis, keepdim=True) / torch.amax(p, axis, keepdim=True)
    return torch.amax(x, axis, keepdim=True), torch.log(s)


# By the name of the op: how PyTorch's kernel gives one slice after another; None where the formula has to.
_KERNELS = {"softmax": _softmax, "log_softmax": _log_softmax, "logsumexp": _logsumexp}
# A difference of kernels must not make one of these another function than the other.
_ELEMENTWISE = {
    "sigmoid": torch.sigmoid,
    "log_sigmoid": torch.nn.functional.logsigmoid,
    "softplus": lambda x: -torch.nn.functional.logsigmoid(-x),
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
    if op.name not in _KERNELS or arrays[1] is not None or len(options["axis"]) != 1 or options.get("zero_if_empty"):
        return False
    (axis,) = options["axis"]
    if op.name == "softmax" and 0 not in x.shape and not _is_wrapped(x):
        # A small one is a call of PyTorch's and nothing else; and elsewhere than here there is no other way as fast.
        return x.numel() <= LARGE or _is_fast(x, axis) or x.device.type != "cpu" or x.dtype not in _HOST
    return _is_fast(x, axis) and _is_plain(x)


def _by_kernel(op, arrays, options):
    """The result by PyTorch's kernel, where there is one; None where the formula has to."""
    if op.name in _ELEMENTWISE:
        return _ELEMENTWISE[op.name](*arrays)
    x = arrays[0]
    if op.name == "cross_entropy":
        compute = lambda tile: _formula(op, *tile, **options)
    elif op.name == "logsumexp":
        compute = lambda tile: _logsumexp(tile[0], -1)
    else:
        return _KERNELS[op.name](x, *options["axis"])
    options, keepdims = dict(options), options.get("keepdims")
    options.pop("keepdims", None)
    y = _Tiles(op, arrays, options, REACH, xp).run("slice", x.dtype, compute)
    return y.unsqueeze(-1) if keepdims else y


def _logit_gradient(g, x, targets, weight, sample_weight, *, axis, ignore_index, **_):
    """``g * weight * (softmax - indicator)``, where the target's own difference is minus the sum of the others."""
    read = {"axis": axis, "ignore_index": ignore_index, "xp": xp}
    index = read_samples(x, targets, weight, sample_weight, **read).index.reshape(-1, 1)
    factor = (g * WEIGHTS.formula(x, targets, weight, sample_weight, **read)).reshape(-1, 1)
    result = torch.empty_like(x)
    for row, p, at, by in _rows(x, result, index, factor):
        p_at = torch.gather(torch.softmax(row, 1, out=p), 1, at)
        rest = p.scatter_(1, at, 0.0).sum(1, keepdim=True)
        p.scatter_(1, at, -rest).mul_(by / (p_at + rest))
    dropped = factor == 0
    if dropped.any():
        result.view(-1, x.shape[axis]).masked_fill_(dropped, 0.0)  # whatever their rows hold
    return result


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
        host = None if _has_kernel(op, arrays, static) else _on_host(arrays)
        if host is not None:
            threads, dtype = torch.get_num_threads(), host[0].dtype
            return torch.from_numpy(
                numpy.evaluate(op, host, given=None, dtype=dtype, out=dtype, threads=threads, **static)
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
