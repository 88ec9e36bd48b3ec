"""Formulas that wait: the standard at its strictest, jax.jit and Dask."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import CASES, LABELS, X, made

import axisoft as ax


def test_every_public_function_is_here():
    others = {
        "diagnose",
        "get_num_threads",
        "linear_cross_entropy",
        "set_num_threads",
        "show_versions",
        "value_and_grad",
        "vjp",
    }
    assert {fun.__name__ for fun, *_ in CASES.values()} == set(ax.__all__) - others


def calls(target, name):
    """The arrays of a case, and the function of them alone."""
    fun, args, options = CASES[name]
    given = {key: value for key, value in options.items() if isinstance(value, np.ndarray)}
    fixed = {key: value for key, value in options.items() if key not in given}
    arrays = tuple(made(target, a) for a in (*args, *given.values()))
    return arrays, lambda *a: fun(*a[: len(args)], **dict(zip(given, a[len(args) :], strict=True)), **fixed)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.backends(fits=lambda backend: backend.name == "array_api_strict")
def test_the_standard_at_its_strictest(target, name):
    """No boolean indexing and no data-dependent shape anywhere."""
    import array_api_strict

    arrays, call = calls(target, name)
    expected = target.numpy(call(*arrays))
    with array_api_strict.ArrayAPIStrictFlags(
        boolean_indexing=False, data_dependent_shapes=False, enabled_extensions=()
    ):
        assert np.array_equal(target.numpy(call(*arrays)), expected)


@pytest.mark.backends(fits=lambda backend: backend.name == "array_api_strict")
def test_the_strict_flags_do_forbid(target):
    import array_api_strict

    x = target.array([1.0, 2.0], "float64")
    with (
        array_api_strict.ArrayAPIStrictFlags(boolean_indexing=False, data_dependent_shapes=False),
        pytest.raises(RuntimeError),
    ):
        x[x > 1]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
def test_jit(target, name):
    import jax

    arrays, call = calls(target, name)
    eager = target.numpy(call(*arrays))
    assert np.allclose(target.numpy(jax.jit(call)(*arrays)), eager, rtol=1e-13, atol=0)
    shape = jax.eval_shape(call, *arrays)
    assert shape.shape == eager.shape


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
def test_concrete_targets_inside_a_trace_are_still_checked(target):
    """They can be read, and reading them is no part of the trace."""
    import jax
    import jax.numpy as jnp

    x = target.array(X, "float32")
    for labels in (jnp.asarray(LABELS), jnp.asarray(LABELS, dtype=jnp.int8), LABELS):
        for wrap in (jax.jit, jax.grad, jax.checkpoint, lambda fun: jax.jit(jax.grad(fun))):
            wrap(lambda x, t=labels: ax.cross_entropy(x, t))(x)
    wrong = jnp.asarray([0, 1, 4])
    with pytest.raises(IndexError, match=r"holds class 4 at \(2,\)"):
        jax.jit(lambda x: ax.nll_loss(x, wrong))(x)


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
def test_vmap(target):
    import jax

    x, t = target.array(X, "float64"), target.array(LABELS, "int")
    rows = jax.vmap(lambda x, t: ax.cross_entropy(x, t))(x, t)
    assert np.allclose(target.numpy(rows), target.numpy(ax.cross_entropy(x, t, reduction="none")), rtol=1e-14)
    columns = jax.vmap(ax.softmax, in_axes=1, out_axes=1)(x)
    assert np.allclose(target.numpy(columns), target.numpy(ax.softmax(x, axis=0)), rtol=1e-14)


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
def test_an_eager_call_is_compiled_once(target):
    """The second call of a shape traces nothing: numbers among the options do not defeat the cache."""
    from axisoft._backends import jax as executor

    x, t = target.array(X, "float64"), target.array(LABELS, "int")
    for _ in range(3):
        ax.cross_entropy(x, t, label_smoothing=0.1, weight=None)
    size = executor._program._cache_size()
    for _ in range(3):
        ax.cross_entropy(x, t, label_smoothing=0.1, weight=None)
    assert executor._program._cache_size() == size


@pytest.mark.parametrize("name", CASES)
@pytest.mark.backends(fits=lambda backend: backend.name == "dask")
def test_dask_stays_lazy(target, name):
    import dask
    import dask.array as da

    def forbidden(*args, **kwargs):
        raise AssertionError("a lazy graph was computed")

    arrays, call = calls(target, name)
    chunked = tuple(a.rechunk(tuple(max(1, n // 2) for n in a.shape)) for a in arrays)
    with dask.config.set(scheduler=forbidden):
        y = call(*chunked)
    assert isinstance(y, da.Array)
    numpy_arrays = tuple(np.asarray(a) for a in arrays)
    assert np.allclose(np.asarray(y), call(*numpy_arrays), rtol=1e-13, atol=0)


@pytest.mark.backends(fits=lambda backend: backend.name == "dask")
def test_the_scheduler_does_forbid(target):
    import dask

    def forbidden(*args, **kwargs):
        raise AssertionError("a lazy graph was computed")

    with dask.config.set(scheduler=forbidden), pytest.raises(AssertionError):
        float(ax.logsumexp(target.array(X, "float64")))
