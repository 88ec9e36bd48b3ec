"""Complex numbers in the facades of SciPy and jax.nn, on every backend, without either."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest

from axisoft.compat import jax as J
from axisoft.compat import scipy as S

INF, NAN = np.inf, np.nan
RNG = np.random.default_rng(9)
X = RNG.normal(size=(3, 4)) * 3 + 1j * RNG.normal(size=(3, 4)) * 9
REAL = RNG.normal(size=(3, 4))
WEIGHTS = {"none": None, "real": REAL, "complex": REAL + 1j * RNG.normal(size=(3, 4))}
MASK = np.asarray([[True, False, True, True], [True, True, True, True], [False, True, True, False]])


def plain(target, x):
    """Of a backend, as complex NumPy."""
    xp = target.xp
    x = x if xp.isdtype(x.dtype, "complex floating") else xp.astype(x, xp.complex128)
    return target.numpy(xp.real(x)) + 1j * target.numpy(xp.imag(x))


def made(target, x):
    if x is None:
        return None
    dtype = {"b": "bool", "c": "complex128"}.get(x.dtype.kind, "float64")
    return target.array(x, dtype)


def exact(a, b=None, axis=None, keepdims=False):
    """The logarithm of the sum, with digits to spare."""
    wide = np.asarray(a, dtype=np.clongdouble)
    return np.log(np.sum(np.exp(wide) if b is None else b * np.exp(wide), axis=axis, keepdims=keepdims))


def close(got, want, rtol=1e-13):
    return np.allclose(got, np.asarray(want, dtype=np.complex128), rtol=rtol, atol=0, equal_nan=True)


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1), (1, 0)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_logsumexp(target, weights, axis, keepdims):
    b = WEIGHTS[weights]
    want = exact(X, b, axis, keepdims)
    for run in (S.logsumexp, J.logsumexp):
        x, w = made(target, X), made(target, b)
        got = run(x, axis, w, keepdims)
        assert got.shape == want.shape
        assert got.dtype == x.dtype
        assert close(plain(target, got), want, rtol=1e-12)
        size, phase = run(x, axis, w, keepdims, True)
        assert size.dtype == target.array([1.0], "float64").dtype
        assert phase.dtype == x.dtype
        assert close(plain(target, size), want.real, rtol=1e-12)
        assert close(plain(target, phase), np.exp(1j * want.imag), rtol=1e-12)


def test_real_numbers_with_complex_weights(target):
    for a, b in ((REAL, X), (X, REAL), (REAL[:, :1], X), (X, REAL[0])):
        got = S.logsumexp(made(target, a), axis=1, b=made(target, b))
        wide = np.broadcast_to(np.asarray(a, dtype=complex), (3, 4))
        assert close(plain(target, got), exact(wide, b, 1), rtol=1e-12)


def test_dtypes(target):
    for dtype, real in (("complex64", "float32"), ("complex128", "float64")):
        x = target.array(X, dtype)
        size, phase = S.logsumexp(x, return_sign=True)
        assert size.dtype == target.array([1.0], real).dtype
        assert phase.dtype == S.logsumexp(x).dtype == S.softmax(x).dtype == S.log_softmax(x).dtype == x.dtype
        assert J.sigmoid(x).dtype == J.log_sigmoid(x).dtype == J.softplus(x).dtype == x.dtype
        assert close(plain(target, S.logsumexp(x, 1)), exact(X, axis=1), rtol=1e-5 if real == "float32" else 1e-13)
    wide = target.array([0.0, 1.0], "complex128").dtype
    assert S.logsumexp(target.array(X, "complex64"), b=target.array(REAL, "float64")).dtype == wide
    assert S.logsumexp(target.array(REAL, "float64"), b=target.array(X, "complex64")).dtype == wide


def test_no_term_over_or_underflows(target):
    a, b = np.asarray([1000 + 1j, 999 - 2j]), np.asarray([1e300, -1e300j])
    want = 999 + math.log(1e300) + cmath.log(cmath.exp(1 + 1j) - 1j * cmath.exp(-2j))
    assert close(plain(target, S.logsumexp(made(target, a), b=made(target, b))), want)
    low = S.logsumexp(made(target, a - 5000))
    assert close(plain(target, low), -4001 + cmath.log(cmath.exp(1 + 1j) + cmath.exp(-2j)))
    pair = made(target, np.asarray([1000 + 0j, 1000 + 0j]))
    size, phase = S.logsumexp(pair, b=made(target, np.asarray([1.0, -1.0])), return_sign=True)
    assert target.numpy(size) == -INF
    assert plain(target, phase) == 0


def test_a_dominant_term_keeps_its_digits(target):
    got = plain(target, S.logsumexp(made(target, np.asarray([0j, -40 + 1j]))))
    assert close(got.real, math.exp(-40) * math.cos(1), rtol=1e-14)
    assert close(got.imag, math.exp(-40) * math.sin(1), rtol=1e-14)
    got = plain(target, S.log_softmax(made(target, np.asarray([0j, -40 + 1j]))))
    assert close(got[0], -cmath.exp(-40 + 1j), rtol=1e-14)
    got = plain(target, S.logsumexp(made(target, np.asarray([0, 2.0**-60 * 1j]))))
    assert close(got.imag, 2.0**-61, rtol=1e-15)


def test_the_phase_is_the_principal_one(target):
    turns = np.asarray([[0.5j, 0.25j], [3 * math.pi * 1j, 0j - 50], [100j, 101j], [-100j, -100.5j], [math.pi * 1j] * 2])
    got = plain(target, S.logsumexp(made(target, turns), axis=1))
    assert close(got, exact(turns, axis=1), rtol=1e-12)
    assert (np.abs(got.imag) <= math.pi).all()
    assert got[-1].imag == math.pi
    assert plain(target, S.logsumexp(made(target, np.asarray([-math.pi * 1j])))).imag == math.pi  # and not -pi


PHASES = [0.0, -0.0, INF, -INF, 0.7533, 2.3562, 3.9270, 5.4978]


# The standard's libraries that run NumPy underneath let it warn of what exp and log make of infinite numbers.
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:divide by zero encountered:RuntimeWarning")
@pytest.mark.parametrize("first", [-INF, INF])
@pytest.mark.parametrize("second", [-INF, INF])
def test_infinities_are_those_of_the_library(target, first, second):
    """log(sum(exp)) as it is written: what C99 says of exp and log of infinite numbers."""
    xp = target.xp
    for p in PHASES:
        for q in PHASES[:4]:
            a = made(target, np.asarray([complex(first, p), complex(second, q)]))
            with np.errstate(all="ignore"):
                want = plain(target, xp.log(xp.sum(xp.exp(a))))
            for run in (S.logsumexp, J.logsumexp):
                assert np.array_equal(plain(target, run(a)), want, equal_nan=True), (p, q)


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_infinities_beside_finite_numbers(target):
    for p in PHASES:
        nothing = made(target, np.asarray([complex(-INF, p), 1 + 2j]))
        assert plain(target, S.logsumexp(nothing)) == 1 + 2j
        all_of_it = S.logsumexp(made(target, np.asarray([complex(INF, 0), complex(1, 2)])))
        assert plain(target, all_of_it).real == INF


def test_what_is_hidden_does_not_count(target):
    bad = np.where(MASK, X, NAN)
    bad[0, 1] = INF
    want = [exact(row[seen]) for row, seen in zip(X, MASK, strict=True)]
    got = J.logsumexp(made(target, bad), 1, where=made(target, MASK))
    assert close(plain(target, got), want, rtol=1e-12)
    weights = np.where(MASK, 1.0, 0.0)
    assert close(plain(target, S.logsumexp(made(target, bad), 1, made(target, weights))), want, rtol=1e-12)
    p = plain(target, J.softmax(made(target, bad), where=made(target, MASK)))
    logs = plain(target, J.log_softmax(made(target, bad), where=made(target, MASK)))
    for i in range(3):
        seen = MASK[i]
        assert close(p[i, seen], np.exp(X[i, seen].astype(np.clongdouble) - want[i]), rtol=1e-12)
        assert (p[i, ~seen] == 0).all()
        assert close(np.exp(logs[i, seen]), p[i, seen], rtol=1e-11)
        assert (logs[i, ~seen].real == -INF).all()


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1), (1, 0)])
def test_softmaxes(target, axis):
    for shift in (0.0, 1000.0, -1000 + 5j):
        x = made(target, X + shift)
        e = np.exp(X.astype(np.clongdouble))
        want = e / e.sum(axis=axis, keepdims=True)
        p, logs = plain(target, S.softmax(x, axis)), plain(target, S.log_softmax(x, axis))
        assert close(p, want, rtol=1e-11)
        assert close(np.exp(logs), want, rtol=1e-11)
        top = X.max(axis=axis, keepdims=True)  # the largest real part, and of those the largest imaginary one
        branch = X - top - np.log(np.sum(np.exp(X - top), axis=axis, keepdims=True))
        assert close(logs, branch, rtol=1e-11)
        assert close(plain(target, J.softmax(x, axis)), p)


def test_softmaxes_of_ties_nothing_and_infinities(target):
    ties = np.asarray([1 + 1j, 1 + 4j, 1 - 2j])
    logs = plain(target, S.log_softmax(made(target, ties)))
    assert close(logs, ties - (1 + 4j) - np.log(np.sum(np.exp(ties - (1 + 4j)))), rtol=1e-13)
    for run in (S.softmax, S.log_softmax, J.softmax, J.log_softmax):
        for row in ([INF + 0j, 0j], [complex(NAN, 0), 1j], [complex(-INF, 0), complex(-INF, 1)]):
            assert np.isnan(plain(target, run(made(target, np.asarray(row))))).all()
        assert run(made(target, np.zeros((2, 0), dtype=complex)), 1).shape == (2, 0)
    got = plain(target, S.softmax(made(target, np.asarray([complex(-INF, 3), 1j]))))
    assert close(got, [0, 1])
    nothing = S.logsumexp(made(target, np.zeros((2, 0), dtype=complex)), 1)
    assert np.array_equal(plain(target, nothing), [-INF, -INF])


def log1p(e):
    """NumPy's, of complex numbers, loses what is small."""
    return np.where(np.abs(e) < 1e-8, e - e * e / 2, np.log(1 + e))


def test_functions_of_each_element(target):
    z = np.asarray([0j, 1 + 1j, -3 + 2j, 40 - 1j, -40 + 3j, 800 + 2j, -800 + 1j, 2 - 9j])
    x = made(target, z)
    with np.errstate(all="ignore"):
        wide = z.astype(np.clongdouble)
        sigmoid, softplus = 1 / (1 + np.exp(-wide)), log1p(np.exp(wide))
    assert close(plain(target, J.sigmoid(x)), sigmoid, rtol=1e-12)
    assert close(plain(target, J.softplus(x)), softplus, rtol=1e-12)
    assert close(plain(target, J.log_sigmoid(x)), -log1p(np.exp(-wide)), rtol=1e-12)


def test_lists_and_numbers():
    assert close(S.logsumexp([1j, 2]), exact([1j, 2]))
    assert close(S.logsumexp(1 + 7j), 1 + (7 - 2 * math.pi) * 1j)
    assert isinstance(S.logsumexp([1j, 2]), np.complex128)
    assert isinstance(S.softmax(3j), np.complex128)
    assert S.softmax(3j) == 1
    assert close(J.sigmoid(1j), 1 / (1 + cmath.exp(-1j)))
    assert close(S.logsumexp([0.0, 1.0], b=1j), 1j * math.pi / 2 + math.log(1 + math.e))
    assert S.logsumexp(np.zeros(2, dtype=np.float32), b=1j).dtype == np.complex64


@pytest.mark.backends(fits=lambda backend: backend.name == "torch")
def test_gradients_of_torch(target):
    import torch

    x, b, where = made(target, X).requires_grad_(), made(target, WEIGHTS["complex"]), made(target, MASK)
    b.requires_grad_()
    for fun, arrays in (
        (lambda x: S.logsumexp(x, 1), (x,)),
        (lambda x, b: S.logsumexp(x, 1, b), (x, b)),
        (lambda x, b: S.logsumexp(x, 1, b, return_sign=True), (x, b)),
        (lambda x: J.logsumexp(x, 1, where=where), (x,)),
        (lambda x: J.softmax(x), (x,)),
        (lambda x: J.log_softmax(x, where=where)[where], (x,)),
        (J.softplus, (x,)),
        (J.sigmoid, (x,)),
    ):
        assert torch.autograd.gradcheck(fun, arrays)


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
def test_jit_and_gradients_of_jax(target):
    import jax

    x = made(target, X)
    one = jax.jit(lambda x: J.logsumexp(x, 1))(x)
    assert close(plain(target, one), exact(X, axis=1), rtol=1e-12)
    got = jax.grad(lambda x: J.logsumexp(x), holomorphic=True)(x)
    assert close(plain(target, got), np.exp(X - exact(X)).astype(complex), rtol=1e-11)
