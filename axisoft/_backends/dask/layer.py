"""A linear layer's loss: a block of logits is the product of a block of samples and one of classes, made where it is
wanted, and made again for the gradient."""

from __future__ import annotations

import math

import array_api_compat.dask.array as compat
import dask.array as da
import numpy as np

from axisoft import _core
from axisoft._core.losses import CROSS_ENTROPY
from axisoft._core.weights import WEIGHTS


def evaluate(arrays, do, vjp, wanted=(False,) * 7, *, given, dtype, chunk, soft_cap, reduction, **options):
    """The value, and the function from its cotangent to those of the arrays."""
    x, matrix, targets, bias, weight, sample_weight, where = arrays
    x = x if given is None else x.astype(given)
    x, matrix = x.astype(dtype), matrix.astype(dtype)
    weight, sample_weight = (None if a is None else a.astype(dtype) for a in (weight, sample_weight))
    batch, soft = x.shape[:-1], targets.ndim == x.ndim
    sample_weight = None if sample_weight is None else da.broadcast_to(sample_weight, batch).reshape(-1)
    if where is not None and math.prod(where.shape) in (1, matrix.shape[0]):
        shown = da.broadcast_to(where.reshape(-1), (matrix.shape[0],))  # what is hidden meets no product
        matrix = da.where(shown[:, None], matrix, 0.0)
        bias = None if bias is None else da.where(shown, bias, 0.0)
    if where is not None:
        where = da.broadcast_to(where, (*batch, matrix.shape[0])).reshape(-1, matrix.shape[0])
    x = x.reshape(-1, x.shape[-1])
    x = x if chunk is None else x.rechunk({0: chunk})
    targets = targets.reshape(-1, targets.shape[-1]).astype(dtype) if soft else targets.reshape(-1)
    if soft or weight is not None or sample_weight is not None or options["ignore_index"] is not None:
        like = da.broadcast_to(
            da.zeros((1, 1), dtype=dtype), (x.shape[0], matrix.shape[0]), chunks=(x.chunks[0], matrix.chunks[0])
        )
        kept = do(WEIGHTS, like, targets, weight, sample_weight, None, **options) != 0
        if wanted[2]:  # the targets, whose gradient is not 0 where all of them are
            kept = None if sample_weight is None else sample_weight != 0
        x, weighted = x if kept is None else da.where(kept[:, None], x, 0.0), True
    else:
        kept, weighted = None, False
    z, slope = _logits(x, matrix, bias, soft_cap)
    given_arrays = (z, targets, weight, sample_weight, where)
    how = {"reduction": reduction, "weighted": weighted, "given": None, "dtype": None, "out": np.dtype(dtype)}
    if not any(wanted):
        return _shaped(_core.evaluate(do, CROSS_ENTROPY, given_arrays, xp=compat, **how, **options), batch), None
    varies = (True, wanted[2], False, False, False)
    y, pull = _core.pullback(do, CROSS_ENTROPY, given_arrays, varies, vjp=vjp, xp=compat, **how, **options)

    def back(g):
        gz, gt, *_ = pull(g if g is None or reduction != "none" else g.reshape(-1))
        gz = gz if slope is None else gz * da.where(gz == 0, 0.0, slope)
        found = [
            gz @ matrix if wanted[0] else None,
            gz.T @ x if wanted[1] else None,
            gt,
            da.sum(gz, axis=0) if wanted[3] else None,
        ]
        if kept is not None and found[0] is not None:
            found[0] = da.where(kept[:, None], found[0], 0.0)
        found = [None if a is None else a.reshape(b.shape).astype(b.dtype) for a, b in zip(found, arrays, strict=False)]
        return [*found, None, None, None]

    return _shaped(y, batch), back


def _shaped(y, batch):
    return y if y.ndim == 0 else y.reshape(batch)


def _logits(x, matrix, bias, soft_cap):
    z = x @ matrix.T
    z = z if bias is None else z + bias.astype(z.dtype)
    if soft_cap is None:
        return z, None
    e = da.exp(da.abs(z) * (-2.0 / soft_cap))
    return soft_cap * da.tanh(z / soft_cap), 4.0 * e / ((1.0 + e) * (1.0 + e))
