"""Binary cross-entropy, per element and in nats.

With L = log(1 + exp(-|x|)), softplus(x) = max(x, 0) + L and softplus(-x) = max(-x, 0) + L, and one of them is
L alone: two terms of one sign, with one transcendental for both.
"""

from __future__ import annotations

from axisoft._core.op import Op, Promise
from axisoft._core.sigmoid import SIGMOID, SOFTPLUS, tail
from axisoft._core.stable import over, product, sum_to
from axisoft._core.weights import times


def binary_cross_entropy(x, targets, pos_weight, sample_weight, *, xp):
    """``f (a softplus(-x) + b softplus(x))`` with a = pos_weight * target and b = 1 - target."""
    if pos_weight is None and hasattr(xp, "between") and hasattr(xp, "is_free_of_nan"):
        up = xp.maximum(x, 0.0)
        y = over("add", xp, tail(x, xp), xp.between(up, up - x, targets))
        if xp.is_free_of_nan(y):
            return _weighted(sample_weight, y, xp)
    a, b = times(pos_weight, targets), 1.0 - targets
    both = None if pos_weight is None else a + b  # 1 otherwise
    if hasattr(xp, "is_free_of_nan"):
        y = _costs(x, a, b, both, lambda factor, t: over("multiply", xp, t, factor), xp)
        if xp.is_free_of_nan(y):
            return _weighted(sample_weight, y, xp)
    return _weighted(sample_weight, _costs(x, a, b, both, lambda factor, t: product(factor, t, xp), xp), xp)


def _costs(x, a, b, both, weigh, xp):
    """``weigh(factor, t)`` : their product. Of an infinite logit, a cost that nothing asks for is 0 times infinity."""
    small = tail(x, xp)
    y = over("add", xp, small if both is None else weigh(both, small), weigh(b, xp.maximum(x, 0.0)))
    return over("subtract", xp, y, weigh(a, xp.minimum(x, 0.0)))


def _weighted(factor, y, xp):
    """``factor * y``, 0 at a factor of 0 even of what is not finite. The derivative along it is y, where that is."""
    return y if factor is None else product(factor, y, xp, lambda: (factor == 0) & ~xp.isfinite(y))


def _binary_slopes(arrays, wanted, do, xp):
    """The derivative of each element's loss along each of its arrays; None where it is not wanted."""
    x, targets, pos_weight, sample_weight = arrays
    slopes = [None] * 4
    if wanted[0]:
        slopes[0] = _weighted(sample_weight, _difference(x, targets, pos_weight, do, xp), xp)
    if wanted[1]:
        slopes[1] = _weighted(sample_weight, _weighted(pos_weight, do(SOFTPLUS, -x), xp) - do(SOFTPLUS, x), xp)
    if wanted[2]:
        slopes[2] = _weighted(sample_weight, _weighted(targets, do(SOFTPLUS, -x), xp), xp)
    if wanted[3]:
        unit = do(BINARY_CROSS_ENTROPY, x, targets, pos_weight, None)
        slopes[3] = xp.where((sample_weight == 0) & ~xp.isfinite(unit), 0.0, unit)
    return slopes


def _difference(x, targets, pos_weight, do, xp):
    """``b sigmoid(x) - a sigmoid(-x)``."""
    up, down = do(SIGMOID, x), do(SIGMOID, -x)
    if pos_weight is None and hasattr(xp, "between"):
        return xp.between(up, over("negative", xp, down), targets)
    up = over("multiply", xp, up, 1.0 - targets)
    return over("subtract", xp, up, over("multiply", xp, down, times(pos_weight, targets)))


def _dead(slope, arrays, xp):
    """Tells where a slope is 0 because the logit is infinite, or is NaN and has no weight."""
    return lambda: (slope == 0) & ~xp.isfinite(arrays[0])


def _binary_jvp(tangents, y, arrays, do, xp):
    slopes = _binary_slopes(arrays, [t is not None for t in tangents], do, xp)
    parts = [
        product(slope, t, xp, _dead(slope, arrays, xp))
        for slope, t in zip(slopes, tangents, strict=True)
        if t is not None
    ]
    return sum(parts[1:], parts[0])


def _binary_vjp(g, y, arrays, wanted, do, xp):
    slopes = _binary_slopes(arrays, wanted, do, xp)
    return tuple(
        None if slope is None else sum_to(product(slope, g, xp, _dead(slope, arrays, xp)), tuple(array.shape), xp)
        for slope, array in zip(slopes, arrays, strict=True)
    )


def _binary_weights(x, targets, pos_weight, sample_weight, *, xp):
    return sample_weight * xp.ones_like(x)


def _binary_weights_jvp(tangents, y, arrays, do, xp):
    return xp.zeros_like(y) if tangents[3] is None else tangents[3] * xp.ones_like(y)


def _binary_weights_vjp(g, y, arrays, wanted, do, xp):
    zeros = (xp.zeros_like(array) if want else None for array, want in zip(arrays[:3], wanted[:3], strict=True))
    return *zeros, sum_to(g, tuple(arrays[3].shape), xp) if wanted[3] else None


BINARY = ("logits", "targets", "pos_weight", "sample_weight")
BINARY_WEIGHTS = Op(
    "binary_weights", _binary_weights, _binary_weights_jvp, _binary_weights_vjp, BINARY, result="element"
)
BINARY_CROSS_ENTROPY = Op(
    "binary_cross_entropy_with_logits",
    binary_cross_entropy,
    _binary_jvp,
    _binary_vjp,
    BINARY,
    (Promise(4),),
    (Promise(8, None, ("terms",)),),
    BINARY_WEIGHTS,
    "element",
)
