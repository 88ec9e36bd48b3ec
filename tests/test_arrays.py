"""Arrays as they come: read-only, strided, in any order and byte order; dtypes, devices, and nothing written to."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from helpers import differentiates, gradient

import axisoft as ax

RNG = np.random.default_rng(5)
VALUES = RNG.normal(size=(4, 6)) * 3
LABELS = np.asarray([0, 5, 2, 2])
ELEMENTWISE = (ax.sigmoid, ax.log_sigmoid, ax.softplus)
CALLS = {
    "sigmoid": ax.sigmoid,
    "log_sigmoid": ax.log_sigmoid,
    "softplus": ax.softplus,
    "softmax": ax.softmax,
    "softmax over axis 0": lambda x: ax.softmax(x, axis=0),
    "softmax over all": lambda x: ax.softmax(x, axis=None),
    "log_softmax": ax.log_softmax,
    "logsumexp": ax.logsumexp,
    "logsumexp, kept": lambda x: ax.logsumexp(x, axis=0, keepdims=True),
}


def losses(target, dtype=None):
    """The losses as functions of the logits alone."""
    t = target.array(LABELS, "int")
    soft = np.abs(VALUES) / np.abs(VALUES).sum(axis=1, keepdims=True)
    p = target.array(soft, dtype or "float64")
    return {
        "cross_entropy": lambda x: ax.cross_entropy(x, t),
        "cross_entropy of probabilities": lambda x: ax.cross_entropy(x, p),
        "nll_loss": lambda x: ax.nll_loss(x, t),
        "binary_cross_entropy_with_logits": lambda x: ax.binary_cross_entropy_with_logits(x, p),
    }


def test_what_comes_out_is_like_what_went_in(target, dtype):
    x = target.array(VALUES, dtype)
    for name, call in CALLS.items():
        y = call(x)
        assert type(y) is type(x), name
        assert y.dtype == x.dtype, name
    for name, call in losses(target, dtype).items():
        y = call(x)
        assert type(y) is type(x), name
        assert y.shape == (), name
        expected = "float64" if dtype == "float64" else "float32"
        assert str(y.dtype).rsplit(".", 1)[-1] == expected, name


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "int64", "uint8", "bool"])
def test_integers_and_booleans_become_the_default_dtype(target, kind):
    default = target.xp.__array_namespace_info__().default_dtypes()["real floating"]
    x = target.array([[1, 0, 1]], kind)
    for function in ("sigmoid", "softplus", "log_sigmoid", "softmax", "log_softmax", "logsumexp"):
        assert getattr(ax, function)(x).dtype == default
    assert ax.cross_entropy(x, target.array([1], "int")).dtype == default


@pytest.mark.backends(fits=lambda backend: backend.name == "torch")
def test_the_default_dtype_is_asked_for_anew(target):
    import torch

    x = target.array([1, 2], "int")
    torch.set_default_dtype(torch.float64)
    try:
        assert ax.softmax(x).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert ax.softmax(x).dtype == torch.float32


def test_dtype_casts_first_and_computes_then(target):
    for dtype in target.backend.dtypes:
        x = target.array([[1.0, 2.0, 1e4 + 1 / 3]], "float64")
        named = getattr(target.xp, dtype, np.dtype(dtype) if dtype != "bfloat16" else None)
        for function in (ax.softmax, ax.log_softmax, ax.logsumexp, *ELEMENTWISE):
            y = function(x, dtype=named)
            assert y.dtype == named
            assert np.array_equal(target.numpy(y), target.numpy(function(target.array(target.numpy(x), dtype))))
        t = target.array([0], "int")
        wide = ax.cross_entropy(target.array(target.numpy(x), dtype), t)
        assert np.array_equal(target.numpy(ax.cross_entropy(x, t, dtype=named)), target.numpy(wide))
        labels = target.array([[0.0, 1.0, 1.0]], "float64")
        assert target.numpy(ax.binary_cross_entropy_with_logits(x, labels, dtype=named)).shape == ()


def has_float16(backend):
    return "float16" in backend.dtypes


def slope(function, x):
    """The derivative, in float64."""
    p = 1 / (1 + np.exp(-x))
    return {"sigmoid": p * (1 - p), "log_sigmoid": 1 - p, "softplus": p}[function.__name__]


@pytest.mark.backends(fits=has_float16)
def test_a_wider_dtype_tells_half_logits_apart(target):
    """1000 float16 logits from 4 to 8 have 37 sigmoids in float16."""
    x = target.array(np.linspace(4, 8, 1000), "float16")
    assert len(np.unique(target.numpy(ax.sigmoid(x)))) == 37
    for function in ELEMENTWISE:
        for dtype in (target.xp.float32, "float32"):
            y = function(x, dtype=dtype)
            assert y.dtype == target.xp.float32
            assert len(np.unique(target.numpy(y))) == 1000
    assert ax.sigmoid(x, dtype=None).dtype == x.dtype


@pytest.mark.backends(fits=has_float16)
@pytest.mark.parametrize("function", ELEMENTWISE, ids=lambda f: f.__name__)
def test_the_gradient_through_a_cast_has_the_dtype_of_the_array(target, function):
    """A cotangent has the dtype of the result."""
    high = np.float64(np.float16([-7.0, -0.5, 4.0, 7.0]))
    x, g = target.array(high, "float16"), target.array(np.full(4, 2.0**12), "float32")
    y, pullback = ax.vjp(function, x, dtype="float32")
    (found,) = pullback(g)
    assert y.dtype == g.dtype
    assert found.dtype == x.dtype
    expected = slope(function, high) * 2.0**12
    assert np.allclose(target.numpy(found), expected, rtol=1e-3, atol=0)
    if differentiates(target.backend):
        own = gradient(target, lambda x: function(x, dtype="float32"), x, cotangent=g)
        assert np.array_equal(own, target.numpy(found))


def test_the_other_arrays_do_not_change_the_dtype(target):
    """Default float64 weights and one-hot targets beside float32 logits give a float32 loss."""
    x = target.array(VALUES, "float32")
    one_hot = target.array(np.eye(6)[LABELS], "float64")
    weight, factor = target.array(np.ones(6), "float64"), target.array(np.ones(4), "float64")
    y = ax.cross_entropy(x, one_hot, weight=weight, sample_weight=factor)
    assert y.dtype == x.dtype
    assert ax.binary_cross_entropy_with_logits(x, one_hot, pos_weight=weight).dtype == x.dtype


def test_results_stay_on_the_device(target):
    import array_api_compat as compat

    x = target.array(VALUES, "float32")
    for call in [*CALLS.values(), *losses(target, "float32").values()]:
        assert compat.device(call(x)) == compat.device(x)


@pytest.mark.backends(fits=lambda backend: backend.name in ("numpy", "torch"))
def test_nothing_is_written_to(target):
    x = target.array(VALUES, "float64")
    before = target.numpy(x).copy()
    t, w = target.array(LABELS, "int"), target.array(np.ones(6), "float64")
    for call in [
        *CALLS.values(),
        *losses(target).values(),
        lambda x: ax.cross_entropy(x, t, weight=w, label_smoothing=0.1),
    ]:
        call(x)
        if differentiates(target.backend):
            gradient(target, call, x)
    assert np.array_equal(target.numpy(x), before)
    assert np.array_equal(target.numpy(t), LABELS)
    assert np.array_equal(target.numpy(w), np.ones(6))


LAYOUTS = {
    "read-only": lambda x: (x.setflags(write=False), x)[1],
    "Fortran order": np.asfortranarray,
    "every other row and column": lambda x: np.repeat(np.repeat(x, 2, axis=0), 2, axis=1)[::2, ::2],
    "backwards": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "transposed": lambda x: x.T.copy().T,
    "other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
    "unaligned": lambda x: np.frombuffer(b"\0" + x.tobytes(), dtype=np.uint8)[1:].view(x.dtype).reshape(x.shape),
    "broadcast": lambda x: np.broadcast_to(x, (3, *x.shape))[1],
    "a subclass": lambda x: x.view(np.memmap),
}


@pytest.mark.backends(fits=lambda backend: backend.name == "numpy")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype_name", ["float16", "float32", "float64"])
def test_numpy_layouts(target, layout, dtype_name):
    plain = VALUES.astype(dtype_name)
    x = LAYOUTS[layout](plain.copy())
    for name, call in {**CALLS, **losses(target)}.items():
        y, expected = call(x), call(plain)
        assert type(y) is np.ndarray
        assert y.dtype == expected.dtype, name
        assert y.dtype.isnative, name
        assert np.allclose(y, expected, rtol=4 * np.finfo(dtype_name).eps, atol=0), name
    t = LABELS.astype(LABELS.dtype.newbyteorder()) if layout == "other byte order" else LABELS
    assert np.isfinite(ax.cross_entropy(x, t))


@pytest.mark.backends(fits=lambda backend: backend.name == "numpy")
def test_numpy_scalars_and_extended_precision(target):
    y = ax.sigmoid(np.float32(0.5))
    assert type(y) is np.ndarray
    assert y.shape == ()
    assert y.dtype == np.float32
    wide = ax.logsumexp(np.asarray([0, -60], dtype=np.longdouble))
    assert wide.dtype == np.longdouble
    assert abs(wide / np.exp(np.longdouble(-60)) - 1) < 1e-15


@pytest.mark.backends(fits=lambda backend: backend.name == "numpy")
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_a_matrix_is_an_array_of_two_axes(target):
    assert np.array_equal(
        ax.softmax(np.matrix([[1.0, 2.0], [3.0, 4.0]])), ax.softmax(np.asarray([[1.0, 2.0], [3.0, 4.0]]))
    )


@pytest.mark.backends(fits=lambda backend: backend.name == "torch")
def test_a_narrow_default_dtype_is_computed_in_float32_too(target):
    import torch

    x = target.array(np.zeros(100_000), "int32")
    torch.set_default_dtype(torch.float16)
    try:
        assert abs(float(ax.logsumexp(x)) - 11.5129) < 0.01
        assert ax.softmax(x).dtype == torch.float16
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.backends(fits=lambda backend: backend.name == "numpy")
def test_casts_that_overflow_do_so_in_silence(target):
    big = np.asarray([1e300, 0.0])
    assert np.array_equal(ax.softmax(big, dtype=np.float32), [np.nan, np.nan], equal_nan=True)
    ax.cross_entropy(np.zeros((2, 2), dtype=np.float32), np.asarray([0, 1]), weight=big)


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
def test_numpy_arrays_of_bfloat16(target):
    """NumPy has no bfloat16 of its own; JAX users' NumPy arrays have."""
    import ml_dtypes

    x = VALUES.astype(ml_dtypes.bfloat16)
    y = ax.softmax(x)
    assert type(y) is np.ndarray
    assert y.dtype == x.dtype
    wide = ax.softmax(x.astype(np.float32))
    assert np.array_equal(y, wide.astype(ml_dtypes.bfloat16))
    assert ax.cross_entropy(x, LABELS, weight=np.ones(6, dtype=x.dtype)).dtype == np.float32


@pytest.mark.backends(fits=lambda backend: backend.name == "numpy")
def test_no_warning_leaks_whatever_the_floating_point_state(target):
    """Warnings are errors in this suite; here NumPy is told to raise as well."""
    hostile = np.asarray([[np.inf, -np.inf, np.nan, 3e38], [-np.inf] * 4, [3e38, -3e38, 0.0, 1e-38]], dtype=np.float32)
    t = np.asarray([0, 1, 2])
    with np.errstate(all="raise"):
        for call in (*CALLS.values(), lambda x: ax.cross_entropy(x, t, z_loss=1.0, label_smoothing=0.1)):
            call(hostile)
            call(hostile.astype(np.float64))
        assert np.geterr()["over"] == "raise"


def test_many_threads_at_once(target):
    """The executors keep no state between calls."""
    x = target.array(VALUES, "float32")
    t = target.array(LABELS, "int")
    expected = target.numpy(ax.softmax(x)), target.numpy(ax.cross_entropy(x, t))
    wrong = []

    def work():
        with target.session():
            for _ in range(20):
                got = target.numpy(ax.softmax(x)), target.numpy(ax.cross_entropy(x, t))
                if not all(np.array_equal(a, b) for a, b in zip(got, expected, strict=True)):
                    wrong.append(got)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
