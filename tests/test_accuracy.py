"""The promises of accuracy where libraries lose them: long axes, outer axes, odd memory orders, fused products."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import differentiates, forward_gradient, gradient

import axisoft
from axisoft import testing

# Few distinct values make long slices cheap to reason about: the true sums need a handful of float64 exponentials.
KINDS = {
    "two kinds": [0.0, -0.3],
    "nearly all equal": [0.0] + [-0.31] * 15,
    "many kinds": [0.013 * i - 1.1 for i in range(97)],
    "one far above": [-9.0, -9.5, -8.5],
}


def long_row(kind, count):
    values = np.resize(np.asarray(KINDS[kind], dtype=np.float32), count).astype(np.float64)
    if kind == "one far above":
        values[-1] = 11.0
    return values


def truth(row):
    """Softmax, log_softmax and logsumexp in extended precision, where float64 itself has errors of 1e-16 * n."""
    values, counts = np.unique(row, return_counts=True)
    m = values.max()
    others = np.sum((counts - (values == m)) * np.exp(values.astype(np.longdouble) - m))
    log = np.log1p(others)
    d = row.astype(np.longdouble) - m
    return np.exp(d - log), d - log, m + log


def judge(function, y, row, dtype):
    """The result of one long slice against the promises of its function."""
    softmax, log_softmax, logsumexp = truth(row)
    high = {"softmax": softmax, "log_softmax": log_softmax}.get(function, np.asarray([logsumexp]))
    high, low = high.astype(np.float64), (high - high.astype(np.float64)).astype(np.float64)
    case = testing.Case(function, "long", dtype, {"x": (dtype, row)}, {"axis": -1}, None, high, low)
    return case.judge(np.asarray(y, dtype=dtype))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("function", ["softmax", "log_softmax", "logsumexp"])
@pytest.mark.parametrize("layout", ["last axis", "first of 8 columns", "first of 8, Fortran order", "strided"])
def test_200_000_classes(target, function, layout, kind):
    row = long_row(kind, 200_000)
    if layout == "last axis":
        y = getattr(axisoft, function)(target.array(row, "float32"), axis=-1)
        results = [target.numpy(y)]
    elif layout == "strided":
        y = getattr(axisoft, function)(target.array(np.repeat(row, 2), "float32")[::2], axis=-1)
        results = [target.numpy(y)]
    else:
        columns = np.repeat(row[:, None], 8, axis=1)
        x = target.array(columns, "float32") if layout.endswith("columns") else target.array(columns.T, "float32").T
        y = target.numpy(getattr(axisoft, function)(x, axis=0))
        results = [y[..., 0], y[..., 7]]
    for result in results:
        verdict = judge(function, result, row, "float32")
        assert verdict.ok, verdict.wrong


@pytest.mark.parametrize("dtype_name", ["float32", "float64"])
@pytest.mark.parametrize("function", ["softmax", "log_softmax", "logsumexp"])
def test_a_million_classes(target, function, dtype_name):
    row = long_row("nearly all equal", 1_000_000)
    verdict = judge(function, target.numpy(getattr(axisoft, function)(target.array(row, dtype_name))), row, dtype_name)
    assert verdict.ok, verdict.wrong


@pytest.mark.parametrize("layout", ["last axis", "first axis"])
@pytest.mark.parametrize("count", [100_000, 1_000_000])
def test_the_gradient_of_logsumexp_over_many_classes(target, layout, count):
    """A sum that is 5 ulp off makes it 9.5 ulp off at the class that stands out, where 8 are promised."""
    row = np.resize(np.asarray([-0.3, -0.7, -1.1, -0.2], dtype=np.float32), count).astype(np.float64)
    row[-1] = 9.0
    x = row if layout == "last axis" else np.repeat(row[:, None], 2, axis=1)
    y, pullback = axisoft.vjp(axisoft.logsumexp, target.array(x, "float32"), axis=0)
    found = target.numpy(pullback(target.array(np.ones(y.shape), "float32"))[0]).reshape(count, -1)
    softmax, *_ = truth(row)
    for result in found.T:
        error = np.abs(result - softmax).astype(np.float64) / testing.ulp(softmax, "float32")
        assert np.all(error <= 8 + (9.0 - row)), float(np.max(error / (8 + (9.0 - row))))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("function", ["softmax", "log_softmax"])
def test_gradients_of_many_equal_cotangents(target, function, kind):
    """Which a sum in sequence rounds the same way at each step: of float32, PyTorch's is 200 and 600 ulp off."""
    row, g = long_row(kind, 200_000), np.full(200_000, float(np.float32(0.7)))
    g[5] = 3.0
    p = truth(row)[0]
    if function == "softmax":
        true, terms = p * (g - np.sum(p * g)), p * (g + np.sum(p * g))
    else:
        true, terms = g - p * np.sum(g), g + p * np.sum(g)
    x, g, fun = target.array(row, "float32"), target.array(g, "float32"), getattr(axisoft, function)
    found = [target.numpy(axisoft.vjp(fun, x)[1](g)[0])]
    if differentiates(target.backend):
        found.append(gradient(target, fun, x, cotangent=g))
    for each in found:
        error = np.abs(each - true).astype(np.float64) / testing.ulp(terms.astype(np.float64), "float32")
        assert np.all(error <= 8 + (row.max() - row)), float(np.max(error))


@pytest.mark.parametrize("gap", [95.0, 103.0, 200.0, 740.0, 800.0])
@pytest.mark.parametrize("count", [5, 1000])
def test_cross_entropy_of_a_class_whose_probability_is_no_number(target, count, gap):
    row = np.resize(np.asarray([0.0, -0.25, -0.5]), count)
    row[-1] = -gap
    true = -truth(row)[1][-1]
    for dtype in ("float32", "float64"):
        loss = axisoft.cross_entropy(target.array(row, dtype), target.array(count - 1, "int"))
        high = np.float64(true)
        assert testing.ulp_distance(target.numpy(loss), high, np.float64(true - high), dtype=dtype) <= 8.25


@pytest.mark.parametrize("count", [15, 16, 17, 31, 127, 128, 129, 1000, 1023, 4097])
def test_every_length_of_nearly_equal_terms(target, count):
    """Equal terms round the same way at each step of a sum, which is what makes sums drift."""
    rng = np.random.default_rng(count)
    for d in rng.uniform(-0.69, 0.0, size=8).astype(np.float32).astype(np.float64):
        row = np.full(count, d)
        row[count // 2] = 0.0
        for function in ("softmax", "log_softmax", "logsumexp"):
            verdict = judge(
                function,
                target.numpy(getattr(axisoft, function)(target.array(row, "float32"), axis=-1)),
                row,
                "float32",
            )
            assert verdict.ok, verdict.wrong


@pytest.mark.parametrize("shape", [(1000, 1000), (1_000_000,), (8, 125_000)], ids=str)
def test_spikes_among_a_million(target, shape):
    """A few large terms and many small ones, over all axes together."""
    values = np.random.default_rng(1).standard_normal(1_000_000).astype(np.float32)
    values[:8] = 9.0
    values[500_000] = 11.0
    row = values.astype(np.float64)
    for function in ("softmax", "logsumexp"):
        y = target.numpy(getattr(axisoft, function)(target.array(row.reshape(shape), "float32"), axis=None))
        verdict = judge(function, y.reshape(-1), row, "float32")
        assert verdict.ok, verdict.wrong


@pytest.mark.parametrize("dtype_name", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["nearly all equal", "one far above"])
def test_cross_entropy_of_a_million_classes(target, kind, dtype_name):
    row = long_row(kind, 1_000_000)
    loss = axisoft.cross_entropy(target.array(row, dtype_name), target.array(999_999, "int"))
    _, log_softmax, _ = truth(row)
    high = np.float64(-log_softmax[-1])
    distance = testing.ulp_distance(target.numpy(loss), high, np.float64(-log_softmax[-1] - high), dtype=dtype_name)
    assert distance <= 8 + (19.5 if kind == "one far above" else 0.31)


def test_cross_entropy_over_a_long_first_axis(target):
    row = long_row("one far above", 200_000)
    x = target.array(np.repeat(row[:, None], 8, axis=1), "float32")
    t = target.array(np.full(8, 199_999), "int")
    losses = target.numpy(axisoft.cross_entropy(x, t, axis=0, reduction="none"))
    _, log_softmax, _ = truth(row)
    distance = testing.ulp_distance(losses, -np.float64(log_softmax[-1]), dtype="float32")
    assert np.all(distance <= 8 + 19.5)


@pytest.mark.backends(fits=differentiates)
@pytest.mark.parametrize("gap", [1.0, 5.0, 10.0, 20.0, 40.0, 80.0])
@pytest.mark.parametrize("soft", [False, True])
def test_gradient_of_a_confident_cross_entropy_keeps_its_digits(target, gap, soft):
    """Minus the sum of the others, not p - 1: at a gap of 20 in float32 that would be 0."""
    for dtype, limit in (("float32", 8 + gap), ("float64", 8 + gap)):
        row = target.array([[0.0, -gap, -gap - 1.0]], dtype)
        t = target.array([[1.0, 0.0, 0.0]], dtype) if soft else target.array([0], "int")
        got = gradient(target, lambda x, t=t: axisoft.cross_entropy(x, t), row)[0]
        e = np.exp(np.longdouble([0.0, -gap, -gap - 1.0]))
        true = np.asarray([-(e[1] + e[2]), e[1], e[2]]) / e.sum()
        distance = testing.ulp_distance(got, true.astype(np.float64), dtype=dtype)
        assert np.all(distance <= limit), distance


@pytest.mark.backends(fits=differentiates)
@pytest.mark.parametrize("function", ["softmax", "log_softmax"])
def test_gradient_of_a_confident_softmax_keeps_its_digits(target, function):
    row, cotangent = target.array([[0.0, -20.0, -21.0]], "float32"), target.array([[1.0, 0.0, 0.0]], "float32")
    got = gradient(target, getattr(axisoft, function), row, cotangent=cotangent)[0]
    e = np.exp(np.asarray([0.0, -20.0, -21.0]))
    rest = (e[1] + e[2]) / e.sum()
    scale = e[0] / e.sum() if function == "softmax" else 1.0
    assert abs(got[0] / (scale * rest) - 1) < 1e-5


@pytest.mark.backends(fits=differentiates)
@pytest.mark.parametrize("function", ["softmax", "log_softmax"])
def test_a_tangent_of_a_confident_softmax_keeps_its_digits(target, function):
    row, tangent = target.array([[0.0, -20.0, -21.0]], "float32"), target.array([[1.0, 0.0, 0.0]], "float32")
    got = forward_gradient(target, getattr(axisoft, function), row, tangent)[0]
    e = np.exp(np.asarray([0.0, -20.0, -21.0]))
    rest = (e[1] + e[2]) / e.sum()
    assert abs(got[0] / (rest * e[0] / e.sum() if function == "softmax" else rest) - 1) < 1e-5


@pytest.mark.backends(fits=differentiates)
def test_gradient_of_a_scaled_softmax_keeps_its_digits(target, dtype):
    """Half precision has few left in the result, a subnormal number; scaled up as in training, it is none."""
    x, g = target.array([[0.0, -14.5]], dtype), target.array([[0.0, 4096.0]], dtype)
    true = 4096.0 * np.exp(-14.5) / (1 + np.exp(-14.5)) ** 2
    got = gradient(target, axisoft.softmax, x, cotangent=g)
    assert np.all(testing.ulp_distance(got, [[-true, true]], dtype=dtype) <= 8 + 14.5)


@pytest.mark.backends(fits=differentiates)
def test_gradient_of_a_confident_sigmoid_keeps_its_digits(target):
    x = target.array([20.0, -20.0], "float32")
    true = np.exp(-20.0) / (1 + np.exp(-20.0)) ** 2
    assert np.allclose(gradient(target, axisoft.sigmoid, x), [true, true], rtol=1e-6, atol=0)
    assert np.allclose(gradient(target, axisoft.log_sigmoid, x)[0], true, rtol=1e-6, atol=0)


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
def test_a_product_before_a_confident_loss(target):
    """Digits of the product that its rounding drops must not reach a loss of 1e-12, nor its gradient."""
    import jax
    import jax.numpy as jnp

    x = jnp.asarray([[10.1, 0.1, -0.3], [7.7, -19.3, 0.9]], dtype=jnp.float32)
    t, c = jnp.asarray([0, 0]), jnp.float32(2.7182817)
    rounded = x * c

    def fused(x, c):
        return axisoft.cross_entropy(x * c, t, reduction="sum")

    loss, grad = jax.jit(jax.value_and_grad(fused))(x, c)
    expected, slope = jax.value_and_grad(lambda x: axisoft.cross_entropy(x, t, reduction="sum"))(rounded)
    assert np.allclose(target.numpy(loss), target.numpy(expected), rtol=1e-5, atol=0)
    assert np.allclose(target.numpy(grad), target.numpy(slope * c), rtol=1e-5, atol=0)


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
@pytest.mark.parametrize("function", ["softmax", "log_softmax", "logsumexp", "cross_entropy"])
def test_a_product_that_the_compiler_may_fuse(target, function):
    """With more digits in x than in its maximum, x - max(x) can be positive, and its exponential overflow."""
    import jax
    import jax.numpy as jnp

    x = jnp.asarray(np.random.default_rng(0).normal(size=(64, 64)), dtype=jnp.float32)

    def run(x, c):
        if function == "cross_entropy":
            return axisoft.cross_entropy(x * c, jnp.zeros(64, dtype=jnp.int32), reduction="none")
        return getattr(axisoft, function)(x * c, axis=-1)

    y = target.numpy(jax.jit(run)(x, jnp.float32(1.2345678e31)))
    assert np.all(np.isfinite(y))
    if function == "softmax":
        assert np.array_equal(y, np.eye(64)[np.argmax(np.asarray(x), axis=-1)])
    if function == "log_softmax":
        assert np.array_equal(np.max(y, axis=-1), np.zeros(64))
