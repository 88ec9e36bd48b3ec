"""Which way an op runs without derivatives: by a kernel of PyTorch's, as NumPy's arrays, or by the formula.

Shapes, layouts and dtypes decide, never values. Where a kernel is not accurate for some slices, these alone are
computed again: a slice's bits do not depend on the others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from axisoft import _core
from axisoft._backends import numpy
from axisoft._backends.torch import kernels
from axisoft._backends.torch.kernels import LARGE, flat, is_fast
from axisoft._backends.torch.namespace import xp
from axisoft._backends.torch.watch import are_plain, is_plain, is_traced, is_watched, is_wrapped
from axisoft._core.weights import WEIGHTS, read_samples

# PyTorch's softmax over another axis than the last adds a slice in sequence: up to this many terms without drift.
STEADY = 16
_HOST = {torch.float32, torch.float64}

formula = _core.by_formula(xp)


def on_host(arrays):
    """NumPy's view of them; None where there is none, or somebody else is in charge."""
    if arrays[0].dtype not in _HOST or not are_plain(arrays):
        return None
    if any(a is not None and a.dtype == torch.bfloat16 for a in arrays):
        return None
    return [None if a is None else a.detach().resolve_neg().numpy() for a in arrays]


def run(op, arrays, options):
    """An op without derivatives, in whatever way is fastest for such arrays."""
    if is_traced():
        return formula(op, *arrays, **options)
    if has_kernel(op, arrays, options):
        return _by_kernel(op, arrays, options)
    host = on_host(arrays)
    if host is None:
        return formula(op, *arrays, **options)
    return torch.from_numpy(numpy.run(op, host, options, torch.get_num_threads()))


def _softmax(x, axis):
    if is_plain(x) and is_fast(x, axis):
        return kernels.softmax(flat(x)).view(x.shape)
    p = torch.softmax(x, axis)
    return p if _is_steady(x, axis) else p.div_(xp.sum(p, axis, keepdims=True))


def _is_steady(x, axis):
    """Whether PyTorch's sum in its softmax does not drift."""
    if x.shape[axis] <= STEADY:
        return True
    return axis == x.ndim - 1 and x.device.type == "cpu" and x.is_contiguous() and kernels.is_steady(x)


# A difference of kernels must not make one of these another function than the other.
_ELEMENTWISE = {
    "sigmoid": lambda x: torch.sigmoid(x) if not x.is_cpu or is_watched() else kernels.sigmoid(x),
    "log_sigmoid": torch.nn.functional.logsigmoid,
    "softplus": lambda x: torch.nn.functional.logsigmoid(-x).neg_(),
}


# Ops by PyTorch's softmax, where the slices lie along memory.
_ALONG_MEMORY = {
    "softmax": kernels.softmax,
    "log_softmax": kernels.log_softmax,
    "logsumexp": kernels.logsumexp,
}


def has_kernel(op, arrays, options):
    """Whether a kernel of PyTorch's is the better way for all of the op, or for a part of its formula."""
    x = arrays[0]
    if op.name in _ELEMENTWISE:
        return True
    if op.name == "cross_entropy":
        _, targets, _, _, where = arrays
        if where is not None or options["label_smoothing"] or options["z_loss"] or targets.is_floating_point():
            return False
        return are_plain(arrays) and is_fast(x, options["axis"])
    if op.name not in _ALONG_MEMORY or arrays[1] is not None or len(options["axis"]) != 1:
        return False
    if options.get("zero_if_empty"):
        return False
    (axis,) = options["axis"]
    if op.name == "softmax" and 0 not in x.shape and not is_wrapped(x):
        if not is_plain(x) or x.dtype not in _HOST:  # no other way is as fast
            return True
        # A small one is a call of PyTorch's and nothing else; but its threads show along another axis than the last.
        return axis == x.ndim - 1 and (x.numel() <= LARGE or is_fast(x, axis))
    return is_plain(x) and is_fast(x, axis)


def _by_kernel(op, arrays, options):
    """The result by PyTorch's kernel."""
    if op.name in _ELEMENTWISE:
        return _ELEMENTWISE[op.name](*arrays)
    x, *_ = arrays
    if op.name == "cross_entropy":
        return formula(op, *arrays, **options)  # which asks for the surprisal
    if op.name == "softmax":
        return _softmax(x, *options["axis"])
    y = _ALONG_MEMORY[op.name](flat(x))
    if op.name == "log_softmax":
        return y.view(x.shape)
    return y.view(*x.shape[:-1], 1) if options.get("keepdims") else y.view(x.shape[:-1])


def _logit_gradient(g, x, targets, weight, sample_weight, where, *, axis, **options):
    """By the kernel; a sample whose cotangent is not finite by the rule of the op."""
    read = {"axis": axis, "ignore_index": options["ignore_index"], "checked": options.get("checked", False), "xp": xp}
    known = read_samples(x, targets, weight, sample_weight, **read)
    odd = ~torch.isfinite(g)
    factor = torch.where(odd, 0.0, g)
    if known.kept is not None or known.bad is not None:
        factor = factor * WEIGHTS.formula(x, targets, weight, sample_weight, **read)
    y = kernels.logit_gradient(flat(x), known.index.reshape(-1, 1), factor.reshape(-1, 1)).view(x.shape)
    if odd.any():
        some = None if sample_weight is None else sample_weight.broadcast_to(g.shape)[odd]
        arrays = x[odd], targets[odd], weight, some, where
        y[odd] = _core.OPS["cross_entropy"].vjp(
            g[odd], None, arrays, (True, False, False, False, False), formula, xp, axis=1, **options
        )[0]
    return y


def pull(op, g, y, arrays, wanted, options):
    """An op's rule, without derivatives of its own: the cotangents of the arrays."""
    if op.result is not None and not is_traced():
        by_kernel = op.name == "cross_entropy" and has_kernel(op, arrays, options) and not any(wanted[1:])
        if by_kernel and is_plain(g):
            return [_logit_gradient(g, *arrays, **options), *[None] * (len(arrays) - 1)]
        host = on_host((*arrays, g, y))
        if host is not None:
            *host, g, y = host
            found = numpy.pull(op, g, y, host, wanted, options, torch.get_num_threads())
            return [None if a is None else torch.from_numpy(a) for a in found]
    return op.vjp(g, y, arrays, wanted, formula, xp, **options)


# A call of PyTorch's and little else: of small tensors in the host's memory, where nothing varies. None where there is
# no such call.


def small(op, arrays, options):
    x = arrays[0]
    way = _SMALL.get(op.name) if x.numel() <= LARGE and are_plain(arrays) else None
    return None if way is None else way(*arrays, **options)


def _small_softmax(x, where, *, axis, **_):
    if where is None and axis == (x.ndim - 1,) and _is_steady(x, axis[0]):
        return torch.softmax(x, axis[0])
    return None


def _small_log_softmax(x, where, *, axis, **options):
    if where is not None or len(axis) != 1 or not x.numel() or not _is_steady(x, axis[0]):
        return None
    y = torch.log_softmax(x, axis[0])
    if not torch.amax(y).item() < -kernels.UNSURE:  # NaN too
        unsure = ~(torch.amax(y, axis[0]).numpy() < -kernels.UNSURE)
        values = np.moveaxis(y.numpy(), axis[0], -1)
        rows = np.moveaxis(x.detach().resolve_neg().numpy(), axis[0], -1)[unsure]
        values[unsure] = numpy.of_rows(_core.OPS["log_softmax"], (rows, None), axis=(1,), **options)
    return y


def _small_cross_entropy(
    x, targets, weight, sample_weight, where, *, axis, reduction, ignore_index, label_smoothing, z_loss, checked, **_
):
    if not (weight is sample_weight is where is ignore_index is None) or label_smoothing or z_loss or not checked:
        return None
    if (
        x.ndim != 2
        or axis != 1
        or not 0 < x.numel() < kernels.GRAIN
        or targets.dtype is not torch.int64
        or not _is_steady(x, 1)
    ):
        return None
    y = torch.nn.functional.cross_entropy(x, targets, reduction="none")
    values = y.numpy()
    unsure = ~(values > kernels.UNSURE)
    if unsure.any():
        rows = x.detach().resolve_neg().numpy()[unsure], targets.numpy()[unsure], None, None, None
        options = {"ignore_index": None, "label_smoothing": 0.0, "z_loss": 0.0, "checked": True}
        values[unsure] = numpy.of_rows(_core.OPS["cross_entropy"], rows, axis=1, **options)
    return y if reduction == "none" else y.mean() if reduction == "mean" else y.sum()


_SMALL: dict[str, Any] = {
    "softmax": _small_softmax,
    "log_softmax": _small_log_softmax,
    "cross_entropy": _small_cross_entropy,
}
