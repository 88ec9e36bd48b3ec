"""Integers of every dtype and any number of them, as classes, as labels and as logits."""

from __future__ import annotations

import numpy as np
import pytest

import axisoft as ax

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
SIZES = (3, 65)  # up to 64 are looked at one by one
RNG = np.random.default_rng(8)


def readable(backend):
    return backend.name not in ("dask", "cupy")


def on_host(target):
    return readable(target.backend) and target.device_name == "cpu"


def logits(target, size, classes=5):
    return target.array(RNG.normal(size=(size, classes)), "float32")


def losses(target, fun, x, t, **options):
    return target.numpy(fun(x, t, reduction="none", **options))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("integer", INTEGERS)
def test_classes(target, integer, size):
    x, labels = logits(target, size), RNG.integers(0, 5, size=size)
    t, wide = target.array(labels, integer), target.array(labels, "int64")
    for fun in (ax.cross_entropy, ax.nll_loss):
        for _ in range(2):  # the second call may be waved through
            assert np.array_equal(losses(target, fun, x, t), losses(target, fun, x, wide))
        (g, none), (same, _) = (ax.vjp(fun, x, a)[1](x[0, 0]) for a in (t, wide))
        assert none is None
        assert np.array_equal(target.numpy(g), target.numpy(same))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("integer", INTEGERS)
def test_ignored_classes(target, integer, size):
    """The largest that the integer holds, which is -1 where it is read as a signed number."""
    x, labels, ignored = logits(target, size), RNG.integers(0, 5, size=size), int(np.iinfo(integer).max)
    expected = losses(target, ax.cross_entropy, x, target.array(labels, "int64"))
    labels = labels.astype(integer)
    labels[1::2] = ignored
    expected[1::2] = 0.0
    t = target.array(labels, integer)
    assert losses(target, ax.cross_entropy, x, t, ignore_index=ignored) == pytest.approx(expected, rel=1e-6)
    g = target.numpy(ax.value_and_grad(ax.cross_entropy)(x, t, ignore_index=ignored)[1])
    assert not g[1::2].any()
    assert g[::2].any(axis=1).all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("integer", INTEGERS)
def test_no_class(target, integer, size):
    """The value as it is, at its place; where it cannot be read, NaN there and nowhere else."""
    x, labels = logits(target, size), np.zeros(size, dtype=integer)
    wrong = [int(np.iinfo(integer).max), 5] + ([-1] if integer.startswith("i") else [])
    for value in wrong + ([2**63 + 1] if integer == "uint64" else []):
        labels[size - 2] = value
        t = target.array(labels, integer)
        for fun in (ax.cross_entropy, ax.nll_loss):
            if on_host(target) or target.backend.name == "dask":  # which reads them when it computes
                with pytest.raises(IndexError) as caught:
                    target.numpy(fun(x, t))
                assert f": targets holds class {value} at ({size - 2},), but there are 5 classes; " in str(caught.value)
                with pytest.raises(IndexError, match="ignore_index is 7"):
                    target.numpy(fun(x, t, ignore_index=7))
            else:
                assert np.flatnonzero(np.isnan(losses(target, fun, x, t))).tolist() == [size - 2]


def test_more_classes_than_the_dtype_holds(target):
    """300 does not fit a byte, nor 200 a signed one."""
    for dtype in ("uint8", "int8"):
        labels = np.arange(100) % 127
        x = logits(target, 100, classes=300)
        same = losses(target, ax.cross_entropy, x, target.array(labels, "int64"))
        assert np.array_equal(losses(target, ax.cross_entropy, x, target.array(labels, dtype)), same)


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
def test_jax_without_64_bits(target):
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(False):
        x = jnp.zeros((70, 5))
        for dtype in ("int8", "int16", "int32", "uint8", "uint16", "uint32"):
            labels = np.zeros(70, dtype=dtype)
            assert ax.cross_entropy(x, jnp.asarray(labels)).dtype == jnp.float32
            labels[69] = value = int(np.iinfo(dtype).max)
            with pytest.raises(IndexError, match=rf"targets holds class {value} at \(69,\)"):
                ax.cross_entropy(x, jnp.asarray(labels))
            assert ax.cross_entropy(x, jnp.asarray(labels), ignore_index=value, reduction="none")[69] == 0


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
def test_jax_of_less_than_a_byte(target):
    import jax.numpy as jnp

    x = jnp.zeros((70, 1))
    for dtype in ("int2", "uint2", "int4", "uint4"):
        t = jnp.zeros(70, dtype=dtype)
        assert float(ax.cross_entropy(x, t)) == 0
        with pytest.raises(IndexError, match=r"targets holds class 1 at \(7,\), but there is 1 class"):
            ax.cross_entropy(x, t.at[7].set(1))
        assert float(ax.softmax(t[:4])[0]) == 0.25
        assert float(ax.binary_cross_entropy_with_logits(t[:4], t[:4])) == pytest.approx(np.log(2))


@pytest.mark.parametrize("integer", INTEGERS)
def test_logits_and_weights(target, integer):
    values = np.asarray([[0, 1, 7], [3, 0, 2]])
    x, wide = target.array(values, integer), target.array(values, "int64")
    for fun in (ax.softmax, ax.log_softmax, ax.logsumexp, ax.sigmoid, ax.log_sigmoid, ax.softplus):
        y, same = fun(x), fun(wide)
        assert y.dtype == same.dtype
        assert np.array_equal(target.numpy(y), target.numpy(same))
    t = target.array([2, 0], integer)
    options = {"weight": x[0, ...], "sample_weight": x[..., 2]}
    same = {name: target.array(target.numpy(a), "float32") for name, a in options.items()}
    got, expected = ax.cross_entropy(x, t, **options), ax.cross_entropy(wide, t, **same)
    assert float(got) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("integer", INTEGERS)
def test_labels(target, integer, size):
    x, labels = logits(target, size, classes=1), RNG.integers(0, 2, size=(size, 1))
    t, same = target.array(labels, integer), target.array(labels, "float32")
    fun = ax.binary_cross_entropy_with_logits
    assert np.array_equal(losses(target, fun, x, t), losses(target, fun, x, same))
    pulled = [target.numpy(ax.vjp(fun, x, a)[1](x[0, 0])[0]) for a in (t, same)]
    assert np.array_equal(*pulled)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("integer", INTEGERS)
def test_other_labels(target, integer, size):
    """Where they can be read; elsewhere, and as floats, the loss is linear in the label as it ever was."""
    x, labels = logits(target, size, classes=1), np.zeros((size, 1), dtype=integer)
    for value in (2, int(np.iinfo(integer).max), *([-1] if integer.startswith("i") else [])):
        labels[size - 2] = value
        t = target.array(labels, integer)
        if not on_host(target):
            assert np.isfinite(losses(target, ax.binary_cross_entropy_with_logits, x, t)).all()
            continue
        with pytest.raises(ValueError, match="targets holds label") as caught:
            ax.binary_cross_entropy_with_logits(x, t)
        assert f"targets holds label {value} at ({size - 2}, 0), but integer labels are 0 and 1; " in str(caught.value)
        true = t != 0 if "targets != 0" in str(caught.value) else t > 0
        assert np.isfinite(losses(target, ax.binary_cross_entropy_with_logits, x, true)).all()


def test_labels_that_are_no_integers(target):
    """Booleans are 0 and 1; floats mean what they say: -x * t for large x, less than nothing beyond 1."""
    x = target.array([40.0, -40.0, 40.0], "float64")
    floats = target.array([255.0, -2.0, 0.5], "float64")
    y = losses(target, ax.binary_cross_entropy_with_logits, x, floats)
    assert y == pytest.approx([-40.0 * 254, -80.0, 20.0])
    booleans = target.array([True, False, True], "bool")
    assert losses(target, ax.binary_cross_entropy_with_logits, x, booleans) == pytest.approx([0.0, 0.0, 0.0], abs=1e-9)


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
def test_labels_under_tracing(target):
    """No value, no error: as it ever was."""
    import jax

    x, t = target.array([1.0, 2.0], "float32"), target.array([0, 255], "int")
    traced = jax.jit(ax.binary_cross_entropy_with_logits)(x, t)
    assert float(traced) == pytest.approx(float(ax.binary_cross_entropy_with_logits(x, t.astype("float32"))))


def test_an_empty_batch_of_labels(target):
    x, t = target.array(np.zeros((0, 3)), "float32"), target.array(np.zeros((0, 3)), "int")
    assert ax.binary_cross_entropy_with_logits(x, t, reduction="none").shape == (0, 3)
