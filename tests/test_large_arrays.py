"""Every promise on arrays that are large enough for the ways that only large arrays take.

Logits of normal distributions, as networks give them: over 50 000 classes PyTorch's own softmax is 110 ulp off there.
The truth is computed in extended precision.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from helpers import differentiates, gradient

import axisoft as ax
from axisoft import testing

COUNTS = [3, 16, 17, 21, 64, 65, 128, 129, 200, 1000, 1009, 50257]
EXTENDED = np.longdouble


def logits(count, dtype, spread):
    """Slices of normal logits; among them confident ones, ties, far ones and one large offset."""
    rng = np.random.default_rng(count)
    x = rng.normal(size=(max(200_000 // count, 8), count)) * spread
    x[::7, 0] = 40.0
    x[1::7, count // 2] = x[1::7].max(axis=1) + rng.uniform(0, 12, size=len(x[1::7]))
    x[2::7, : count // 2 + 1] = x[2::7].max(axis=1, keepdims=True)
    x[3::7, 1:] = x[3::7, :1] - rng.uniform(0.0, 1e-3, size=(len(x[3::7]), count - 1))
    x[4::14, 1:] -= 200.0
    x = np.maximum(x, x.max(axis=1, keepdims=True) - (500.0 if dtype == "float64" else 80.0))  # XLA drops subnormals
    x[5] += 1e4
    return x.astype(dtype)


def truth(x):
    """d = x - max x, the sum of exp(d) without its largest term, and the distance to the second largest element."""
    d = x.astype(EXTENDED) - x.max(axis=1, keepdims=True)
    largest = np.argmax(x, axis=1)
    rows = np.arange(len(x))
    e = np.exp(d)
    e[rows, largest] = 0
    others = d.copy()
    others[rows, largest] = -np.inf
    return d, e.sum(axis=1, keepdims=True), -others.max(axis=1, keepdims=True)


def ulp(y, dtype):
    return np.spacing(np.abs(np.asarray(y)).astype(dtype)).astype(EXTENDED)


def near(found, right, scale, allowed, dtype):
    """Over results that are normal numbers."""
    normal = np.abs(right) >= np.finfo(dtype).tiny
    error = np.abs(found.astype(EXTENDED) - right) / ulp(scale, dtype)
    excess = np.where(normal, error - allowed, -np.inf)
    worst = np.unravel_index(np.argmax(excess), excess.shape)
    assert excess[worst] <= 0, (worst, found[worst], right[worst], error[worst])
    return error


@pytest.mark.parametrize("spread", [0.01, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("axis", [0, 1])
def test_the_softmax_family(target, count, bits, spread, axis):
    dtype = f"float{bits}"
    if axis == 0 and (count > 200 or spread == 1.0):
        count = 200  # the other layout of memory: three lengths are enough
    x = logits(count, dtype, spread)
    d, rest, gap = truth(x)
    log_s = np.log1p(rest)
    given = target.array(x if axis else np.ascontiguousarray(x.T), dtype)
    turn = (lambda y: target.numpy(y)) if axis else lambda y: target.numpy(y).T
    p, y = turn(ax.softmax(given, axis=axis)), turn(ax.log_softmax(given, axis=axis))
    lse = target.numpy(ax.logsumexp(given, axis=axis))[:, None]
    right = np.exp(d) / (1 + rest)
    near(p, right, right, 8 - d, dtype)
    near(y, d - log_s, np.maximum(log_s - d, 1), 4, dtype)
    near(y, d - log_s, d - log_s, 8 + gap, dtype)
    m = x.max(axis=1, keepdims=True).astype(EXTENDED)
    near(lse, m + log_s, np.maximum(np.maximum(np.abs(m + log_s), np.abs(m)), 1), 4, dtype)


@pytest.mark.parametrize("spread", [0.01, 3.0])
@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("count", COUNTS)
def test_cross_entropy_and_its_gradient(target, count, bits, spread):
    dtype = f"float{bits}"
    x = logits(count, dtype, spread)
    rng = np.random.default_rng(count)
    labels = np.where(rng.random(len(x)) < 0.5, np.argmax(x, axis=1), rng.integers(0, count, size=len(x)))
    weights = rng.uniform(0.5, 2.0, size=len(x)).astype(dtype)
    weights[::5] = 0
    d, rest, gap = truth(x)
    at = labels[:, None]
    d_at = np.take_along_axis(d, at, axis=1)
    right = np.log1p(rest) - d_at
    given, t = target.array(x, dtype), target.array(labels, "int")
    loss, _ = ax.vjp(ax.cross_entropy, given, t, reduction="none")
    near(target.numpy(loss)[:, None], right, right, 8 + gap, dtype)
    near(target.numpy(ax.cross_entropy(given, t, reduction="none"))[:, None], right, right, 8 + gap, dtype)

    p = np.exp(d) / (1 + rest)
    p_at = np.take_along_axis(p, at, axis=1)
    others = np.where(d_at == 0, rest / (1 + rest), 1 - p_at)
    slope = p.copy()
    np.put_along_axis(slope, at, -others, axis=1)
    for how in ({}, {"sample_weight": target.array(weights, dtype)}):
        factor = (weights if how else np.ones(len(x))).astype(EXTENDED)[:, None]
        for g in slopes(target, lambda x, how=how: ax.cross_entropy(x, t, reduction="none", **how), given, t, how):
            # The distance of each term, and for the target's 1 - p that to the second largest.
            near(g, slope * factor, slope * factor, 8 + np.maximum(-d, gap), dtype)


def slopes(target, fun, x, t, how):
    """The gradient of the sum of the losses by axisoft and, where it differentiates, by the library itself."""
    loss, pull = ax.vjp(ax.cross_entropy, x, t, reduction="none", **how)
    yield target.numpy(pull(target.xp.ones_like(loss))[0])
    if differentiates(target.backend):
        yield gradient(target, fun, x)


@pytest.mark.parametrize("count", [21, 1000])
def test_special_rows_among_many(target, count):
    x = logits(count, "float32", 3.0)
    x[10], x[11, 3], x[12, 2], x[13, 1:] = -np.inf, np.nan, np.inf, -np.inf
    x[14, 0], x[14, 1] = 50.0, -250.0  # whose probability is 0 in float32, and whose loss is not infinite
    labels = np.full(len(x), 1)
    given, t = target.array(x, "float32"), target.array(labels, "int")
    bad = np.isin(np.arange(len(x)), [10, 11, 12])
    for function in (ax.softmax, ax.log_softmax):
        y = target.numpy(function(given, axis=1))
        assert np.array_equal(np.isnan(y).all(axis=1), bad)
        assert np.array_equal(np.isnan(y).any(axis=1), bad)
    lse = target.numpy(ax.logsumexp(given, axis=1))
    assert np.array_equal(lse[10:13], [-np.inf, np.nan, np.inf], equal_nan=True)
    assert lse[13] == x[13, 0]
    assert np.isfinite(lse[14:]).all()
    loss, pull = ax.vjp(ax.cross_entropy, given, t, reduction="none")
    loss, g = target.numpy(loss), target.numpy(pull(target.array(np.ones(len(x)), "float32"))[0])
    assert np.array_equal(np.isnan(loss), bad)
    assert loss[13] == np.inf
    assert loss[14] == 300.0
    assert np.array_equal(np.isnan(g).any(axis=1), bad)
    how = {"sample_weight": target.array(~bad, "float32")}
    for g in slopes(target, lambda x: ax.cross_entropy(x, t, reduction="none", **how), given, t, how):
        assert np.array_equal(g[bad], np.zeros((3, count)))
        assert np.isfinite(g).all()


def test_a_class_that_does_not_exist_among_many(target):
    """An error where the classes can be read (Dask: when it computes), and else NaN for that sample alone."""
    x = target.array(logits(21, "float32", 3.0), "float32")
    labels = target.array(np.where(np.arange(x.shape[0]) == 77, 21, 0), "int")
    if target.device_name == "cpu":
        with pytest.raises(IndexError, match=r"targets holds class 21 at \(77,\)"):
            target.numpy(ax.cross_entropy(x, labels))
    else:
        bad = np.isnan(target.numpy(ax.cross_entropy(x, labels, reduction="none")))
        assert np.flatnonzero(bad).tolist() == [77]


@pytest.mark.parametrize("turned", [False, True], ids=["alike", "not alike in memory"])
def test_binary_cross_entropy_of_many(target, dtype, turned):
    """Half precision is computed in float32, and the gradient rounded once; however its arrays lie."""
    shape, rng = (600, 700), np.random.default_rng(1)
    x, t = (target.numpy(target.array(a, dtype)) for a in (rng.normal(size=shape) * 4, rng.uniform(size=shape)))
    given, labels = target.array(x, dtype), target.array(np.ascontiguousarray(t.T) if turned else t, dtype)
    labels = labels.T if turned else labels
    x, t = x.astype(EXTENDED), t.astype(EXTENDED)
    each = t * np.log1p(np.exp(-x)) + (1 - t) * np.log1p(np.exp(x))
    loss, pull = ax.vjp(ax.binary_cross_entropy_with_logits, given, labels, reduction="none")
    own = "float64" if dtype == "float64" else "float32"
    for y in (loss, ax.binary_cross_entropy_with_logits(given, labels, reduction="none")):
        near(target.numpy(y), each, each, 4, own)
    p = 1.0 / (1.0 + np.exp(-x))
    slope, terms = p * (1 - t) - (1 - p) * t, p * (1 - t) + (1 - p) * t
    found = [target.numpy(pull(target.array(np.ones(shape), own))[0])]
    if differentiates(target.backend):
        fun = lambda x: ax.binary_cross_entropy_with_logits(x, labels, reduction="none")
        found.append(gradient(target, fun, given))
    for each in found:
        assert np.all(np.abs(each - slope) <= 8 * testing.ulp(terms.astype(np.float64), dtype))


@pytest.mark.host
@pytest.mark.backends(fits=lambda backend: backend.name == "torch")
@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="the system does not tell a peak of memory")
@pytest.mark.parametrize(("precision", "most"), [("float32", 1.2), ("bfloat16", 1.5)])
def test_the_memory_of_a_step(target, precision, most):
    """The gradient and a few tiles beside the logits: pieces that an allocator is handed back it may not use again."""
    code = f"""
import torch, axisoft
def read(field):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(field))
def step(rows):
    x = torch.randn(rows, 8000).to(torch.{precision}).requires_grad_()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before = read("VmRSS")
    axisoft.cross_entropy(x, torch.arange(rows)).backward()
    return (read("VmHWM") - before) / (x.numel() * x.itemsize)
step(2)
print(step(4000))
"""
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert float(run.stdout) < most
