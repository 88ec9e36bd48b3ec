"""Inside of ``jax.shard_map``, slices that go on across a mesh axis: ``across`` says its name."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P
from scale.collectives import collectives

import axisoft as ax

N, CLASSES = 64, 1000
RNG = np.random.default_rng(14)


def made():
    x = (RNG.normal(size=(N, CLASSES)) * 3).astype(np.float32)
    t = RNG.integers(0, CLASSES, N).astype(np.int32)
    x[np.arange(0, N, 3), t[::3]] += 30  # confident slices
    mask = RNG.random((N, CLASSES)) < 0.9
    mask[np.arange(N), t] = True
    return {
        "x": x,
        "t": t,
        "w": RNG.uniform(0.5, 2, CLASSES).astype(np.float32),
        "f": RNG.uniform(0.5, 2, N).astype(np.float32),
        "q": RNG.dirichlet(np.ones(CLASSES), N).astype(np.float32),
        "m": mask,
    }


ARRAYS = made()
SPECS = {"x": P("b", "c"), "t": P("b"), "w": P("c"), "f": P("b"), "q": P("b", "c"), "m": P("b", "c")}


def loss(x, t, w=None, f=None, m=None, **options):
    return ax.cross_entropy(x, t, weight=w, sample_weight=f, where=m, reduction="none", **options)


# name: the arrays by their letters, and the function.
CASES = {
    "softmax": ("x", ax.softmax),
    "log_softmax": ("x", ax.log_softmax),
    "logsumexp": ("x", lambda x, **k: ax.logsumexp(x, axis=-1, **k)),
    "cross_entropy": ("xt", loss),
    "smoothed": ("xt", lambda x, t, **k: loss(x, t, label_smoothing=0.1, z_loss=1e-3, **k)),
    "ignored": ("xt", lambda x, t, **k: loss(x, t, ignore_index=int(ARRAYS["t"][1]), **k)),
    "weight": ("xtw", loss),
    "sample_weight": ("xtf", lambda x, t, f, **k: loss(x, t, f=f, **k)),
    "probabilities": ("xq", loss),
    "where": ("xtm", lambda x, t, m, **k: loss(x, t, m=m, **k)),
    "all": ("xtwfm", lambda x, t, w, f, m, **k: loss(x, t, w, f, m, label_smoothing=0.1, z_loss=1e-3, **k)),
    "nll_loss": ("xt", lambda x, t, **k: ax.nll_loss(ax.log_softmax(x, **k), t, reduction="none", **k)),
    "bfloat16": ("xt", lambda x, t, **k: loss(x.astype(jnp.bfloat16), t, **k)),
}


def mesh():
    return jax.make_mesh((4, 2), ("b", "c"), axis_types=(AxisType.Auto,) * 2)


def one_number(y):
    y = y * jnp.reshape(jnp.cos(jnp.arange(N)), (-1,) + (1,) * (y.ndim - 1))
    return jnp.sum(y if y.ndim == 1 else y * jnp.sin(jnp.arange(CLASSES)))


def both(name, counted):
    """The function on the mesh and on one array, each to one number."""
    letters, fun = CASES[name]
    out = P("b", "c") if name in ("softmax", "log_softmax") else P("b")
    specs = tuple(SPECS[letter] for letter in letters)
    mapped = jax.shard_map(
        lambda *a: fun(*a, across="c"), mesh=mesh(), in_specs=specs, out_specs=out, check_vma=counted
    )
    return letters, lambda *a: one_number(mapped(*a)), lambda *a: one_number(fun(*a))


def error(a, b):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.max(np.abs(a - b)) / np.max(np.abs(b))


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_parts_give_what_one_array_gives(name, counted):
    """Value and gradients, those of weights too. ``counted`` : whether shard_map keeps count of what varies."""
    letters, on_mesh, on_one = both(name, counted)
    places = tuple(i for i, letter in enumerate(letters) if letter in "xwfq")
    given = [ARRAYS[letter] for letter in letters]
    program = jax.jit(jax.value_and_grad(on_mesh, places)).lower(*given).compile()
    got, want = program(*given), jax.value_and_grad(on_one, places)(*map(jnp.asarray, given))
    # The sums have terms of both signs.
    assert error(got[0], want[0]) < 1e-5
    for a, b in zip(got[1], want[1], strict=True):
        assert error(a, b) < (2e-3 if name == "bfloat16" else 4e-6)
    assert {kind for kind, _ in collectives(program)} == {"all-reduce"}
    assert max(size for _, size in collectives(program)) <= max(9 * 4 * N // 4, 4 * CLASSES // 2 + 4)


@pytest.mark.parametrize("name", ["cross_entropy", "weight", "softmax", "logsumexp"])
def test_second_derivatives(name):
    letters, on_mesh, on_one = both(name, True)
    x, *others = (jnp.asarray(ARRAYS[letter]) for letter in letters)
    hessian = lambda f: jax.jit(lambda: jax.jvp(jax.grad(lambda x: f(x, *others)), (x,), (x,))[1])()
    assert error(hessian(on_mesh), hessian(on_one)) < 2e-6


def test_a_loss_and_its_gradient_take_three_messages():
    mapped = jax.shard_map(
        lambda x, t: loss(x, t, across="c"), mesh=mesh(), in_specs=(SPECS["x"], SPECS["t"]), out_specs=P("b")
    )
    program = jax.jit(jax.vjp, static_argnums=0).lower(lambda x: mapped(x, ARRAYS["t"]), ARRAYS["x"]).compile()
    sent = collectives(program)
    assert len(sent) <= 3
    assert sum(size for _, size in sent) <= 5 * 4 * N // 4  # numbers of float32, of the samples that a device has


def test_both_axes_of_a_mesh():
    x, t = ARRAYS["x"], ARRAYS["t"]
    mapped = jax.shard_map(
        lambda x, t: ax.cross_entropy(x, t, across=("b", "c")),
        mesh=mesh(),
        in_specs=(P(None, ("b", "c")), P()),
        out_specs=P(),
    )
    y, g = jax.jit(jax.value_and_grad(mapped))(x, t)
    want_y, want_g = jax.value_and_grad(ax.cross_entropy)(jnp.asarray(x), t)
    assert error(y, want_y) < 1e-6
    assert error(g, want_g) < 1e-6


def test_an_axis_of_vmap():
    """A mapped axis with a name is such an axis as well."""
    parts = jnp.stack(jnp.split(jnp.asarray(ARRAYS["x"]), 4, axis=1))
    y = jax.vmap(lambda x: ax.softmax(x, across="c"), axis_name="c")(parts)
    assert error(jnp.concatenate(list(y), axis=1), ax.softmax(ARRAYS["x"])) < 1e-6


def test_special_values_in_any_part():
    nan, inf = np.nan, np.inf
    x = np.asarray(
        [[nan, 0, 0, inf], [inf, 0, 0, 1], [-inf] * 4, [0, -inf, -inf, -inf], [1, 0, nan, 0], [0] * 4, [0, 0, 0, inf]],
        np.float32,
    )
    t = np.asarray([0, 1, 0, 0, 0, 3, 2])
    one = jax.make_mesh((4,), ("c",), axis_types=(AxisType.Auto,), devices=jax.devices()[:4])
    for fun, out in (
        (ax.softmax, P(None, "c")),
        (ax.log_softmax, P(None, "c")),
        (lambda x, **k: ax.logsumexp(x, axis=1, **k), P()),
        (lambda x, **k: loss(x, t, **k), P()),
    ):
        y = jax.shard_map(lambda x, fun=fun: fun(x, across="c"), mesh=one, in_specs=P(None, "c"), out_specs=out)(x)
        np.testing.assert_allclose(y, fun(jnp.asarray(x)), rtol=1e-6)


def test_errors():
    x, t = ARRAYS["x"], ARRAYS["t"]
    with pytest.raises(
        ValueError, match="softmax: across is 'c', which no axis has that is mapped here; call it inside"
    ):
        ax.softmax(jnp.asarray(x), across="c")
    with pytest.raises(TypeError, match="softmax: across is 3, which names no axes of a mesh; give the name of a mesh"):
        ax.softmax(jnp.asarray(x), across=3)
    with pytest.raises(TypeError, match="logsumexp: across is given for a numpy array, which has no other parts"):
        ax.logsumexp(x, across="c")
    inside = lambda fun: jax.shard_map(fun, mesh=mesh(), in_specs=P("b", "c"), out_specs=P("b"))(x)
    with pytest.raises(ValueError, match="cross_entropy: across is 'd', which no axis has that is mapped here"):
        inside(lambda x: loss(x, t[:16], across="d"))
    y = jax.shard_map(
        lambda x, t: loss(x, t, across="c"), mesh=mesh(), in_specs=(P("b", "c"), P("b")), out_specs=P("b")
    )
    assert np.isnan(y(x, 0 * t + CLASSES)).all()
