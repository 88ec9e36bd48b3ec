"""How often each function goes over memory: numbers that must not creep up.

A pass is one read or one write of an array as large as the logits. Each operation is counted by itself, as a library
that fuses nothing runs it: every array that goes in is read once, the array that comes out is written once, in place or
not. Bytes decide: a mask of booleans beside float32 is a quarter of one, what is broadcast is as large as it is in
memory, and so numbers per slice are next to nothing. Views are free; of what an index picks, only that counts.

Three namespaces run the formulas: the standard and nothing else; CuPy's, where a kernel of axisoft's is one operation;
and NumPy's, whose looks at values count as well. No slice here is confident and nothing is NaN or infinite, so NumPy
mends nothing; the other two never know. Of each a pair of numbers: the value alone, and with the gradient along the
logits.
"""

from __future__ import annotations

import array_api_compat.numpy as compat
import counted
import eager
import numpy as np
import pytest

import axisoft
from axisoft import _core
from axisoft._backends import numpy as of_numpy
from axisoft._backends import queued
from axisoft._run import plan

SHAPE = (4, 32000)
RNG = np.random.default_rng(0)
X = 3 * RNG.standard_normal(SHAPE, dtype=np.float32)
CLASSES = RNG.integers(0, SHAPE[1], SHAPE[0])
SOFT = RNG.dirichlet(np.ones(SHAPE[1]), SHAPE[0]).astype(np.float32)
LABELS = RNG.random(SHAPE, dtype=np.float32)

# The standard, CuPy, NumPy.
# fmt: off
PASSES = {
    "softmax":                          ((20.00, 50.00), ( 6.00, 17.01), ( 8.01, 18.02)),
    "log_softmax":                      ((20.00, 42.00), ( 8.00, 18.01), ( 8.01, 17.02)),
    "logsumexp":                        ((18.00, 43.50), ( 4.00, 12.01), ( 6.01, 16.02)),
    "sigmoid":                          ((14.50, 37.00), ( 8.00, 24.00), ( 8.00, 24.00)),
    "log_sigmoid":                      ((13.00, 32.50), (13.00, 26.00), (13.00, 26.00)),
    "softplus":                         ((13.00, 30.50), (13.00, 24.00), (13.00, 24.00)),
    "binary_cross_entropy_with_logits": ((35.00, 85.00), (27.50, 64.50), (28.50, 60.50)),
    "cross_entropy":                    ((18.00, 41.00), ( 4.00, 10.01), ( 6.01, 14.02)),
    "cross_entropy, smoothed":          ((21.00, 46.00), ( 7.01, 15.01), ( 7.02, 17.03)),
    "cross_entropy, soft":              ((33.50, 79.50), (12.01, 31.02), (13.03, 31.05)),
    "cross_entropy, soft, smoothed":    ((36.50, 82.49), (13.01, 32.02), (14.04, 32.06)),
    "nll_loss":                         (( 0.00,  4.00), ( 0.00,  1.00), ( 0.00,  1.00)),
}
# fmt: on
CALLS = {
    "logsumexp": (axisoft.logsumexp, (X,), {"axis": -1}),
    "binary_cross_entropy_with_logits": (axisoft.binary_cross_entropy_with_logits, (X, LABELS), {}),
    "cross_entropy": (axisoft.cross_entropy, (X, CLASSES), {}),
    "cross_entropy, smoothed": (axisoft.cross_entropy, (X, CLASSES), {"label_smoothing": 0.1}),
    "cross_entropy, soft": (axisoft.cross_entropy, (X, SOFT), {}),
    "cross_entropy, soft, smoothed": (axisoft.cross_entropy, (X, SOFT), {"label_smoothing": 0.1}),
    "nll_loss": (axisoft.nll_loss, (X, CLASSES), {}),
}
NAMESPACES = {
    "standard": compat,
    "cupy": queued.Namespace(compat, counted.kernel(eager.exp_below), counted.kernel(eager.product)),
    "numpy": of_numpy._xp,
}
# What CuPy is promised to need at most.
BARS = {"softmax": (9, 20), "log_softmax": (11, 22), "cross_entropy": (8, 20)}


def passes(name, xp):
    """Of a value, and of that with its gradient, in sizes of the logits."""
    fun, args, options = CALLS.get(name) or (getattr(axisoft, name), (X,), {})
    call = plan(fun, args, options)
    arrays = [None if a is None else a.view(counted.Counted) for a in call.arrays]
    wanted = [i == 0 for i in range(len(arrays))]
    start = counted.moved
    y, pull = _core.pullback(_core.by_formula(xp), call.op, arrays, wanted, **{**call.static, "xp": xp})
    value = counted.moved - start
    gradient, *_ = pull(RNG.random(y.shape, dtype=np.float32).view(counted.Counted))
    both = counted.moved - start
    assert isinstance(gradient, counted.Counted)  # else something ran uncounted
    assert np.all(np.isfinite(gradient))
    return round(value / X.nbytes, 2), round(both / X.nbytes, 2)


@pytest.mark.parametrize("library", NAMESPACES)
@pytest.mark.parametrize("name", PASSES)
def test_passes(name, library):
    assert passes(name, NAMESPACES[library]) == PASSES[name][list(NAMESPACES).index(library)]


@pytest.mark.parametrize("name", BARS)
def test_cupy_meets_its_bars(name):
    _, found, _ = PASSES[name]
    assert all(passes <= bar for passes, bar in zip(found, BARS[name], strict=True))


def test_every_function_is_counted():
    assert {name.split(",")[0] for name in PASSES} == set(_core.OPS)


def test_the_count_itself():
    x = np.zeros((8, 64), dtype=np.float32).view(counted.Counted)
    part = 1 / 8 / 64

    def moved(run):
        start = counted.moved
        run()
        return (counted.moved - start) / x.nbytes

    assert moved(lambda: x + 1.0) == moved(lambda: x * -x[:1]) - 1 / 8 - 2 / 8 == 2
    assert moved(lambda: np.exp(x, out=x)) == 2
    assert moved(lambda: x > 0) == 1.25
    assert moved(lambda: np.where(x > 0, x, 0.0)) == 1.25 + 0.25 + 2
    assert moved(lambda: compat.sum(x, axis=1)) == moved(lambda: compat.max(x, axis=1)) == 1 + 1 / 64
    assert moved(lambda: np.argmax(x, axis=1, keepdims=True)) == 1 + 2 / 64
    assert moved(lambda: compat.reshape(x[:4], (2, -1))) == moved(lambda: compat.broadcast_to(x[:1], x.shape)) == 0
    assert moved(lambda: compat.broadcast_to(x[:1], x.shape) + x) == 2 + 1 / 8
    assert moved(lambda: compat.astype(x, np.float64)) == 3
    assert moved(lambda: compat.astype(x, np.float32, copy=False)) == 0
    rows, columns = np.arange(8), np.zeros(8, dtype=int)
    assert moved(lambda: x[rows, columns]) == 8 * (2 + 2 + 2) * part
    assert moved(lambda: x.__setitem__((rows, columns), 1.0)) == 8 * (2 + 2 + 1) * part
    assert moved(lambda: counted.kernel(eager.product)(x, x)) == 3
