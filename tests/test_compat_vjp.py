"""``axisoft.vjp`` and ``axisoft.value_and_grad`` of the facades' functions, on every backend."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from helpers import finite_differences

import axisoft
from axisoft import _tape, value_and_grad, vjp
from axisoft.compat import jax as J
from axisoft.compat import optax as O
from axisoft.compat import scipy as S
from axisoft.compat import torch as F

INF, NAN = np.inf, np.nan
RNG = np.random.default_rng(12)
X = RNG.normal(size=(4, 3)) * 2
T = np.asarray([0, 2, -100, 1])
P = RNG.dirichlet(np.ones(3), size=4)
W = np.asarray([0.5, 0.0, 2.0])
B = RNG.normal(size=(4, 3))
MASK = np.asarray([[True, False, True], [True, True, True], [False, True, True], [True, True, False]])
BINARY = F.binary_cross_entropy_with_logits

# facade, positional arguments, options: every function, and what it does around axisoft's own
CASES = {
    "cross_entropy": (F.cross_entropy, (X, T), {}),
    "cross_entropy, weighted": (F.cross_entropy, (X, T, W), {}),
    "cross_entropy, weighted, none": (F.cross_entropy, (X, T, W), {"reduction": "none"}),
    "cross_entropy, weighted and smoothed": (F.cross_entropy, (X, T, W), {"label_smoothing": 0.1}),
    "cross_entropy, smoothed, sum": (F.cross_entropy, (X, T, W), {"label_smoothing": 0.1, "reduction": "sum"}),
    "cross_entropy, all smooth": (F.cross_entropy, (X, T, W), {"label_smoothing": 1}),
    "cross_entropy of probabilities": (F.cross_entropy, (X, P, W), {"label_smoothing": 0.3}),
    "nll_loss": (F.nll_loss, (X, T, W), {}),
    "nll_loss, none": (F.nll_loss, (X, T), {"reduction": "none"}),
    "binary": (BINARY, (X, P, W), {"pos_weight": W + 1}),
    "binary, none": (BINARY, (X, P), {"reduction": "none"}),
    "torch softmax": (F.softmax, (X, 1), {}),
    "softmin": (F.softmin, (X, 0), {}),
    "torch log_softmax": (F.log_softmax, (X, 1), {}),
    "torch logsumexp": (F.logsumexp, (X, (0, 1)), {}),
    "torch sigmoid": (F.sigmoid, (X,), {}),
    "logsigmoid": (F.logsigmoid, (X,), {}),
    "softplus": (F.softplus, (X,), {}),
    "softplus, beta": (F.softplus, (X, 2.5), {}),
    "scipy softmax": (S.softmax, (X,), {}),
    "scipy log_softmax": (S.log_softmax, (X, 0), {}),
    "scipy logsumexp": (S.logsumexp, (X, 1), {}),
    "scipy logsumexp, weighted": (S.logsumexp, (X, 1, np.abs(B)), {"keepdims": True}),
    "scipy logsumexp, weights of one row": (S.logsumexp, (X, 0, np.abs(B[0])), {}),
    "expit": (S.expit, (X,), {}),
    "log_expit": (S.log_expit, (X,), {}),
    "jax softmax": (J.softmax, (X,), {"where": MASK}),
    "jax log_softmax": (J.log_softmax, (X, None), {}),
    "jax logsumexp": (J.logsumexp, (X, 1, np.abs(B)), {"where": MASK}),
    "jax sigmoid": (J.sigmoid, (X,), {}),
    "log_sigmoid": (J.log_sigmoid, (X,), {}),
    "jax softplus": (J.softplus, (X,), {}),
    "softmax_cross_entropy": (O.softmax_cross_entropy, (X, P), {"where": MASK}),
    "softmax_cross_entropy over two axes": (O.softmax_cross_entropy, (X, P, (1, 0)), {}),
    "integer labels": (O.softmax_cross_entropy_with_integer_labels, (X, T % 3), {}),
    "integer labels along the first axis": (O.softmax_cross_entropy_with_integer_labels, (X, T[:3] % 4, 0), {}),
    "integer labels, masked": (O.softmax_cross_entropy_with_integer_labels, (X, T % 1), {"where": MASK[:, :1]}),
    "safe": (O.safe_softmax_cross_entropy, (X, P), {}),
    "sigmoid_binary": (O.sigmoid_binary_cross_entropy, (X, P[0]), {}),
}


def made(target, value, dtype="float64"):
    if not isinstance(value, np.ndarray):
        return value
    return target.array(value, {"i": "int", "b": "bool"}.get(value.dtype.kind, dtype))


def test_every_function_is_here():
    public = {getattr(module, name) for module in (S, F, J, O) for name in module.__all__}
    assert {fun for fun in public if not inspect.isclass(fun)} == {fun for fun, _, _ in CASES.values()}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(target, name):
    fun, args, options = CASES[name]
    given = [made(target, a) for a in args]
    kept = {key: made(target, a) for key, a in options.items()}
    want = np.asarray(fun(*args, **options))
    y, pullback = vjp(fun, *given, **kept)
    assert np.allclose(target.numpy(y), want, rtol=1e-13)
    assert y.shape == want.shape
    g = RNG.normal(size=want.shape)
    for _ in range(2):  # as often as one likes
        found = pullback(target.array(g, "float64"))
        assert len(found) == len(args)
        for i, a in enumerate(args):
            if not (isinstance(a, np.ndarray) and a.dtype.kind == "f"):
                assert found[i] is None
                continue
            along = lambda a, i=i: g * fun(*args[:i], a, *args[i + 1 :], **options)
            assert found[i].shape == a.shape
            assert found[i].dtype == given[i].dtype
            if i == 2 and name.startswith(("cross_entropy", "nll")):
                at = a.copy()  # at a weight of 0 the loss has a step: a sample enters
                at[at == 0] = 1e-2
                smooth = [*args[:i], at, *args[i + 1 :]]
                _, pull = vjp(fun, *(made(target, a) for a in smooth), **kept)
                got = target.numpy(pull(target.array(g, "float64"))[i])
                assert np.allclose(got, finite_differences(along, at), rtol=1e-6, atol=1e-8)
            else:
                assert np.allclose(target.numpy(found[i]), finite_differences(along, a), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", ["cross_entropy, weighted and smoothed", "nll_loss", "binary", "scipy logsumexp"])
def test_value_and_grad(target, name):
    fun, (x, *args), options = CASES[name]
    if name == "scipy logsumexp":
        args = []
    x, *args = (made(target, a) for a in (x, *args))
    options = {key: made(target, a) for key, a in options.items()}
    value, gradient = value_and_grad(fun)(x, *args, **options)
    y, pullback = vjp(fun, x, *args, **options)
    assert value.shape == ()
    assert target.numpy(value) == target.numpy(y)
    ones = target.array(1.0, "float64")
    assert np.array_equal(target.numpy(gradient), target.numpy(pullback(ones)[0]))
    names = inspect.signature(fun).parameters
    named = value_and_grad(fun)(**dict(zip(names, (x, *args), strict=False)), **options)
    assert np.array_equal(target.numpy(named[1]), target.numpy(gradient))


def test_what_does_not_count_has_gradient_0(target):
    """Nothing of what a mask, a weight of 0 or an ignored target hides reaches a gradient; a sum of nothing has 0."""
    rows = [[0.0, NAN], [INF, -INF], [1.0, 1.0], [-INF, -INF]]
    a, b = target.array(rows, "float64"), target.array([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0], [1.0, 1.0]], "float64")
    _, pull = vjp(S.logsumexp, a, axis=1, b=b)
    assert np.array_equal(target.numpy(pull(target.array(np.ones(4), "float64"))[0]), [[1, 0], [0, 0], [0, 0], [0, 0]])
    x, t = target.array([[NAN, 0.0, 1.0], [INF] * 3, [0.0, 0.0, 0.0]], "float64"), target.array([-100, -100, 1], "int")
    for w in (None, target.array([1.0, 0.5, 2.0], "float64")):
        for smoothing in (0.0, 0.1, 1.0):
            _, gradient = value_and_grad(F.cross_entropy)(x, t, w, label_smoothing=smoothing)
            assert np.array_equal(target.numpy(gradient)[:2], np.zeros((2, 3)))
            assert np.isfinite(target.numpy(gradient)).all()
    value, gradient = value_and_grad(F.cross_entropy)(x, target.array([-100] * 3, "int"))
    assert np.isnan(target.numpy(value))
    assert np.array_equal(target.numpy(gradient), np.zeros((3, 3)))
    where = target.array([[False] * 3, [True] * 3], "bool")
    x = target.array([[NAN] * 3, [0.0, 1.0, 2.0]], "float64")
    _, pull = vjp(O.softmax_cross_entropy, x, target.array(np.full((2, 3), 1 / 3), "float64"), where=where)
    found = target.numpy(pull(target.array([1.0, 1.0], "float64"))[0])
    assert np.array_equal(found[0], np.zeros(3))
    assert np.isfinite(found).all()


def test_a_confident_row_keeps_its_gradient(target):
    x = target.array([[0.0, -20.0]], "float32")
    _, gradient = value_and_grad(F.cross_entropy)(x, target.array([0], "int"))
    want = [[-2.061153618190204e-09, 2.061153618190204e-09]]
    assert np.allclose(target.numpy(gradient), want, rtol=1e-6, atol=0)
    assert gradient.dtype == x.dtype


def test_large_arrays_go_over_tiles(target):
    x, t = RNG.normal(size=(300, 100)), RNG.integers(0, 100, 300)
    _, gradient = value_and_grad(F.cross_entropy)(target.array(x, "float64"), target.array(t, "int"))
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    assert np.allclose(target.numpy(gradient), (p - np.eye(100)[t]) / 300, rtol=1e-11, atol=1e-14)


@pytest.mark.backends(fits=lambda backend: backend.gradients == "-")
def test_a_step_without_a_rule_is_an_error(target):
    x = target.array([1.0, 2.0], "float64")
    space = axisoft._backends.namespace(x)
    run = lambda a: a.__array_namespace__().sin(a)
    with pytest.raises(NotImplementedError, match="no rule for sin"):
        _tape.vjp(run, space, [x], [True])


@pytest.mark.host
def test_errors(target):
    x, t = target.array(X, "float64"), target.array(T, "int")
    for call, error, text in (
        (
            lambda: vjp(S.logsumexp, x, return_sign=True),
            TypeError,
            "vjp: logsumexp gives 2 arrays, and only one array has a cotangent; leave return_sign out.",
        ),
        (lambda: vjp(F.CrossEntropyLoss, x), TypeError, "vjp: fun is CrossEntropyLoss, not a function of arrays from"),
        (lambda: vjp(F.cross_entropy, [1.0], t), TypeError, "cross_entropy: input is a list, not an array"),
        (lambda: vjp(F.cross_entropy, x, t + 9), IndexError, "cross_entropy: target holds class 9"),
        (lambda: value_and_grad(F.softmax)(x, 1), ValueError, "value_and_grad: the value of softmax has shape (4, 3)"),
        (lambda: value_and_grad(F.cross_entropy)(t, t), TypeError, "value_and_grad: input has dtype"),
        (lambda: vjp(F.softmax, x, 1)[1](t), ValueError, "vjp: cotangent with shape (4,) does not fit the result of"),
    ):
        if "holds class" in text and (target.backend.name == "dask" or "cuda" in target.name):
            continue  # values are not read there
        with pytest.raises(error) as found:
            call()
        assert str(found.value).startswith(text)
