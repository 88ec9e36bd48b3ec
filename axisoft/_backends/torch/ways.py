"""Which way an op runs, for a value and for a gradient: the table, and nothing else decides.

A call is one of three, by what may be done with its tensors: on the ``host`` nobody else sees them, and they are also
NumPy's arrays; on a ``device`` they are memory that no value may be read from; ``any`` stands for all else: what is
traced, mapped, recorded, a subclass. Shapes, layouts and dtypes decide then, never values. The first way that fits is
taken.

float16 and bfloat16 stay what they are up to here. A way computes them in float32, piece by piece, and rounds once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from axisoft import _core
from axisoft._backends.torch import along_rows, device, rows
from axisoft._backends.torch.elements import KERNELS, by_blocks, gradient_by_blocks, shows_no_threads
from axisoft._backends.torch.fallback import formula, gradient_on_numpy, on_numpy
from axisoft._backends.torch.limits import GRAIN, STEADY_ACROSS
from axisoft._backends.torch.namespace import memory, xp
from axisoft._backends.torch.watch import are_memory, are_plain, innermost, is_traced, is_wrapped


def place(arrays):
    if are_plain(arrays):
        return "host"
    return "device" if not is_traced() and are_memory(arrays) else "any"


@dataclass(frozen=True)
class Way:
    """One way for an op.

    fits : of ``(arrays, options)``, whether it is accurate for them and worth it; what it is for, where it always is.
    run : ``(arrays, options)`` to the result; for a gradient ``(g, y, arrays, options)`` to the cotangent of the first.
    shares : whether a way to a value takes a list as well, and leaves in it the way to that cotangent from g.
    """

    fits: Callable[..., bool]
    run: Callable[..., Any]
    shares: bool = False


def run(op, arrays, options, where=None, shared=None):
    """An op without derivatives, in whatever way is best for such arrays. ``where`` : their place, if it is known."""
    where = where or place(arrays)
    for way in VALUES.get((op.name, where), ()):
        if way.fits(arrays, options):
            return way.run(arrays, options, shared) if way.shares else way.run(arrays, options)
    return _LAST[where](op, arrays, options)


def pull(op, g, y, arrays, wanted, options, where=None):
    """An op's rule, without derivatives of its own: the cotangents of the arrays."""
    where = where or place((*arrays, g, y))
    if wanted[0] and not any(wanted[1:]):
        for way in GRADIENTS.get((op.name, where), ()):
            if way.fits(g, y, arrays, options):
                return [way.run(g, y, arrays, options), *[None] * (len(arrays) - 1)]
    return _LAST_GRADIENT[where](op, g, y, arrays, wanted, options)


def both(op, g, arrays, wanted, options, where):
    """A value and its cotangents, of arrays the first of which nobody uses again."""
    if wanted[0] and not any(wanted[1:]):
        for way in STEPS.get((op.name, where), ()):
            if way.fits(arrays, options):
                return way.run(g, arrays)
    y = run(op, arrays, options, where)
    return y, pull(op, g, y, arrays, wanted, options, where)


_LAST, _LAST_GRADIENT = {}, {}
_LAST["any"], _LAST_GRADIENT["any"] = formula(xp, _core.by_formula(xp))
_LAST["device"], _LAST_GRADIENT["device"] = formula(memory, lambda op, *arrays, **options: run(op, arrays, options))
_LAST["host"], _LAST_GRADIENT["host"] = on_numpy, gradient_on_numpy


def _reduced(arrays, options):
    losses, _ = arrays
    if 0 < losses.numel() < GRAIN:
        return torch.mean(losses) if options["mean"] else torch.sum(losses)
    whole = rows.sum_of_all(losses)
    return whole / max(losses.numel(), 1) if options["mean"] else whole


# The table -----------------------------------------------------------------------------------------------------------


def _always(*_):
    return True


def _on_numpy(name):
    return lambda arrays, options: on_numpy(_core.OPS[name], arrays, options)


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


def _sums_well(arrays, options):
    """Not one term after another to a dominant one, whose rounding the sum of the result does not tell."""
    x = arrays[0]
    if not _one_axis(arrays, options):
        return False
    (axis,) = options["axis"]
    return x.shape[axis] <= STEADY_ACROSS or (axis == x.ndim - 1 and x.is_contiguous())


def _is_a_subclass(arrays, options):
    """What answers to a softmax of its own need not have what the formula takes."""
    return not is_traced() and not is_wrapped(arrays[0]) and _one_axis(arrays, options)


def _is_whole(arrays, options):
    return shows_no_threads(arrays[0])


def _is_below_grain(arrays, options):
    """Mapped or recorded tensors on the host need not lie as they seem to, nor be all that there is."""
    return not is_traced() and not (arrays[0].is_cpu and innermost(arrays[0]).numel() >= GRAIN)


def _has_no_weights(arrays, options):
    return arrays[1] is None


# (op, place): ways to a value, in order of preference. Where none fits, the formula runs (host: on NumPy, over tiles).
VALUES: dict[tuple[str, str], tuple[Way, ...]] = {
    ("softmax", "host"): (Way(along_rows.fits, along_rows.by(rows.softmax)),),
    ("log_softmax", "host"): (
        Way(along_rows.fits_few, _on_numpy("log_softmax")),
        Way(along_rows.fits, along_rows.by(rows.log_softmax)),
    ),
    ("logsumexp", "host"): (
        Way(along_rows.fits_few, _on_numpy("logsumexp")),
        Way(along_rows.fits, along_rows.logsumexp),
    ),
    ("cross_entropy", "host"): (
        Way(along_rows.fits_plain_loss, along_rows.plain_loss, shares=True),
        Way(along_rows.fits_loss, along_rows.loss),
    ),
    ("reduction", "host"): (Way(_has_no_weights, _reduced),),
    ("softmax", "device"): (Way(_sums_well, _on_device(device.softmax)),),
    ("log_softmax", "device"): (Way(_one_axis, _on_device(device.log_softmax)),),
    ("softmax", "any"): (Way(_is_a_subclass, _on_device(device.softmax)),),
}
GRADIENTS: dict[tuple[str, str], tuple[Way, ...]] = {
    ("softmax", "host"): (Way(along_rows.fits_gradient, along_rows.gradient_by(rows.softmax_gradient, rows.softmax)),),
    ("log_softmax", "host"): (
        Way(along_rows.fits_gradient, along_rows.gradient_by(rows.log_softmax_gradient, rows.log_softmax)),
    ),
    ("logsumexp", "host"): (Way(lambda g, y, *call: along_rows.fits(*call), along_rows.logsumexp_gradient),),
    ("cross_entropy", "host"): (
        Way(lambda g, y, *call: along_rows.fits_plain_loss(*call), along_rows.plain_loss_gradient),
        Way(lambda g, y, *call: along_rows.fits_loss(*call), along_rows.loss_gradient),
    ),
    ("softmax", "device"): (Way(_one_axis, _gradient_on_device(device.softmax_gradient)),),
    ("log_softmax", "device"): (Way(_one_axis, _gradient_on_device(device.log_softmax_gradient)),),
}
# Both at once, where that is better.
STEPS: dict[tuple[str, str], tuple[Way, ...]] = {
    ("cross_entropy", "host"): (Way(along_rows.fits_step, along_rows.step),),
}
for _name, _kernel in KERNELS.items():
    _run = lambda arrays, options, kernel=_kernel: kernel(*arrays)
    _op = _core.OPS[_name]
    VALUES[_name, "host"] = (Way(_is_whole, _run), Way(_always, by_blocks(_op)))
    VALUES[_name, "device"] = (Way(_always, _run),)
    VALUES[_name, "any"] = (Way(_is_below_grain, _run),)
    GRADIENTS[_name, "host"] = (Way(_always, gradient_by_blocks(_op)),)
_BINARY = _core.OPS["binary_cross_entropy_with_logits"]
VALUES[_BINARY.name, "host"] = (Way(_always, by_blocks(_BINARY)),)
GRADIENTS[_BINARY.name, "host"] = (Way(_always, gradient_by_blocks(_BINARY)),)
