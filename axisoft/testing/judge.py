"""The judge: a result beside the true value, in ulp, against a promise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from axisoft._core import OPS, Promise
from axisoft.testing.ulp import FORMATS, ulp

# What a sum or a mean over the samples may add to the error of a loss: the promise of the sum itself.
_REDUCTION_ULP = 4


@dataclass(frozen=True)
class Verdict:
    """How a result fared: the worst error in ulp, what was allowed there, and what is wrong with it, if anything."""

    ulp: float
    allowed: float
    wrong: str | None = None

    @property
    def ok(self) -> bool:
        return self.wrong is None

    @property
    def share(self) -> float:
        return self.ulp / self.allowed if self.allowed else 0.0


def judge(values: np.ndarray, dtype: str, case: Any, promise: Promise) -> Verdict:
    bits, smallest, largest = FORMATS[dtype]
    high, low = case.high, case.low
    # From half a spacing above the largest number on, the nearest number is infinity.
    over = np.abs(high) / 2 >= math.ldexp(1.0 - math.ldexp(1.0, -bits - 1), largest - 1)
    high = np.where(over, np.copysign(np.inf, high), high)
    exact = ~np.isfinite(high) | (high == 0)
    same = (values == high) | (np.isnan(values) & np.isnan(high))
    scale, allowed = _allowance(case, promise)
    # Below the normal numbers a library may flush to 0: there the promise is the smallest normal number itself. So it
    # may do with an entry of the Jacobian, before a cotangent multiplies it.
    flushed = 0.0 if case.cotangent is None else math.ldexp(float(np.sum(np.abs(case.cotangent))), smallest)
    with np.errstate(all="ignore"):
        error = np.abs((values - high) - low)
        error = np.maximum(error - flushed, 0.0) / ulp(np.maximum(np.abs(high), scale), dtype)
    below = np.abs(high) < math.ldexp(1.0, smallest)
    error = np.where(below & (np.abs(values) <= math.ldexp(1.0, smallest)), 0.0, error)
    error = np.where(exact, np.where(same, 0.0, np.inf), error)
    error = np.where(np.isnan(error), np.inf, error)
    if not error.size:
        return Verdict(0.0, float(promise.base))
    allowed = np.broadcast_to(allowed, error.shape)
    worst = int(np.argmax(error / allowed))
    verdict = Verdict(float(error[worst]), float(allowed[worst]))
    if verdict.ulp <= verdict.allowed:
        return verdict
    off = f"{verdict.ulp:.3g} ulp off" if math.isfinite(verdict.ulp) else "wrong"
    where = f"element {worst}: {values[worst]!r} instead of {high[worst]!r}, {off}, {verdict.allowed:.3g} allowed"
    return Verdict(verdict.ulp, verdict.allowed, f"{case.id}, {where} ({promise})")


def _allowance(case: Any, promise: Promise) -> tuple[np.ndarray, np.ndarray]:
    """The promise's scale beside the result itself, and its ulps, for each judged element."""
    reduced = case.options.get("reduction", "mean" if "targets" in case.arrays else "none") != "none"
    more = _REDUCTION_ULP if reduced else 0
    if case.scale is not None and case.slack is not None:
        return case.scale, np.asarray(promise.base + more + (case.slack if promise.slack else 0.0))
    first = OPS[case.function].inputs[0]
    x = case.arrays[first][1].astype(np.float64)
    if "where" in case.arrays:
        x = np.where(case.arrays["where"][1], x, -np.inf)
    axis: Any = case.options.get("axis", None if case.function == "logsumexp" else -1)
    axis = tuple(axis) if isinstance(axis, list) else axis
    keep = case.function in ("softmax", "log_softmax")  # one result per element, rather than per slice
    slack: Any = 0.0
    scale: Any = 1.0 if "1" in promise.scale else 0.0
    with np.errstate(all="ignore"):
        if promise.slack == "distance" and x.size:
            slack = _finite(np.max(x, axis=axis, keepdims=True) - x)
        if promise.slack == "gap" and x.size:
            slack = np.broadcast_to(_gap(x, axis), x.shape) if keep else np.squeeze(_gap(x, axis), axis=axis)
        if "x" in promise.scale and x.size:
            scale = np.maximum(scale, _finite(np.abs(np.max(x, axis=axis))))
    slack, scale = (np.asarray(a, dtype=np.float64).reshape(-1) for a in (slack, scale))
    if keep and case.pick is not None and slack.size > 1:
        slack = slack[list(case.pick)]
    if reduced:
        slack = np.max(slack, initial=0.0) + more
    return scale, np.asarray(promise.base + slack)


def _gap(x: np.ndarray, axis: Any) -> np.ndarray:
    """From the largest to the second largest of each slice; 0 where there is no second."""
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(a % x.ndim for a in axes)
    rest = tuple(a for a in range(x.ndim) if a not in axes)
    rows = np.transpose(x, (*rest, *axes)).reshape(*(x.shape[a] for a in rest), -1)
    if rows.shape[-1] < 2:
        gap = np.zeros(rows.shape[:-1])
    else:
        top = np.partition(rows, rows.shape[-1] - 2, axis=-1)[..., -2:]
        gap = _finite(top[..., 1] - top[..., 0])
    return np.asarray(gap.reshape(tuple(1 if a in axes else n for a, n in enumerate(x.shape))))


def _finite(a: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(a), a, 0.0)
