"""Every error text, word for word, and what must not be an error."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import axisoft as ax

X = np.zeros((2, 5))
T = np.asarray([0, 4])
P = np.full((2, 5), 0.2)


class Thing:
    """Not an array."""


# call, type of the error, its whole text
TABLE = {
    "a list": (
        lambda: ax.softmax([1.0, 2.0]),
        TypeError,
        "softmax: x is a list, not an array; convert it first, for example with numpy.asarray(x).",
    ),
    "a number": (
        lambda: ax.sigmoid(1.0),
        TypeError,
        "sigmoid: x is a float, not an array; convert it first, for example with numpy.asarray(x).",
    ),
    "an integer": (
        lambda: ax.sigmoid(1),
        TypeError,
        "sigmoid: x is an int, not an array; convert it first, for example with numpy.asarray(x).",
    ),
    "None": (
        lambda: ax.logsumexp(None),
        TypeError,
        "logsumexp: x is None, not an array; pass an array in its place.",
    ),
    "an object": (
        lambda: ax.softplus(Thing()),
        TypeError,
        "softplus: x is a Thing, not an array; pass an array in its place.",
    ),
    "a list of targets": (
        lambda: ax.cross_entropy(X, [0, 4]),
        TypeError,
        "cross_entropy: targets is a list, not an array; convert it first, for example with numpy.asarray(targets).",
    ),
    "targets left out": (
        lambda: ax.cross_entropy(X, None),
        TypeError,
        "cross_entropy: targets is None, not an array; pass an array in its place.",
    ),
    "a list of weights": (
        lambda: ax.cross_entropy(X, T, weight=[1.0] * 5),
        TypeError,
        "cross_entropy: weight is a list, not an array; convert it first, for example with numpy.asarray(weight).",
    ),
    "a list for a mask": (
        lambda: ax.softmax(X, where=[True] * 5),
        TypeError,
        "softmax: where is a list, not an array; convert it first, for example with numpy.asarray(where).",
    ),
    "a masked array": (
        lambda: ax.softmax(np.ma.masked_array([1.0, 2.0], [False, True])),
        TypeError,
        "softmax: x is a numpy MaskedArray, whose mask would be lost; "
        "pass x.data, and where=~x.mask to the functions that take a mask.",
    ),
    "complex numbers": (
        lambda: ax.softmax(np.zeros(3, dtype=complex)),
        TypeError,
        "softmax: x has dtype complex128, and complex numbers have no order; "
        "pass its real part, its imaginary part or abs(x).",
    ),
    "complex weights": (
        lambda: ax.cross_entropy(X, T, weight=np.ones(5, dtype=np.complex64)),
        TypeError,
        "cross_entropy: weight has dtype complex64, and complex numbers have no order; "
        "pass its real part, its imaginary part or abs(weight).",
    ),
    "strings": (
        lambda: ax.softmax(np.asarray(["a", "b"])),
        TypeError,
        "softmax: x has dtype <U1, which is not a real one; convert it to a floating, integer or boolean dtype.",
    ),
    "objects": (
        lambda: ax.sigmoid(np.asarray([1, None], dtype=object)),
        TypeError,
        "sigmoid: x has dtype object, which is not a real one; convert it to a floating, integer or boolean dtype.",
    ),
    "dates": (
        lambda: ax.sigmoid(np.asarray(["2021-02-06"], dtype="datetime64[D]")),
        TypeError,
        "sigmoid: x has dtype datetime64[D], which is not a real one; "
        "convert it to a floating, integer or boolean dtype.",
    ),
    "an axis out of bounds": (
        lambda: ax.softmax(X, axis=3),
        ValueError,
        "softmax: axis 3 is out of bounds for x with shape (2, 5); use an axis in [-2, 2).",
    ),
    "an axis out of bounds, negative": (
        lambda: ax.log_softmax(X, axis=-3),
        ValueError,
        "log_softmax: axis -3 is out of bounds for x with shape (2, 5); use an axis in [-2, 2).",
    ),
    "one of the axes out of bounds": (
        lambda: ax.logsumexp(X, axis=(0, 2)),
        ValueError,
        "logsumexp: axis 2 is out of bounds for x with shape (2, 5); use an axis in [-2, 2).",
    ),
    "an axis of an array without axes": (
        lambda: ax.softmax(np.float64(1.0)),
        ValueError,
        "softmax: axis -1 is out of bounds for x with shape (); use None for an array without axes.",
    ),
    "a class axis of an array without axes": (
        lambda: ax.cross_entropy(np.float64(1.0), np.asarray(0)),
        ValueError,
        "cross_entropy: axis -1 is out of bounds for logits with shape (); give it a class axis.",
    ),
    "a repeated axis": (
        lambda: ax.softmax(X, axis=(1, -1)),
        ValueError,
        "softmax: axis (1, -1) repeats an axis of x with shape (2, 5); name each axis once.",
    ),
    "a fractional axis": (
        lambda: ax.softmax(X, axis=1.0),
        TypeError,
        "softmax: axis 1.0 is not an integer; use an int, a tuple of ints or None.",
    ),
    "a boolean axis": (
        lambda: ax.softmax(X, axis=True),
        TypeError,
        "softmax: axis True is not an integer; use an int, a tuple of ints or None.",
    ),
    "a fractional axis among others": (
        lambda: ax.softmax(X, axis=(0, "1")),
        TypeError,
        "softmax: axis (0, '1') is not an integer; use an int, a tuple of ints or None.",
    ),
    "axes for a loss": (
        lambda: ax.cross_entropy(X, T, axis=(0, 1)),
        TypeError,
        "cross_entropy: axis (0, 1) is not an integer; use an int.",
    ),
    "no axis for a loss": (
        lambda: ax.nll_loss(X, T, axis=None),
        TypeError,
        "nll_loss: axis None is not an integer; use an int.",
    ),
    "a class axis out of bounds": (
        lambda: ax.cross_entropy(X, T, axis=2),
        ValueError,
        "cross_entropy: axis 2 is out of bounds for logits with shape (2, 5); use an axis in [-2, 2).",
    ),
    "a mask that does not broadcast": (
        lambda: ax.softmax(X, where=np.ones((2, 4), dtype=bool)),
        ValueError,
        "softmax: where with shape (2, 4) does not broadcast to x with shape (2, 5); "
        "each of its axes, counted from the last, must be 1 or agree.",
    ),
    "a mask with an axis too many": (
        lambda: ax.softmax(X, where=np.ones((1, 2, 5), dtype=bool)),
        ValueError,
        "softmax: where with shape (1, 2, 5) does not broadcast to x with shape (2, 5); "
        "each of its axes, counted from the last, must be 1 or agree.",
    ),
    "a mask that would enlarge": (
        lambda: ax.cross_entropy(X[:1], T[:1], where=np.ones((2, 5), dtype=bool)),
        ValueError,
        "cross_entropy: where with shape (2, 5) does not broadcast to logits with shape (1, 5); "
        "each of its axes, counted from the last, must be 1 or agree.",
    ),
    "a mask of numbers": (
        lambda: ax.softmax(X, where=np.ones(5)),
        TypeError,
        "softmax: where has dtype float64, not bool; pass a boolean array, for example where != 0.",
    ),
    "an integer dtype": (
        lambda: ax.softmax(X, dtype=np.int32),
        TypeError,
        "softmax: dtype is numpy.int32, not a real floating dtype of numpy; pass numpy.float32 or None.",
    ),
    "a complex dtype": (
        lambda: ax.cross_entropy(X, T, dtype=np.complex64),
        TypeError,
        "cross_entropy: dtype is numpy.complex64, not a real floating dtype of numpy; pass numpy.float32 or None.",
    ),
    "a dtype that is none": (
        lambda: ax.softmax(X, dtype="flaot32"),
        TypeError,
        "softmax: dtype is 'flaot32', not a real floating dtype of numpy; pass numpy.float32 or None.",
    ),
    "an integer dtype of a function of each element": (
        lambda: ax.softplus(X, dtype="int64"),
        TypeError,
        "softplus: dtype is 'int64', not a real floating dtype of numpy; pass numpy.float32 or None.",
    ),
    "targets of the wrong shape": (
        lambda: ax.cross_entropy(X, np.zeros(5, dtype=int)),
        ValueError,
        "cross_entropy: targets with shape (5,) do not fit logits with shape (2, 5) and class axis 1; "
        "class indices need shape (2,), or choose the class axis with axis=0.",
    ),
    "targets of a shape that fits no axis": (
        lambda: ax.cross_entropy(X, np.zeros(7, dtype=int)),
        ValueError,
        "cross_entropy: targets with shape (7,) do not fit logits with shape (2, 5) and class axis 1; "
        "class indices need shape (2,).",
    ),
    "one-hot targets of integers": (
        lambda: ax.cross_entropy(X, np.zeros((2, 5), dtype=int)),
        ValueError,
        "cross_entropy: targets with shape (2, 5) and dtype int64 are as large as logits, as one-hot classes are; "
        "pass numpy.argmax(targets, axis=1), or a floating dtype.",
    ),
    "one-hot targets of nll_loss": (
        lambda: ax.nll_loss(X.T, np.zeros((5, 2), dtype=np.uint8), axis=0),
        ValueError,
        "nll_loss: targets with shape (5, 2) and dtype uint8 are as large as log_probs, as one-hot classes are; "
        "pass numpy.argmax(targets, axis=0).",
    ),
    "probabilities of the wrong shape": (
        lambda: ax.cross_entropy(X, np.zeros(2)),
        ValueError,
        "cross_entropy: targets with shape (2,) and dtype float64 do not fit logits with shape (2, 5); "
        "class probabilities need shape (2, 5), class indices an integer dtype and shape (2,).",
    ),
    "boolean targets": (
        lambda: ax.cross_entropy(X, np.zeros(2, dtype=bool)),
        TypeError,
        "cross_entropy: targets has dtype bool; "
        "class indices need an integer dtype, class probabilities a floating one.",
    ),
    "floating targets of nll_loss": (
        lambda: ax.nll_loss(X, P),
        TypeError,
        "nll_loss: targets has dtype float64; class indices need an integer dtype.",
    ),
    "a class too large": (
        lambda: ax.cross_entropy(X, np.asarray([4, 5])),
        IndexError,
        "cross_entropy: targets holds class 5 at (1,), but there are 5 classes; "
        "class indices are in [0, 5), and set ignore_index to leave samples out.",
    ),
    "a class of one": (
        lambda: ax.cross_entropy(np.zeros((1, 1)), np.asarray([1])),
        IndexError,
        "cross_entropy: targets holds class 1 at (0,), but there is 1 class; "
        "class indices are in [0, 1), and set ignore_index to leave samples out.",
    ),
    "no threads": (
        lambda: ax.set_num_threads(0),
        ValueError,
        "set_num_threads: n is 0; use a whole number of at least 1.",
    ),
    "half a thread": (
        lambda: ax.set_num_threads(0.5),
        TypeError,
        "set_num_threads: n is 0.5, not an integer; use a whole number of at least 1.",
    ),
    "a negative class": (
        lambda: ax.cross_entropy(np.zeros((2, 5, 3)), np.asarray([[0, 1, 2], [3, 4, -1]]), axis=1, ignore_index=255),
        IndexError,
        "cross_entropy: targets holds class -1 at (1, 2), but there are 5 classes; "
        "class indices are in [0, 5), and ignore_index is 255.",
    ),
    "no classes": (
        lambda: ax.cross_entropy(np.zeros((2, 0)), T),
        ValueError,
        "cross_entropy: logits with shape (2, 0) has no classes along axis 1; give that axis at least one class.",
    ),
    "no classes of nll_loss": (
        lambda: ax.nll_loss(np.zeros((0, 2)), T, axis=0),
        ValueError,
        "nll_loss: log_probs with shape (0, 2) has no classes along axis 0; give that axis at least one class.",
    ),
    "weights of the wrong shape": (
        lambda: ax.cross_entropy(X, T, weight=np.ones(2)),
        ValueError,
        "cross_entropy: weight with shape (2,) does not fit logits with shape (2, 5) and class axis 1; "
        "give one weight per class, shape (5,).",
    ),
    "sample weights of the wrong shape": (
        lambda: ax.cross_entropy(X, T, sample_weight=np.ones((2, 5))),
        ValueError,
        "cross_entropy: sample_weight with shape (2, 5) does not broadcast to the losses with shape (2,); "
        "each of its axes, counted from the last, must be 1 or agree.",
    ),
    "ignored probabilities": (
        lambda: ax.cross_entropy(X, P, ignore_index=1),
        ValueError,
        "cross_entropy: ignore_index is 1, but targets are probabilities; "
        "give the samples to leave out a sample_weight of 0.",
    ),
    "a fractional ignore_index": (
        lambda: ax.cross_entropy(X, T, ignore_index=1.5),
        TypeError,
        "cross_entropy: ignore_index is 1.5, not an integer; use an int or None.",
    ),
    "an unknown reduction": (
        lambda: ax.cross_entropy(X, T, reduction="average"),
        ValueError,
        'cross_entropy: reduction is \'average\'; use "none", "sum" or "mean".',
    ),
    "no reduction": (
        lambda: ax.nll_loss(X, T, reduction=None),
        ValueError,
        'nll_loss: reduction is None; use "none", "sum" or "mean".',
    ),
    "smoothing of 1": (
        lambda: ax.cross_entropy(X, T, label_smoothing=1.0),
        ValueError,
        "cross_entropy: label_smoothing is 1.0; use a number in [0, 1).",
    ),
    "negative smoothing": (
        lambda: ax.cross_entropy(X, T, label_smoothing=-0.1),
        ValueError,
        "cross_entropy: label_smoothing is -0.1; use a number in [0, 1).",
    ),
    "smoothing of NaN": (
        lambda: ax.cross_entropy(X, T, label_smoothing=float("nan")),
        ValueError,
        "cross_entropy: label_smoothing is nan; use a number in [0, 1).",
    ),
    "smoothing of a string": (
        lambda: ax.cross_entropy(X, T, label_smoothing="a little"),
        TypeError,
        "cross_entropy: label_smoothing is 'a little', not a number; use a Python number in [0, 1).",
    ),
    "smoothing of a boolean": (
        lambda: ax.cross_entropy(X, T, label_smoothing=True),
        TypeError,
        "cross_entropy: label_smoothing is True, not a number; use a Python number in [0, 1).",
    ),
    "smoothing of an array": (
        lambda: ax.cross_entropy(X, T, label_smoothing=np.asarray([0.1])),
        TypeError,
        "cross_entropy: label_smoothing is an ndarray, not a number; use a Python number in [0, 1).",
    ),
    "a huge z_loss": (
        lambda: ax.cross_entropy(X, T, z_loss=10**400),
        ValueError,
        "cross_entropy: z_loss is inf; use a number in [0, inf).",
    ),
    "an array for a reduction": (
        lambda: ax.cross_entropy(X, T, reduction=np.asarray(["sum"])),
        ValueError,
        'cross_entropy: reduction is array([\'sum\'], dtype=\'<U3\'); use "none", "sum" or "mean".',
    ),
    "keepdims of a string": (
        lambda: ax.logsumexp(X, keepdims="no"),
        TypeError,
        "logsumexp: keepdims is 'no', not a boolean; use True or False.",
    ),
    "a negative z_loss": (
        lambda: ax.cross_entropy(X, T, z_loss=-1.0),
        ValueError,
        "cross_entropy: z_loss is -1.0; use a number in [0, inf).",
    ),
    "labels of another shape": (
        lambda: ax.binary_cross_entropy_with_logits(np.zeros((4, 1)), np.zeros(4)),
        ValueError,
        "binary_cross_entropy_with_logits: targets with shape (4,) and logits with shape (4, 1) differ; "
        "give one label per logit.",
    ),
    "pos_weight of the wrong shape": (
        lambda: ax.binary_cross_entropy_with_logits(X, P, pos_weight=np.ones(2)),
        ValueError,
        "binary_cross_entropy_with_logits: pos_weight with shape (2,) does not broadcast to logits with shape (2, 5); "
        "each of its axes, counted from the last, must be 1 or agree.",
    ),
    "sample_weight of the wrong shape": (
        lambda: ax.binary_cross_entropy_with_logits(X, P, sample_weight=np.ones((3, 1))),
        ValueError,
        "binary_cross_entropy_with_logits: sample_weight with shape (3, 1) does not broadcast to "
        "logits with shape (2, 5); each of its axes, counted from the last, must be 1 or agree.",
    ),
    "labels of 0 and 255": (
        lambda: ax.binary_cross_entropy_with_logits(X, np.asarray([[0, 1, 1, 0, 1], [0, 0, 255, 0, 0]])),
        ValueError,
        "binary_cross_entropy_with_logits: targets holds label 255 at (1, 2), but integer labels are 0 and 1; "
        "pass booleans, for example targets != 0, or labels of a floating dtype if these are meant.",
    ),
    "labels of minus one and one": (
        lambda: ax.binary_cross_entropy_with_logits(X[0, :2], np.asarray([1, -1], dtype=np.int8)),
        ValueError,
        "binary_cross_entropy_with_logits: targets holds label -1 at (1,), but integer labels are 0 and 1; "
        "pass booleans, for example targets > 0, or labels of a floating dtype if these are meant.",
    ),
    "an unknown reduction of labels": (
        lambda: ax.binary_cross_entropy_with_logits(X, P, reduction="max"),
        ValueError,
        'binary_cross_entropy_with_logits: reduction is \'max\'; use "none", "sum" or "mean".',
    ),
    "an image without channels": (
        lambda: ax.softmax2d(X),
        ValueError,
        "softmax2d: x with shape (2, 5) has no channel axis before height and width; "
        "give shape (C, H, W) or (N, C, H, W), or use softmax with axis=.",
    ),
    "vjp of what is not ours": (
        lambda: ax.vjp(np.exp, X),
        TypeError,
        "vjp: fun is exp, not a function of arrays from axisoft; "
        "pass the function itself, such as axisoft.softmax, and its options as keyword arguments.",
    ),
    "vjp of a wrapped function": (
        lambda: ax.vjp(functools.partial(ax.softmax, axis=0), X),
        TypeError,
        "vjp: fun is a partial, not a function of arrays from axisoft; "
        "pass the function itself, such as axisoft.softmax, and its options as keyword arguments.",
    ),
    "value_and_grad of a lambda": (
        lambda: ax.value_and_grad(lambda x: x),
        TypeError,
        "value_and_grad: fun is <lambda>, not a function of arrays from axisoft; "
        "pass the function itself, such as axisoft.softmax, and its options as keyword arguments.",
    ),
    "vjp of a setting": (
        lambda: ax.vjp(ax.set_num_threads, 2),
        TypeError,
        "vjp: fun is set_num_threads, not a function of arrays from axisoft; "
        "pass the function itself, such as axisoft.softmax, and its options as keyword arguments.",
    ),
    "an argument of vjp's function": (
        lambda: ax.vjp(ax.softmax, X, axis=7),
        ValueError,
        "softmax: axis 7 is out of bounds for x with shape (2, 5); use an axis in [-2, 2).",
    ),
    "a cotangent of another shape": (
        lambda: ax.vjp(ax.softmax, X)[1](np.ones(5)),
        ValueError,
        "vjp: cotangent with shape (5,) does not fit the result of softmax with shape (2, 5); "
        "give it the shape of the result.",
    ),
    "a cotangent that is a number": (
        lambda: ax.vjp(ax.cross_entropy, X, T)[1](1.0),
        TypeError,
        "vjp: cotangent is a float, not an array; convert it first, for example with numpy.asarray(cotangent).",
    ),
    "no cotangent": (
        lambda: ax.vjp(ax.cross_entropy, X, T)[1](None),
        TypeError,
        "vjp: cotangent is None, not an array; pass an array in its place.",
    ),
    "a complex cotangent": (
        lambda: ax.vjp(ax.softmax, X)[1](X * 1j),
        TypeError,
        "vjp: cotangent has dtype complex128, and complex numbers have no order; "
        "pass its real part, its imaginary part or abs(cotangent).",
    ),
    "the gradient of many values": (
        lambda: ax.value_and_grad(ax.cross_entropy)(X, T, reduction="none"),
        ValueError,
        "value_and_grad: the value of cross_entropy has shape (2,), and only one without axes has a gradient; "
        "reduce it, or use axisoft.vjp.",
    ),
    "the gradient of integers": (
        lambda: ax.value_and_grad(ax.cross_entropy)(np.zeros((2, 5), dtype=int), T),
        TypeError,
        "value_and_grad: logits has dtype int64, and only floating arrays have a gradient; "
        "convert it to a floating dtype.",
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_text(name):
    call, kind, text = TABLE[name]
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == text
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("name", TABLE)
def test_grammar(name):
    _, _, text = TABLE[name]
    function, _, rest = text.partition(": ")
    assert function in ax.__all__
    assert ";" in rest
    assert text.endswith(".")
    assert "\n" not in text


def test_shapes_are_checked_on_every_backend(target):
    """Shapes alone: the checks must not need values, whatever the library."""
    x, t = target.array(np.zeros((2, 5)), "float32"), target.array([0, 4], "int")
    for call, text in (
        (lambda: ax.softmax(x, axis=3), "softmax: axis 3 is out of bounds for x with shape (2, 5)"),
        (
            lambda: ax.cross_entropy(x, t, axis=0),
            "cross_entropy: targets with shape (2,) do not fit logits with shape (2, 5)",
        ),
        (lambda: ax.cross_entropy(x, t, weight=t), "cross_entropy: weight with shape (2,) does not fit"),
    ):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is compared below
            call()
        assert str(caught.value).startswith(text)
    with pytest.raises(TypeError, match=r"softmax: where has dtype .*float32, not bool"):
        ax.softmax(x, where=x)
    with pytest.raises(TypeError, match=r"softmax: dtype is .*int32.*, not a real floating dtype"):
        ax.softmax(x, dtype=target.xp.int32)
    for function in (ax.sigmoid, ax.log_sigmoid, ax.softplus):
        with pytest.raises(TypeError, match=rf"{function.__name__}: dtype is .*int32.*, not a real floating dtype"):
            function(x, dtype=target.xp.int32)


@pytest.mark.backends(fits=lambda backend: backend.name not in ("numpy", "jax"))
def test_two_libraries(target):
    x, name = target.array(np.zeros((2, 5)), "float32"), target.backend.name
    article = "an" if name == "array_api_strict" else "a"
    with pytest.raises(TypeError) as caught:
        ax.cross_entropy(x, T)
    assert str(caught.value) == (
        f"cross_entropy: logits is {article} {name} array and targets a numpy array; "
        "convert one of them, so that both come from the same library."
    )
    with pytest.raises(TypeError) as caught:
        ax.cross_entropy(X, T, where=x > 0)
    assert str(caught.value) == (
        f"cross_entropy: logits is a numpy array and where {article} {name} array; "
        "convert one of them, so that both come from the same library."
    )


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
def test_numpy_arrays_beside_jax_arrays_are_taken(target):
    x = target.array(np.zeros((2, 5)), "float32")
    loss = ax.cross_entropy(x, T, weight=np.ones(5), where=np.ones(5, dtype=bool))
    assert type(loss) is type(x)
    assert type(ax.cross_entropy(X, target.array(T, "int"))) is type(x)
    swapped = X.astype(X.dtype.newbyteorder())
    assert type(ax.cross_entropy(swapped, target.array(T, "int"))) is type(x)
    with pytest.raises(TypeError, match="weight has dtype object, which is not a real one"):
        ax.cross_entropy(x, T, weight=np.asarray([None] * 5))


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
def test_a_numpy_integer_never_wraps_on_its_way_to_jax(target):
    import jax

    with jax.enable_x64(False):
        x = target.array(np.zeros((2, 5)), "float32")
        with pytest.raises(ValueError, match="holds 4294967296, which does not fit int32; ") as caught:
            ax.cross_entropy(x, np.asarray([0, 2**32]))
    assert str(caught.value) == (
        "cross_entropy: targets holds 4294967296, which does not fit int32; "
        "enable the 64-bit types of JAX, jax_enable_x64, or give it smaller values."
    )


@pytest.mark.backends(fits=lambda backend: backend.name == "torch")
def test_two_devices_of_torch(target):
    import torch

    x = torch.zeros((2, 5))
    with pytest.raises(ValueError, match="logits is on device cpu and targets on device meta; ") as caught:
        ax.cross_entropy(x, torch.zeros(2, dtype=torch.int64, device="meta"))
    assert str(caught.value) == (
        "cross_entropy: logits is on device cpu and targets on device meta; "
        "move one of them, so that both are on the same device."
    )


@pytest.mark.backends(fits=lambda backend: backend.name == "dask")
def test_an_axis_of_unknown_length(target):
    x = target.array([[1.0, -1.0]], "float64")
    with pytest.raises(ValueError, match="x has shape") as caught:
        ax.softmax(x[x > 0])
    assert str(caught.value) == (
        "softmax: x has shape (nan,), with an axis of unknown length; "
        "find it first, for example with x.compute_chunk_sizes()."
    )


@pytest.mark.backends(fits=lambda backend: backend.name == "array_api_strict")
def test_two_devices_of_the_standard(target):
    xp = target.xp
    x, other = xp.zeros((2, 5)), xp.ones(5, device=xp.Device("device1"))
    with pytest.raises(
        ValueError, match=r"logits is on device .*CPU_DEVICE.* and weight on device .*device1.*; move one"
    ):
        ax.cross_entropy(x, xp.asarray([0, 4]), weight=other)


@pytest.mark.backends(fits=lambda backend: backend.name not in ("numpy", "jax"))
def test_a_cotangent_of_another_library(target):
    _, pullback = ax.vjp(ax.softmax, target.array(X, "float32"))
    with pytest.raises(TypeError) as caught:
        pullback(X)
    name = target.backend.name
    assert str(caught.value) == (
        f"vjp: result is {'an' if name[0] == 'a' else 'a'} {name} array and cotangent a numpy array; "
        "convert one of them, so that both come from the same library."
    )


def test_what_is_no_error(target):
    """Forgiving where nothing can be lost."""
    x = target.array(np.zeros((2, 5)), "float32")
    assert ax.softmax(x, axis=np.int64(1)).shape == (2, 5)
    assert ax.softmax(x, axis=[0, 1]).shape == (2, 5)
    assert ax.softmax(x, axis=()).shape == (2, 5)
    assert ax.logsumexp(x, axis=()).shape == (2, 5)
    t = target.array([0, 4], "int")
    assert ax.cross_entropy(x, t, label_smoothing=np.float32(0.5), ignore_index=np.int8(-1)).shape == ()
    assert ax.cross_entropy(x, t, label_smoothing=0).shape == ()
    weight = target.array([1, 2, 3, 4, 5], "int")
    assert str(ax.cross_entropy(x, t, weight=weight, sample_weight=t).dtype).endswith("float32")


def test_what_was_checked_once_is_checked_again(target):
    """Calls like one that was right are waved through, but not what may differ between them."""
    x, t = target.array(np.zeros((2, 3)), "float32"), target.array(np.zeros(2), "int")
    for _ in range(2):
        ax.softmax(x, axis=1)
        ax.cross_entropy(x, t, axis=1)
        ax.nll_loss(x, t, axis=1)
    wide, long = target.array(np.zeros((2, 0)), "float32"), target.array(np.zeros(3), "int")
    with pytest.raises(TypeError, match="axis True is not an integer"):
        ax.softmax(x, axis=True)
    with pytest.raises(ValueError, match="axis 2 is out of bounds"):
        ax.softmax(x, axis=2)
    for loss in (ax.cross_entropy, ax.nll_loss):
        with pytest.raises(ValueError, match=r"targets with shape \(3,\) do not fit"):
            loss(x, long, axis=1)
        with pytest.raises(ValueError, match="has no classes"):
            loss(wide, t, axis=1)
        with pytest.raises(ValueError, match="reduction is 'median'"):
            loss(x, t, axis=1, reduction="median")
        with pytest.raises(TypeError, match="targets is a list"):
            loss(x, [0, 1], axis=1)
    with pytest.raises(ValueError, match=r"label_smoothing is 1\.5"):
        ax.cross_entropy(x, t, axis=1, label_smoothing=1.5)
    if target.backend.name != "dask" and target.device_name == "cpu":
        for loss in (ax.cross_entropy, ax.nll_loss):
            with pytest.raises(IndexError, match=r"targets holds class 3 at \(1,\)"):
                loss(x, target.array(np.asarray([0, 3]), "int"), axis=1)
    assert ax.softmax(x, axis=1).shape == (2, 3)
