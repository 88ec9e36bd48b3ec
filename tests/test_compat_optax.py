"""axisoft.compat.optax: Optax's conventions on every backend, without Optax."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import differentiates, gradient

import axisoft
from axisoft.compat import optax as facade

INF, NAN = np.inf, np.nan
RNG = np.random.default_rng(6)
X = RNG.normal(size=(2, 3, 4)) * 3
SOFT = RNG.dirichlet(np.ones(4), size=(2, 3))
MASK = np.asarray([[[1, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1]], [[1, 1, 0, 0], [0, 1, 1, 1], [1, 0, 0, 0]]], dtype=bool)


def close(a, b, rtol=1e-11):
    return np.allclose(np.asarray(a, dtype=np.float64), b, rtol=rtol, atol=0, equal_nan=True)


def log_softmax(x, axis=-1, mask=True):
    return x - np.log(np.sum(np.where(mask, np.exp(x), 0), axis=axis, keepdims=True))


@pytest.mark.parametrize("axis", [-1, 0, 1, (0, 2), (2, 1), None])
def test_class_probabilities(target, axis):
    x, t = target.array(X, "float64"), target.array(SOFT, "float64")
    got = facade.softmax_cross_entropy(x, t, axis)
    assert close(target.numpy(got), -np.sum(SOFT * log_softmax(X, axis), axis=axis))
    assert got.dtype == x.dtype
    if axis == -1:
        assert close(target.numpy(facade.safe_softmax_cross_entropy(x, t)), target.numpy(got))


@pytest.mark.parametrize(("shape", "axis"), [((3, 0), -1), ((0, 3), 0), ((2, 0, 3), (1, 2)), ((0, 3), None)])
def test_without_classes_the_sum_is_empty(target, shape, axis):
    x = target.array(np.zeros(shape), "float32")
    rows = np.sum(np.zeros(shape), axis)
    got = facade.softmax_cross_entropy(x, x, axis)
    assert got.dtype == x.dtype
    assert np.array_equal(target.numpy(got), rows)
    _, pullback = axisoft.vjp(facade.softmax_cross_entropy, x, x, axis)
    assert target.numpy(pullback(target.array(np.ones(rows.shape), "float32"))[0]).shape == shape


@pytest.mark.parametrize("axis", [-1, 0, 1, (1, 2), (2, 1), (0, -1)])
def test_class_indices(target, axis):
    axes = tuple(a % 3 for a in (axis if isinstance(axis, tuple) else (axis,)))
    batch = tuple(a for a in range(3) if a not in axes)
    flat = np.transpose(X, batch + axes).reshape(*(X.shape[a] for a in batch), -1)
    labels = RNG.integers(0, flat.shape[-1], size=flat.shape[:-1])
    want = -np.take_along_axis(log_softmax(flat), labels[..., None], -1)[..., 0]
    for dtype in ("int", "int32", "uint8"):
        got = facade.softmax_cross_entropy_with_integer_labels(
            target.array(X, "float64"), target.array(labels, dtype), axis
        )
        assert close(target.numpy(got), want)


def test_labels_of_any_dtype_and_shape_that_broadcasts(target):
    x = target.array(X, "float64")
    hot = np.eye(4)[[0, 3, 1]]
    want = -np.sum(hot * log_softmax(X), -1)
    for dtype in ("int", "bool", "float32", "float64"):
        assert close(target.numpy(facade.softmax_cross_entropy(x, target.array(hot, dtype))), want, rtol=1e-6)
    row = target.array(X[0, 0], "float64")
    got = facade.softmax_cross_entropy(row, target.array(SOFT, "float64"), axis=0)
    assert close(target.numpy(got), -np.sum(SOFT * log_softmax(X[0, 0]), -1))
    run = facade.softmax_cross_entropy_with_integer_labels
    assert close(target.numpy(run(x, target.array([1], "int"))), -log_softmax(X)[..., 1])
    assert close(
        target.numpy(run(x[:1, :1, :], target.array([[1, 2], [3, 0]], "int"))), -log_softmax(X[0, 0])[[[1, 2], [3, 0]]]
    )


@pytest.mark.parametrize("fill", [0.0, NAN, INF])
def test_masks_of_elements(target, fill):
    """What is hidden takes no part, and neither do its labels; a row without anything is 0."""
    x = target.array(np.where(MASK, X, fill), "float64")
    t, where = target.array(np.where(MASK, SOFT, fill), "float64"), target.array(MASK, "bool")
    with np.errstate(all="ignore"):
        want = -np.sum(np.where(MASK, SOFT * log_softmax(X, -1, MASK), 0), -1)
    assert close(target.numpy(facade.softmax_cross_entropy(x, t, where=where)), want)
    labels = np.asarray([[0, 99, 2], [1, 3, 0]])
    got = facade.softmax_cross_entropy_with_integer_labels(x, target.array(labels, "int"), where=where)
    with np.errstate(all="ignore"):
        want = -np.take_along_axis(log_softmax(X, -1, MASK), np.minimum(labels, 3)[..., None], -1)[..., 0]
    want[0, 1] = 0.0
    assert close(target.numpy(got), want)


@pytest.mark.parametrize("axis", [-1, 1, (1, 2)])
def test_masks_of_samples(target, axis):
    axes = axis if isinstance(axis, tuple) else (axis,)
    shape = np.sum(X, axis=axis).shape
    seen = np.arange(np.prod(shape)).reshape(shape) % 2 == 0
    where, x = target.array(seen, "bool"), target.array(X, "float64")
    whole = facade.softmax_cross_entropy(x, target.array(SOFT, "float64"), axis)
    got = facade.softmax_cross_entropy(x, target.array(SOFT, "float64"), axis, where)
    assert close(target.numpy(got), np.where(seen, target.numpy(whole), 0))
    labels = target.array(np.where(seen, 1, -5), "int")
    got = facade.softmax_cross_entropy_with_integer_labels(x, labels, axis, where)
    ones = target.array(np.ones(shape), "int")
    whole = facade.softmax_cross_entropy_with_integer_labels(x, ones, axes)
    assert close(target.numpy(got), np.where(seen, target.numpy(whole), 0))


def test_a_hidden_label_costs_inf(target):
    run = facade.softmax_cross_entropy_with_integer_labels
    x, where = target.array([[0.0, 1e4]], "float32"), target.array([[True, False]], "bool")
    assert np.array_equal(target.numpy(run(x, target.array([1], "int"), where=where)), [INF])


def test_binary(target):
    x = target.array(X, "float64")
    for labels in (SOFT, SOFT[0, 0], np.asarray(1.0), np.asarray([[0.0], [1.0], [0.5]])):
        got = facade.sigmoid_binary_cross_entropy(x, target.array(labels, "float64"))
        assert close(target.numpy(got), labels * np.log1p(np.exp(-X)) + (1 - labels) * np.log1p(np.exp(X)))
    for labels in ([0, 1], [False, True]):
        got = facade.sigmoid_binary_cross_entropy(target.array([-INF, INF], "float64"), target.array(labels, "int"))
        assert np.array_equal(target.numpy(got), [0, 0])


def test_numbers(target):
    """Beside arrays they join their library, alone they are NumPy's; lists are an error, as in Optax."""
    x = target.array(X[0, 0], "float32")
    got = facade.softmax_cross_entropy_with_integer_labels(x, 2)
    assert type(got) is type(x) or target.backend.name == "dask"
    assert got.dtype == x.dtype
    assert close(target.numpy(got), -log_softmax(X[0, 0])[2], rtol=1e-5)
    got = facade.softmax_cross_entropy(x, 0.5)
    assert got.dtype == x.dtype
    assert close(target.numpy(got), -0.5 * log_softmax(X[0, 0]).sum(), rtol=1e-5)
    assert close(target.numpy(facade.safe_softmax_cross_entropy(x, 1)), -log_softmax(X[0, 0]).sum(), rtol=1e-5)
    got = facade.sigmoid_binary_cross_entropy(x, True)
    assert got.dtype == x.dtype
    assert close(target.numpy(got), np.log1p(np.exp(-X[0, 0])), rtol=1e-5)
    for logits, labels in ((3.0, 1), (np.float64(3.0), np.float64(1.0)), (3, 1.0)):
        got = facade.sigmoid_binary_cross_entropy(logits, labels)
        assert isinstance(got, np.ndarray)
        assert got.shape == ()
        assert close(got, 0.04858735157374196, rtol=1e-14)
    with pytest.raises(TypeError, match=r"^sigmoid_binary_cross_entropy: labels is a list, not an array; "):
        facade.sigmoid_binary_cross_entropy(x, [1.0] * 4)


def test_labels_do_not_make_a_binary_loss_larger(target):
    for logits, labels in (((4, 1), (4,)), ((4,), (4, 1)), ((1,), (4,))):
        text = (
            f"sigmoid_binary_cross_entropy: labels with shape {labels} does not broadcast to logits "
            f"with shape {logits}; "
            "each of its axes, counted from the last, must be 1 or agree."
        )
        x, t = target.array(np.zeros(logits), "float64"), target.array(np.zeros(labels), "float64")
        with pytest.raises(ValueError, match=r"^sigmoid_binary_cross_entropy") as found:
            facade.sigmoid_binary_cross_entropy(x, t)
        assert str(found.value) == text


@pytest.mark.host
def test_where_the_peer_is_wrong(target):
    run = facade.softmax_cross_entropy_with_integer_labels
    confident = run(target.array([[0.0, -20.0]], "float32"), target.array([0], "int"))
    assert close(target.numpy(confident), [2.061153620314381e-09], rtol=1e-6)
    large = run(target.array([[1e6, 1e6 + 1]], "float32"), target.array([0], "int"))
    assert close(target.numpy(large), [1.3132616875182228], rtol=1e-6)
    x, t = target.array([[0.0, -INF]], "float32"), target.array([[1.0, 0.0]], "float32")
    assert np.array_equal(target.numpy(facade.softmax_cross_entropy(x, t)), [0.0])
    wide = target.array([[1, 2, 3]], "int")
    assert close(target.numpy(run(wide, target.array([1], "int"))), [1.4076059644443806], rtol=1e-6)
    x = target.array([[0.0, 1.0]], "float64")
    if target.backend.name in ("numpy", "torch", "jax", "array_api_strict") and "cuda" not in target.name:
        for label in (-1, 2):
            with pytest.raises(
                IndexError, match=f"^softmax_cross_entropy_with_integer_labels: labels holds class {label} at"
            ):
                run(x, target.array([label], "int"))


@pytest.mark.backends(fits=differentiates)
def test_gradients(target):
    x, t, where = target.array(X, "float64"), target.array(SOFT, "float64"), target.array(MASK, "bool")
    p = np.exp(log_softmax(X))
    assert close(gradient(target, facade.softmax_cross_entropy, x, t), p - SOFT, rtol=1e-10)
    assert close(gradient(target, facade.softmax_cross_entropy, x, t, index=1), -log_softmax(X))
    assert close(gradient(target, facade.sigmoid_binary_cross_entropy, x, t), 1 / (1 + np.exp(-X)) - SOFT, rtol=1e-10)
    got = gradient(target, lambda x: facade.softmax_cross_entropy(x, t, where=where), x)
    assert np.array_equal(got != 0, MASK & (MASK.sum(-1, keepdims=True) > 1))
    labels = np.asarray([[0, 0, 2], [1, 3, 0]])
    got = gradient(
        target,
        lambda x: facade.softmax_cross_entropy_with_integer_labels(x, target.array(labels, "int"), where=where),
        target.array(np.where(MASK, X, NAN), "float64"),
    )
    with np.errstate(all="ignore"):
        want = np.where(MASK, np.exp(log_softmax(X, -1, MASK)) - np.eye(4)[labels], 0)
    assert np.allclose(got, want, rtol=1e-11, atol=1e-14)
    x, t = target.array([[0.0, -INF]], "float32"), target.array([[1.0, 0.0]], "float32")
    assert np.array_equal(gradient(target, facade.safe_softmax_cross_entropy, x, t), [[0, 0]])


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
def test_under_jit(target):
    import jax

    x, where = target.array(X, "float64"), target.array(MASK, "bool")
    labels = target.array([[0, -1, 2], [1, 3, 0]], "int")
    run = jax.jit(lambda x, t: facade.softmax_cross_entropy_with_integer_labels(x, t, where=where))
    eager = facade.softmax_cross_entropy_with_integer_labels(x, labels, where=where)
    assert close(target.numpy(run(x, labels)), target.numpy(eager))
    bad = jax.jit(facade.softmax_cross_entropy_with_integer_labels)(x, labels)
    assert np.array_equal(np.isnan(target.numpy(bad)), np.asarray(labels) < 0)


@pytest.mark.backends(fits=lambda backend: "float16" in backend.dtypes)
def test_the_dtype_is_that_of_the_logits(target):
    for dtype in target.backend.dtypes:
        x, t = target.array(X, dtype), target.array(SOFT, "float64")
        for loss in (
            facade.softmax_cross_entropy(x, t),
            facade.sigmoid_binary_cross_entropy(x, t),
            facade.softmax_cross_entropy_with_integer_labels(x, target.array(np.zeros((2, 3)), "int")),
        ):
            assert loss.dtype == x.dtype


def test_inputs_stay_as_they_were(target):
    x, t, where = target.array(X, "float64"), target.array(SOFT, "float64"), target.array(MASK, "bool")
    facade.softmax_cross_entropy(x, t, (0, 1), where)
    facade.sigmoid_binary_cross_entropy(x, t)
    assert np.array_equal(target.numpy(x), X)
    assert np.array_equal(target.numpy(t), SOFT)


def test_errors(target):
    x, t = target.array(X, "float64"), target.array(SOFT, "float64")
    i = target.array(np.zeros((2, 3)), "int")
    run, by_index = facade.softmax_cross_entropy, facade.softmax_cross_entropy_with_integer_labels
    long = "softmax_cross_entropy_with_integer_labels"
    for call, error, message in (
        (lambda: by_index(x, i, None), ValueError, f"{long}: axis is None; use an int or a tuple of ints."),
        (
            lambda: by_index(x, i[:, :2]),
            ValueError,
            "logits without class axes with shape (2, 3) and labels with shape (2, 2)",
        ),
        (lambda: by_index(x, t[:, :, 0]), TypeError, f"{long}: labels has dtype"),
        (
            lambda: run(x, t, 3),
            ValueError,
            "softmax_cross_entropy: axis 3 is out of bounds for logits with shape (2, 3, 4)",
        ),
        (
            lambda: run(x[:, :, :1], t),
            ValueError,
            "labels with shape (2, 3, 4) has more classes than logits with shape",
        ),
        (lambda: run(x, t[:, :2, :]), ValueError, "labels with shape (2, 2, 4) do not broadcast to one shape"),
        (lambda: run(x, t, where=t), TypeError, "softmax_cross_entropy: where has dtype"),
        (
            lambda: run(x, t, where=t[:, :, :3] > 0),
            ValueError,
            "where with shape (2, 3, 3) does not broadcast to logits",
        ),
        (lambda: run([3.0], t), TypeError, "softmax_cross_entropy: logits is a list, not an array"),
        (lambda: run(3.0, 1.0), ValueError, "softmax_cross_entropy: axis -1 is out of bounds for logits with shape ()"),
    ):
        with pytest.raises(error) as found:
            call()
        assert message in str(found.value)
