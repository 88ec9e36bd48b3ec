"""axisoft.compat.scipy beside scipy.special, on every backend."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
from compat_peers.differential import agree, compare, numbers, rng, some_axes
from helpers import differentiates, gradient
from hypothesis import strategies as st

from axisoft.compat import scipy as facade


@st.composite
def axes_of(draw):
    x = draw(numbers())
    return x, draw(some_axes(x.ndim))


def test_softmax_and_log_softmax(target):
    def body(data):
        x, axis = data
        a = target.array(x, "float64")
        agree(target.numpy(facade.softmax(a, axis)), scipy.special.softmax(x, axis))
        agree(target.numpy(facade.log_softmax(a, axis)), scipy.special.log_softmax(x, axis), scale=np.abs(x).max())

    compare(target, axes_of(), body)


def test_functions_of_each_element(target):
    def body(x):
        a = target.array(x, "float64")
        agree(target.numpy(facade.expit(a)), scipy.special.expit(x))
        agree(target.numpy(facade.log_expit(a)), scipy.special.log_expit(x))

    compare(target, numbers(), body)


@st.composite
def weighted(draw, finite=False):
    x, axis = draw(axes_of())
    r = rng(draw)
    b = None
    if finite or draw(st.booleans()):
        shape = x.shape if draw(st.booleans()) else (x.shape[-1],)
        b = r.normal(size=shape) * draw(st.sampled_from([1.0, 1e6])) * (r.random(shape) > 0.2)
    if not finite and draw(st.booleans()):
        x = np.where(r.random(x.shape) < 0.3, r.choice([-np.inf, np.inf, np.nan], size=x.shape), x)
    return x, axis, b, draw(st.booleans()), draw(st.booleans())


def condition(x, axis, b):
    """How much larger the terms are than their sum, where that is known."""
    if b is None:
        return 1.0
    with np.errstate(all="ignore"):
        ratio = np.exp(
            scipy.special.logsumexp(x, axis=axis, b=np.abs(b))
            - scipy.special.logsumexp(x, axis=axis, b=b, return_sign=True)[0]
        )
    ratio = np.asarray(ratio)[np.isfinite(ratio)]
    return ratio.max(initial=1.0)


def test_logsumexp(target):
    """Infinities, NaN, weights of both signs and of 0."""

    def body(data):
        x, axis, b, keepdims, return_sign = data
        options = {"axis": axis, "keepdims": keepdims, "return_sign": return_sign}
        with np.errstate(all="ignore"):
            # What a weight of 0 hides counts in SciPy after all where the sum is 0 or infinite; here it does not.
            theirs = scipy.special.logsumexp(x if b is None else np.where(b == 0, 0, x), b=b, **options)
        ours = facade.logsumexp(
            target.array(x, "float64"), b=None if b is None else target.array(b, "float64"), **options
        )
        scale = 20 * condition(x, axis, b)  # ln 1e6 is 14
        if not return_sign:
            ours, theirs = (ours,), (theirs,)
        for our, their in zip(ours, theirs, strict=True):
            agree(target.numpy(our), their, scale)

    compare(target, weighted(), body)


@pytest.mark.backends(fits=differentiates)
def test_gradients(target):
    """That of logsumexp is ``b * exp(a)`` over the sum; that of a log_softmax's sum is ``1 - n * softmax``."""

    def body(data):
        x, axis, b, _, _ = data
        a, w = target.array(x, "float64"), target.array(b, "float64")
        run = lambda a, w: facade.logsumexp(a, axis=axis, b=w, keepdims=True, return_sign=True)[0]
        value, sign = scipy.special.logsumexp(x, axis=axis, b=b, keepdims=True, return_sign=True)
        if np.all(np.isfinite(value)):
            share = sign * np.exp(x - value)
            scale = 100 * condition(x, axis, b) ** 2
            agree(gradient(target, run, a, w), b * share, scale)
        y = gradient(target, lambda a: facade.log_softmax(a, axis), a)
        p = scipy.special.softmax(x, axis)
        agree(y, 1 - np.round(x.size / np.sum(p)) * p, scale=x.size)

    compare(target, weighted(finite=True), body)


def test_what_a_weight_of_0_hides(target):
    for hidden in (np.inf, -np.inf, np.nan):
        x, b = np.asarray([hidden, 1.0, 2.0]), np.asarray([0.0, 1.0, -2.0])
        ours = facade.logsumexp(target.array(x, "float64"), b=target.array(b, "float64"), return_sign=True)
        for our, their in zip(ours, scipy.special.logsumexp(x, b=b, return_sign=True), strict=True):
            agree(target.numpy(our), their)


def test_types_of_what_lists_and_numbers_give():
    for name, args, options in (
        ("softmax", (3.0,), {}),
        ("softmax", ([1, 2],), {}),
        ("log_softmax", (3,), {"axis": 0}),
        ("log_softmax", ([[1.0, 2.0]],), {"axis": 1}),
        ("logsumexp", ([1, 2],), {}),
        ("logsumexp", (3.0,), {"keepdims": True}),
        ("logsumexp", ([[1, 2]],), {"axis": 1, "b": [1, -3], "return_sign": True}),
        ("logsumexp", (np.float32([1, 2]),), {"b": 2}),
        ("expit", (3,), {}),
        ("expit", (np.asarray(3.0),), {}),
        ("expit", ([1.0, 2.0],), {}),
        ("expit", (np.float32(1),), {}),
        ("log_expit", (np.float32([1]),), {}),
    ):
        ours, theirs = getattr(facade, name)(*args, **options), getattr(scipy.special, name)(*args, **options)
        for our, their in zip(ours, theirs, strict=True) if isinstance(ours, tuple) else [(ours, theirs)]:
            assert type(our) is type(their)
            assert our.dtype == their.dtype
            np.testing.assert_allclose(our, their, rtol=1e-6)


DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
DTYPES += ["float16", "float32", "float64", "complex64", "complex128"]


@pytest.mark.backends(fits=lambda backend: backend.name == "numpy")
@pytest.mark.parametrize("kind", DTYPES)
def test_dtypes_of_weighted_sums(target, kind):
    a = np.asarray([0, 1]).astype(kind)
    for other in [*DTYPES, None]:
        for b in [np.asarray([1, 1]).astype(other)] if other else [None, 2, 2.0, 2j, True]:
            for return_sign in (False, True):
                with np.errstate(all="ignore"):
                    theirs = scipy.special.logsumexp(a, b=b, return_sign=return_sign)
                ours = facade.logsumexp(a, b=b, return_sign=return_sign)
                for mine, his in zip(ours, theirs, strict=True) if return_sign else ((ours, theirs),):
                    assert mine.dtype == his.dtype, (other, b)
                    assert abs(mine - his) < (1e-2 if mine.dtype == np.float16 else 1e-5)


@st.composite
def complex_numbers(draw):
    x, axis, b, keepdims, return_sign = draw(weighted(finite=True))
    r = rng(draw)
    imaginary = r.normal(size=x.shape) * draw(st.sampled_from([1.0, 20.0]))
    if b is not None and draw(st.booleans()):
        b = b + 1j * r.normal(size=b.shape)
    return x + 1j * imaginary, axis, b if draw(st.booleans()) else None, keepdims, return_sign


def test_complex_numbers(target):
    xp = target.xp

    def parts(y):
        y = xp.astype(y, xp.complex128)
        return target.numpy(xp.real(y)), target.numpy(xp.imag(y))

    def body(data):
        x, axis, b, keepdims, return_sign = data
        options = {"axis": axis, "keepdims": keepdims, "return_sign": return_sign}
        theirs = scipy.special.logsumexp(x, b=b, **options)
        w = None if b is None else target.array(b, b.dtype.name)
        ours = facade.logsumexp(target.array(x, "complex128"), b=w, **options)
        scale = 1e3 * condition(x.real, axis, None if b is None else np.abs(b))
        sums = np.exp(scipy.special.logsumexp(x, b=b, axis=axis, return_sign=True)[0])
        scale *= np.max(np.sum(np.abs(np.exp(x) if b is None else b * np.exp(x)), axis=axis) / sums)
        for mine, his in zip(ours, theirs, strict=True) if return_sign else ((ours, theirs),):
            agree(parts(mine)[0], np.real(his), scale)
            turn = parts(mine)[1] - np.imag(his)  # at the cut, either side
            agree(np.abs(np.exp(1j * turn) - 1), 0 * turn, scale)
        for run, peer in (
            (facade.softmax, scipy.special.softmax),
            (facade.log_softmax, scipy.special.log_softmax),
        ):
            mine, his = parts(run(target.array(x, "complex128"), axis)), peer(x, axis)
            size = 1e3 * max(1.0, np.abs(x).max()) * np.max(np.sum(np.abs(np.exp(x - x.real.max())), axis=axis))
            size *= 1.0 / np.min(np.abs(np.sum(np.exp(x - x.real.max()), axis=axis)))
            agree(mine[0], his.real, size)
            agree(mine[1], his.imag, size)

    compare(target, complex_numbers(), body)
