"""axisoft.compat.jax: the conventions of jax.nn on every backend, most of it without JAX."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import differentiates, gradient

from axisoft.compat import jax as nn

INF, NAN = np.inf, np.nan
X = np.random.default_rng(4).normal(size=(3, 4)) * 3
B = np.random.default_rng(5).normal(size=(3, 4))
MASK = np.asarray([[True, False, True, True], [False, False, False, False], [True, True, True, False]])


def close(a, b, rtol=1e-11):
    return np.allclose(np.asarray(a, dtype=np.float64), b, rtol=rtol, atol=0, equal_nan=True)


def test_softmax_family_along_the_last_axis(target):
    x, e = target.array(X, "float64"), np.exp(X)
    assert close(target.numpy(nn.softmax(x)), e / e.sum(-1, keepdims=True))
    assert close(target.numpy(nn.log_softmax(x)), X - np.log(e.sum(-1, keepdims=True)))
    assert close(target.numpy(nn.softmax(x, None)), e / e.sum())
    assert close(target.numpy(nn.log_softmax(x, (0, 1))), X - np.log(e.sum()))
    assert close(target.numpy(nn.logsumexp(x)), np.log(e.sum()))
    assert close(target.numpy(nn.sigmoid(x)), 1 / (1 + np.exp(-X)))
    assert close(target.numpy(nn.log_sigmoid(x)), -np.log1p(np.exp(-X)))
    assert close(target.numpy(nn.softplus(x)), np.log1p(e))


def test_what_the_mask_hides(target):
    hidden = np.where(MASK, X, NAN)
    x, where = target.array(hidden, "float64"), target.array(MASK, "bool")
    e = np.where(MASK, np.exp(X), 0)
    with np.errstate(all="ignore"):
        total = e.sum(-1, keepdims=True)
        assert close(target.numpy(nn.softmax(x, where=where)), np.where(MASK, e / total, 0))
        assert close(target.numpy(nn.log_softmax(x, where=where)), np.where(MASK, X - np.log(total), -INF))
        assert close(target.numpy(nn.logsumexp(x, -1, where=where)), np.log(total[:, 0]))


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_weights_and_mask_together(target, axis, keepdims):
    x, b, where = target.array(X, "float64"), target.array(B, "float64"), target.array(MASK, "bool")
    total = np.sum(np.where(MASK, B * np.exp(X), 0), axis=axis, keepdims=keepdims)
    value, sign = nn.logsumexp(x, axis, b, keepdims, True, where)
    with np.errstate(all="ignore"):
        assert close(target.numpy(value), np.log(np.abs(total)))
        assert np.array_equal(target.numpy(sign), np.sign(total))
        alone = nn.logsumexp(x, axis=axis, b=b, keepdims=keepdims, where=where)
        assert close(target.numpy(alone), np.log(total))
    assert value.shape == sign.shape == total.shape


def test_array_weights_and_mask_broadcast_together(target):
    x, b = target.array(X[:, :1], "float64"), target.array(B[0], "float64")
    where = target.array(MASK[:, 1:2], "bool")
    value, sign = nn.logsumexp(x, 0, b, return_sign=True, where=where)
    total = np.sum(np.exp(X[:, :1]) * B[0] * MASK[:, 1:2], axis=0)
    assert close(target.numpy(value), np.log(np.abs(total)))
    assert np.array_equal(target.numpy(sign), np.sign(total))


@pytest.mark.backends(fits=differentiates)
def test_gradients(target):
    x, b, where = target.array(X, "float64"), target.array(B, "float64"), target.array(MASK, "bool")
    run = lambda x, b: nn.logsumexp(x, b=b, where=where, return_sign=True)[0]
    e = np.where(MASK, np.exp(X), 0)
    total = np.sum(e * B)
    assert np.allclose(gradient(target, run, x, b), e * B / total, rtol=1e-11, atol=1e-14)
    assert np.allclose(gradient(target, run, x, b, index=1), e / total, rtol=1e-11, atol=1e-14)
    low = target.array([-INF, -INF], "float64")
    assert np.array_equal(gradient(target, nn.logsumexp, low), [0, 0])
    none = target.array([False, False], "bool")
    assert np.array_equal(
        gradient(target, lambda x: nn.softmax(x, where=none), target.array([1.0, NAN], "float64")), [0, 0]
    )


def test_where_the_peer_is_wrong(target):
    """Integers are promoted before they are subtracted; a confident log_softmax keeps its digits."""
    y = target.numpy(nn.softmax(target.array([-100, 100], "int8")))
    assert np.argmax(y) == 1
    assert close(y[1], 1)
    assert close(target.numpy(nn.sigmoid(target.array([0, 0], "int"))), [0.5, 0.5])
    y = target.numpy(nn.log_softmax(target.array([0.0, -40.0], "float64")))
    assert close(y, [-4.248354255291589e-18, -40.0])


@pytest.mark.backends(fits=lambda backend: "float16" in backend.dtypes)
def test_half_precision(target):
    assert target.numpy(nn.sigmoid(target.array([-16.0], "float16")))[0] > 0
    x = target.array(np.zeros(100_000), "float16")
    assert close(target.numpy(nn.logsumexp(x)), 11.512925, rtol=1e-3)
    value, sign = nn.logsumexp(x, b=x + 1, return_sign=True)
    assert close(target.numpy(value), 11.512925, rtol=1e-3)
    assert value.dtype == sign.dtype == x.dtype


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
def test_under_jit_grad_and_vmap(target):
    import jax

    x, b, where = target.array(X, "float64"), target.array(B, "float64"), target.array(MASK, "bool")
    run = lambda x, b, where: nn.logsumexp(x, b=b, where=where, return_sign=True)[0]
    each = jax.jit(jax.vmap(jax.grad(run)))(x, b, where)
    e = np.where(MASK, np.exp(X), 0)
    with np.errstate(all="ignore"):
        want = e * B / np.sum(e * B, axis=1, keepdims=True)
    assert np.allclose(target.numpy(each), np.where(np.isnan(want), 0, want), rtol=1e-11, atol=1e-14)


NUMBERS = {
    nn.sigmoid: (3.0, 0.9525741268224334),
    nn.log_sigmoid: (3, -0.04858735157374196),
    nn.softplus: (89.0, 89.0),
    nn.logsumexp: (True, 1.0),
}


@pytest.mark.parametrize("fun", NUMBERS, ids=lambda fun: fun.__name__)
def test_numbers_alone_become_numpy_arrays(fun):
    number, want = NUMBERS[fun]
    for x in (number, np.float64(number), np.asarray(float(number))):
        y = fun(x)
        assert isinstance(y, np.ndarray)
        assert y.shape == ()
        assert y.dtype == np.float64
        assert close(y, want, rtol=1e-14)
    assert fun(np.float32(number)).dtype == np.float32
    assert fun(np.int8(number)).dtype == np.float64


def test_numbers_join_the_arrays_they_stand_beside(target):
    x = target.array(X, "float32")
    for b in (2, 2.0, np.float32(2.0)):
        y = nn.logsumexp(x, -1, b)
        assert y.dtype == x.dtype
        assert type(y) is type(nn.logsumexp(x, -1, x))
        assert close(target.numpy(y), np.log(2 * np.exp(X).sum(-1)), rtol=1e-5)
    y = nn.logsumexp(1.0, None, target.array([1.0, 2.0], "float32"))
    assert y.dtype == x.dtype
    assert close(target.numpy(y), 1 + np.log(3), rtol=1e-6)
    assert close(target.numpy(nn.softmax(x, where=True)), target.numpy(nn.softmax(x)), rtol=1e-6)
    wide = nn.logsumexp(x, -1, np.float64(2.0))  # its own dtype
    assert wide.dtype == target.array(X, "float64").dtype
    assert np.array_equal(target.numpy(nn.logsumexp(x, where=False)), -INF)


def test_errors(target):
    x = target.array(X, "float64")
    for call, error, message in (
        (lambda: nn.softmax([3.0]), TypeError, "softmax: x is a list, not an array; convert it first"),
        (lambda: nn.softmax(3.0), ValueError, "softmax: axis -1 is out of bounds for x with shape ()"),
        (lambda: nn.logsumexp(x, b=[2.0]), TypeError, "logsumexp: b is a list, not an array; convert it first"),
        (lambda: nn.logsumexp(x, b=x, where=x), TypeError, "logsumexp: where has dtype"),
        (lambda: nn.logsumexp(x, 2, x), ValueError, "logsumexp: axis 2 is out of bounds for a with shape (3, 4)"),
        (lambda: nn.logsumexp(x, return_sign=1), TypeError, "logsumexp: return_sign is 1, not a boolean"),
        (
            lambda: nn.logsumexp(x, b=x[:2, :]),
            ValueError,
            "a with shape (3, 4) and b with shape (2, 4) do not broadcast",
        ),
    ):
        with pytest.raises(error) as found:
            call()
        assert message in str(found.value)
