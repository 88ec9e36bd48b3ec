"""axisoft.compat.torch: PyTorch's conventions on every backend, most of it without PyTorch."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest
from helpers import differentiates, gradient

from axisoft.compat import torch as F

INF, NAN = np.inf, np.nan
RNG = np.random.default_rng(3)
X = RNG.normal(size=(4, 3, 2)) * 2
LABELS = np.asarray([[0, 2], [1, -100], [2, 2], [-100, 0]])
SOFT = np.moveaxis(RNG.dirichlet(np.ones(3), size=(4, 2)), -1, 1)
WEIGHT = np.asarray([0.5, 0.0, 2.0])


def close(a, b, rtol=1e-12):
    return np.allclose(np.asarray(a, dtype=np.float64), b, rtol=rtol, atol=0, equal_nan=True)


def losses(x, labels, weight, smoothing, ignore=-100):
    """PyTorch's definition of both kinds of target, per sample, and the sum of the weights that a mean is over."""
    h = -(x - np.log(np.exp(x).sum(1, keepdims=True)))
    w = np.ones(x.shape[1]) if weight is None else weight
    w = w.reshape(-1, *[1] * (x.ndim - 2))
    if labels.dtype.kind == "f":
        t, kept, total = labels, np.ones(labels.shape[:1] + labels.shape[2:]), labels.size / labels.shape[1]
    else:
        t = np.moveaxis(np.eye(x.shape[1])[np.where(labels == ignore, 0, labels)], -1, 1)
        kept = labels != ignore
        total = ((t * w).sum(1) * kept).sum()
    return (((1 - smoothing) * t + smoothing / x.shape[1]) * w * h).sum(1) * kept, total


@pytest.mark.parametrize("labels", [LABELS, SOFT], ids=["indices", "probabilities"])
@pytest.mark.parametrize("weight", [None, WEIGHT, WEIGHT + 1], ids=["plain", "weighted", "all weigh"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_cross_entropy_and_its_means(target, labels, weight, smoothing):
    x = target.array(X, "float64")
    t = target.array(labels, "int" if labels.dtype.kind == "i" else "float64")
    options = {"label_smoothing": smoothing, "weight": None if weight is None else target.array(weight, "float64")}
    each, total = losses(X, labels, weight, smoothing)
    assert close(target.numpy(F.cross_entropy(x, t, reduction="none", **options)), each)
    assert close(target.numpy(F.cross_entropy(x, t, reduction="sum", **options)), each.sum())
    mean = F.cross_entropy(x, t, **options)
    assert close(target.numpy(mean), each.sum() / total)
    assert mean.shape == ()
    assert mean.dtype == x.dtype
    assert close(target.numpy(F.CrossEntropyLoss(**options)(x, t)), target.numpy(mean), rtol=1e-15)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_nll_loss(target, weight):
    log_probs = X - np.log(np.exp(X).sum(1, keepdims=True))
    x, t = target.array(log_probs, "float64"), target.array(LABELS, "int")
    w = None if weight is None else target.array(weight, "float64")
    each, total = losses(X, LABELS, weight, 0.0)
    assert close(target.numpy(F.nll_loss(x, t, w, reduction="none")), each)
    assert close(target.numpy(F.nll_loss(x, t, w, reduction="sum")), each.sum())
    assert close(target.numpy(F.nll_loss(x, t, w)), each.sum() / total)
    assert close(target.numpy(F.NLLLoss(w)(x, t)), each.sum() / total)


def test_one_sample_without_a_batch(target):
    x, t = target.array(X[0, :, 0], "float64"), target.array(2, "int")
    want = np.log(np.exp(X[0, :, 0]).sum()) - X[0, 2, 0]
    for how in ("none", "sum", "mean"):
        for options in ({}, {"weight": target.array(np.ones(3), "float64"), "label_smoothing": 1e-300}):
            loss = F.cross_entropy(x, t, reduction=how, **options)
            assert close(target.numpy(loss), want)
            assert loss.shape == ()
            if target.backend.name == "numpy":
                assert isinstance(loss, np.ndarray)
    soft = target.array(SOFT[0, :, 0], "float64")
    assert close(target.numpy(F.cross_entropy(x, soft)), target.numpy(F.cross_entropy(x, soft, reduction="sum")))


def test_any_value_is_ignored_on_request(target):
    x = target.array(X, "float64")
    each, total = losses(X, np.where(LABELS == -100, 1, LABELS), None, 0.2, ignore=1)
    for dtype in ("int", "int32", "uint8"):
        t = target.array(np.where(LABELS == -100, 1, LABELS), dtype)
        got = F.cross_entropy(x, t, ignore_index=1, label_smoothing=0.2)
        assert close(target.numpy(got), each.sum() / total)
        assert close(target.numpy(F.nll_loss(x, t, reduction="none")).shape, (4, 2))  # -100 is no uint8


@pytest.mark.parametrize("weight", [None, [1.0, 0.0, 2.0]], ids=["plain", "weighted"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_mean_of_nothing_is_nan(target, weight, smoothing):
    """Kept from PyTorch: ported training code may look for it. axisoft.cross_entropy gives 0."""
    w = None if weight is None else target.array(weight, "float64")
    x, t = target.array([[0.0, 1.0, 2.0]], "float64"), target.array([-100], "int")
    assert np.isnan(target.numpy(F.cross_entropy(x, t, w, label_smoothing=smoothing)))
    assert np.isnan(target.numpy(F.nll_loss(x, t, w)))
    assert target.numpy(F.cross_entropy(x, t, w, reduction="sum", label_smoothing=smoothing)) == 0
    if weight is not None:
        assert np.isnan(target.numpy(F.cross_entropy(x, target.array([1], "int"), w, label_smoothing=smoothing)))
    none = target.array(np.zeros((0, 3)), "float64")
    assert np.isnan(target.numpy(F.cross_entropy(none, target.array(np.zeros(0), "int"), w)))
    assert np.isnan(target.numpy(F.cross_entropy(none, none, w)))
    assert np.isnan(target.numpy(F.binary_cross_entropy_with_logits(none, none)))


@pytest.mark.backends(fits=lambda backend: backend.name == "numpy")
@pytest.mark.parametrize("zeros", [False, True], ids=["every class weighs", "some weigh 0"])
@pytest.mark.parametrize("smoothing", [0.1, 1.0])
def test_weights_and_smoothing_make_nothing_as_large_as_the_logits(target, zeros, smoothing, monkeypatch):
    monkeypatch.setattr("axisoft._threads._chosen", 1)
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(8192, 1024)).astype(np.float32), rng.integers(0, 1024, 8192)
    w = rng.random(1024).astype(np.float32) + 0.5
    w[::7] *= not zeros
    tracemalloc.start()
    try:
        for how in ("none", "sum", "mean"):
            F.cross_entropy(x, t, w, reduction=how, label_smoothing=smoothing)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < x.nbytes / 2  # tiles of two megabytes


@pytest.mark.backends(fits=differentiates)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_gradient_of_the_mean_of_nothing_is_0(target, smoothing):
    x, t = target.array([[0.0, NAN, 2.0]], "float64"), target.array([-100], "int")
    for w in (None, target.array([1.0, 0.0, 2.0], "float64")):
        got = gradient(target, lambda x: F.cross_entropy(x, t, w, label_smoothing=smoothing), x)  # noqa: B023
        assert np.array_equal(got, [[0, 0, 0]])


@pytest.mark.backends(fits=differentiates)
@pytest.mark.parametrize("weight", [None, [1.0, 0.5, 2.0]], ids=["plain", "weighted"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_an_ignored_row_of_nan_reaches_nothing(target, weight, smoothing):
    w = None if weight is None else target.array(weight, "float64")
    x, t = target.array([[NAN, 0.0, 1.0], [INF] * 3, [0.0, 0.0, 0.0]], "float64"), target.array([-100, -100, 1], "int")
    run = lambda x: F.cross_entropy(x, t, w, label_smoothing=smoothing)
    assert close(target.numpy(run(x)), np.log(3) * (1 if w is None else (1 - smoothing + smoothing * 3.5 / 3 / 0.5)))
    got = gradient(target, run, x)
    assert np.array_equal(got[:2], np.zeros((2, 3)))
    assert np.isfinite(got).all()


@pytest.mark.host
@pytest.mark.parametrize("bad", [3, -1])
def test_a_wrong_class_is_an_error_or_nan(target, bad):
    """IndexError where values can be read (Dask: when it computes), else NaN; never another class, in no reduction."""
    x, t = target.array([[0.0, 1.0, 2.0]], "float64"), target.array([bad], "int")
    w = target.array([1.0, 2.0, 3.0], "float64")
    for how in ("none", "mean"):
        for options in (
            {},
            {"label_smoothing": 0.1},
            {"label_smoothing": 1.0},
            {"weight": w},
            {"weight": w, "label_smoothing": 0.1},
        ):
            name = "targets" if target.backend.name == "dask" else "target"  # a block says it, behind the facade's back
            text = rf"^cross_entropy: {name} holds class {bad} at \(0,\), but there are 3 classes"
            if "cuda" in target.name or target.backend.name == "cupy":
                assert np.isnan(target.numpy(F.cross_entropy(x, t, reduction=how, **options))).all()
            else:
                with pytest.raises(IndexError, match=text):
                    target.numpy(F.cross_entropy(x, t, reduction=how, **options))


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
def test_under_jit_and_with_a_wrong_class(target):
    import jax

    x, t, w = target.array(X, "float64"), target.array(LABELS, "int"), target.array(WEIGHT, "float64")
    for options in ({}, {"weight": w}, {"weight": w, "label_smoothing": 0.1}, {"label_smoothing": 1.0}):
        run = jax.jit(lambda x, t: F.cross_entropy(x, t, **options))  # noqa: B023
        assert close(target.numpy(run(x, t)), target.numpy(F.cross_entropy(x, t, **options)))
        assert np.isnan(target.numpy(run(x, t + 2)))
        assert np.isfinite(target.numpy(jax.jit(jax.grad(run))(x, t))).all()


@pytest.mark.backends(fits=lambda backend: "float16" in backend.dtypes)
def test_half_precision_in_and_out_and_single_between(target):
    for dtype in {"float16", "bfloat16"} & set(target.backend.dtypes):
        x, t = target.array(np.zeros((70_000, 3)), dtype), target.array(np.zeros(70_000), "int")
        loss = F.cross_entropy(x, t)
        assert loss.dtype == x.dtype
        assert target.numpy(loss) == target.numpy(target.array(np.log(3.0), dtype))
        weighted = F.cross_entropy(x, t, target.array([1.0, 2.0, 3.0], dtype), label_smoothing=0.5)
        assert weighted.dtype == x.dtype
        assert close(target.numpy(weighted), np.log(3) * 1.5, rtol=4e-3)
        for y in (F.softmin(x, 1), F.softplus(x, 2.0), F.binary_cross_entropy_with_logits(x, x), F.nll_loss(x, t)):
            assert y.dtype == x.dtype
        if target.backend.name != "dask":  # it lets NumPy warn of a number that is too large
            assert np.isinf(target.numpy(F.cross_entropy(x, t, reduction="sum"))) == (dtype == "float16")


def test_integers_are_promoted(target):
    x = target.array([[1, 2, 3]], "int")
    wide = target.array([[1.0, 2.0, 3.0]], "float64")
    for run in (
        lambda x: F.softmax(x, 1),
        lambda x: F.softmin(x, 1),
        lambda x: F.softplus(x, 3),
        F.logsigmoid,
        lambda x: F.cross_entropy(x, target.array([1], "int32"), label_smoothing=0.1),
        lambda x: F.cross_entropy(
            x, target.array([1], "int32"), target.array([1.0, 2.0, 3.0], "float32"), label_smoothing=0.1
        ),
        lambda x: F.cross_entropy(x, target.array([[0.5, 0.5, 0.0]], "float64")),
    ):
        assert close(target.numpy(run(x)), target.numpy(run(wide)), rtol=1e-6)
    small = target.array([[0, 200]], "uint8")
    assert (
        close(target.numpy(F.softmin(small, 1)), [[1, np.exp(-200)]], rtol=1e-6)
        or target.numpy(F.softmin(small, 1))[0, 1] == 0
    )


def test_softmax_family(target):
    x = target.array(X, "float64")
    e = np.exp(X)
    assert close(target.numpy(F.softmax(x, 1)), e / e.sum(1, keepdims=True))
    assert close(target.numpy(F.log_softmax(x, dim=-1)), X - np.log(e.sum(-1, keepdims=True)), rtol=1e-9)
    assert close(target.numpy(F.softmin(x, 0)), (1 / e) / (1 / e).sum(0))
    assert close(target.numpy(F.logsumexp(x, (0, 2), True)), np.log(e.sum((0, 2), keepdims=True)))
    assert close(target.numpy(F.sigmoid(x)), e / (1 + e))
    assert close(target.numpy(F.logsigmoid(x)), -np.log1p(1 / e))
    assert close(target.numpy(F.Softmax(1)(x)), e / e.sum(1, keepdims=True))
    assert close(target.numpy(F.LogSoftmax(1)(x)), X - np.log(e.sum(1, keepdims=True)))
    assert close(target.numpy(F.Softmax2d()(x)), e / e.sum(0))
    assert close(target.numpy(F.Sigmoid()(x)), e / (1 + e))
    for run in (F.softmax, F.log_softmax, F.softmin):
        assert run(x, 1, dtype=target.xp.float32).dtype == target.xp.float32
    one = target.array(3.0, "float64")
    for run, want in ((F.softmax, 1), (F.log_softmax, 0), (F.softmin, 1), (F.logsumexp, 3)):
        assert target.numpy(run(one, 0)) == want
        assert run(one, -1).shape == ()


@pytest.mark.parametrize(("shape", "axis"), [((), 0), ((3,), 0), ((2, 3), 1), ((2, 3, 2), 0), ((1, 2, 3, 2), 1)])
def test_the_axis_that_no_dim_means(target, shape, axis):
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape) / 2
    x = target.array(values, "float64")
    for name, held in (("softmax", F.Softmax()), ("log_softmax", F.LogSoftmax()), ("softmin", None)):
        text = f"^Implicit dimension choice for {name} has been deprecated. "
        text += "Change the call to include dim=X as an argument.$"
        run = getattr(F, name)
        for call in [run] + ([held] if held else []):
            with pytest.warns(UserWarning, match=text) as found:
                y = call(x)
            assert found[0].filename == __file__
            assert np.array_equal(target.numpy(y), target.numpy(run(x, axis)))


def test_deprecated_arguments(target):
    x, t = target.array(X, "float64"), target.array(LABELS, "int")
    for size_average, reduce, how in (
        (True, None, "mean"), (False, None, "sum"), (None, True, "mean"), (None, False, "none"),
        (True, False, "none"), (False, True, "sum"), (False, False, "none"),
    ):  # fmt: skip
        legacy = {"size_average": size_average, "reduce": reduce}
        text = f"size_average and reduce args will be deprecated, please use reduction='{how}' instead."
        for call, options in ((F.cross_entropy, {}), (F.nll_loss, {}), (F.binary_cross_entropy_with_logits, {})):
            second = x if call is F.binary_cross_entropy_with_logits else t
            with pytest.warns(UserWarning, match=text) as found:
                got = call(x, second, **legacy, **options)
            assert found[0].filename == __file__
            assert np.array_equal(target.numpy(got), target.numpy(call(x, second, reduction=how)))
        for kind in (F.CrossEntropyLoss, F.NLLLoss, F.BCEWithLogitsLoss):
            with pytest.warns(UserWarning, match=text) as found:
                assert kind(**legacy).reduction == how
            assert found[0].filename == __file__


def test_binary_cross_entropy(target):
    labels, factor, positive = SOFT, RNG.random((3, 2)), np.asarray([[0.5], [1.0], [2.0]])
    x, t = target.array(X, "float64"), target.array(labels, "float64")
    w, p = target.array(factor, "float64"), target.array(positive, "float64")
    each = factor * (positive * labels * np.log1p(np.exp(-X)) + (1 - labels) * np.log1p(np.exp(X)))
    run = F.binary_cross_entropy_with_logits
    assert close(target.numpy(run(x, t, w, reduction="none", pos_weight=p)), each)
    assert close(target.numpy(run(x, t, w, reduction="sum", pos_weight=p)), each.sum())
    assert close(target.numpy(run(x, t, w, pos_weight=p)), each.mean())  # over the elements, whatever the weights
    assert close(target.numpy(F.BCEWithLogitsLoss(w, pos_weight=p)(x, t)), each.mean())
    infinite, hard = target.array([INF, -INF], "float64"), target.array([1.0, 0.0], "float64")
    assert np.array_equal(target.numpy(run(infinite, hard)), 0.0)
    assert target.numpy(run(hard - hard + 40.0, hard * 0.0)) == 40.0


def test_softplus(target):
    z = np.asarray([-50.0, -1.0, 0.0, 0.5, 15.0, 20.5, 300.0, 700.0])
    x = target.array(z, "float64")
    for beta in (1, 2.5, -1.5, 0.125):
        want = np.maximum(beta * z, 0) / beta + np.log1p(np.exp(-np.abs(beta * z))) / beta
        assert close(target.numpy(F.softplus(x, beta)), want)
    y = target.numpy(F.softplus(target.array([20.5], "float64")))  # PyTorch: 20.5
    assert close(y, 20.5 + 1.2501528648e-9, rtol=1e-15)
    assert y[0] > 20.5
    assert np.array_equal(target.numpy(F.softplus(x, threshold=-100)), target.numpy(F.softplus(x)))
    assert close(
        target.numpy(F.softplus(target.array([1e38, INF, -INF, NAN], "float32"), 100)), [1e38, INF, 0, NAN], rtol=1e-6
    )


@pytest.mark.backends(fits=differentiates)
def test_softplus_gradient(target):
    z = np.asarray([-50.0, -1.0, 0.0, 0.5, 20.5, 700.0])
    for beta in (2.5, -1.5):
        got = gradient(target, lambda x: F.softplus(x, beta), target.array(z, "float64"))  # noqa: B023
        with np.errstate(over="ignore"):
            assert close(got, 1 / (1 + np.exp(-beta * z)))
    assert np.array_equal(gradient(target, lambda x: F.softplus(x, 100), target.array([1e38], "float32")), [1.0])


@pytest.mark.backends(fits=differentiates)
def test_confident_cross_entropy_and_its_gradient(target):
    x, t = target.array([[0.0, -20.0]], "float32"), target.array([0], "int")
    assert close(target.numpy(F.cross_entropy(x, t)), 2.061153620314381e-09, rtol=1e-6)
    got = gradient(target, lambda x: F.cross_entropy(x, t), x)
    assert close(got, [[-2.061153618190204e-09, 2.061153618190204e-09]], rtol=1e-6)
    soft = target.array([[1.0, 0.0]], "float32")
    assert np.array_equal(gradient(target, F.cross_entropy, target.array([[0.0, -INF]], "float32"), soft), [[0, 0]])


@pytest.mark.backends(fits=differentiates)
def test_all_minus_inf_has_gradient_0(target):
    got = gradient(target, lambda x: F.logsumexp(x, 0), target.array([-INF, -INF], "float64"))
    assert np.array_equal(got, [0, 0])


def test_what_the_objects_show():
    assert repr(F.Softmax(dim=1)) == "Softmax(dim=1)"
    assert repr(F.Softmax2d()) == "Softmax2d()"
    held = "weight=None, ignore_index=-1, reduction='sum', label_smoothing=0.1"
    assert (
        repr(F.CrossEntropyLoss(ignore_index=-1, reduction="sum", label_smoothing=0.1)) == f"CrossEntropyLoss({held})"
    )
    assert repr(F.NLLLoss()) == "NLLLoss(weight=None, ignore_index=-100, reduction='mean')"
    assert repr(F.BCEWithLogitsLoss()) == "BCEWithLogitsLoss(weight=None, reduction='mean', pos_weight=None)"


def test_inputs_stay_as_they_were(target):
    x, t, w = target.array(X, "float64"), target.array(LABELS, "int"), target.array(WEIGHT, "float64")
    with warnings.catch_warnings():
        F.cross_entropy(x, t, w, label_smoothing=0.1)
        F.softmin(x, 1), F.softplus(x, 2), F.cross_entropy(x, target.array(SOFT, "float64"), label_smoothing=0.1)
    assert np.array_equal(target.numpy(x), X)
    assert np.array_equal(target.numpy(t), LABELS)
    assert np.array_equal(target.numpy(w), WEIGHT)


def test_errors(target):
    x, t = target.array(X, "float64"), target.array(LABELS, "int")
    soft = target.array(SOFT, "float64")
    text = "cross_entropy: ignore_index is 1, but target holds probabilities; "
    text += "leave ignore_index out, or give class indices."
    for call, error, message in (
        (lambda: F.cross_entropy(x, soft, ignore_index=1), ValueError, text),
        (
            lambda: F.cross_entropy(x, t, label_smoothing=1.5),
            ValueError,
            "cross_entropy: label_smoothing is 1.5; use a",
        ),
        (lambda: F.cross_entropy(x, t, reduction="average"), ValueError, "cross_entropy: reduction is 'average'; use"),
        (lambda: F.cross_entropy(x, None), TypeError, "cross_entropy: target is None, not an array"),
        (lambda: F.cross_entropy([1.0], t), TypeError, "cross_entropy: input is a list, not an array"),
        (lambda: F.cross_entropy(x, x[:, :1, :]), ValueError, "does not fit input with shape (4, 3, 2)"),
        (lambda: F.cross_entropy(x, t[:3, :]), ValueError, "does not fit input with shape (4, 3, 2) and class axis 1"),
        (lambda: F.nll_loss(x, soft), TypeError, "nll_loss: target has dtype"),
        (lambda: F.softplus(x, beta=0), ValueError, "softplus: beta is 0; use another number."),
        (lambda: F.softmax(x, 3), ValueError, "softmax: dim 3 is out of bounds for input with shape (4, 3, 2)"),
        (lambda: F.logsumexp(x, 0, keepdim=1), TypeError, "logsumexp: keepdim is 1, not a boolean; use True or False."),
        (
            lambda: F.binary_cross_entropy_with_logits(x, t),
            ValueError,
            "target with shape (4, 2) and input with shape",
        ),
    ):
        with pytest.raises(error) as found:
            call()
        assert message in str(found.value)
