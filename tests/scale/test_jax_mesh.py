"""JAX arrays on a mesh of 8 devices: every function as on one, and nothing but sums per sample goes between them.

A mesh's axes are ``Auto``, where the compiler finds who holds what, or ``Explicit``, where the types say so; a mixture
has one of each.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P
from scale.collectives import collectives

import axisoft as ax

BATCH, LENGTH = 8, 16
LAYOUTS = {
    "batch": P("b", None, None),
    "class": P(None, None, "c"),
    "both": P("b", None, "c"),
    "length and class": P(None, "b", "c"),
}
MESHES = {
    "auto": (AxisType.Auto, AxisType.Auto),
    "explicit": (AxisType.Explicit, AxisType.Explicit),
    "mixed": (AxisType.Auto, AxisType.Explicit),
}


def of_weights(name, **options):
    """A loss with one more array, which is laid out as its kind is."""
    return lambda x, t, a: ax.cross_entropy(x, t, **{name: a}, **options)


def product(x, t):
    """A gradient of a gradient, times a vector."""
    return jnp.sum(jax.jvp(jax.grad(lambda x: ax.cross_entropy(x, t)), (x,), (jnp.cos(x),))[1] ** 2)


# name: a function of logits, classes and what else there is; the kind of the latter.
CASES = {
    "cross_entropy": (ax.cross_entropy, None),
    "each loss": (lambda x, t: jnp.sum(jnp.square(ax.cross_entropy(x, t, reduction="none"))), None),
    "sum": (lambda x, t: ax.cross_entropy(x, t, reduction="sum"), None),
    "probabilities": (lambda x, t, q: ax.cross_entropy(x, q), "soft"),
    "where": (of_weights("where"), "mask"),
    "weight": (of_weights("weight"), "class"),
    "weight everywhere": (of_weights("weight"), "everywhere"),
    "sample_weight": (of_weights("sample_weight"), "sample"),
    "smoothed": (of_weights("weight", label_smoothing=0.1, ignore_index=3), "class"),
    "z_loss": (lambda x, t: ax.cross_entropy(x, t, z_loss=1e-3), None),
    "nll_loss": (lambda x, t: ax.nll_loss(ax.log_softmax(x), t), None),
    "softmax": (lambda x, t: jnp.sum(jnp.square(ax.softmax(x))), None),
    "softmax over two axes": (lambda x, t: jnp.sum(jnp.square(ax.softmax(x, axis=(1, 2)))), None),
    "log_softmax": (lambda x, t: jnp.mean(jnp.square(ax.log_softmax(x))), None),
    "logsumexp": (lambda x, t: jnp.sum(jnp.square(ax.logsumexp(x, axis=-1))), None),
    "sigmoid": (lambda x, t: jnp.mean(jnp.square(ax.sigmoid(x))), None),
    "log_sigmoid": (lambda x, t: jnp.mean(jnp.square(ax.log_sigmoid(x))), None),
    "softplus": (lambda x, t: jnp.mean(jnp.square(ax.softplus(x))), None),
    "binary cross-entropy": (lambda x, t, q: ax.binary_cross_entropy_with_logits(x, q), "soft"),
    "bfloat16": (lambda x, t: ax.cross_entropy(x.astype(jnp.bfloat16), t), None),
    "vmap": (lambda x, t: jnp.sum(jax.vmap(ax.cross_entropy)(x, t)), None),
    "curvature": (product, None),
}


def arrays(classes):
    """The same for every case, whichever ran before."""
    rng = np.random.default_rng(14)
    shape = (BATCH, LENGTH, classes)
    x = (rng.normal(size=shape) * 3).astype(np.float32)
    t = rng.integers(0, classes, shape[:-1]).astype(np.int32)
    np.put_along_axis(x[::2], t[::2, :, None], 25.0, axis=-1)  # confident slices
    mask = rng.random(shape) < 0.9
    np.put_along_axis(mask, t[..., None], True, axis=-1)
    weight = rng.uniform(0.5, 2.0, classes).astype(np.float32)
    return (x, t), {
        None: None,
        "soft": rng.dirichlet(np.ones(classes), shape[:-1]).astype(np.float32),
        "mask": mask,
        "class": weight,
        "everywhere": weight,
        "sample": rng.uniform(0.0, 2.0, shape[:-1]).astype(np.float32),
    }


def laid_out(kind, spec):
    return {"soft": spec, "mask": spec, "class": P(spec[2]), "everywhere": P(), "sample": P(*spec[:2])}[kind]


def run(fun, given, specs, mesh):
    """Value and gradient on the mesh, and the messages of the program."""
    with jax.set_mesh(mesh):
        placed = [jax.device_put(a, NamedSharding(mesh, spec)) for a, spec in zip(given, specs, strict=True)]
        program = jax.jit(jax.value_and_grad(fun)).lower(*placed).compile()
        y, g = program(*placed)
    return np.asarray(y), np.asarray(g), collectives(program)


# Of 1000 classes no cut into eight is one into runs of eight as well.
# Numbers of float32 a sample that go in one message; a compiler puts all those together that it has at a time.
VECTORS = 12
FEW = ("cross_entropy", "weight", "softmax")
CELLS = [(name, kind, 512) for name in CASES for kind in ("auto", "explicit")]
CELLS += [(name, kind, 1000) for name in FEW for kind in MESHES]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("name", "kind", "classes"), CELLS)
def test_a_mesh_gives_what_one_device_gives(name, kind, classes, layout):
    fun, more = CASES[name]
    given, others = arrays(classes)
    spec, given = LAYOUTS[layout], given + ((others[more],) if more else ())
    specs = [spec, P(*spec[:2]), *([laid_out(more, spec)] if more else [])]
    y, g, sent = run(fun, given, specs, jax.make_mesh((4, 2), ("b", "c"), axis_types=MESHES[kind]))
    want_y, want_g = jax.jit(jax.value_and_grad(fun))(*map(jnp.asarray, given))
    assert abs(y - want_y) <= 2e-6 * abs(want_y)
    near = np.abs(g - want_g) <= 2e-6 * np.max(np.abs(want_g))
    if name == "bfloat16":  # what two roundings set apart may lie on either side of a middle: rarely, and by one step
        assert np.mean(near) > 0.999
        near |= np.abs(g - want_g) <= 2.0**-7 * np.abs(want_g)
    assert np.all(near)
    assert {what for what, _ in sent} <= {"all-reduce"}
    assert max((size for _, size in sent), default=0) <= VECTORS * 4 * BATCH * LENGTH


@pytest.mark.parametrize("kind", MESHES)
@pytest.mark.parametrize(("layout", "messages"), [("batch", 1), ("class", 2), ("both", 3)])
def test_a_loss_and_its_gradient_take_few_messages(layout, messages, kind):
    """Optax's loss by itself takes so many; of a class axis that the types say is shared out, it has none."""
    given, _ = arrays(1000)
    spec = LAYOUTS[layout]
    mesh = jax.make_mesh((4, 2), ("b", "c"), axis_types=MESHES[kind])
    *_, sent = run(ax.cross_entropy, given, [spec, P(*spec[:2])], mesh)
    assert len(sent) <= messages + 2


@pytest.mark.parametrize("kind", MESHES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["cross_entropy", "softmax", "logsumexp", "sigmoid"])
def test_a_call_by_itself(name, layout, kind):
    """No program of the caller's around it; the gradient has the layout of the logits."""
    fun, _ = CASES[name]
    (x, t), _ = arrays(512)
    spec = LAYOUTS[layout]
    mesh = jax.make_mesh((4, 2), ("b", "c"), axis_types=MESHES[kind])
    with jax.set_mesh(mesh):
        placed = jax.device_put(x, NamedSharding(mesh, spec)), jax.device_put(t, NamedSharding(mesh, P(*spec[:2])))
        y, g = jax.value_and_grad(fun)(*placed)
    want_y, want_g = jax.value_and_grad(fun)(jnp.asarray(x), jnp.asarray(t))
    assert abs(y - want_y) <= 2e-6 * abs(want_y)
    assert np.max(np.abs(np.asarray(g) - want_g)) <= 2e-6 * np.max(np.abs(want_g))
    assert g.sharding.is_equivalent_to(placed[0].sharding, g.ndim)


@pytest.mark.parametrize("name", ["cross_entropy", "softmax", "logsumexp"])
def test_a_batch_that_shard_map_splits(name):
    fun = {
        "cross_entropy": lambda x, t: ax.cross_entropy(x, t, reduction="none"),
        "softmax": lambda x, t: ax.softmax(x),
        "logsumexp": lambda x, t: ax.logsumexp(x, axis=-1),
    }[name]
    (x, t), _ = arrays(512)
    mesh = jax.make_mesh((8,), ("b",), axis_types=(AxisType.Auto,))
    mapped = jax.shard_map(fun, mesh=mesh, in_specs=(P("b"), P("b")), out_specs=P("b"))
    scale = jnp.arange(1.0, 1.0 + BATCH)

    def weighed(f):
        return lambda x: jnp.sum(jnp.square(f(x, t)) * jnp.reshape(scale, (-1,) + (1,) * (f(x, t).ndim - 1)))

    y, g = jax.jit(jax.value_and_grad(weighed(mapped)))(x)
    want_y, want_g = jax.jit(jax.value_and_grad(weighed(fun)))(x)
    assert abs(y - want_y) <= 2e-6 * abs(want_y)
    assert np.max(np.abs(g - want_g)) <= 2e-6 * np.max(np.abs(want_g))


@pytest.mark.parametrize("kind", ["auto", "explicit"])
def test_special_values_that_devices_share(kind):
    """The largest element of what they have loses NaN beside +inf (jax.numpy.max gives +inf)."""
    nan, inf = np.nan, np.inf
    x = np.asarray(
        [
            [nan, 0, 0, inf],
            [inf, 0, 0, 1],
            [-inf] * 4,
            [0, -inf, -inf, -inf],
            [1, 0, nan, 0],
            [0] * 4,
            [0, nan, inf, 0],
        ],
        np.float32,
    )
    t = np.asarray([0, 1, 0, 0, 0, 3, 2])
    mesh = jax.make_mesh((4,), ("c",), axis_types=MESHES[kind][:1], devices=jax.devices()[:4])
    functions = {
        "softmax": ax.softmax,
        "log_softmax": ax.log_softmax,
        "logsumexp": lambda x: ax.logsumexp(x, axis=1),
        "cross_entropy": lambda x: ax.cross_entropy(x, t, reduction="none"),
    }
    with jax.set_mesh(mesh):
        placed = jax.device_put(x, NamedSharding(mesh, P(None, "c")))
        for name, fun in functions.items():
            y, pull = jax.vjp(fun, placed)
            want, pull_one = jax.vjp(fun, jnp.asarray(x))
            np.testing.assert_allclose(y, want, rtol=1e-6, err_msg=name)
            g = jax.device_put(np.ones(want.shape, np.float32), y.sharding)
            want_g = pull_one(jnp.ones_like(want))[0]
            np.testing.assert_allclose(pull(g)[0], want_g, rtol=1e-6, atol=1e-7, err_msg=name)
