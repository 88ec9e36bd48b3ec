"""All the mathematics: pure Array API code that knows no library. ``OPS`` has a row per public function."""

from axisoft._core.losses import BINARY_CROSS_ENTROPY, CROSS_ENTROPY, NLL_LOSS
from axisoft._core.op import Op, Promise
from axisoft._core.sigmoid import LOG_SIGMOID, SIGMOID, SOFTPLUS
from axisoft._core.softmax import LOG_SOFTMAX, LOGSUMEXP, SOFTMAX
from axisoft._core.weights import REDUCTION

OPS = {
    op.name: op
    for op in (
        SIGMOID,
        LOG_SIGMOID,
        SOFTPLUS,
        SOFTMAX,
        LOG_SOFTMAX,
        LOGSUMEXP,
        NLL_LOSS,
        CROSS_ENTROPY,
        BINARY_CROSS_ENTROPY,
    )
}

__all__ = ["OPS", "Op", "Promise", "evaluate"]


def evaluate(do, op, arrays, *, xp, dtype, out, reduction="none", weighted=False, **static):
    """Cast, run the op, reduce, cast back: what every public function does once its arguments are checked.

    The first array is what is cast to ``dtype``; weights and soft targets come in it, indices and masks stay what they
    are. ``weighted`` says whether a mean has weights to divide by, or counts the losses.
    """
    arrays = (xp.astype(arrays[0], dtype, copy=False), *arrays[1:])
    y = do(op, *arrays, **static)
    if reduction != "none":
        weights = do(op.weights, *arrays, **static) if weighted and reduction == "mean" else None
        y = do(REDUCTION, y, weights, mean=reduction == "mean")
    return xp.astype(y, out, copy=False)
