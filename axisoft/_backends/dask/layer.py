"""A linear layer's loss: a block of logits is the product of a block of samples and one of classes, made where it is
wanted, and made again for the gradient."""

from __future__ import annotations

import dask.array as da
import numpy as np

from axisoft import _core
from axisoft._backends import linear
from axisoft._core.linear import logits
from axisoft._core.losses import CROSS_ENTROPY
from axisoft._core.stable import product


class How(linear.How):
    """``do`` : how an op runs."""

    def __init__(self, xp, do):
        super().__init__(xp)
        self.do = do

    def run(self, op, arrays, options):
        return self.do(op, *arrays, **options)


def evaluate(arrays, how, vjp, wanted=(False,) * 7, *, chunk, soft_cap, reduction, **options):
    """The value, and the function from its cotangent to those of the arrays."""
    xp = how.xp
    layer = linear.Layer.of(how, arrays, wanted[2], chunk=chunk, soft_cap=soft_cap, reduction=reduction, **options)
    x, matrix, targets, bias, weight, sample_weight, where = layer.arrays
    x = x if layer.given is None else how.cast(x, layer.given)
    x = how.cast(x if chunk is None else x.rechunk({0: chunk}), layer.entry)
    x, *_ = how.without((x,), None if layer.kept is None else layer.kept[:, None])
    z, slope = logits(x, matrix, bias, soft_cap, how)
    given = (z, targets, weight, sample_weight, where)
    casts = {"given": None, "dtype": None, "out": np.dtype(layer.dtype)}
    more = {**layer.options, **casts, "reduction": reduction, "weighted": layer.weights is not None}
    del more["soft_cap"]
    if not any(wanted):
        return _shaped(_core.evaluate(how.do, CROSS_ENTROPY, given, xp=xp, **more), layer.batch), None
    varies = (True, wanted[2], False, False, False)
    y, pull = _core.pullback(how.do, CROSS_ENTROPY, given, varies, vjp=vjp, xp=xp, **more)

    def back(g):
        gz, gt, *_ = pull(g if g is None or reduction != "none" else g.reshape(-1))
        gz = gz if slope is None else product(gz, slope, xp)
        dx = how.matmul(gz, matrix) if wanted[0] else None
        if dx is not None and layer.kept is not None:
            dx = da.where(layer.kept[:, None], dx, 0.0)
        found = dx, how.matmul(gz.T, x) if wanted[1] else None, gt, da.sum(gz, axis=0) if wanted[3] else None
        pairs = zip(found, arrays, strict=False)
        return [*(None if a is None else how.cast(a.reshape(b.shape), b.dtype) for a, b in pairs), None, None, None]

    return _shaped(y, layer.batch), back


def _shaped(y, batch):
    return y if y.ndim == 0 else y.reshape(batch)
