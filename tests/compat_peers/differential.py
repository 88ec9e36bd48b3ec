"""Random arguments for a facade and its peer, and how their answers are compared."""

from __future__ import annotations

import contextlib

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

# Few shapes, since JAX compiles for each of them. Examples per test: JAX compiles for options too.
SHAPES = [(5,), (4, 3), (2, 3, 4), (2, 4, 1, 3)]
EXAMPLES = {"numpy": 100, "torch": 60, "array_api_strict": 30, "dask": 10, "jax": 20}

# Both sides work in float64, where the sum of up to 24 terms rounds to some 10 of its 2**-53. A peer's log-probability
# has the absolute error of its largest part, some 200 here, times 2**-53, and so has a gradient that it makes of
# softmax minus target. So: 1e-13 of the value, and 1e-13 of the largest part of it.
RTOL = 1e-12
ATOL = 1e-13


def compare(target, strategy, body):
    """Run ``body(data)`` on as many examples as the backend has time for."""
    options = settings(
        max_examples=EXAMPLES.get(target.backend.name, 25),
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    options(given(strategy)(body))()


def agree(ours, theirs, scale=1.0):
    ours, theirs = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=RTOL, atol=ATOL * max(float(scale), 1.0))


@st.composite
def numbers(draw, shape=None):
    """An array of a random shape, spread from 1 to 60, some of it equal, at an offset."""
    shape = draw(st.sampled_from(SHAPES)) if shape is None else shape
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.normal(size=shape) * draw(st.sampled_from([1.0, 10.0, 60.0])) + draw(st.sampled_from([0.0, -100.0, 100.0]))
    return np.where(rng.random(shape) < draw(st.sampled_from([0.0, 0.3])), np.round(x), x)


def rng(draw):
    return np.random.default_rng(draw(st.integers(0, 2**32 - 1)))


@st.composite
def some_axes(draw, ndim, *, none=True, several=True):
    """An axis as the softmax family takes it."""
    kinds = [st.integers(-ndim, ndim - 1)]
    kinds += [st.none()] if none else []
    if several:
        kinds.append(st.lists(st.integers(0, ndim - 1), min_size=1, max_size=ndim, unique=True).map(tuple))
    return draw(st.one_of(kinds))


@contextlib.contextmanager
def wide():
    """JAX with float64, for a peer beside arrays of another library."""
    from axisoft._backends import jax

    with jax.every_dtype():
        yield
