"""All the mathematics: pure Array API code that knows no library. ``OPS`` has a row per public function."""

from collections.abc import Callable, Sequence
from typing import Any

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

__all__ = ["OPS", "Op", "Promise", "by_formula", "evaluate"]


def by_formula(xp: Any) -> Callable[..., Any]:
    """The ``do`` that runs every op as it is written, for arrays that nobody differentiates through."""

    def do(op: Op, *arrays: Any, **options: Any) -> Any:
        return op.formula(*arrays, xp=xp, **options)

    return do


def evaluate(
    do: Callable[..., Any],
    op: Op,
    arrays: Sequence[Any],
    *,
    xp: Any,
    given: Any,
    dtype: Any,
    out: Any,
    floats: tuple[int, ...] = (),
    reduction: str = "none",
    weighted: bool = False,
    **static: Any,
) -> Any:
    """Cast, run the op, reduce, cast back: what every public function does once its arguments are checked.

    The first array is cast to ``given``, if that is not None, and then to ``dtype``, which the op computes in; so are
    the arrays at the positions ``floats``: weights and soft targets, but neither indices nor masks. ``weighted`` says
    whether a mean has weights to divide by, or counts the losses.
    """
    arrays = list(arrays)
    if given is not None:
        arrays[0] = xp.astype(arrays[0], given, copy=False)
    for i in (0, *floats):
        if arrays[i] is not None:
            arrays[i] = xp.astype(arrays[i], dtype, copy=False)
    y = do(op, *arrays, **static)
    if reduction != "none":
        weights = do(op.weights, *arrays, **static) if weighted and reduction == "mean" else None
        y = do(REDUCTION, y, weights, mean=reduction == "mean")
    return xp.astype(y, out, copy=False)
