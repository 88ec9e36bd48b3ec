"""axisoft.compat.torch beside torch.nn.functional, on every backend."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from compat_peers.differential import agree, compare, numbers, rng, some_axes
from helpers import differentiates, gradient
from hypothesis import strategies as st

from axisoft.compat import torch as facade

F = torch.nn.functional


def peer(a):
    return None if a is None else torch.asarray(a)


def ours(target, a):
    return None if a is None else target.array(a, "int" if a.dtype.kind == "i" else "float64")


@st.composite
def classification(draw, *, soft=None):
    """Logits, targets of one kind or the other, and every option; at times all targets are ignored."""
    x = draw(numbers())
    axis = min(1, x.ndim - 1)
    count, r = x.shape[axis], rng(draw)
    options = {"reduction": draw(st.sampled_from(["none", "sum", "mean"]))}
    options["label_smoothing"] = draw(st.sampled_from([0.0, 0.1, 1.0]))
    shape = x.shape[:axis] + x.shape[axis + 1 :]
    if draw(st.booleans()) if soft is None else soft:
        t = np.moveaxis(r.dirichlet(np.ones(count), size=shape), -1, axis)
    else:
        t = np.asarray(r.integers(0, count, size=shape))
        ignore = draw(st.sampled_from([-100, 0, 2]))
        if ignore == -100:
            t = np.where(r.random(shape) < draw(st.sampled_from([0.0, 0.5, 1.0])), -100, t)
        else:
            options["ignore_index"] = ignore
    weight = None
    if draw(st.booleans()):
        weight = r.random(count) * (r.random(count) > draw(st.sampled_from([0.0, 0.4])))
    return x, t, weight, options


def test_cross_entropy(target):
    def body(data):
        x, t, weight, options = data
        theirs = F.cross_entropy(peer(x), peer(t), peer(weight), **options)
        got = facade.cross_entropy(ours(target, x), ours(target, t), ours(target, weight), **options)
        agree(target.numpy(got), theirs, scale=10 * np.abs(x).max())
        held = facade.CrossEntropyLoss(ours(target, weight), **options)(ours(target, x), ours(target, t))
        assert np.array_equal(target.numpy(held), target.numpy(got), equal_nan=True)

    compare(target, classification(), body)


@pytest.mark.backends(fits=differentiates)
def test_cross_entropy_gradients(target):
    """Along the logits and the probabilities. Where the mean is NaN, PyTorch's gradient is 0 or NaN; ours is 0."""

    def body(data):
        x, t, weight, options = data
        soft = t.dtype.kind == "f"
        a, b = peer(x).requires_grad_(), peer(t).requires_grad_(soft)
        y = F.cross_entropy(a, b, peer(weight), **options)
        y.sum().backward()
        run = lambda x, t: facade.cross_entropy(x, t, ours(target, weight), **options)
        got = gradient(target, run, ours(target, x), ours(target, t))
        agree(got, np.zeros_like(x) if y.isnan().any() else a.grad, scale=10)
        if soft:
            along = gradient(target, run, ours(target, x), ours(target, t), index=1)
            agree(along, b.grad, scale=10 * np.abs(x).max())

    compare(target, classification(), body)


def test_nll_loss(target):
    def body(data):
        x, t, weight, options = data
        del options["label_smoothing"]
        theirs = F.nll_loss(peer(x), peer(t), peer(weight), **options)
        got = facade.nll_loss(ours(target, x), ours(target, t), ours(target, weight), **options)
        agree(target.numpy(got), theirs, scale=10 * np.abs(x).max())
        held = facade.NLLLoss(ours(target, weight), **options)(ours(target, x), ours(target, t))
        assert np.array_equal(target.numpy(held), target.numpy(got), equal_nan=True)
        if target.backend.name == "torch":
            a = peer(x).requires_grad_()
            F.nll_loss(a, peer(t), peer(weight), **options).sum().backward()
            run = lambda x: facade.nll_loss(x, ours(target, t), ours(target, weight), **options)
            agree(gradient(target, run, ours(target, x)), np.zeros_like(x) if theirs.isnan().any() else a.grad)

    compare(target, classification(soft=False), body)


@st.composite
def binary(draw):
    x = draw(numbers())
    r = rng(draw)
    shapes = st.sampled_from([None, x.shape, x.shape[-1:], (1,) * x.ndim])
    t = r.random(x.shape) if draw(st.booleans()) else r.integers(0, 2, size=x.shape).astype(float)
    weight, positive = (None if s is None else r.random(s) + 0.1 for s in (draw(shapes), draw(shapes)))
    return x, t, weight, positive, draw(st.sampled_from(["none", "sum", "mean"]))


def test_binary_cross_entropy(target):
    def body(data):
        x, t, weight, positive, how = data
        a, b = peer(x).requires_grad_(), peer(t).requires_grad_()
        options = {"reduction": how}
        theirs = F.binary_cross_entropy_with_logits(a, b, peer(weight), pos_weight=peer(positive), **options)

        def run(x, t):
            w, p = ours(target, weight), ours(target, positive)
            return facade.binary_cross_entropy_with_logits(x, t, w, pos_weight=p, **options)

        agree(target.numpy(run(ours(target, x), ours(target, t))), theirs.detach(), scale=np.abs(x).max())
        held = facade.BCEWithLogitsLoss(ours(target, weight), pos_weight=ours(target, positive), **options)
        agree(target.numpy(held(ours(target, x), ours(target, t))), theirs.detach(), scale=np.abs(x).max())
        if differentiates(target.backend):
            theirs.sum().backward()
            agree(gradient(target, run, ours(target, x), ours(target, t)), a.grad)
            agree(gradient(target, run, ours(target, x), ours(target, t), index=1), b.grad, scale=np.abs(x).max())

    compare(target, binary(), body)


@st.composite
def along(draw):
    x = draw(numbers())
    dim = draw(some_axes(x.ndim, none=False, several=False))
    return x, dim, draw(some_axes(x.ndim, none=False)), draw(st.booleans())


def test_softmax_family(target):
    def body(data):
        x, dim, dims, keepdim = data
        for name in ("softmax", "softmin", "log_softmax"):
            a = peer(x).requires_grad_()
            theirs = getattr(F, name)(a, dim)
            got = getattr(facade, name)(ours(target, x), dim)
            agree(target.numpy(got), theirs.detach(), scale=np.abs(x).max() if name == "log_softmax" else 1.0)
            if differentiates(target.backend):
                (theirs * peer(x)).sum().backward()
                cotangent = ours(target, x)
                run = lambda x: getattr(facade, name)(x, dim) * cotangent  # noqa: B023
                agree(gradient(target, run, ours(target, x)), a.grad, scale=100 * np.abs(x).max())
        a = peer(x).requires_grad_()
        theirs = torch.logsumexp(a, dims, keepdim)
        agree(target.numpy(facade.logsumexp(ours(target, x), dims, keepdim)), theirs.detach())
        if differentiates(target.backend):
            theirs.sum().backward()
            agree(gradient(target, lambda x: facade.logsumexp(x, dims, keepdim), ours(target, x)), a.grad)

    compare(target, along(), body)


@st.composite
def scaled(draw):
    return draw(numbers()), draw(st.sampled_from([1, 0.5, 2.5, -1.5])), draw(st.sampled_from([20, 5.0]))


def test_functions_of_each_element(target):
    def body(data):
        x, beta, threshold = data
        for run, theirs in ((facade.sigmoid, torch.sigmoid), (facade.logsigmoid, F.logsigmoid)):
            agree(target.numpy(run(ours(target, x))), theirs(peer(x)))
        got = target.numpy(facade.softplus(ours(target, x), beta, threshold))
        theirs = np.asarray(F.softplus(peer(x), beta, threshold))
        beyond = beta * x > threshold
        np.testing.assert_allclose(got[~beyond], theirs[~beyond], rtol=1e-12)
        # Beyond it PyTorch returns x, which is too little by log1p(exp(-beta x)) / beta.
        left_out = np.log1p(np.exp(-np.where(beyond, beta * x, 0))) / beta
        np.testing.assert_allclose(got[beyond], (x + left_out)[beyond], rtol=1e-12)

    compare(target, scaled(), body)


@pytest.mark.parametrize("name", ["softmax", "softmin", "log_softmax"])
def test_the_implicit_dim_and_its_warning(target, name):
    for shape in ((), (3,), (2, 3), (2, 3, 2), (1, 2, 3, 2)):
        x = np.arange(np.prod(shape, dtype=int)).reshape(shape) / 2
        with pytest.warns(UserWarning, match="Implicit dimension") as theirs:
            want = getattr(F, name)(peer(x))
        with pytest.warns(UserWarning, match="Implicit dimension") as found:
            got = getattr(facade, name)(ours(target, x))
        assert str(found[0].message) == str(theirs[0].message)
        assert found[0].filename == theirs[0].filename == __file__
        agree(target.numpy(got), want)


@pytest.mark.parametrize("size_average", [None, True, False])
@pytest.mark.parametrize("reduce", [None, True, False])
def test_deprecated_arguments(target, size_average, reduce):
    x, t = np.asarray([[0.0, 1.0], [2.0, 0.5]]), np.asarray([0, 1])
    legacy = {"size_average": size_average, "reduce": reduce}
    if legacy == {"size_average": None, "reduce": None}:
        return
    with pytest.warns(UserWarning, match="size_average and reduce") as theirs:
        want = F.cross_entropy(peer(x), peer(t), **legacy)
    with pytest.warns(UserWarning, match="size_average and reduce") as found:
        got = facade.cross_entropy(ours(target, x), ours(target, t), **legacy)
    assert str(found[0].message) == str(theirs[0].message)
    agree(target.numpy(got), want)


def test_empty_batches(target):
    x, t = np.zeros((0, 3)), np.zeros(0, dtype=np.int64)
    for how in ("none", "sum", "mean"):
        for second in (t, x):
            want = F.cross_entropy(peer(x), peer(second), reduction=how)
            agree(target.numpy(facade.cross_entropy(ours(target, x), ours(target, second), reduction=how)), want)
        want = F.binary_cross_entropy_with_logits(peer(x), peer(x), reduction=how)
        agree(
            target.numpy(facade.binary_cross_entropy_with_logits(ours(target, x), ours(target, x), reduction=how)), want
        )
