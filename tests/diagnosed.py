"""Inputs for the tests of ``diagnose``: for each kind of finding, one that has it and the nearest that does not."""

from __future__ import annotations

import math

import numpy as np
from helpers import made

import axisoft as ax
from axisoft import testing

NAN, INF = np.nan, np.inf
BINARY = {"loss": "binary_cross_entropy_with_logits"}
NLL = {"loss": "nll_loss"}


def logits(*shape):
    """Spread over [-3, 3], so that none of what is said of logits is true of them."""
    x = np.linspace(-3, 3, math.prod(shape))
    return np.random.default_rng(11).permutation(x).reshape(shape)


def indices(count, *shape):
    """Every class about as often as the others."""
    return (np.arange(math.prod(shape)) % count).reshape(shape)


def with_values(a, **at):
    """A copy with some values set: ``i0_2=7`` sets a[0, 2]."""
    a = np.array(a)
    for place, value in at.items():
        a[tuple(int(i) for i in place[1:].split("_"))] = value
    return a


X = logits(8, 3)
T = indices(3, 8)
IMAGE = logits(2, 4, 3, 5)
MAP = indices(4, 2, 3, 5)
ONE_HOT = np.eye(3, dtype=int)[T]
P = np.exp(X) / np.exp(X).sum(axis=1, keepdims=True)
ELSEWHERE = np.exp(X) / np.exp(X).sum(axis=0)
YES = indices(2, 8, 3)
SEEN = np.ones((8, 3), dtype=bool)
NUMPY = testing.target("numpy")

# code: [(arguments, options), (arguments, options), count, first]: has it, the nearest that does not, what is counted.
PAIRS = {
    "no-classes": [((np.zeros((8, 0)),), {}), ((logits(8, 1),), {}), None, None],
    "axis-of-length-1": [((logits(8, 1),), {}), ((logits(8, 2),), {}), None, None],
    "single-channel": [
        ((logits(2, 1, 3, 5), indices(2, 2, 3, 5)), {}),
        ((logits(2, 2, 3, 5), indices(2, 2, 3, 5)), {"axis": 1}),
        None,
        None,
    ],
    "another-axis": [((IMAGE, MAP), {}), ((IMAGE, MAP), {"axis": 1}), None, None],
    "ambiguous-axis": [
        ((logits(2, 5, 5), indices(5, 2, 5)), {}),
        ((logits(2, 6, 5), indices(5, 2, 6)), {}),
        None,
        None,
    ],
    "moved-axis": [
        ((IMAGE, np.moveaxis(np.eye(4)[MAP], -1, 3)), {"axis": 1}),
        ((IMAGE, np.moveaxis(np.eye(4)[MAP], -1, 1)), {"axis": 1}),
        None,
        None,
    ],
    "kept-axis": [((IMAGE, MAP[:, None]), {"axis": 1}), ((IMAGE, MAP), {"axis": 1}), None, None],
    "swapped-arguments": [((T, X), {}), ((X, T), {}), None, None],
    "targets-shape": [((X, indices(3, 7)), {}), ((X[:7], indices(3, 7)), {}), None, None],
    "weight-shape": [((X, T), {"weight": np.ones(8)}), ((X, T), {"weight": np.ones(3)}), None, None],
    "one-hot-integers": [((X, ONE_HOT), {}), ((X, ONE_HOT.astype(float)), {}), None, None],
    "binary-labels": [((X, YES), {}), ((X, YES), BINARY), None, None],
    "class-indices": [((X, T), BINARY), ((X, YES), BINARY), None, None],
    "indices-dtype": [((X, T.astype(float)), {}), ((X, T), {}), None, None],
    "labels-0-255": [((X, 255 * YES), BINARY), ((X, YES), BINARY), 12, (0, 1)],
    "labels-outside-0-1": [((X, YES + 1), BINARY), ((X, YES), BINARY), 12, (0, 1)],
    "targets-nan": [((X, with_values(P, i5_1=NAN)), {}), ((X, P), {}), 1, (5, 1)],
    "targets-sum": [((X, with_values(P, i5_1=0.999)), {}), ((X, P), {}), 1, (5,)],
    "class-out-of-range": [((X, with_values(T, i4=3)), {}), ((X, with_values(T, i4=2)), {}), 1, (4,)],
    "not-ignored": [
        ((X, with_values(T, i4=255, i6=255)), {}),
        ((X, with_values(T, i4=255, i6=255)), {"ignore_index": 255}),
        2,
        (4,),
    ],
    "ignore-index-is-a-class": [((X, T), {"ignore_index": 2}), ((X, T), {"ignore_index": 3}), 2, (2,)],
    "ignore-index-of-probabilities": [((X, P), {"ignore_index": 3}), ((X, P), {}), None, None],
    "class-absent": [((X, T % 2), {}), ((X, T), {}), 1, (2,)],
    "nothing-counted": [
        ((X, np.full(8, 7)), {"ignore_index": 7}),
        ((X, with_values(np.full(8, 7), i3=1)), {"ignore_index": 7}),
        8,
        None,
    ],
    "weight-values": [
        ((X, T), {"weight": np.asarray([1.0, -1.0, 1.0])}),
        ((X, T), {"weight": np.asarray([1.0, 0.0, 1.0])}),
        1,
        (1,),
    ],
    "target-hidden": [
        ((X, T), {"where": with_values(SEEN, i4_1=False)}),
        ((X, T), {"where": with_values(SEEN, i4_2=False)}),
        1,
        (4,),
    ],
    "target-at-minus-inf": [((with_values(X, i4_1=-INF), T), {}), ((with_values(X, i4_2=-INF), T), {}), 1, (4,)],
    "smoothing-at-minus-inf": [
        ((with_values(X, i4_2=-INF), T), {"label_smoothing": 0.1}),
        ((X, T), {"label_smoothing": 0.1, "where": with_values(SEEN, i4_2=False)}),
        1,
        (4,),
    ],
    "logits-nan": [
        ((with_values(X, i2_0=NAN),), {}),
        ((with_values(X, i2_0=NAN),), {"where": with_values(SEEN, i2_0=False)}),
        1,
        (2,),
    ],
    "logits-plus-inf": [((with_values(X, i2_0=INF),), {}), ((with_values(X, i2_0=-INF),), {}), 1, (2,)],
    "all-minus-inf": [
        ((with_values(X, i2_0=-INF, i2_1=-INF, i2_2=-INF),), {}),
        ((with_values(X, i2_0=-INF, i2_1=-INF),), {}),
        1,
        (2,),
    ],
    "nothing-visible": [
        ((X,), {"where": with_values(SEEN, i2_0=False, i2_1=False, i2_2=False)}),
        ((X,), {"where": with_values(SEEN, i2_0=False, i2_1=False)}),
        1,
        (2,),
    ],
    "infinite-loss": [
        ((with_values(X, i2_0=INF), YES), BINARY),
        ((with_values(X, i2_0=-INF), YES), BINARY),
        1,
        (2, 0),
    ],
    "probabilities": [((P, T), {}), ((P - 0.01, T), {}), 8, None],
    "log-probabilities": [((np.log(P), T), {}), ((np.log(P), T), NLL), 8, None],
    "normalised-elsewhere": [((ELSEWHERE, T), {}), ((ELSEWHERE - 0.01, T), {}), None, None],
    "not-log-probabilities": [((X, T), NLL), ((X, T), {}), 8, (0,)],
    "in-unit-interval": [((1 / (1 + np.exp(-X)), YES), BINARY), ((X, YES), BINARY), 24, None],
    "saturated": [((X * 1000,), {}), ((X,), {}), 8, (0,)],
    "dominated": [
        ((with_values(X, i4_1=90.0), T), {}),
        ((with_values(X, i4_2=90.0), T), {}),
        1,
        (4,),
    ],
    "coarse-spacing": [
        ((np.asarray([[3.0, 1.0, 2.0], [2.0**50, 2.0**50 + 1, 2.0**50]]),), {}),
        ((np.asarray([[3.0, 1.0, 2.0], [2.0**45, 2.0**45 + 1, 2.0**45]]),), {}),
        1,
        (1,),
    ],
    "near-overflow": [
        ((with_values(X, i2_0=1e308),), {}),
        ((with_values(X, i2_0=-1e308),), {}),
        1,
        (2, 0),
    ],
}


def run(target, call, dtype="float64"):
    arguments, options = call
    made_ = [made(target, a, dtype) for a in arguments]
    return ax.diagnose(*made_, **{name: made(target, value, dtype) for name, value in options.items()})
