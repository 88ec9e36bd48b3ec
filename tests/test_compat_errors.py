"""Errors beneath a facade speak its function and its argument names, whatever was wrong; values stay as they were."""

from __future__ import annotations

import traceback
from pathlib import Path

import numpy as np
import pytest
import unknown_lengths

import axisoft
from axisoft.compat import jax as J
from axisoft.compat import optax as O
from axisoft.compat import scipy as S
from axisoft.compat import torch as F

X, T, P = np.zeros((2, 3)), np.asarray([0, 2]), np.full((2, 3), 1 / 3)
W = np.ones(3)


class targets:
    """Not an array."""


class Axis:
    """Not an axis; says words that are names."""

    def __repr__(self):
        return "axis of x"


# facade, its call, the type of the error, its whole text
TABLE = [
    # arrays
    (lambda: F.softmax([1.0], 0), TypeError, "softmax: input is a list, not an array"),
    (lambda: F.softmin(1.0, 0), TypeError, "softmin: input is a float, not an array"),
    (lambda: F.log_softmax(None, 0), TypeError, "log_softmax: input is None, not an array"),
    (lambda: F.logsumexp("x", 0), TypeError, "logsumexp: input is a str, not an array"),
    (lambda: F.sigmoid([1.0]), TypeError, "sigmoid: input is a list, not an array"),
    (lambda: F.logsigmoid([1.0]), TypeError, "logsigmoid: input is a list, not an array"),
    (lambda: F.softplus([1.0]), TypeError, "softplus: input is a list, not an array"),
    (lambda: F.softplus([1.0], 2), TypeError, "softplus: input is a list, not an array"),
    (lambda: F.Softmax2d()([1.0]), TypeError, "Softmax2d: input is a list, not an array"),
    (lambda: F.Softmax2d()(X), ValueError, "Softmax2d: input with shape (2, 3) has no channel axis"),
    (lambda: F.Softmax(7)(X), ValueError, "softmax: dim 7 is out of bounds for input with shape (2, 3)"),
    (lambda: F.LogSoftmax(7)(X), ValueError, "log_softmax: dim 7 is out of bounds for input with shape (2, 3)"),
    (lambda: F.Sigmoid()([1.0]), TypeError, "sigmoid: input is a list, not an array"),
    (lambda: F.cross_entropy(X, [0, 2]), TypeError, "cross_entropy: target is a list, not an array"),
    (lambda: F.cross_entropy([X], T), TypeError, "cross_entropy: input is a list, not an array"),
    (lambda: F.cross_entropy(X, T, [1.0]), TypeError, "cross_entropy: weight is a list, not an array"),
    (lambda: F.CrossEntropyLoss([1.0])(X, T), TypeError, "cross_entropy: weight is a list, not an array"),
    (lambda: F.nll_loss(X, None), TypeError, "nll_loss: target is None, not an array"),
    (lambda: F.NLLLoss()(X, None), TypeError, "nll_loss: target is None, not an array"),
    (
        lambda: F.binary_cross_entropy_with_logits(X, [P]),
        TypeError,
        "binary_cross_entropy_with_logits: target is a list, not an array",
    ),
    (
        lambda: F.BCEWithLogitsLoss(pos_weight=2.0)(X, P),
        TypeError,
        "binary_cross_entropy_with_logits: pos_weight is a float, not an array",
    ),
    (lambda: J.logsumexp([1.0]), TypeError, "logsumexp: a is a list, not an array"),
    (lambda: J.logsumexp(X, b=[1.0]), TypeError, "logsumexp: b is a list, not an array"),
    (lambda: J.log_sigmoid([1.0]), TypeError, "log_sigmoid: x is a list, not an array"),
    (lambda: O.softmax_cross_entropy(X, [P]), TypeError, "softmax_cross_entropy: labels is a list, not an array"),
    (lambda: O.safe_softmax_cross_entropy([X], P), TypeError, "safe_softmax_cross_entropy: logits is a list"),
    (lambda: O.safe_softmax_cross_entropy(X, None), TypeError, "safe_softmax_cross_entropy: labels is None"),
    (
        lambda: O.sigmoid_binary_cross_entropy(X, None),
        TypeError,
        "sigmoid_binary_cross_entropy: labels is None, not an array",
    ),
    # dtypes
    (lambda: S.expit("a"), TypeError, "expit: x has dtype <U1, which is not a real one"),
    (lambda: S.log_expit(1j), TypeError, "log_expit: x has dtype complex128, and complex numbers have no order"),
    (lambda: S.logsumexp(["a"]), TypeError, "logsumexp: a has dtype <U1, which is not a real one"),
    (lambda: S.logsumexp(X, b=["a", "b", "c"]), TypeError, "logsumexp: b has dtype <U1"),
    (lambda: S.logsumexp([1j], b=["a"]), TypeError, "logsumexp: b has dtype <U1"),
    (lambda: F.sigmoid(X + 1j), TypeError, "sigmoid: input has dtype complex128, and complex numbers have no order; "
     "pass its real part, its imaginary part or abs(input)."),
    (lambda: F.cross_entropy(X, T > 0), TypeError, "cross_entropy: target has dtype bool"),
    (lambda: F.nll_loss(X, P), TypeError, "nll_loss: target has dtype float64"),
    (lambda: F.softmax(X, 1, dtype="int32"), TypeError, "softmax: dtype is"),
    (lambda: O.softmax_cross_entropy_with_integer_labels(X, P), TypeError,
     "softmax_cross_entropy_with_integer_labels: labels has dtype float64; "),
    # axes
    (lambda: F.softmin(X, 2), ValueError, "softmin: dim 2 is out of bounds for input with shape (2, 3)"),
    (lambda: F.log_softmax(X, 1.5), TypeError, "log_softmax: dim 1.5 is not an integer"),
    (lambda: F.logsumexp(X, (0, 0)), ValueError, "logsumexp: dim (0, 0) repeats an axis of input with shape (2, 3)"),
    (lambda: S.softmax(X, 2), ValueError, "softmax: axis 2 is out of bounds for x with shape (2, 3)"),
    (lambda: S.logsumexp(X, 2), ValueError, "logsumexp: axis 2 is out of bounds for a with shape (2, 3)"),
    (lambda: S.logsumexp(X * 1j, 2), ValueError, "logsumexp: axis 2 is out of bounds for a with shape (2, 3)"),
    (lambda: J.logsumexp(X, 2), ValueError, "logsumexp: axis 2 is out of bounds for a with shape (2, 3)"),
    (lambda: J.logsumexp(X, 2, X), ValueError, "logsumexp: axis 2 is out of bounds for a with shape (2, 3)"),
    (lambda: O.softmax_cross_entropy(X, P, 5), ValueError, "softmax_cross_entropy: axis 5 is out of bounds for logits"),
    # shapes
    (lambda: F.cross_entropy(X, T[:1]), ValueError,
     "cross_entropy: target with shape (1,) does not fit input with shape (2, 3) and class axis 1"),
    (lambda: F.cross_entropy(X, P[:1]), ValueError,
     "cross_entropy: target with shape (1, 3) and dtype float64 does not fit input with shape (2, 3)"),
    (lambda: F.nll_loss(X, T[:1]), ValueError, "nll_loss: target with shape (1,) does not fit input"),
    (lambda: F.cross_entropy(X, T, W[:2]), ValueError, "cross_entropy: weight with shape (2,) does not fit input"),
    (lambda: F.cross_entropy(X, T, W[:2], label_smoothing=0.1), ValueError,
     "cross_entropy: weight with shape (2,) does not fit input"),
    (lambda: F.cross_entropy(X[:, :0], T), ValueError, "cross_entropy: input with shape (2, 0) has no classes"),
    (lambda: F.binary_cross_entropy_with_logits(X, T), ValueError,
     "binary_cross_entropy_with_logits: target with shape (2,) and input with shape (2, 3) differ"),
    (lambda: F.binary_cross_entropy_with_logits(X, P, W[:2]), ValueError,
     "binary_cross_entropy_with_logits: weight with shape (2,) does not broadcast to input with shape (2, 3)"),
    (lambda: F.binary_cross_entropy_with_logits(X, P, pos_weight=W[:2]), ValueError,
     "binary_cross_entropy_with_logits: pos_weight with shape (2,) does not broadcast to input"),
    (lambda: S.logsumexp(X, b=W[:2]), ValueError, "logsumexp: a with shape (2, 3) and b with shape (2,) do not"),
    (lambda: J.logsumexp(X, where=T > 0), ValueError, "logsumexp: where with shape (2,) does not broadcast to a with"),
    (lambda: O.sigmoid_binary_cross_entropy(X, T), ValueError,
     "sigmoid_binary_cross_entropy: labels with shape (2,) does not broadcast to logits with shape (2, 3)"),
    (lambda: O.softmax_cross_entropy_with_integer_labels(X, T[:0]), ValueError,
     "softmax_cross_entropy_with_integer_labels: logits without class axes with shape (2,) and labels with shape (0,)"),
    # masks
    (lambda: J.softmax(X, where=X), TypeError, "softmax: where has dtype float64, not bool"),
    (lambda: J.logsumexp(X, where=X), TypeError, "logsumexp: where has dtype float64, not bool"),
    (lambda: J.logsumexp(X * 1j, where=X), TypeError, "logsumexp: where has dtype float64, not bool"),
    (lambda: O.softmax_cross_entropy(X, P, where=X), TypeError, "softmax_cross_entropy: where has dtype float64"),
    # options
    (lambda: F.cross_entropy(X, T, reduction="targets"), ValueError, "cross_entropy: reduction is 'targets'; use"),
    (lambda: F.cross_entropy(X, T, label_smoothing="logits"), TypeError,
     "cross_entropy: label_smoothing is 'logits', not a number"),
    (lambda: F.cross_entropy(X, T, label_smoothing=2), ValueError, "cross_entropy: label_smoothing is 2; use a number"),
    (lambda: F.cross_entropy(X, T, ignore_index="targets"), TypeError, "cross_entropy: ignore_index is 'targets', not"),
    (lambda: F.cross_entropy(X, P, ignore_index=1), ValueError,
     "cross_entropy: ignore_index is 1, but target holds probabilities"),
    (lambda: F.cross_entropy(X, P, ignore_index="x"), TypeError, "cross_entropy: ignore_index is 'x', not an integer"),
    (lambda: F.cross_entropy(X, T, label_smoothing=W), TypeError, "cross_entropy: label_smoothing is an ndarray, not"),
    (lambda: F.softplus(X, beta=W), TypeError, "softplus: beta is an ndarray, not a number"),
    (lambda: F.softmax(X, "axis"), TypeError, "softmax: dim 'axis' is not an integer"),
    (lambda: F.softmax(X, ("x", 0)), TypeError, "softmax: dim ('x', 0) is not an integer"),
    (lambda: F.softmax(X, Axis()), TypeError, "softmax: dim axis of x is not an integer"),
    (lambda: F.softmax(X, 1, dtype="x"), TypeError, "softmax: dtype is 'x', not a real floating dtype"),
    (lambda: F.softmax(targets(), 1), TypeError, "softmax: input is a targets, not an array"),
    (lambda: F.nll_loss(X, targets()), TypeError, "nll_loss: target is a targets, not an array"),
    (lambda: F.logsumexp(X, 1, "x"), TypeError, "logsumexp: keepdim is 'x', not a boolean; use True or False."),
    (lambda: F.softplus(X, beta="x"), TypeError, "softplus: beta is 'x', not a number; use a Python number other than"),
    (lambda: F.softplus(X, beta=0), ValueError, "softplus: beta is 0; use another number."),
    (lambda: S.logsumexp(X, keepdims="x"), TypeError, "logsumexp: keepdims is 'x', not a boolean"),
    (lambda: J.logsumexp(X, return_sign=1), TypeError, "logsumexp: return_sign is 1, not a boolean"),
    (lambda: O.softmax_cross_entropy_with_integer_labels(X, T, None), ValueError,
     "softmax_cross_entropy_with_integer_labels: axis is None; use an int or a tuple of ints."),
    # classes
    (lambda: F.cross_entropy(X, T + 1), IndexError,
     "cross_entropy: target holds class 3 at (1,), but there are 3 classes; class indices are in [0, 3), and "
     "ignore_index is -100."),
    (lambda: F.nll_loss(X, T + 1), IndexError, "nll_loss: target holds class 3 at (1,), but there are 3 classes"),
    (lambda: F.cross_entropy(X, T + 1, W, label_smoothing=0.1), IndexError, "cross_entropy: target holds class 3 at"),
    (lambda: F.cross_entropy(X, T + 1, W, label_smoothing=1), IndexError, "cross_entropy: target holds class 3 at"),
    (lambda: O.softmax_cross_entropy_with_integer_labels(X, T + 1), IndexError,
     "softmax_cross_entropy_with_integer_labels: labels holds class 3 at (1,), but there are 3 classes; "
     "class indices are in [0, 3), and give where to leave samples out."),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "text"), TABLE, ids=[row[2] for row in TABLE])
def test_texts(call, error, text):
    with pytest.raises(error) as found:
        call()
    said = str(found.value)
    assert said.startswith(text)
    assert said.endswith(".")
    assert type(found.value) is error
    raised_in = Path(traceback.extract_tb(found.value.__traceback__)[-1].filename).parent.name
    assert raised_in in ("_check", "compat")  # where it was, and not where it was put into words


@pytest.mark.backends(fits=lambda backend: backend.name in ("torch", "jax"))
def test_arrays_of_two_libraries(target):
    mine, strange = target.array(X, "float64"), np.zeros(2, dtype=np.int64)
    if target.backend.name == "jax":  # which takes NumPy's
        strange = unknown_lengths.Array(strange)
    for call, names in (
        (lambda: F.cross_entropy(mine, strange), ("cross_entropy: input is a", "and target a")),
        (lambda: F.nll_loss(mine, strange), ("nll_loss: input is a", "and target a")),
        (lambda: F.binary_cross_entropy_with_logits(mine, strange), ("input is a", "and target a")),
        (lambda: S.logsumexp(mine, b=strange), ("logsumexp: a is a", "and b a")),
        (lambda: J.logsumexp(mine, b=strange), ("logsumexp: a is a", "and b a")),
        (lambda: O.softmax_cross_entropy(mine, strange), ("logits is a", "and labels a")),
    ):
        with pytest.raises(TypeError) as found:
            call()
        assert all(name in str(found.value) for name in names), str(found.value)


@pytest.mark.backends(fits=lambda backend: backend.name == "torch")
def test_arrays_on_two_devices(target):
    x, t = target.array(X, "float64").to("meta"), target.array(T, "int")
    with pytest.raises(ValueError, match=r"^cross_entropy: input is on device meta and target on device cpu"):
        F.cross_entropy(x, t)


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
def test_under_jit(target):
    import jax

    x = target.array(X, "float64")
    with pytest.raises(ValueError, match=r"^softmax: dim 5 is out of bounds for input with shape \(2, 3\)"):
        jax.jit(lambda x: F.softmax(x, 5))(x)
    with pytest.raises(ValueError, match=r"^cross_entropy: target with shape \(1,\) does not fit input"):
        jax.jit(F.cross_entropy)(x, target.array(T[:1], "int"))


@pytest.mark.backends(fits=lambda backend: backend.name == "torch")
@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a:UserWarning")
def test_under_compile(target):
    import torch

    torch.compiler.reset()
    x = target.array(X, "float64")
    with pytest.raises(ValueError, match=r"^softmax: dim 5 is out of bounds for input with shape \(2, 3\)"):
        torch.compile(lambda x: F.softmax(x, 5), backend="eager")(x)


def test_errors_of_others_stay_as_they_are():
    class Array(np.ndarray):
        def __array_ufunc__(self, *args, **kwargs):
            raise ValueError("x: axis of targets.")

    with pytest.raises(ValueError, match=r"^x: axis of targets\.$"):
        F.softplus(X.view(Array), 2.0)


def test_the_ways_out_lead_out():
    nhwc, t = np.zeros((2, 5, 4, 3)), np.zeros((2, 5, 4), dtype=int)
    with pytest.raises(ValueError, match="move the class axis to 1 first, for example with moveaxis"):
        F.cross_entropy(nhwc, t)
    assert F.cross_entropy(np.moveaxis(nhwc, -1, 1), t).shape == ()
    with pytest.raises(ValueError, match="move the class axis to 1 first, for example with moveaxis"):
        F.nll_loss(nhwc, t)
    assert F.nll_loss(np.moveaxis(nhwc, -1, 1), t).shape == ()
    with pytest.raises(IndexError, match="give where to leave samples out"):
        O.softmax_cross_entropy_with_integer_labels(X, T + 1)
    assert O.softmax_cross_entropy_with_integer_labels(X, T + 1, where=T < 2).shape == (2,)
    with pytest.raises(ValueError, match="leave ignore_index out, or give class indices"):
        F.cross_entropy(X, P, ignore_index=1)
    assert F.cross_entropy(X, P).shape == F.cross_entropy(X, T, ignore_index=1).shape == ()
    masked = np.ma.masked_array(X, X > 1)
    for call, name in ((lambda x: F.softmax(x, 1), "input"), (S.softmax, "x"), (S.logsumexp, "a"), (J.softmax, "x")):
        whose = "the functions that take a mask" if call is J.softmax else "axisoft's own functions"
        with pytest.raises(TypeError, match=rf"pass {name}\.data, and where=~{name}\.mask to {whose}\.$"):
            call(masked)
        assert call(masked.data) is not None
    assert axisoft.softmax(masked.data, where=~masked.mask).shape == X.shape
    with pytest.raises(ValueError, match="use softmax with dim="):
        F.Softmax2d()(X)
    assert F.softmax(X, dim=0).shape == X.shape
