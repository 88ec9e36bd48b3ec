"""All the mathematics: pure Array API code that knows no library. ``OPS`` has a row per public function."""

from collections.abc import Callable, Sequence
from typing import Any

from axisoft._core.binary import BINARY_CROSS_ENTROPY
from axisoft._core.linear import LINEAR_CROSS_ENTROPY
from axisoft._core.losses import CROSS_ENTROPY, NLL_LOSS
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
# By name, with those that have no golden values of their own.
NAMED = OPS | {LINEAR_CROSS_ENTROPY.name: LINEAR_CROSS_ENTROPY}

__all__ = [
    "LINEAR_CROSS_ENTROPY",
    "NAMED",
    "OPS",
    "REDUCTION",
    "Op",
    "Promise",
    "by_formula",
    "cast",
    "evaluate",
    "pullback",
]


def by_formula(xp: Any) -> Callable[..., Any]:
    """The ``do`` that runs every op as it is written, for arrays that nobody differentiates through."""

    def do(op: Op, *arrays: Any, **options: Any) -> Any:
        return op.formula(*arrays, xp=xp, **options)

    return do


def evaluate(do: Callable[..., Any], op: Op, arrays: Sequence[Any], **options: Any) -> Any:
    """Cast, run the op, reduce, cast back: what every public function does once its arguments are checked."""
    return _forward(do, op, arrays, **options)[0]


def pullback(
    do: Callable[..., Any],
    op: Op,
    arrays: Sequence[Any],
    wanted: Sequence[bool],
    *,
    vjp: Callable[..., Any] = lambda op, *args, **static: op.vjp(*args, **static),
    **options: Any,
) -> tuple[Any, Callable[[Any], list[Any]]]:
    """As ``evaluate``; and the function from a cotangent of the result to those of the arrays, None where not wanted.

    No cotangent at all stands for one of ones. ``vjp`` runs the rule of an op.
    """
    result, (xp, given, y, weights, how, static) = _forward(do, op, arrays, **options)
    varies = any(wanted[1:])

    def pull(g: Any) -> list[Any]:
        g = xp.ones_like(result) if g is None else g
        g = xp.astype(g, y.dtype, copy=False)
        g_weights = None
        if how != "none":
            losses = (y, weights)
            wants = (True, weights is not None and varies)
            g, g_weights = REDUCTION.vjp(g, result, losses, wants, do, xp, mean=how == "mean")
        found = vjp(op, g, y, given, wanted, do, xp, **static)
        if g_weights is not None:
            assert op.weights is not None
            more = vjp(op.weights, g_weights, weights, given, (False, *wanted[1:]), do, xp, **static)
            found = [a if b is None else a + b for a, b in zip(found, more, strict=True)]
        return [
            xp.astype(g, a.dtype, copy=False) if want else None
            for g, a, want in zip(found, arrays, wanted, strict=True)
        ]

    return result, pull


def cast(arrays: Sequence[Any], given: Any, dtype: Any, floats: tuple[int, ...], xp: Any) -> list[Any]:
    """The arrays in the dtype that the op computes in.

    The first is cast to ``given``, if that is not None, and then to ``dtype``; so are the arrays at the positions
    ``floats``: weights and soft targets, but neither indices nor masks. They stay as they are if there is no dtype.
    """
    found = list(arrays)
    if given is not None:
        found[0] = xp.astype(found[0], given, copy=False)
    for i in (0, *floats) if dtype is not None else ():
        if found[i] is not None and found[i].dtype != dtype:
            found[i] = xp.astype(found[i], dtype)
    return found


def _forward(
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
) -> tuple[Any, tuple[Any, ...]]:
    """The result, and the steps on the way to it.

    ``weighted`` says whether a mean has weights to divide by, or counts the losses.
    """
    arrays = cast(arrays, given, dtype, floats, xp)
    result = y = do(op, *arrays, **static)
    weights = None
    if reduction != "none":
        weights = do(op.weights, *arrays, **static) if weighted and reduction == "mean" else None
        result = do(REDUCTION, y, weights, mean=reduction == "mean")
    if result.dtype != out:
        result = xp.astype(result, out)
    return result, (xp, arrays, y, weights, reduction, static)
