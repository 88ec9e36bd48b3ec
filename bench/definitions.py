"""What each piece of work gives by its definition, in float64 NumPy and by no library under test."""

from __future__ import annotations

import numpy as np

AND_GRADIENT = " and gradient"
FAMILY = ("softmax", "log_softmax", "logsumexp")
ELEMENTWISE = ("sigmoid", "log_sigmoid", "softplus")
BINARY = "binary_cross_entropy_with_logits"
LOSSES = ("cross_entropy", BINARY)
STEP = "training step"
CLASSES = 1000  # of the network that it trains


def expected(work: str, x: np.ndarray, targets: np.ndarray, cotangent: np.ndarray, axis: int) -> list[np.ndarray]:
    """The value; and, if the work has it, the gradient along x."""
    function = work.removesuffix(AND_GRADIENT)
    x, g = x.astype(np.float64), cotangent.astype(np.float64)
    if function in FAMILY:
        found = _of_slices(function, x, g, axis)
    elif function == "cross_entropy":
        found = _cross_entropy(x, targets, axis)
    else:
        found = _of_elements(function, x, targets, g)
    return list(found) if work.endswith(AND_GRADIENT) else [found[0]]


def _softmax(x: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Softmax, its logarithm and logsumexp."""
    m = x.max(axis=axis, keepdims=True)
    x = x - m
    e = np.exp(x)
    s = e.sum(axis=axis, keepdims=True)
    e /= s
    x -= np.log(s)
    return e, x, np.squeeze(m + np.log(s), axis=axis)


def _of_slices(function: str, x: np.ndarray, g: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    p, log, lse = _softmax(x, axis)
    if function == "softmax":
        return p, p * (g - np.sum(p * g, axis=axis, keepdims=True))
    if function == "log_softmax":
        return log, g - p * np.sum(g, axis=axis, keepdims=True)
    return lse, p * np.expand_dims(g, axis)


def _cross_entropy(x: np.ndarray, targets: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    p, log, _ = _softmax(x, axis)
    at = np.expand_dims(targets, axis)
    np.put_along_axis(p, at, np.take_along_axis(p, at, axis=axis) - 1, axis=axis)
    return -np.mean(np.take_along_axis(log, at, axis=axis)), p / targets.size


def _of_elements(function: str, x: np.ndarray, t: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    e = np.exp(-np.abs(x))
    tail, up, down = np.log1p(e), np.where(x < 0, e, 1) / (1 + e), np.where(x < 0, 1, e) / (1 + e)
    if function == "sigmoid":
        return up, g * up * down
    if function == "log_sigmoid":
        return np.minimum(x, 0) - tail, g * down
    if function == "softplus":
        return np.maximum(x, 0) + tail, g * up
    return np.mean(np.maximum(x, 0) - x * t + tail), (up - t) / x.size
