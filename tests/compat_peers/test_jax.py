"""axisoft.compat.jax beside jax.nn, on every backend."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from compat_peers.differential import agree, compare, numbers, rng, some_axes, wide
from helpers import differentiates, gradient, made
from hypothesis import strategies as st

from axisoft.compat import jax as facade


@st.composite
def masked(draw):
    x = draw(numbers())
    r = rng(draw)
    shapes = st.sampled_from([None, x.shape, x.shape[-1:]])
    shape = draw(shapes)
    where = None if shape is None else r.random(shape) < draw(st.sampled_from([0.7, 0.2]))
    shape = draw(shapes)
    b = None if shape is None else r.normal(size=shape) * (r.random(shape) > 0.2)
    return x, draw(some_axes(x.ndim)), where, b, draw(st.booleans()), draw(st.booleans())


def test_softmax_and_log_softmax(target):
    def body(data):
        x, axis, where, _, _, _ = data
        for name in ("softmax", "log_softmax"):
            run = lambda x: getattr(facade, name)(x, axis, made(target, where))  # noqa: B023
            with wide():
                want, pull = jax.vjp(lambda x: getattr(jax.nn, name)(x, axis, where), jnp.asarray(x))  # noqa: B023
                grad = np.asarray(pull(jnp.ones_like(want))[0])
            agree(target.numpy(run(made(target, x))), want, scale=np.abs(x).max())
            if differentiates(target.backend):
                got = gradient(target, run, made(target, x))
                agree(got, grad, scale=10)

    compare(target, masked(), body)


def test_logsumexp(target):
    def body(data):
        x, axis, where, b, keepdims, return_sign = data
        with wide():
            theirs = jax.nn.logsumexp(x, axis, b, keepdims, return_sign, where)
            size = np.exp(
                np.asarray(jax.nn.logsumexp(x, axis, None if b is None else np.abs(b), keepdims, where=where))
            )
            with np.errstate(all="ignore"):
                ratio = size / np.exp(np.asarray(jax.nn.logsumexp(x, axis, b, keepdims, True, where)[0]))
        ours = facade.logsumexp(made(target, x), axis, made(target, b), keepdims, return_sign, made(target, where))
        scale = 10 * np.max(ratio, initial=1.0, where=np.isfinite(ratio))
        if not return_sign:
            ours, theirs = (ours,), (theirs,)
        for our, their in zip(ours, theirs, strict=True):
            agree(target.numpy(our), their, scale)
        if not differentiates(target.backend):
            return
        run = lambda x: facade.logsumexp(x, axis, made(target, b), True, True, made(target, where))[0]
        with wide():
            value, pull = jax.vjp(lambda x: jax.nn.logsumexp(x, axis, b, True, True, where)[0], jnp.asarray(x))
            grad = np.asarray(pull(jnp.ones_like(value))[0])
        # Where the sum is 0, JAX gives NaN or inf, and axisoft 0.
        grad = np.where(np.isfinite(np.asarray(value)), grad, 0)
        agree(gradient(target, run, made(target, x)), grad, 10 * scale**2)

    compare(target, masked(), body)


def test_functions_of_each_element(target):
    def body(x):
        for name in ("sigmoid", "log_sigmoid", "softplus"):
            with wide():
                want, pull = jax.vjp(getattr(jax.nn, name), jnp.asarray(x))
                grad = np.asarray(pull(jnp.ones_like(want))[0])
            agree(target.numpy(getattr(facade, name)(made(target, x))), want)
            if differentiates(target.backend):
                agree(gradient(target, getattr(facade, name), made(target, x)), grad)

    compare(target, numbers(), body)
