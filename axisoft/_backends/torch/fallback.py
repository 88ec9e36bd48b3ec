"""What fits anything: the formulas in a namespace, and on the host on NumPy, which runs them over tiles."""

from __future__ import annotations

import torch

from axisoft import _core
from axisoft._backends import numpy
from axisoft._backends.torch.limits import HALF, wide
from axisoft._backends.torch.namespace import memory


def formula(space, do):
    """``do`` : how a rule runs another op."""

    def last(op, arrays, options):
        return op.formula(*_in_float32(op, arrays), xp=space, **options)

    def last_gradient(op, g, y, arrays, wanted, options):
        given = _in_float32(op, arrays)
        if y is None and op.reads_result:
            y = do(op, *given, **options)
        return _as(arrays, op.vjp(*widened((g, y)), tuple(given), wanted, do, space, **options))

    return last, last_gradient


def widened(arrays):
    return [wide(a) for a in arrays]


def _in_float32(op, arrays):
    x = arrays[0]
    if op.name in ("weights", "binary_weights"):  # the shape of the logits tells, and no more
        x = torch.empty((), dtype=torch.float32 if x.dtype in HALF else x.dtype, device=x.device).expand(x.shape)
    return widened([x, *arrays[1:]])


def _as(arrays, found):
    """Cotangents in the dtype of the arrays they are of."""
    return [
        b if a is None or b is None or b.dtype == a.dtype else b.to(a.dtype) for a, b in zip(arrays, found, strict=True)
    ]


def on_numpy(op, arrays, options):
    arrays = _to_numpy(_in_float32(op, arrays))
    return torch.from_numpy(numpy.run(op, arrays, options, torch.get_num_threads()))


def gradient_on_numpy(op, g, y, arrays, wanted, options):
    if op.result is None:
        return _plain_gradient(op, g, y, arrays, wanted, options)
    given = _in_float32(op, arrays)
    if y is None and op.reads_result:
        y = on_numpy(op, given, options)
    *given, g, y = _to_numpy((*given, *widened((g, y))))
    found = numpy.pull(op, g, y, given, wanted, options, torch.get_num_threads())
    return _as(arrays, [None if a is None else torch.from_numpy(a) for a in found])


def _to_numpy(arrays):
    return [None if a is None else a.detach().resolve_neg().numpy() for a in arrays]


_, _plain_gradient = formula(memory, _core.by_formula(memory))
