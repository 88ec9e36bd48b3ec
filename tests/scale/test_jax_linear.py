"""A linear layer's loss on a mesh: tiles that devices share, and inside of ``jax.shard_map``."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P
from scale.collectives import collectives

import axisoft as ax

RNG = np.random.default_rng(14)
N, D, CLASSES, CHUNK = 512, 16, 1000, 64
X = RNG.normal(size=(N, D)).astype(np.float32)
W, BIAS = RNG.normal(size=(CLASSES, D)).astype(np.float32), RNG.normal(size=CLASSES).astype(np.float32)
T = RNG.integers(0, CLASSES, N).astype(np.int32)
LAYOUTS = {
    "batch": (P(("b", "c")), P()),
    "classes": (P(), P(("b", "c"))),
    "both": (P("b"), P("c")),
}
OPTIONS = {
    "plain": {},
    "everything": {"soft_cap": 3.0, "label_smoothing": 0.1, "z_loss": 1e-3, "ignore_index": int(T[0])},
}


def loss(x, w, t, b, **options):
    return ax.linear_cross_entropy(x, w, t, b, chunk=CHUNK, **options)


def all_logits(x, w, t, b, soft_cap=None, **options):
    z = x @ w.T + b
    return ax.cross_entropy(z if soft_cap is None else soft_cap * jnp.tanh(z / soft_cap), t, **options)


def error(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return max(float(np.max(np.abs(np.asarray(a) - np.asarray(b))) / np.max(np.abs(np.asarray(b)))) for a, b in pairs)


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_on_a_mesh(layout, options, kind):
    """No sample, no logit and no row of the matrix goes anywhere: the matrix's gradient does, of samples that are
    shared out, and that of features, of classes that are."""
    of_x, of_w = LAYOUTS[layout]
    mesh = jax.make_mesh((4, 2), ("b", "c"), axis_types=(kind,) * 2)
    both = lambda f: (
        lambda x, w, t, b: jax.value_and_grad(lambda x, w, b: f(x, w, t, b, **OPTIONS[options]), (0, 1, 2))(x, w, b)
    )
    with jax.set_mesh(mesh):
        specs = (of_x, of_w, of_x, of_w)
        placed = [jax.device_put(a, NamedSharding(mesh, s)) for a, s in zip((X, W, T, BIAS), specs, strict=True)]
        program = jax.jit(both(loss)).lower(*placed).compile()
        got = program(*placed)
    assert error(got, both(all_logits)(*map(jnp.asarray, (X, W, T, BIAS)))) < 5e-6
    sent = collectives(program)
    assert {kind for kind, _ in sent} == {"all-reduce"}
    largest = {"batch": (W.nbytes + BIAS.nbytes), "classes": CHUNK * D * 4, "both": (W.nbytes + BIAS.nbytes) // 2}[
        layout
    ]
    assert max(size for _, size in sent) <= largest + 64


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("options", OPTIONS)
def test_in_shard_map(options, counted):
    specs = P("b"), P("c"), P("b"), P("c")
    options = OPTIONS[options]
    mesh = jax.make_mesh((4, 2), ("b", "c"), axis_types=(AxisType.Auto,) * 2)
    mapped = jax.shard_map(
        lambda *a: loss(*a, across="c", reduction="none", **options),
        mesh=mesh,
        in_specs=specs,
        out_specs=P("b"),
        check_vma=counted,
    )
    g = jnp.cos(jnp.arange(N))
    by = lambda f: jax.value_and_grad(lambda x, w, b: jnp.sum(g * f(x, w, T, b)), (0, 1, 2))(X, W, BIAS)
    whole = lambda *a: all_logits(*a, reduction="none", **options)
    assert error(jax.jit(lambda: by(mapped))(), by(whole)) < 5e-6


WEIGHTED = {
    "ignored": (T, P("b"), {"ignore_index": int(T[0])}, {}),
    "probabilities": (RNG.dirichlet(np.ones(CLASSES), N).astype(np.float32), P("b", "c"), {}, {}),
    "weights": (T, P("b"), {}, {"weight": (RNG.uniform(0.5, 2, CLASSES).astype(np.float32), P("c"))}),
    "sample weights": (T, P("b"), {}, {"sample_weight": (RNG.uniform(0, 2, N).astype(np.float32), P("b"))}),
}


@pytest.mark.parametrize("name", WEIGHTED)
def test_a_mean_in_shard_map(name):
    """Over the samples of a device, whose weights each part of the classes has a part of."""
    t, of_t, options, more = WEIGHTED[name]
    mesh = jax.make_mesh((1, 8), ("b", "c"), axis_types=(AxisType.Auto,) * 2)
    mapped = jax.shard_map(
        lambda x, w, t, b, *a: loss(x, w, t, b, across="c", **options, **dict(zip(more, a, strict=True))),
        mesh=mesh,
        in_specs=(P("b"), P("c"), of_t, P("c"), *(spec for _, spec in more.values())),
        out_specs=P(),
        check_vma=False,
    )
    given = [a for a, _ in more.values()]
    got = jax.value_and_grad(lambda x, w: mapped(x, w, t, BIAS, *given), (0, 1))(X, W)
    want = jax.value_and_grad(
        lambda x, w: all_logits(x, w, t, BIAS, **options, **{key: a for key, (a, _) in more.items()}), (0, 1)
    )(X, W)
    assert error(got, want) < 5e-6


@pytest.mark.parametrize("how", ["mean", "none"])
def test_samples_that_shard_map_splits(how):
    mesh = jax.make_mesh((8,), ("b",), axis_types=(AxisType.Auto,))
    mapped = jax.shard_map(
        lambda x, w, t: jax.lax.pmean(jnp.mean(ax.linear_cross_entropy(x, w, t, chunk=16, reduction=how)), "b"),
        mesh=mesh,
        in_specs=(P("b"), P(), P("b")),
        out_specs=P(),
    )
    got = jax.jit(jax.value_and_grad(lambda x, w: mapped(x, w, T), (0, 1)))(X, W)
    assert error(got, jax.value_and_grad(lambda x, w: ax.cross_entropy(x @ w.T, T), (0, 1))(X, W)) < 5e-6
