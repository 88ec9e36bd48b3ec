"""The loss of a linear layer: cross_entropy of the logits that are never all there, in value and gradient."""

from __future__ import annotations

import math
import tracemalloc

import mpmath
import numpy as np
import pytest
from helpers import differentiates, made

import axisoft as ax
from axisoft.testing.ulp import ulp

RNG = np.random.default_rng(14)
N, D, CLASSES = 13, 3, 7
X, W, BIAS = RNG.normal(size=(N, D)), RNG.normal(size=(CLASSES, D)) * 2, RNG.normal(size=CLASSES)
T = RNG.integers(0, CLASSES, N)
IGNORED = np.where(np.arange(N) % 3 == 0, -100, T)
SOFT = RNG.dirichlet(np.ones(CLASSES), N)
WEIGHT, FACTOR = RNG.uniform(0.5, 2, CLASSES), RNG.uniform(0.5, 2, N)
FACTOR[::4] = 0
SHOWN = RNG.random((N, CLASSES)) < 0.8
SHOWN[np.arange(N), T] = True
PADDED = np.arange(CLASSES) < CLASSES - 1
EVERYTHING = {"soft_cap": 3.0, "label_smoothing": 0.1, "z_loss": 0.01, "weight": WEIGHT, "sample_weight": FACTOR}

# name: targets, bias, options.
CASES = {
    "plain": (T, None, {}),
    "bias": (T, BIAS, {}),
    "soft cap": (T, BIAS, {"soft_cap": 2.5}),
    "ignored": (IGNORED, None, {"ignore_index": -100}),
    "smoothed": (T, None, {"label_smoothing": 0.2}),
    "z_loss": (T, None, {"z_loss": 0.3}),
    "weight": (T, None, {"weight": WEIGHT}),
    "sample_weight": (T, None, {"sample_weight": FACTOR}),
    "one weight for all": (T, None, {"sample_weight": np.asarray(0.5)}),
    "probabilities": (SOFT, BIAS, {}),
    "probabilities, weighted": (SOFT, None, {"weight": WEIGHT, "sample_weight": FACTOR}),
    "padded classes": (T % (CLASSES - 1), BIAS, {"where": PADDED}),
    "mask": (T, None, {"where": SHOWN}),
    "everything": (IGNORED, BIAS, {"ignore_index": -100, **EVERYTHING}),
}
HOWS = ("mean", "sum", "none")


def reference(x, w, t, bias, *, soft_cap=None, reduction="mean", **options):
    """By all logits, in float64: value, and cotangents of features, matrix, targets and bias."""
    z, slope = x @ w.T + (0 if bias is None else bias), 1.0
    if soft_cap is not None:
        slope = 1 / np.cosh(z / soft_cap) ** 2
        z = soft_cap * np.tanh(z / soft_cap)
    y, pull = ax.vjp(ax.cross_entropy, z, t, reduction=reduction, **options)
    gz, gt = pull(np.cos(np.arange(y.size)).reshape(y.shape))
    gz = gz * slope
    return y, gz @ w, gz.T @ x, gt, gz.sum(0)


def close(got, want, dtype):
    bound = 2e-6 if "32" in dtype else 4e-14
    assert np.max(np.abs(got - want)) <= bound * np.max(np.abs(want))


def call(target, t, bias, options, dtype="float64", x=X):
    arrays = [made(target, a, dtype) for a in (x, W, t, *([] if bias is None else [bias]))]
    return arrays, {name: made(target, a, dtype) for name, a in options.items()}


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradients(target, name, how):
    t, bias, options = CASES[name]
    expected = reference(X, W, t, bias, reduction=how, **options)
    compiles = target.backend.name == "jax"
    for dtype in ("float32",) if compiles else ("float32", "float64"):
        arrays, more = call(target, t, bias, options, dtype)
        for chunk in (None, 4) if compiles else (None, 1, 4, N, 100):
            y, pull = ax.vjp(ax.linear_cross_entropy, *arrays, chunk=chunk, reduction=how, **more)
            found = pull(target.array(np.cos(np.arange(expected[0].size)).reshape(expected[0].shape), dtype))
            close(target.numpy(y), expected[0], dtype)
            for got, want in zip(found, expected[1:], strict=False):
                assert (got is None) == (want is None)
                if got is not None:
                    close(target.numpy(got), want, dtype)


@pytest.mark.parametrize("name", ["ignored", "sample_weight", "everything"])
def test_nothing_of_a_dropped_sample_leaks(target, name):
    t, bias, options = CASES[name]
    x = X.copy()
    x[(t == -100) | (options.get("sample_weight", np.ones(N)) == 0)] = np.nan
    assert np.isnan(x).any()
    arrays, more = call(target, t, bias, options, x=x)
    clean, _ = call(target, t, bias, options)
    for chunk in (None, 4):
        y, pull = ax.vjp(ax.linear_cross_entropy, *arrays, chunk=chunk, **more)
        want, pull_clean = ax.vjp(ax.linear_cross_entropy, *clean, chunk=chunk, **more)
        close(target.numpy(y), target.numpy(want), "float64")
        one = target.array(np.ones(()), "float64")
        for got, expected in zip(pull(one), pull_clean(one), strict=True):
            if got is not None:
                close(target.numpy(got), target.numpy(expected), "float64")


def test_samples_that_all_are_dropped(target):
    arrays, _ = call(target, np.full(N, 2), BIAS, {})
    y, pull = ax.vjp(ax.linear_cross_entropy, *arrays, ignore_index=2)
    assert target.numpy(y) == 0
    for g in pull(target.array(np.ones(()), "float64")):
        assert g is None or not target.numpy(g).any()


def test_no_samples(target):
    arrays, _ = call(target, T[:0], BIAS, {}, x=X[:0])
    y, pull = ax.vjp(ax.linear_cross_entropy, *arrays)
    assert target.numpy(y) == 0
    assert not target.numpy(pull(target.array(np.ones(()), "float64"))[1]).any()


def test_more_axes(target):
    """Features of (2, 6, D): targets (2, 6), a weight per row, a mask that broadcasts."""
    x, t, f, shown = X[:12].reshape(2, 6, D), T[:12].reshape(2, 6), FACTOR[:2, None], SHOWN[:6]
    shown = shown | (np.arange(CLASSES) == t[..., None]).any(0)
    arrays, more = call(target, t, BIAS, {"sample_weight": f, "where": shown}, x=x)
    y, pull = ax.vjp(ax.linear_cross_entropy, *arrays, reduction="none", **more)
    want, pull_all = ax.vjp(ax.cross_entropy, x @ W.T + BIAS, t, sample_weight=f, where=shown, reduction="none")
    close(target.numpy(y), want, "float64")
    g = np.cos(np.arange(12)).reshape(2, 6)
    close(target.numpy(pull(target.array(g, "float64"))[0]), pull_all(g)[0] @ W, "float64")


def test_one_sample_without_axes(target):
    arrays, _ = call(target, np.asarray(3), None, {}, x=X[0])
    y = ax.linear_cross_entropy(*arrays)
    assert y.shape == ()
    close(target.numpy(y), reference(X[:1], W, np.asarray([3]), None)[0], "float64")


def test_the_promise_given_the_logits(target, dtype):
    """Of whole numbers, whose products are exact however they are cut: within ``8 + g`` ulp of each loss."""
    rng, n, classes = np.random.default_rng(3), 40, 300
    x, w = rng.integers(-3, 4, (n, 8)).astype(float), rng.integers(-3, 4, (classes, 8)).astype(float)
    x[::2] *= 2
    z = x @ w.T
    t = np.where(np.arange(n) % 4, z.argmax(1), rng.integers(0, classes, n))  # confident rows
    arrays = [made(target, a, dtype) for a in (x, w, t)]
    out = "float32" if "16" in dtype else dtype
    with mpmath.workdps(60):
        wanted = [
            mpmath.log(mpmath.fsum(mpmath.exp(v - row[k]) for v in map(int, row))) for row, k in zip(z, t, strict=True)
        ]
        for chunk in (1, 7, n):
            found = target.numpy(ax.linear_cross_entropy(*arrays, reduction="none", chunk=chunk))
            for y, want, row in zip(found, wanted, np.sort(z, axis=1), strict=True):
                slack = 8 + row[-1] - row[-2]
                assert abs(float(y) - want) <= slack * ulp(float(want), out)


@pytest.mark.backends(fits=lambda backend: "bfloat16" in backend.dtypes or "float16" in backend.dtypes)
def test_half_precision(target, dtype):
    if "16" not in dtype:
        dtype = "float16"
    arrays = [made(target, a, dtype) for a in (X, W, T, BIAS)]
    x, w, b = (target.numpy(arrays[i]) for i in (0, 1, 3))
    y, gradients = ax.value_and_grad(ax.linear_cross_entropy, argnums=(0, 1, 3))(*arrays)
    assert "float32" in str(y.dtype)
    assert all(g.dtype == arrays[0].dtype for g in gradients)
    want, dx, dw, _, db = reference(x, w, T, b)
    eps = 2.0**-7 if "b" in dtype else 2.0**-10
    assert abs(target.numpy(y) - want) <= 2 * eps * want
    for got, expected in zip(gradients, (dx, dw, db), strict=True):
        assert np.max(np.abs(target.numpy(got) - expected)) <= 4 * eps * np.max(np.abs(expected))


def test_a_capped_logit_keeps_the_digits_of_its_slope(target):
    """``1 - tanh^2`` of 20 caps is 4e-18, and 0 as it stands."""
    x, w = target.array([[1.0]], "float64"), target.array([[20.0], [0.0]], "float64")
    _, g = ax.value_and_grad(ax.linear_cross_entropy)(x, w, target.array([1], "int"), soft_cap=1.0)
    p = 1 / (1 + math.exp(-1.0))
    assert target.numpy(g)[0, 0] == pytest.approx(p * 20 * 4 * math.exp(-40.0), rel=1e-12)


def test_gradients_along_some_of_the_arrays(target):
    arrays, _ = call(target, T, BIAS, {})
    _, g = ax.value_and_grad(ax.linear_cross_entropy, argnums=1)(*arrays)
    _, both = ax.value_and_grad(ax.linear_cross_entropy, argnums=(3, 1))(*arrays)
    _, _, dw, _, db = reference(X, W, T, BIAS)
    close(target.numpy(g), dw, "float64")
    close(target.numpy(both[0]), db, "float64")
    close(target.numpy(both[1]), dw, "float64")


@pytest.mark.backends(fits=differentiates)
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", ["weight", "sample_weight", "probabilities, weighted", "everything"])
def test_gradients_of_weights(target, name, how):
    """By the framework: along class weights and sample weights too, those of dropped samples included."""
    t, bias, options = CASES[name]
    arrays, more = call(target, t, bias, options)
    along = [key for key in ("weight", "sample_weight") if key in more]

    def by(fun):
        def value(*weights):
            y = fun(**{**more, **dict(zip(along, weights, strict=True))})
            return (y * target.array(np.cos(np.arange(math.prod(y.shape))).reshape(y.shape), "float64")).sum()

        given = [more[key] for key in along]
        if target.backend.name == "jax":
            import jax

            return jax.grad(value, tuple(range(len(along))))(*given)
        import torch

        given = [a.clone().requires_grad_() for a in given]
        return torch.autograd.grad(value(*given), given)

    def all_logits(soft_cap=None, **options):
        x, w, t, *bias = arrays
        z = x @ w.T + (bias[0] if bias else 0)
        if soft_cap is not None:
            z = soft_cap * target.xp.tanh(z / soft_cap)
        return ax.cross_entropy(z, t, reduction=how, **options)

    found = by(lambda **options: ax.linear_cross_entropy(*arrays, chunk=4, reduction=how, **options))
    for got, want in zip(found, by(all_logits), strict=True):
        close(target.numpy(got.detach() if hasattr(got, "detach") else got), target.numpy(want), "float64")


@pytest.mark.backends(fits=lambda backend: backend.name == "torch")
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1, "z_loss": 0.01, "soft_cap": 3.0, "ignore_index": 2}])
def test_every_derivative_of_pytorch(target, options, how):
    import torch
    from torch.autograd import gradcheck, gradgradcheck

    x, w, b = (torch.from_numpy(a[:6].copy()).requires_grad_() for a in (X, W, BIAS))
    t = torch.from_numpy(T[:6] % 6)
    fun = lambda x, w, b: ax.linear_cross_entropy(x, w, t, b, chunk=4, reduction=how, **options)
    assert gradcheck(fun, (x, w, b), check_forward_ad=True)
    assert gradgradcheck(fun, (x, w, b))
    y = fun(x, w, b).sum()
    y.backward(retain_graph=True)
    first = w.grad.clone()
    y.backward()
    assert torch.equal(w.grad, 2 * first)
    one = lambda x: ax.linear_cross_entropy(x, w.detach(), t, chunk=4, **options)
    plain = lambda x: ax.linear_cross_entropy(x, w.detach(), t, **options)
    assert torch.allclose(torch.func.hessian(one)(x.detach()), torch.func.hessian(plain)(x.detach()))
    both = torch.func.vmap(one)(torch.stack([x.detach(), -x.detach()]))
    assert torch.allclose(both[1], one(-x.detach()))


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
@pytest.mark.parametrize("how", HOWS)
def test_every_derivative_of_jax(target, how):
    """Forward mode by itself is an error of JAX's; over a gradient it goes through, and so does reverse mode."""
    import jax
    import jax.numpy as jnp

    x, w, t = (jnp.asarray(a) for a in (X, W, T))
    g = jnp.cos(jnp.arange(N))
    tiles = lambda x: jnp.sum(g * ax.linear_cross_entropy(x, w, t, chunk=4, reduction=how) ** 2)
    whole = lambda x: jnp.sum(g * ax.cross_entropy(x @ w.T, t, reduction=how) ** 2)
    for take in (
        lambda f: jax.grad(lambda x: jnp.sum(jax.grad(f)(x) ** 2))(x),
        lambda f: jax.jvp(jax.grad(f), (x,), (x,))[1],
        lambda f: jax.vmap(jax.grad(f))(jnp.stack([x, -x])),
        lambda f: jax.hessian(f)(x),
    ):
        assert np.allclose(take(tiles), take(whole), rtol=1e-9, atol=1e-11)
    with pytest.raises(TypeError, match="jvp"):
        jax.jvp(tiles, (x,), (x,))


# What it keeps --------------------------------------------------------------------------------------------------------

LARGE = {"n": 4000, "d": 8, "classes": 600, "chunk": 200}  # a tile is a twentieth of the logits


def large(target):
    n, d, classes, chunk = LARGE.values()
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=(n, d)), rng.normal(size=(classes, d)), rng.integers(0, classes, n)
    return [made(target, a, "float32") for a in arrays], chunk, n * classes * 4


@pytest.mark.backends(fits=lambda backend: backend.name == "numpy")
def test_numpy_keeps_a_few_tiles(target):
    arrays, chunk, logits = large(target)
    for fun, most in ((ax.linear_cross_entropy, 3), (ax.value_and_grad(ax.linear_cross_entropy, argnums=(0, 1)), 4)):
        fun(*arrays, chunk=chunk)
        tracemalloc.start()
        fun(*arrays, chunk=chunk)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= most * logits / 20 + (1 << 18)


@pytest.mark.backends(fits=lambda backend: backend.name == "torch")
def test_pytorch_makes_no_array_larger_than_a_tile_and_takes_three_products(target):
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    arrays, chunk, logits = large(target)
    arrays = [a.requires_grad_() if a.is_floating_point() else a for a in arrays]

    class Seen(TorchDispatchMode):
        largest, products = 0, 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            out = function(*args, **(kwargs or {}))
            storages = [a.untyped_storage().nbytes() for a in tree_leaves(out) if isinstance(a, torch.Tensor)]
            self.largest = max([self.largest, *storages])
            self.products += function.overloadpacket.__name__ in ("mm", "addmm_")
            return out

    ax.linear_cross_entropy(*arrays, chunk=chunk).backward()
    with Seen() as seen:
        ax.linear_cross_entropy(*arrays, chunk=chunk).backward()
    tiles = LARGE["n"] // chunk
    assert seen.largest <= max(logits // tiles, *(a.nbytes for a in arrays))
    assert seen.products == 3 * tiles


@pytest.mark.host
@pytest.mark.backends(fits=lambda backend: backend.name in ("numpy", "torch"))
def test_dropped_samples_cost_no_product(target, monkeypatch):
    if target.backend.name == "numpy":
        from axisoft._backends.numpy import Layer as How
    else:
        from axisoft._backends.torch.layer import How
    arrays, chunk, _ = large(target)
    rows, real = [], How.matmul
    monkeypatch.setattr(How, "matmul", lambda self, a, b: rows.append(a.shape[0]) or real(self, a, b))
    arrays[2][::2] = -1
    ax.value_and_grad(ax.linear_cross_entropy)(*arrays, chunk=chunk, ignore_index=-1)
    assert sum(rows) == LARGE["n"]  # a half of them, for the logits and for the gradient


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
def test_jax_keeps_a_few_tiles(target):
    import jax

    (x, w, t), chunk, logits = large(target)
    value = lambda x, w: ax.linear_cross_entropy(x, w, t, chunk=chunk)
    for fun, most in ((value, 2), (jax.value_and_grad(value, (0, 1)), 3)):
        memory = jax.jit(fun).lower(x, w).compile().memory_analysis()
        assert memory.temp_size_in_bytes <= most * logits / 20 + (1 << 18)


# Errors ---------------------------------------------------------------------------------------------------------------

ERRORS = {
    "another length": (
        lambda x, w, t: ax.linear_cross_entropy(x, w[:, :2], t),
        ValueError,
        "matrix with shape (7, 2) does not fit features with shape (13, 3); give a row of 3 for each class, shape "
        "(C, 3).",
    ),
    "turned": (
        lambda x, w, t: ax.linear_cross_entropy(x, w.T, t),
        ValueError,
        "matrix with shape (3, 7) does not fit features with shape (13, 3); give a row of 3 for each class, shape "
        "(C, 3), for example matrix.T.",
    ),
    "bias": (
        lambda x, w, t: ax.linear_cross_entropy(x, w, t, x[:, 0]),
        ValueError,
        "bias with shape (13,) does not fit matrix with shape (7, 3); give one number per class, shape (7,).",
    ),
    "targets": (
        lambda x, w, t: ax.linear_cross_entropy(x, w, t[:3]),
        ValueError,
        "targets with shape (3,) do not fit logits with shape (13, 7) and class axis 1; class indices need shape "
        "(13,).",
    ),
    "integers": (
        lambda x, w, t: ax.linear_cross_entropy(x, t[:, None], t),
        TypeError,
        "matrix has dtype int64, not a floating one; convert it to a floating dtype.",
    ),
    "cap": (
        lambda x, w, t: ax.linear_cross_entropy(x, w, t, soft_cap=0),
        ValueError,
        "soft_cap is 0.0; use a number above 0, or None for no cap.",
    ),
    "negative cap": (
        lambda x, w, t: ax.linear_cross_entropy(x, w, t, soft_cap=-1.0),
        ValueError,
        "soft_cap is -1.0; use a number in [0, inf).",
    ),
    "chunk": (
        lambda x, w, t: ax.linear_cross_entropy(x, w, t, chunk=0),
        ValueError,
        "chunk is 0; use a number of samples, or None.",
    ),
    "no number": (
        lambda x, w, t: ax.linear_cross_entropy(x, w, t, chunk=2.5),
        TypeError,
        "chunk is 2.5, not an integer; use a number of samples, or None.",
    ),
    "no axis": (
        lambda x, w, t: ax.linear_cross_entropy(x[0, 0], w, t),
        ValueError,
        "features with shape () have no axis; give shape (..., D).",
    ),
    "elsewhere": (
        lambda x, w, t: ax.linear_cross_entropy(x, w, t, softcap=3.0),
        TypeError,
        "softcap=3.0 is not an argument; write linear_cross_entropy(features, matrix, targets, soft_cap=3.0).",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    fun, kind, text = ERRORS[name]
    with pytest.raises(kind) as caught:
        fun(X, W, T)
    assert str(caught.value) == f"linear_cross_entropy: {text}"


def test_wrong_classes(target):
    arrays, _ = call(target, np.where(T == 2, CLASSES, T), None, {})
    if target.backend.name in ("numpy", "array_api_strict") or target.name == "torch":
        with pytest.raises(IndexError, match="linear_cross_entropy: targets holds class 7 at"):
            ax.linear_cross_entropy(*arrays)


@pytest.mark.parametrize(
    ("argnums", "kind", "text"),
    [
        (4, ValueError, "argnums is 4, and linear_cross_entropy is called with 3 by position; use the place"),
        ((0, 0), ValueError, r"argnums is \(0, 0\), and linear_cross_entropy is called with 3"),
        ("x", TypeError, "argnums is 'x'; use the place of a positional array, or a tuple of places"),
        ((), TypeError, r"argnums is \(\); use the place"),
        (2, TypeError, "targets has dtype int64, and only floating arrays have a gradient"),
    ],
)
def test_errors_of_places(argnums, kind, text):
    with pytest.raises(kind, match=f"value_and_grad: {text}"):
        ax.value_and_grad(ax.linear_cross_entropy, argnums=argnums)(X, W, T)


@pytest.mark.backends(fits=lambda backend: backend.name == "numpy")
def test_no_warning_of_what_overflows(target):
    x = np.asarray([[1e200], [0.0]])
    y = ax.linear_cross_entropy(x, np.asarray([[1e200], [1.0]]), np.asarray([0, 1]), reduction="none")
    assert np.isnan(y[0])
    assert y[1] == pytest.approx(math.log(2))


# Cases of their own ---------------------------------------------------------------------------------------------------


def test_what_is_hidden_may_hold_anything(target):
    """A vocabulary that is padded by memory nobody has written."""
    w, b = W.copy(), BIAS.copy()
    w[-1], b[-1] = np.nan, np.nan
    t = T % (CLASSES - 1)
    arrays = [made(target, a, "float64") for a in (X, w, t, b)]
    y, pull = ax.vjp(ax.linear_cross_entropy, *arrays, where=made(target, PADDED))
    want = reference(X, W, t, BIAS, where=PADDED)
    close(target.numpy(y), want[0], "float64")
    dx, dw, *_ = pull(target.array(np.ones(()), "float64"))
    close(target.numpy(dx), want[1], "float64")
    assert not target.numpy(dw)[-1].any()


def test_a_hidden_class_under_a_soft_cap(target):
    w = W.copy()
    w[-1] = np.inf
    arrays = [made(target, a, "float64") for a in (X, w, T % (CLASSES - 1))]
    options = {"where": made(target, PADDED), "soft_cap": 2.0}
    _, g = ax.value_and_grad(ax.linear_cross_entropy, argnums=(0, 1))(*arrays, **options)
    assert all(np.isfinite(target.numpy(a)).all() for a in g)


def test_targets_that_are_all_zero_have_a_gradient(target):
    q = SOFT.copy()
    q[2] = 0
    arrays = [made(target, a, "float64") for a in (X, W, q)]
    g = ax.vjp(ax.linear_cross_entropy, *arrays, reduction="sum")[1](target.array(np.ones(()), "float64"))[2]
    close(target.numpy(g), -ax.log_softmax(X @ W.T), "float64")


def test_features_of_integers(target):
    x = np.round(X).astype(int)
    y = ax.linear_cross_entropy(*(made(target, a, "float32") for a in (x, W, T)))
    assert target.numpy(y) == pytest.approx(reference(x, W, T, None)[0], rel=1e-6)


def test_no_bias_by_position(target):
    arrays = [made(target, a, "float64") for a in (X, W, T)]
    found = ax.vjp(ax.linear_cross_entropy, *arrays, None)[1](target.array(np.ones(()), "float64"))
    assert found[3] is None


@pytest.mark.backends(fits=lambda backend: backend.name == "torch")
@pytest.mark.parametrize("how", HOWS)
def test_features_that_are_made_of_the_matrix(target, how):
    """Tied embeddings: with ``create_graph`` too, the derivative is along each array."""
    import torch

    w, t = torch.from_numpy(W).requires_grad_(), torch.from_numpy(T[:4])
    tiles = lambda: ax.linear_cross_entropy(w[:4] * 2, w, t, reduction=how).sum()
    whole = lambda: ax.cross_entropy(w[:4] * 2 @ w.T, t, reduction=how).sum()
    (want,) = torch.autograd.grad(whole(), w)
    for again in (False, True):
        assert torch.allclose(torch.autograd.grad(tiles(), w, create_graph=again)[0], want, rtol=1e-12)
