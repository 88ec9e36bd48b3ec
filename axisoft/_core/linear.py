"""Cross-entropy of a linear layer, whose logits are never all there: one tile of samples after another.

The logits are ``x matrix^T + bias`` or, with a soft cap, ``cap tanh(that / cap)``; what they mean is cross_entropy's.
A tile's losses and its part of every gradient are made together, while its logits are there: the cotangents of the
logits, of the size of the tile, go into two products with what the logits were made of. So a step takes three products,
like one that has all logits, and nothing as large as these.
"""

from __future__ import annotations

from typing import Any, Protocol

from axisoft._core.losses import CROSS_ENTROPY
from axisoft._core.op import Op
from axisoft._core.stable import over, product
from axisoft._core.weights import WEIGHTS

# Bytes of a tile of logits, and the fewest samples of one: a product of fewer reads the matrix for too little.
TILE = 3 << 24
LEAST = 128


def samples_of_a_tile(n, classes, size, chunk=None):
    """``size`` : bytes of a logit. ``chunk`` : how many the caller asks for."""
    return max(min(n, chunk or max(TILE // max(classes * size, 1), LEAST)), 1)


class How(Protocol):
    """How a backend runs what a tile needs."""

    xp: Any

    def matmul(self, a: Any, b: Any) -> Any:
        """The product of two matrices, in the dtype that losses are computed in, and in memory of its own."""

    def run(self, op: Op, arrays: Any, options: Any) -> Any: ...

    def both(self, op: Op, g: Any, arrays: Any, wanted: Any, options: Any) -> Any:
        """What it gives, and the cotangents of the arrays, the first of which may be overwritten."""


def logits(x, matrix, bias, soft_cap, how):
    """The logits, and the derivative of the cap where they are: ``1 - tanh^2``, in a form that keeps its digits."""
    xp = how.xp
    z = how.matmul(x, xp.matrix_transpose(matrix))
    if bias is not None:
        z = over("add", xp, z, xp.astype(bias, z.dtype, copy=False))
    if soft_cap is None:
        return z, None
    e = xp.exp(xp.abs(z) * (-2.0 / soft_cap))
    return soft_cap * xp.tanh(z / soft_cap), 4.0 * e / ((1.0 + e) * (1.0 + e))


def losses(arrays, how, *, soft_cap, **options):
    x, matrix, targets, bias, *weights = arrays
    z, _ = logits(x, matrix, bias, soft_cap, how)
    return how.run(CROSS_ENTROPY, (z, targets, *weights), options)


def step(g, arrays, how, wanted, *, soft_cap, **options):
    """A tile's losses; and from their cotangents those of ``x matrix^T``, targets, weight and sample_weight.

    ``wanted`` : which of the last three.
    """
    x, matrix, targets, bias, *weights = arrays
    z, slope = logits(x, matrix, bias, soft_cap, how)
    given = (z, targets, *weights)
    y, (gz, *others, _) = how.both(CROSS_ENTROPY, g, given, (True, *wanted, False), options)
    return y, gz if slope is None else product(gz, slope, how.xp), others


def weigh(arrays, dtype, how, g=None, *, soft_cap, **options):
    """What each sample weighs in a mean, which needs no logits; or, from its cotangent, that of the targets."""
    x, matrix, targets, _, weight, sample_weight, where = arrays
    one = how.xp.zeros((1, 1), dtype=dtype, **on_device_of(x))
    like = how.xp.broadcast_to(one, (targets.shape[0], matrix.shape[0]))
    given = like, targets, weight, sample_weight, where
    if g is None:
        return how.run(WEIGHTS, given, options)
    return WEIGHTS.vjp(g, None, given, (False, True, False, False, False), None, how.xp, **options)[1]


def on_device_of(x):
    return {"device": x.device} if getattr(x, "device", None) is not None else {}


def _whole(*arrays, xp, **options):
    raise NotImplementedError  # a backend runs it by tiles


INPUTS = ("features", "matrix", "targets", "bias", "weight", "sample_weight", "where")
LINEAR_CROSS_ENTROPY = Op("linear_cross_entropy", _whole, _whole, _whole, INPUTS)
