"""Laws that hold for every input: shift invariance, sums, permutations, masks, and forms that must agree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import axisoft as ax

# Few shapes, so that a library that compiles for each of them spends its time on inputs instead.
SHAPES = [(3, 4), (2, 9), (1, 1)]
SETTINGS = settings(
    max_examples=20,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
DTYPES = ("float32", "float64")


@st.composite
def logits(draw, spread=60.0):
    """Rows of multiples of 1/8: sums with large offsets stay exact, so that laws hold to the last digit."""
    shape = draw(st.sampled_from(SHAPES))
    steps = draw(
        st.lists(
            st.integers(-int(8 * spread), int(8 * spread)), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]
        )
    )
    return np.asarray(steps, dtype=np.float64).reshape(shape) / 8


@st.composite
def problem(draw):
    """Logits, labels, a mask that keeps each label, and weights."""
    x = draw(logits())
    n, k = x.shape
    labels = np.asarray(draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n)))
    mask = np.asarray(draw(st.lists(st.booleans(), min_size=n * k, max_size=n * k))).reshape(n, k)
    mask[np.arange(n), labels] = True
    weight = np.asarray(draw(st.lists(st.integers(1, 8), min_size=k, max_size=k)), dtype=np.float64) / 4
    smoothing = draw(st.sampled_from([0.0, 0.125, 0.5]))
    return x, labels, mask, weight, smoothing


def tolerance(dtype, scale=1.0):
    return 64 * np.finfo(dtype).eps * scale


@pytest.mark.parametrize("dtype_name", DTYPES)
@given(x=logits(), offset=st.sampled_from([-1e4, -1000.0, 0.5, 4096.0, 1e4]))
@SETTINGS
def test_shift_invariance_at_large_offsets(target, dtype_name, x, offset):
    near, far = target.array(x, dtype_name), target.array(x + offset, dtype_name)
    assert np.array_equal(target.numpy(ax.softmax(near)), target.numpy(ax.softmax(far)))
    assert np.array_equal(target.numpy(ax.log_softmax(near)), target.numpy(ax.log_softmax(far)))
    moved = target.numpy(ax.logsumexp(far, axis=-1)) - offset
    assert np.allclose(
        moved, target.numpy(ax.logsumexp(near, axis=-1)), rtol=0, atol=tolerance(dtype_name, abs(offset) + 60)
    )
    t = target.array(np.zeros(x.shape[0]), "int")
    assert np.array_equal(target.numpy(ax.cross_entropy(near, t)), target.numpy(ax.cross_entropy(far, t)))


@pytest.mark.parametrize("dtype_name", DTYPES)
@given(x=logits())
@SETTINGS
def test_sums_to_one(target, dtype_name, x):
    for axis in (0, 1, None):
        p = target.numpy(ax.softmax(target.array(x, dtype_name), axis=axis))
        assert np.all(p >= 0)
        assert np.allclose(p.sum(axis=axis), 1, rtol=tolerance(dtype_name), atol=0)


@pytest.mark.parametrize("dtype_name", DTYPES)
@given(x=logits())
@SETTINGS
def test_the_functions_agree_with_each_other(target, dtype_name, x):
    a = target.array(x, dtype_name)
    softmax, log_softmax = target.numpy(ax.softmax(a)), target.numpy(ax.log_softmax(a))
    normal = softmax > np.finfo(dtype_name).tiny
    rtol = tolerance(dtype_name, 120)
    assert np.allclose(np.exp(log_softmax)[normal], softmax[normal], rtol=rtol, atol=0)
    lse = target.numpy(ax.logsumexp(a, axis=-1))
    assert np.allclose(x - lse[:, None], log_softmax, rtol=0, atol=tolerance(dtype_name, 60))
    sigmoid = target.numpy(ax.sigmoid(a))
    assert np.allclose(np.exp(target.numpy(ax.log_sigmoid(a))), sigmoid, rtol=rtol, atol=0)
    assert np.array_equal(target.numpy(ax.softplus(a)), -target.numpy(ax.log_sigmoid(-a)))
    pairs = target.array(np.stack([x, np.zeros_like(x)], axis=-1), dtype_name)
    assert np.allclose(target.numpy(ax.softmax(pairs))[..., 0], sigmoid, rtol=tolerance(dtype_name), atol=0)
    t = target.array(np.zeros(x.shape[0]), "int")
    two_steps = ax.nll_loss(ax.log_softmax(a), t, reduction="none")
    one_step = ax.cross_entropy(a, t, reduction="none")
    assert np.allclose(target.numpy(two_steps), target.numpy(one_step), rtol=tolerance(dtype_name), atol=0)


@pytest.mark.parametrize("dtype_name", DTYPES)
@given(x=logits(), seed=st.integers(0, 99))
@SETTINGS
def test_permutation(target, dtype_name, x, seed):
    order = np.random.default_rng(seed).permutation(x.shape[1])
    rtol = tolerance(dtype_name)
    for function in (ax.softmax, ax.log_softmax):
        y = target.numpy(function(target.array(x, dtype_name)))
        moved = target.numpy(function(target.array(x[:, order], dtype_name)))
        assert np.allclose(moved, y[:, order], rtol=rtol, atol=0)
    y = target.numpy(ax.logsumexp(target.array(x, dtype_name), axis=-1))
    moved = target.numpy(ax.logsumexp(target.array(x[:, order], dtype_name), axis=-1))
    assert np.allclose(moved, y, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("dtype_name", DTYPES)
@given(problem=problem())
@SETTINGS
def test_a_mask_is_the_same_as_dropping_the_entries(target, dtype_name, problem):
    x, labels, mask, _, smoothing = problem
    garbage = np.where(mask, x, np.nan)
    a, m, t = target.array(garbage, dtype_name), target.array(mask, "bool"), target.array(labels, "int")
    softmax, log_softmax = target.numpy(ax.softmax(a, where=m)), target.numpy(ax.log_softmax(a, where=m))
    lse = target.numpy(ax.logsumexp(a, axis=-1, where=m))
    loss = target.numpy(ax.cross_entropy(a, t, where=m, label_smoothing=smoothing, z_loss=0.5, reduction="none"))
    rtol, tiny = tolerance(dtype_name), np.finfo(dtype_name).tiny  # below it a library may flush to 0
    for i, seen in enumerate(mask):
        # NumPy takes the rows without the hidden entries: one length each, which others would compile for.
        row = x[i, seen].astype(dtype_name)
        assert np.allclose(softmax[i, seen], ax.softmax(row), rtol=rtol, atol=tiny)
        assert np.allclose(log_softmax[i, seen], ax.log_softmax(row), rtol=rtol, atol=tiny)
        assert np.all(softmax[i, ~seen] == 0)
        assert np.all(log_softmax[i, ~seen] == -np.inf)
        assert np.allclose(lse[i], ax.logsumexp(row), rtol=rtol, atol=rtol)
        label = np.asarray(np.count_nonzero(seen[: labels[i]]))
        alone = ax.cross_entropy(row, label, label_smoothing=smoothing, z_loss=0.5)
        assert np.allclose(loss[i], alone, rtol=rtol, atol=tiny)


@pytest.mark.parametrize("dtype_name", DTYPES)
@given(problem=problem())
@SETTINGS
def test_one_hot_targets_are_the_same_as_indices(target, dtype_name, problem):
    x, labels, mask, weight, smoothing = problem
    a, w, m = target.array(x, dtype_name), target.array(weight, dtype_name), target.array(mask, "bool")
    one_hot = np.eye(x.shape[1])[labels]
    for options in ({"reduction": "none"}, {"weight": w, "where": m, "z_loss": 0.125}):
        pair = [
            ax.cross_entropy(a, t, label_smoothing=smoothing, **options)
            for t in (target.array(labels, "int"), target.array(one_hot, dtype_name))
        ]
        assert np.allclose(*(target.numpy(loss) for loss in pair), rtol=tolerance(dtype_name), atol=0)


@pytest.mark.parametrize("dtype_name", DTYPES)
@given(problem=problem())
@SETTINGS
def test_smoothing_is_the_same_as_smoothed_targets(target, dtype_name, problem):
    x, labels, _, weight, smoothing = problem
    a, w, k = target.array(x, dtype_name), target.array(weight, dtype_name), x.shape[1]
    smoothed = (1 - smoothing) * np.eye(k)[labels] + smoothing / k
    by_option = ax.cross_entropy(a, target.array(labels, "int"), weight=w, label_smoothing=smoothing, reduction="none")
    by_target = ax.cross_entropy(a, target.array(smoothed, dtype_name), weight=w, reduction="none")
    assert np.allclose(target.numpy(by_option), target.numpy(by_target), rtol=tolerance(dtype_name, 4), atol=0)


@pytest.mark.parametrize("dtype_name", DTYPES)
@given(problem=problem(), factors=st.lists(st.integers(0, 3), min_size=3, max_size=3))
@SETTINGS
def test_a_sample_weight_is_the_same_as_repeating_the_sample(target, dtype_name, problem, factors):
    x, labels, _, weight, smoothing = problem
    factors = np.asarray(factors[: x.shape[0]])
    weighted = ax.cross_entropy(
        target.array(x, dtype_name),
        target.array(labels, "int"),
        weight=target.array(weight, dtype_name),
        sample_weight=target.array(factors, dtype_name),
        label_smoothing=smoothing,
        z_loss=0.25,
    )
    repeated = ax.cross_entropy(
        np.repeat(x, factors, axis=0).astype(dtype_name),
        np.repeat(labels, factors),
        weight=weight.astype(dtype_name),
        label_smoothing=smoothing,
        z_loss=0.25,
    )
    assert np.allclose(target.numpy(weighted), repeated, rtol=tolerance(dtype_name), atol=0)


@given(x=logits(spread=30.0))
@SETTINGS
def test_binary_cross_entropy_is_cross_entropy_of_two_classes(target, x):
    a, ones = target.array(x, "float64"), target.array(np.ones_like(x), "float64")
    binary = target.numpy(ax.binary_cross_entropy_with_logits(a, ones, reduction="none"))
    pairs = target.array(np.stack([np.zeros_like(x), x], axis=-1), "float64")
    classes = target.numpy(ax.cross_entropy(pairs, target.array(np.ones(x.shape), "int"), reduction="none"))
    assert np.allclose(binary, classes, rtol=1e-14, atol=0)
