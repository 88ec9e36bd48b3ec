"""axisoft.compat.scipy: SciPy's conventions on every backend, without SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import differentiates, gradient

from axisoft.compat import scipy as facade

INF, NAN = np.inf, np.nan
X = np.random.default_rng(1).normal(size=(3, 4)) * 3
B = np.random.default_rng(2).normal(size=(3, 4))


def close(a, b, rtol=1e-13):
    return np.allclose(np.asarray(a, dtype=np.float64), b, rtol=rtol, atol=0, equal_nan=True)


def weighted(a, b, axis=None, keepdims=False):
    """The definition: value and sign."""
    total = np.sum(b * np.exp(a), axis=axis, keepdims=keepdims)
    return np.log(np.abs(total)), np.sign(total)


def test_over_all_axes_unless_some_are_named(target):
    x = target.array(X, "float64")
    e = np.exp(X)
    assert close(target.numpy(facade.softmax(x)), e / e.sum())
    assert close(target.numpy(facade.log_softmax(x)), X - np.log(e.sum()))
    assert close(target.numpy(facade.softmax(x, (0, 1))), e / e.sum())
    assert close(target.numpy(facade.softmax(x, axis=0)), e / e.sum(0))
    assert close(target.numpy(facade.logsumexp(x, 1, keepdims=True)), np.log(e.sum(1, keepdims=True)))


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_weights_of_both_signs(target, axis, keepdims):
    x, b = target.array(X, "float64"), target.array(B, "float64")
    value, sign = weighted(X, B, axis, keepdims)
    got = facade.logsumexp(x, axis=axis, b=b, keepdims=keepdims, return_sign=True)
    assert close(target.numpy(got[0]), value, rtol=1e-12)
    assert np.array_equal(target.numpy(got[1]), sign)
    assert got[0].shape == value.shape
    assert got[1].dtype == got[0].dtype == x.dtype
    alone = target.numpy(facade.logsumexp(x, axis=axis, b=b, keepdims=keepdims))
    assert close(alone, np.where(sign < 0, NAN, value), rtol=1e-12)


def test_weights_and_array_broadcast_together(target):
    x, b = target.array(X[:, :1], "float64"), target.array(B[0], "float64")
    got = facade.logsumexp(x, axis=0, b=b, return_sign=True)
    value, sign = weighted(X[:, :1], B[0] * np.ones((3, 4)), 0)
    assert close(target.numpy(got[0]), value)
    assert np.array_equal(target.numpy(got[1]), sign)


@pytest.mark.parametrize(
    ("a", "b", "value", "sign"),
    [
        ([INF, 0.0], [0.0, 1.0], 0.0, 1),  # a weight of 0 hides what it multiplies
        ([NAN, 0.0], [0.0, 1.0], 0.0, 1),
        ([1.0, 1.0], [1.0, -1.0], -INF, 0),
        ([1.0, 1.0], [0.0, 0.0], -INF, 0),
        ([-INF, -INF], [1.0, -1.0], -INF, 0),
        ([INF, 0.0], [-1.0, 1.0], INF, -1),
        ([INF, INF], [1.0, -1.0], NAN, NAN),
        ([0.0, NAN], [1.0, 1.0], NAN, NAN),
        ([0.0, 0.0], [1.0, NAN], NAN, NAN),
        ([0.0, 0.0], [1.0, INF], INF, 1),
        ([-INF, 0.0], [INF, 1.0], NAN, NAN),
        ([0.0, -INF], [-1.0, 1.0], 0.0, -1),
        ([1000.0, 999.0], [1.0, 1.0], 1000.3132616875182, 1),
        ([0.0, -800.0], [1e-300, 1e300], np.log(1e300) - 800, 1),  # where exp(-800) alone is 0
        ([1000.0, 1000.0], [1e300, 1e300], np.log(2) + np.log(1e300) + 1000, 1),
    ],
)
def test_special_values_of_weighted_sums(target, a, b, value, sign):
    got = facade.logsumexp(target.array(a, "float64"), b=target.array(b, "float64"), return_sign=True)
    assert close(target.numpy(got[0]), value)
    assert close(target.numpy(got[1]), sign)
    alone = target.numpy(facade.logsumexp(target.array(a, "float64"), b=target.array(b, "float64")))
    assert close(alone, NAN if sign == -1 else value)


def test_a_sum_that_cancels_at_a_large_offset_keeps_its_digits(target):
    """log(1 - 0.999) + 1000 to the spacing of 1000; the terms' logarithms alone would leave 3 digits fewer."""
    x, b = target.array([1000.0, 1000.0], "float64"), target.array([1.0, -0.999], "float64")
    assert close(target.numpy(facade.logsumexp(x, b=b)), 1000 + np.log1p(-0.999), rtol=3e-16)


def test_sign_without_weights(target):
    x = target.array([[0.0, 1.0], [-INF, -INF], [NAN, 0.0], [INF, 0.0]], "float64")
    value, sign = facade.logsumexp(x, axis=1, return_sign=True)
    assert close(target.numpy(value), [1.3132616875182228, -INF, NAN, INF])
    assert close(target.numpy(sign), [1, 0, NAN, 1])


def test_sums_of_nothing(target):
    x = target.array(np.zeros((2, 0)), "float64")
    assert np.array_equal(target.numpy(facade.logsumexp(x, axis=1, b=x)), [-INF, -INF])
    assert target.numpy(facade.logsumexp(x, axis=0, b=x)).shape == (0,)
    assert facade.softmax(x).shape == (2, 0)


def test_infinities_as_in_scipy_but_for_log_softmax_beside_inf(target):
    for row, softmax, log_softmax in (
        ([INF, 0.0], [NAN, NAN], [NAN, NAN]),  # SciPy's log_softmax: [nan, -inf]
        ([-INF, -INF], [NAN, NAN], [NAN, NAN]),
        ([-INF, 0.0], [0.0, 1.0], [-INF, 0.0]),
    ):
        x = target.array(row, "float64")
        assert close(target.numpy(facade.softmax(x)), softmax)
        assert close(target.numpy(facade.log_softmax(x)), log_softmax)
    x = target.array([-INF, 0.0, INF, NAN], "float64")
    assert close(target.numpy(facade.expit(x)), [0, 0.5, 1, NAN])
    assert close(target.numpy(facade.log_expit(x)), [-INF, -np.log(2), 0, NAN])


def test_confident_log_softmax_keeps_its_digits(target):
    y = target.numpy(facade.log_softmax(target.array([0.0, -40.0], "float64")))
    assert close(y, [-4.248354255291589e-18, -40.0], rtol=1e-15)


def test_lists_and_numbers_become_numpy_arrays():
    for got, want in (
        (facade.softmax([0, 0]), [0.5, 0.5]),
        (facade.softmax(3), 1.0),
        (facade.log_softmax(3.0, axis=0), 0.0),
        (facade.logsumexp([0, 0]), np.log(2)),
        (facade.logsumexp([[0, 0]], axis=1, b=[2, 2]), [np.log(4)]),
        (facade.logsumexp(2.0, b=3), 2 + np.log(3)),
        (facade.logsumexp(2.0, keepdims=True), [2.0]),
        (facade.expit(0), 0.5),
        (facade.log_expit([0, 0]), [-np.log(2)] * 2),
    ):
        assert close(got, want)
        assert got.dtype == np.float64
        assert isinstance(got, np.ndarray) is bool(np.ndim(want))
    assert all(isinstance(part, np.float64) for part in facade.logsumexp([1, 2], b=[1, -1], return_sign=True))
    assert isinstance(facade.expit(np.float32(0)), np.float32)


def test_a_list_beside_an_array_joins_its_library(target):
    x = target.array([0.0, 1.0], "float32")
    y = facade.logsumexp(x, b=[1.0, 2.0])
    assert close(target.numpy(y), np.log(1 + 2 * np.e), rtol=1e-6)
    if target.backend.name not in ("numpy", "dask"):
        assert type(y) is type(x)
    y, sign = facade.logsumexp([0.0, 1.0], b=target.array([1.0, -1.0], "float64"), return_sign=True)
    assert close(target.numpy(sign), -1)


def test_dtypes(target):
    """Those of an array and its weights combine by the rules of the library; integers alone become its default."""
    xp, default = target.xp, target.xp.__array_namespace_info__().default_dtypes()["real floating"]
    for dtype in target.backend.dtypes:
        x = target.array([0.0, 1.0], dtype)
        assert facade.logsumexp(x).dtype == x.dtype
        for b in (x, target.array([1, 2], "int"), target.array([1, 2], "int8"), target.array([True, False], "bool")):
            try:
                want = xp.result_type(x.dtype, b.dtype)
            except TypeError:  # the standard has no rule for the two
                want = xp.result_type(x.dtype, default)
            value, sign = facade.logsumexp(x, b=b, return_sign=True)
            assert value.dtype == sign.dtype == want
            assert facade.logsumexp(x, b=b).dtype == want
            assert facade.logsumexp(b, b=x).dtype == want
        assert facade.logsumexp(x, b=2.0).dtype == facade.logsumexp(x, b=2).dtype == x.dtype
    x = target.array([0.0, 1.0], "float32")
    assert str(facade.logsumexp(x, b=target.array([1.0, 1.0], "float64")).dtype).endswith("float64")
    i = target.array([0, 1], "int8")
    for b in (None, i, target.array([True, True], "bool")):
        assert facade.logsumexp(i, b=b).dtype == default


def test_float32_with_integers_is_float64_in_numpy():
    for dtype, want in (("int8", "float32"), ("int16", "float32"), ("int32", "float64"), ("int64", "float64")):
        y = facade.logsumexp(np.asarray([0.0, 1.0], dtype="float32"), b=np.asarray([1, 2], dtype=dtype))
        assert y.dtype == want
        assert abs(y - np.log(1 + 2 * np.e)) < (1e-15 if want == "float64" else 1e-6)


@pytest.mark.backends(fits=lambda backend: "float16" in backend.dtypes)
def test_half_precision_is_computed_in_single(target):
    x = target.array(np.zeros(100_000), "float16")
    assert close(target.numpy(facade.logsumexp(x)), 11.512925, rtol=1e-3)
    assert close(target.numpy(facade.logsumexp(x, b=target.array(np.ones(100_000), "float16"))), 11.512925, rtol=1e-3)
    assert close(target.numpy(facade.softmax(x)), 1e-5, rtol=2e-2)


@pytest.mark.backends(fits=differentiates)
def test_gradients_of_weighted_sums(target):
    a, b = target.array(X, "float64"), target.array(B, "float64")
    _, signs = weighted(X, B, 1)

    def value(a, b):
        return facade.logsumexp(a, axis=1, b=b, return_sign=True)[0]

    total = np.sum(B * np.exp(X), axis=1, keepdims=True)
    assert np.allclose(gradient(target, value, a, b), B * np.exp(X) / total, rtol=1e-11, atol=1e-13)
    assert np.allclose(gradient(target, value, a, b, index=1), np.exp(X) / total, rtol=1e-11, atol=1e-13)
    assert set(signs) == {1.0, -1.0}


@pytest.mark.backends(fits=differentiates)
def test_gradient_where_nothing_counts(target):
    a = target.array([[0.0, NAN], [INF, -INF], [1.0, 1.0], [-INF, -INF]], "float64")
    b = target.array([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0], [1.0, 1.0]], "float64")
    got = gradient(target, lambda a: facade.logsumexp(a, axis=1, b=b), a)
    assert np.array_equal(got, [[1, 0], [0, 0], [0, 0], [0, 0]])


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
def test_under_jit(target):
    import jax

    a, b = target.array(X, "float64"), target.array(B, "float64")
    run = jax.jit(lambda a, b: facade.logsumexp(a, axis=1, b=b, return_sign=True)[0])
    assert close(target.numpy(run(a, b)), weighted(X, B, 1)[0], rtol=1e-12)


def test_inputs_stay_as_they_were(target):
    a, b = target.array(X, "float64"), target.array(B, "float64")
    facade.logsumexp(a, b=b), facade.softmax(a), facade.log_softmax(a), facade.expit(a)
    assert np.array_equal(target.numpy(a), X)
    assert np.array_equal(target.numpy(b), B)


def test_errors():
    with pytest.raises(TypeError, match=r"^expit: x has dtype complex128, and complex numbers have no order; pass"):
        facade.expit([1j, 2])  # SciPy's takes none either
    text = (
        r"logsumexp: a with shape \(2,\) and b with shape \(3,\) do not broadcast to one shape; "
        r"each of their axes, counted from the last, must be 1 or agree\."
    )
    with pytest.raises(ValueError, match=text):
        facade.logsumexp([1, 2], b=[1, 2, 3])
    with pytest.raises(ValueError, match=r"logsumexp: axis 2 is out of bounds for a with shape \(2,\)"):
        facade.logsumexp([1, 2], axis=2, b=[1, 2])
    with pytest.raises(TypeError, match=r"logsumexp: keepdims is 1, not a boolean"):
        facade.logsumexp([1, 2], keepdims=1)
    with pytest.raises(TypeError, match=r"softmax: x has dtype <U1, which is not a real one"):
        facade.softmax(["a"])
