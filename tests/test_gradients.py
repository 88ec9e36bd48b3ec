"""Derivatives of every function and option, against finite differences of NumPy's values in float64."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import (
    FACTOR,
    LABELS,
    MASK,
    SOFT,
    WEIGHT,
    X,
    differentiates,
    finite_differences,
    forward_gradient,
    gradient,
)

import axisoft as ax

# name: (function of arrays, the floating arrays it is differentiable in); `a` holds what stays fixed.
CASES = {
    "sigmoid": (lambda a, x: ax.sigmoid(x), (X,)),
    "log_sigmoid": (lambda a, x: ax.log_sigmoid(x), (X,)),
    "softplus": (lambda a, x: ax.softplus(x), (X,)),
    "softmax": (lambda a, x: ax.softmax(x) ** 2, (X,)),
    "softmax over two axes": (lambda a, x: ax.softmax(x, axis=(0, 1)) ** 2, (X,)),
    "softmax, masked": (lambda a, x: ax.softmax(x, where=a["mask"]) ** 2, (X,)),
    "softmax2d": (lambda a, x: ax.softmax2d(x[:, None, :]) ** 2, (X,)),
    "log_softmax": (lambda a, x: ax.log_softmax(x, axis=0) ** 2, (X,)),
    "log_softmax, masked": (lambda a, x: a["where"](a["mask"], ax.log_softmax(x, where=a["mask"]), x * 0) ** 2, (X,)),
    "logsumexp": (lambda a, x: ax.logsumexp(x), (X,)),
    "logsumexp, masked": (lambda a, x: ax.logsumexp(x, axis=1, where=a["mask"]) ** 2, (X,)),
    "logsumexp, kept": (lambda a, x: ax.logsumexp(x, axis=0, keepdims=True) ** 2, (X,)),
    "nll_loss": (
        lambda a, x, w, f: ax.nll_loss(x, a["t"], weight=w, sample_weight=f),
        (X, WEIGHT, FACTOR),
    ),
    "binary": (
        lambda a, x, t, w, f: ax.binary_cross_entropy_with_logits(x, t, pos_weight=w, sample_weight=f[:, None]),
        (X, SOFT, WEIGHT, FACTOR),
    ),
    "binary, none": (
        lambda a, x, t, w: ax.binary_cross_entropy_with_logits(x, t, pos_weight=w, reduction="none") ** 2,
        (X, SOFT, WEIGHT),
    ),
}
for _how in ("none", "sum", "mean"):
    for _name, _options in {
        "plain": {},
        "smoothing": {"label_smoothing": 0.2},
        "z-loss": {"z_loss": 0.3},
        "smoothing and z-loss": {"label_smoothing": 0.2, "z_loss": 0.3},
    }.items():
        _o = {**_options, "reduction": _how}
        CASES[f"indices, {_name}, {_how}"] = (
            lambda a, x, w, f, o=_o: ax.cross_entropy(x, a["t"], weight=w, sample_weight=f, ignore_index=3, **o) ** 2,
            (X, WEIGHT, FACTOR),
        )
        CASES[f"indices and mask, {_name}, {_how}"] = (
            lambda a, x, w, o=_o: ax.cross_entropy(x, a["t"], weight=w, where=a["mask"], **o) ** 2,
            (X, WEIGHT),
        )
        CASES[f"probabilities, {_name}, {_how}"] = (
            lambda a, x, t, w, f, o=_o: ax.cross_entropy(x, t, weight=w, sample_weight=f, **o) ** 2,
            (X, SOFT, WEIGHT, FACTOR),
        )


def fixed(array, where):
    return {"t": array(LABELS, "int"), "mask": array(MASK, "bool"), "where": where}


def on_numpy(values, dtype):
    return np.asarray(values, dtype={"int": np.int64, "bool": np.bool_}.get(dtype, dtype))


@pytest.mark.backends(fits=differentiates)
@pytest.mark.parametrize("name", CASES)
def test_finite_differences(target, name):
    fun, values = CASES[name]
    a, b = fixed(target.array, target.xp.where), fixed(on_numpy, np.where)
    arrays = [target.array(v, "float64") for v in values]
    for index, value in enumerate(values):
        got = gradient(target, lambda *arrays: fun(a, *arrays), *arrays, index=index)

        def moved(v, index=index):
            return fun(b, *values[:index], v, *values[index + 1 :])

        assert np.allclose(got, finite_differences(moved, value), rtol=1e-8, atol=1e-9), f"array {index}"


@pytest.mark.backends(fits=differentiates)
@pytest.mark.parametrize("name", CASES)
def test_both_directions_are_transposes(target, name):
    """``<jvp(t), 1> == <t, vjp(1)>``, along the first array."""
    fun, values = CASES[name]
    a = fixed(target.array, target.xp.where)
    arrays = [target.array(v, "float64") for v in values]
    alone = lambda x: fun(a, x, *arrays[1:])
    tangent = np.random.default_rng(1).normal(size=X.shape)
    forward = np.sum(forward_gradient(target, alone, arrays[0], target.array(tangent, "float64")))
    assert np.allclose(forward, np.sum(gradient(target, alone, arrays[0]) * tangent), rtol=1e-12, atol=1e-12)


@pytest.mark.backends(fits=differentiates)
def test_ties_have_the_whole_gradient(target):
    """At a tie the largest element is not unique, and tracing through the formula would get it wrong."""
    x = target.array([[1.0, 1.0, 1.0, 0.0]], "float64")
    p = target.numpy(ax.softmax(x))
    assert np.allclose(gradient(target, lambda x: ax.logsumexp(x, axis=-1), x), p, rtol=1e-15)
    t = target.array([0], "int")
    assert np.allclose(gradient(target, lambda x: ax.cross_entropy(x, t), x), p - [[1, 0, 0, 0]], rtol=1e-15)
    got = gradient(target, lambda x: ax.softmax(x)[0, 0], x)
    assert np.allclose(got, p[0, 0] * (np.eye(4)[[0]] - p), rtol=1e-14)


@pytest.mark.backends(fits=differentiates)
def test_gradients_have_the_dtype_of_the_input(target, dtype):
    t = target.array(LABELS, "int")
    for fun in (ax.softmax, ax.sigmoid, lambda x: ax.cross_entropy(x, t)):
        x = target.array(X, dtype)
        if target.backend.name == "torch":
            x.requires_grad_()
            fun(x).sum().backward()
            assert x.grad.dtype == x.dtype
        else:
            import jax

            assert jax.grad(lambda x, fun=fun: fun(x).sum())(x).dtype == x.dtype


@pytest.mark.backends(fits=lambda backend: backend.name == "torch")
def test_no_gradient_is_kept_where_none_is_asked_for(target):
    import torch

    x = target.array(X, "float64")
    assert not ax.softmax(x).requires_grad
    x.requires_grad_()
    with torch.no_grad():
        assert not ax.cross_entropy(x, target.array(LABELS, "int")).requires_grad
    loss = ax.cross_entropy(x, target.array(LABELS, "int"))
    loss.backward(retain_graph=True)
    first = x.grad.clone()
    loss.backward()
    assert torch.equal(x.grad, 2 * first)


TWICE = [name for name in CASES if not name.endswith((", none", ", sum"))] + ["binary, none"]


@pytest.mark.backends(fits=lambda backend: backend.name == "torch")
@pytest.mark.parametrize("name", TWICE)
def test_second_derivatives_of_torch(target, name):
    """Along every array at once, forward mode and double backward included."""
    import torch

    fun, values = CASES[name]
    a = fixed(target.array, target.xp.where)
    leaves = [target.array(v, "float64").requires_grad_() for v in values]
    assert torch.autograd.gradcheck(lambda *leaves: fun(a, *leaves), leaves, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(lambda *leaves: fun(a, *leaves), leaves)


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
@pytest.mark.parametrize("name", TWICE)
def test_second_derivatives_of_jax(target, name):
    """To order 2 in both modes, along every array at once."""
    from jax.test_util import check_grads

    fun, values = CASES[name]
    a = fixed(target.array, target.xp.where)
    arrays = tuple(target.array(v, "float64") for v in values)
    check_grads(lambda *arrays: fun(a, *arrays), arrays, order=2, rtol=1e-4, atol=1e-4)
