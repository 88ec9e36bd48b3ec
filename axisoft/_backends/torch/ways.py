"""Which way an op runs, for a value and for a gradient: the table, and nothing else decides.

A call is one of three, by what may be done with its tensors: on the ``host`` nobody else sees them, and they are also
NumPy's arrays; on a ``device`` they are memory that no value may be read from; ``any`` stands for all else: what is
traced, mapped, recorded, a subclass. Shapes, layouts and dtypes decide then, never values. The first way that fits is
taken.

float16 and bfloat16 stay what they are up to here. A way computes them in float32, piece by piece, and rounds once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from axisoft import _core
from axisoft._backends import numpy, tiles
from axisoft._backends.torch import device, rows
from axisoft._backends.torch.limits import GRAIN, HALF, LARGE, LIKELY, MANY, TILE, UNSURE
from axisoft._backends.torch.namespace import host, memory, xp
from axisoft._backends.torch.watch import are_memory, are_plain, is_traced, is_wrapped
from axisoft._core.weights import WEIGHTS, read_samples


def place(arrays):
    if are_plain(arrays):
        return "host"
    return "device" if not is_traced() and are_memory(arrays) else "any"


@dataclass(frozen=True)
class Way:
    """One way for an op.

    fits : of ``(arrays, options)``, whether it is accurate for them and worth it; what it is for, where it always is.
    run : ``(arrays, options)`` to the result; for a gradient ``(g, y, arrays, options)`` to the cotangent of the first.
    keeps_result : of a gradient, whether it reads y, and not the first array.
    """

    fits: Callable[..., bool]
    run: Callable[..., Any]


def run(op, arrays, options, where=None):
    """An op without derivatives, in whatever way is best for such arrays. ``where`` : their place, if it is known."""
    where = where or place(arrays)
    for way in VALUES.get((op.name, where), ()):
        if way.fits(arrays, options):
            return way.run(arrays, options)
    return _LAST[where](op, arrays, options)


def pull(op, g, y, arrays, wanted, options, where=None):
    """An op's rule, without derivatives of its own: the cotangents of the arrays."""
    where = where or place((*arrays, g, y))
    if wanted[0] and not any(wanted[1:]):
        for way in GRADIENTS.get((op.name, where), ()):
            if way.fits(g, y, arrays, options):
                return [way.run(g, y, arrays, options), *[None] * (len(arrays) - 1)]
    return _LAST_GRADIENT[where](op, g, y, arrays, wanted, options)


# What fits anything: the formula, and on the host NumPy, which runs it over tiles


def _formula(space, do):
    """``do`` : how a rule runs another op."""

    def last(op, arrays, options):
        return op.formula(*_in_float32(op, arrays), xp=space, **options)

    def last_gradient(op, g, y, arrays, wanted, options):
        wide = _in_float32(op, arrays)
        if y is None and "y" in op.reads:
            y = op.formula(*wide, xp=space, **options)
        g = g.float() if g.dtype in HALF else g
        return _as(arrays, op.vjp(g, y, tuple(wide), wanted, do, space, **options))

    return last, last_gradient


def _wide(arrays):
    return [a.float() if a is not None and a.dtype in HALF else a for a in arrays]


def _in_float32(op, arrays):
    x = arrays[0]
    if op.name in ("weights", "binary_weights"):  # the shape of the logits tells, and no more
        x = torch.empty((), dtype=torch.float32 if x.dtype in HALF else x.dtype, device=x.device).expand(x.shape)
    return _wide([x, *arrays[1:]])


def _as(arrays, found):
    """Cotangents in the dtype of the arrays they are of."""
    return [
        b if a is None or b is None or b.dtype == a.dtype else b.to(a.dtype) for a, b in zip(arrays, found, strict=True)
    ]


def _on_numpy(op, arrays, options):
    arrays = _to_numpy(_in_float32(op, arrays))
    return torch.from_numpy(numpy.run(op, arrays, options, torch.get_num_threads()))


def _gradient_on_numpy(op, g, y, arrays, wanted, options):
    if op.result is None:
        return _LAST_GRADIENT["device"](op, g, y, arrays, wanted, options)
    wide = _in_float32(op, arrays)
    if y is None and "y" in op.reads:
        y = run(op, wide, options)
    *wide, g, y = _to_numpy((*wide, g.float() if g.dtype in HALF else g, y))
    if wide[0] is None:  # not read but for its shape
        wide[0] = y
    found = numpy.pull(op, g, y, wide, wanted, options, torch.get_num_threads())
    return _as(arrays, [None if a is None else torch.from_numpy(a) for a in found])


def _to_numpy(arrays):
    return [None if a is None else a.detach().resolve_neg().numpy() for a in arrays]


_LAST, _LAST_GRADIENT = {}, {}
_LAST["any"], _LAST_GRADIENT["any"] = _formula(xp, _core.by_formula(xp))
_LAST["device"], _LAST_GRADIENT["device"] = _formula(memory, lambda op, *arrays, **options: run(op, arrays, options))
_LAST["host"], _LAST_GRADIENT["host"] = _on_numpy, _gradient_on_numpy


# Slices that lie along memory ----------------------------------------------------------------------------------------


def _fits_rows(x, axes):
    return axes == (x.ndim - 1,) and x.numel() > 0 and (x.numel() <= LARGE or x.shape[-1] >= MANY) and x.is_contiguous()


def _along_rows(arrays, options):
    """A softmax of one axis that lies along memory, without a mask."""
    x, where = arrays
    return where is None and not options.get("zero_if_empty") and _fits_rows(x, options["axis"])


def _along_rows_of_y(g, y, arrays, options):
    x, where = arrays
    return where is None and not options.get("zero_if_empty") and _fits_rows(x if y is None else y, options["axis"])


def _by_rows(kernel):
    def value(arrays, options):
        x = arrays[0]
        return kernel(x) if x.ndim == 2 else kernel(rows.flat(x)).view(x.shape)

    return value


def _gradient_by_rows(kernel, of_half):
    def gradient(g, y, arrays, options):
        x = arrays[0] if y is None else y
        run = of_half if y is None else kernel
        return run(g, x) if x.ndim == 2 else run(rows.flat(g), rows.flat(x)).view(x.shape)

    return gradient


def _logsumexp(arrays, options):
    x = arrays[0]
    y = rows.logsumexp(rows.flat(x))
    return y.view(*x.shape[:-1], 1) if options.get("keepdims") else y.view(x.shape[:-1])


def _logsumexp_gradient(g, y, arrays, options):
    x = arrays[0]
    return rows.logsumexp_gradient(g.reshape(-1, 1), rows.flat(x)).view(x.shape)


def _loss_along_rows(arrays, options):
    x, targets, _, _, where = arrays
    if where is not None or options["label_smoothing"] or options["z_loss"] or targets.is_floating_point():
        return False
    return _fits_rows(x, (options["axis"],))


def _plain_along_rows(arrays, options):
    """As above, and nothing but class indices that are known to exist is beside the logits."""
    _, targets, weight, sample_weight, _ = arrays
    return (
        weight is sample_weight is options["ignore_index"]
        and options.get("checked", False)
        and targets.dtype is torch.int64
        and _loss_along_rows(arrays, options)
    )


def _plain_loss(arrays, options):
    x, targets, *_ = arrays
    if x.ndim == 2:
        return rows.surprisal(x, targets)
    return rows.surprisal(rows.flat(x), targets.reshape(-1)).view(targets.shape)


def _loss(arrays, options):
    x, targets, *others = arrays
    return _core.OPS["cross_entropy"].formula(x, targets, *_wide(others), xp=host, **options)  # asks for the surprisal


def _plain_loss_gradient(g, y, arrays, options):
    x, targets, *_ = arrays
    if x.ndim == 2:
        return rows.logit_gradient(x, targets, g)
    return rows.logit_gradient(rows.flat(x), targets.reshape(-1), g.reshape(-1)).view(x.shape)


def _loss_gradient(g, y, arrays, options):
    """A cotangent is one more weight of the sample; a dropped sample has none, whatever its row holds."""
    x, targets, *others = arrays
    weight, sample_weight, _ = _wide(others)
    read = {name: options.get(name, False) for name in ("axis", "ignore_index", "checked")}
    known = read_samples(x, targets, weight, sample_weight, xp=host, **read)
    one = torch.empty((), dtype=g.dtype).expand(x.shape)  # for its dtype
    factor = WEIGHTS.formula(one, targets, weight, sample_weight, xp=host, **read)
    factor = factor * torch.where(factor == 0, 0.0, g)
    y = rows.logit_gradient(rows.flat(x), known.index.reshape(-1), factor.reshape(-1))
    if known.kept is not None:
        dropped = torch.nonzero(~known.kept.reshape(-1)).squeeze(1)
        if len(dropped):
            y[dropped] = factor.reshape(-1, 1)[dropped].to(y.dtype)  # 0, or NaN for what is no class
    return y.view(x.shape)


# Element by element --------------------------------------------------------------------------------------------------

_KERNELS: dict[str, Any] = {
    "sigmoid": torch.sigmoid,
    "log_sigmoid": functional.logsigmoid,
    "softplus": lambda x: functional.logsigmoid(-x).neg_(),
}


class _Tiles(tiles.Tiles):
    turns = False

    @staticmethod
    def strides(x):
        return x.stride()

    @staticmethod
    def empty(shape, dtype, like):
        return torch.empty_like(like, dtype=dtype) if shape == tuple(like.shape) else torch.empty(shape, dtype=dtype)


def _over_tiles(op, arrays, options, results, dtype, compute):
    """What ``compute`` makes of the arrays in float32 or float64: of a tile at a time, if there are several."""
    x = arrays[0]
    reach = TILE // max(x.itemsize, 4)
    if x.numel() <= reach:
        return compute(_wide((*arrays, *results))).to(dtype)
    cut = _Tiles(op, arrays, options, reach, host, results)
    return cut.run("element", dtype, lambda tile, room: compute(_wide(tile)))


def _by_tiles(op):
    def value(arrays, options):
        dtype = torch.float32 if op.weights is not None and arrays[0].dtype in HALF else arrays[0].dtype
        return _over_tiles(op, arrays, options, (), dtype, lambda tile: op.formula(*tile, xp=host, **options))

    return value


def _gradient_by_tiles(op):
    wanted = (True, *(False,) * (len(op.inputs) - 1))

    def gradient(g, y, arrays, options):
        def compute(tile):
            *tile, of_g, of_y = tile
            if of_y is None and "y" in op.reads:
                of_y = op.formula(*tile, xp=host, **options)
            return op.vjp(of_g, of_y, tuple(tile), wanted, _do_on_host, host, **options)[0]

        return _over_tiles(op, arrays, options, (g, y), arrays[0].dtype, compute)

    return gradient


def _do_on_host(op, *arrays, **options):
    """Of a few elements by PyTorch's kernel, which is one call."""
    if op.name in _KERNELS and arrays[0].numel() < GRAIN:
        return _KERNELS[op.name](*arrays)
    return op.formula(*arrays, xp=host, **options)


# Everything together -------------------------------------------------------------------------------------------------


def _reduced(arrays, options):
    losses, _ = arrays
    return losses.mean() if options["mean"] else losses.sum()


# With a gradient of PyTorch's own ------------------------------------------------------------------------------------
#
# The native result with its graph, where its values show that value and derivatives are accurate; None where not. It is
# the same to the bit as what the ways and their gradients give, where these have nothing to mend.


def _softmax_with_graph(arrays, options):
    """No dominant element, and none of 0, which would make NaN of an infinite cotangent."""
    y = torch.softmax(arrays[0], arrays[0].ndim - 1)
    values = y.detach().numpy()
    return y if values.max() <= 0.5 and values.min() > 0.0 else None


def _log_softmax_with_graph(arrays, options):
    y = torch.log_softmax(arrays[0], arrays[0].ndim - 1)
    return y if y.detach().numpy().max() < -math.log(2.0) else None


def _loss_with_graph(arrays, options):
    """No target that is likely, and no class that is certain, of which a second derivative is made."""
    x, targets, *_ = arrays
    log_p = torch.log_softmax(x, 1)
    y = functional.nll_loss(log_p, targets, reduction="none")
    if log_p.detach().numpy().max() < math.log(LIKELY) and y.detach().numpy().min() > UNSURE:
        return y
    return None


def _is_steady(arrays, options):
    x = arrays[0]
    return x.numel() <= GRAIN and rows.is_steady(x) and x.dtype not in HALF and _along_rows(arrays, options)


def _is_steady_loss(arrays, options):
    x = arrays[0]
    steady = x.ndim == 2 and x.numel() <= GRAIN and rows.is_steady(x) and x.dtype not in HALF
    return steady and _plain_along_rows(arrays, options)


def with_graph(op, arrays, options):
    """What PyTorch differentiates by itself, as accurately; None where that is nothing."""
    way = GRAPHS.get(op.name)
    return way.run(arrays, options) if way is not None and way.fits(arrays, options) else None


# The table -----------------------------------------------------------------------------------------------------------


def _always(*_):
    return True


def _on_device(function):
    def value(arrays, options):
        return function(arrays[0], *options["axis"])

    return value


def _gradient_on_device(function):
    def gradient(g, y, arrays, options):
        return function(g, y, *options["axis"])

    return gradient


def _one_axis(*args):
    """Of softmax and log_softmax: one axis and no mask; and, of a gradient, the result that it is made of."""
    *g_and_y, arrays, options = args
    whole = len(options["axis"]) == 1 and not options.get("zero_if_empty") and (len(arrays) < 2 or arrays[1] is None)
    shape = g_and_y[1] if g_and_y else arrays[0]
    return whole and shape is not None and 0 not in shape.shape


def _is_a_subclass(arrays, options):
    """What answers to a softmax of its own need not have what the formula takes."""
    return not is_traced() and not is_wrapped(arrays[0]) and _one_axis(arrays, options)


def _is_short(arrays, options):
    return arrays[0].numel() < GRAIN


def _shows_no_threads(arrays, options):
    """Not PyTorch's sigmoid of mapped or recorded tensors on the host: how it is shared out shows in its digits."""
    return not is_traced() and not (arrays[0].is_cpu and arrays[0].numel() >= GRAIN)


def _is_small_sum(arrays, options):
    return arrays[1] is None and 0 < arrays[0].numel() < GRAIN


# (op, place): ways to a value, in order of preference. Where none fits, the formula runs (host: on NumPy, over tiles).
VALUES: dict[tuple[str, str], tuple[Way, ...]] = {
    ("softmax", "host"): (Way(_along_rows, _by_rows(rows.softmax)),),
    ("log_softmax", "host"): (Way(_along_rows, _by_rows(rows.log_softmax)),),
    ("logsumexp", "host"): (Way(_along_rows, _logsumexp),),
    ("cross_entropy", "host"): (Way(_plain_along_rows, _plain_loss), Way(_loss_along_rows, _loss)),
    ("reduction", "host"): (Way(_is_small_sum, _reduced),),
    ("softmax", "device"): (Way(_one_axis, _on_device(device.softmax)),),
    ("log_softmax", "device"): (Way(_one_axis, _on_device(device.log_softmax)),),
    ("softmax", "any"): (Way(_is_a_subclass, _on_device(device.softmax)),),
}
GRADIENTS: dict[tuple[str, str], tuple[Way, ...]] = {
    ("softmax", "host"): (
        Way(
            _along_rows_of_y,
            _gradient_by_rows(rows.softmax_gradient, rows.of_half(rows.softmax_gradient, rows.softmax)),
        ),
    ),
    ("log_softmax", "host"): (
        Way(
            _along_rows_of_y,
            _gradient_by_rows(rows.log_softmax_gradient, rows.of_half(rows.log_softmax_gradient, rows.log_softmax)),
        ),
    ),
    ("logsumexp", "host"): (Way(lambda g, y, *call: _along_rows(*call), _logsumexp_gradient),),
    ("cross_entropy", "host"): (
        Way(lambda g, y, *call: _plain_along_rows(*call), _plain_loss_gradient),
        Way(lambda g, y, *call: _loss_along_rows(*call), _loss_gradient),
    ),
    ("softmax", "device"): (Way(_one_axis, _gradient_on_device(device.softmax_gradient)),),
    ("log_softmax", "device"): (Way(_one_axis, _gradient_on_device(device.log_softmax_gradient)),),
}
# Small tensors on the host whose gradient is wanted: a Function of ours costs more than all of their arithmetic.
GRAPHS = {
    "softmax": Way(_is_steady, _softmax_with_graph),
    "log_softmax": Way(_is_steady, _log_softmax_with_graph),
    "cross_entropy": Way(_is_steady_loss, _loss_with_graph),
}
for _name, _kernel in _KERNELS.items():
    _run = lambda arrays, options, kernel=_kernel: kernel(*arrays)
    _op = _core.OPS[_name]
    VALUES[_name, "host"] = (Way(_is_short, _run), Way(_always, _by_tiles(_op)))
    VALUES[_name, "device"] = (Way(_always, _run),)
    VALUES[_name, "any"] = (Way(_shows_no_threads, _run),)
    GRADIENTS[_name, "host"] = (Way(_always, _gradient_by_tiles(_op)),)
_BINARY = _core.OPS["binary_cross_entropy_with_logits"]
VALUES[_BINARY.name, "host"] = (Way(_always, _by_tiles(_BINARY)),)
GRADIENTS[_BINARY.name, "host"] = (Way(_always, _gradient_by_tiles(_BINARY)),)
