"""axisoft.compat.optax beside Optax, on every backend."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
from compat_peers.differential import agree, compare, numbers, rng, some_axes, wide
from helpers import differentiates, gradient, made
from hypothesis import strategies as st

from axisoft.compat import optax as facade


def both(target, name, x, *rest, scale, **options):
    """Values and gradients along the logits."""
    with wide():
        want, pull = jax.vjp(lambda x: getattr(optax, name)(x, *map(jnp.asarray, rest), **options), jnp.asarray(x))
        grad = np.asarray(pull(jnp.ones_like(want))[0])
    if options.get("where") is not None:
        options = {**options, "where": made(target, options["where"])}
    run = lambda x: getattr(facade, name)(x, *(made(target, a) for a in rest), **options)
    agree(target.numpy(run(made(target, x))), want, scale)
    if differentiates(target.backend):
        agree(gradient(target, run, made(target, x)), np.where(np.isnan(grad), 0, grad), scale=10)


def normal(axis, ndim):
    axis = range(ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    return tuple(a % ndim for a in axis)


@st.composite
def problem(draw, *, indices):
    x = draw(numbers())
    r, axis = rng(draw), draw(some_axes(x.ndim, none=not indices))
    axes = normal(axis, x.ndim)
    batch = tuple(n for a, n in enumerate(x.shape) if a not in axes)
    count = int(np.prod([x.shape[a] for a in axes]))
    where = None
    kind = draw(st.sampled_from(["none", "elements", "samples"]))
    if kind == "elements":
        where = r.random(x.shape) < 0.7
    elif kind == "samples" and batch:
        where = r.random(batch) < 0.6
    if not indices:
        return x, r.random(x.shape) / count, axis, where, count
    labels = np.asarray(r.integers(0, count, size=batch))
    if where is not None and where.shape == x.shape:  # a hidden label is a defect of the peer's
        order = [a for a in range(x.ndim) if a not in axes] + list(axes)
        flat = np.transpose(where, order).reshape(*batch, count)
        labels = np.asarray(np.argmax(flat, axis=-1))
    return x, labels, axis, where, count


def test_softmax_cross_entropy(target):
    def body(data):
        x, t, axis, where, _ = data
        both(target, "softmax_cross_entropy", x, t, axis=axis, where=where, scale=10 * np.abs(x).max())

    compare(target, problem(indices=False), body)


def test_safe_softmax_cross_entropy(target):
    """With a label of 0 at a logit of -inf."""

    def body(data):
        x, t, _, _, _ = data
        t = np.where(t < 0.3 / x.size, 0.0, t)
        gone = (t == 0) & (np.cumsum(t != 0, axis=-1) > 0)  # never the only one
        both(target, "safe_softmax_cross_entropy", np.where(gone, -np.inf, x), t, scale=10 * np.abs(x).max())

    compare(target, problem(indices=False), body)


def test_softmax_cross_entropy_with_integer_labels(target):
    def body(data):
        x, t, axis, where, _ = data
        name = "softmax_cross_entropy_with_integer_labels"
        both(target, name, x, t, axis=axis, where=where, scale=10 * np.abs(x).max())

    compare(target, problem(indices=True), body)


@st.composite
def binary(draw):
    x = draw(numbers())
    r = rng(draw)
    shape = draw(st.sampled_from([x.shape, x.shape[-1:], ()]))
    return x, r.random(shape) if draw(st.booleans()) else np.asarray(r.integers(0, 2, size=shape))


def test_sigmoid_binary_cross_entropy(target):
    def body(data):
        x, t = data
        both(target, "sigmoid_binary_cross_entropy", x, t, scale=np.abs(x).max())

    compare(target, binary(), body)
