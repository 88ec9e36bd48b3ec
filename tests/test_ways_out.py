"""The way out that each error text recommends, followed: the call it leads to succeeds."""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import sys

import numpy as np
import pytest
from test_errors import TABLE, P, T, X

import axisoft as ax
from axisoft import testing

I4 = np.zeros((2, 5, 1, 1))
Z = np.zeros(3, dtype=complex)
ONE_HOT = np.zeros((2, 5), dtype=int)
MASKED = np.ma.masked_array([1.0, 2.0], [False, True])
WIDE = np.zeros((2, 5, 3))
CLASSES = np.asarray([[0, 1, 2], [3, 4, -1]])
LABELS = np.asarray([[0, 1, 1, 0, 1], [0, 0, 255, 0, 0]])
BCE = ax.binary_cross_entropy_with_logits


def grad_of(loss):
    return lambda *args, **options: ax.value_and_grad(loss)(*args, **options)


# By the name of the row: what its text recommends, done.
WAYS = {
    "a list": lambda: ax.softmax(np.asarray([1.0, 2.0])),
    "a number": lambda: ax.sigmoid(np.asarray(1.0)),
    "an integer": lambda: ax.sigmoid(np.asarray(1)),
    "None": lambda: ax.logsumexp(X),
    "an object": lambda: ax.softplus(X),
    "a list of targets": lambda: ax.cross_entropy(X, np.asarray([0, 4])),
    "targets left out": lambda: ax.cross_entropy(X, T),
    "a list of weights": lambda: ax.cross_entropy(X, T, weight=np.asarray([1.0] * 5)),
    "a list for a mask": lambda: ax.softmax(X, where=np.asarray([True] * 5)),
    "a masked array": lambda: ax.softmax(MASKED.data, where=~MASKED.mask),
    "complex numbers": lambda: [ax.softmax(a) for a in (Z.real, Z.imag, abs(Z))],
    "complex weights": lambda: ax.cross_entropy(X, T, weight=abs(np.ones(5, dtype=np.complex64))),
    "strings": lambda: ax.softmax(np.asarray(["1", "2"]).astype(float)),
    "objects": lambda: ax.sigmoid(np.asarray([1, None], dtype=object).astype(float)),
    "dates": lambda: ax.sigmoid(np.asarray(["2021-02-06"], dtype="datetime64[D]").astype(float)),
    "an axis out of bounds": lambda: [ax.softmax(X, axis=axis) for axis in (-2, -1, 0, 1)],
    "an axis out of bounds, negative": lambda: ax.log_softmax(X, axis=-2),
    "one of the axes out of bounds": lambda: ax.logsumexp(X, axis=(0, -1)),
    "an axis of an array without axes": lambda: ax.softmax(np.float64(1.0), axis=None),
    "a class axis of an array without axes": lambda: ax.cross_entropy(np.ones(1), np.asarray(0)),
    "a repeated axis": lambda: ax.softmax(X, axis=(1, 0)),
    "a fractional axis": lambda: [ax.softmax(X, axis=axis) for axis in (1, (0, 1), None)],
    "a boolean axis": lambda: ax.softmax(X, axis=1),
    "a fractional axis among others": lambda: ax.softmax(X, axis=(0, 1)),
    "axes for a loss": lambda: ax.cross_entropy(X, T, axis=1),
    "no axis for a loss": lambda: ax.nll_loss(X, T, axis=1),
    "a class axis out of bounds": lambda: ax.cross_entropy(X, T, axis=-1),
    "a mask that does not broadcast": lambda: ax.softmax(X, where=np.ones((2, 1), dtype=bool)),
    "a mask with an axis too many": lambda: ax.softmax(X, where=np.ones((1, 5), dtype=bool)),
    "a mask that would enlarge": lambda: ax.cross_entropy(X[:1], T[:1], where=np.ones((1, 5), dtype=bool)),
    "a mask of numbers": lambda: ax.softmax(X, where=np.ones(5) != 0),
    "an integer dtype": lambda: ax.softmax(X, dtype=np.float32),
    "an integer dtype of a function of each element": lambda: ax.softplus(X, dtype=np.float32),
    "a complex dtype": lambda: [ax.cross_entropy(X, T, dtype=dtype) for dtype in (np.float32, None)],
    "a dtype that is none": lambda: ax.softmax(X, dtype=np.float32),
    "targets of the wrong shape": lambda: [
        ax.cross_entropy(X, np.zeros(2, dtype=int)),
        ax.cross_entropy(X, np.zeros(5, dtype=int), axis=0),
    ],
    "targets of a shape that fits no axis": lambda: ax.cross_entropy(X, np.zeros(2, dtype=int)),
    "one-hot targets of integers": lambda: [
        ax.cross_entropy(X, np.argmax(ONE_HOT, axis=1)),
        ax.cross_entropy(X, ONE_HOT.astype(float)),
    ],
    "one-hot targets of nll_loss": lambda: ax.nll_loss(X.T, np.argmax(ONE_HOT.T, axis=0), axis=0),
    "probabilities of the wrong shape": lambda: [ax.cross_entropy(X, P), ax.cross_entropy(X, np.zeros(2, dtype=int))],
    "boolean targets": lambda: [ax.cross_entropy(X, T), ax.cross_entropy(X, P)],
    "floating targets of nll_loss": lambda: ax.nll_loss(X, T),
    "a class too large": lambda: ax.cross_entropy(X, np.asarray([4, 5]), ignore_index=5),
    "a class of one": lambda: ax.cross_entropy(np.zeros((1, 1)), np.asarray([0])),
    "no threads": lambda: ax.set_num_threads(1),
    "half a thread": lambda: ax.set_num_threads(1),
    "a negative class": lambda: ax.cross_entropy(WIDE, CLASSES, axis=1, ignore_index=-1),
    "no classes": lambda: ax.cross_entropy(np.zeros((2, 1)), np.zeros(2, dtype=int)),
    "no classes of nll_loss": lambda: ax.nll_loss(np.zeros((1, 2)), np.zeros(2, dtype=int), axis=0),
    "weights of the wrong shape": lambda: ax.cross_entropy(X, T, weight=np.ones(5)),
    "sample weights of the wrong shape": lambda: [ax.cross_entropy(X, T, sample_weight=np.ones(n)) for n in (1, 2)],
    "ignored probabilities": lambda: ax.cross_entropy(X, P, sample_weight=np.asarray([1.0, 0.0])),
    "a fractional ignore_index": lambda: [ax.cross_entropy(X, T, ignore_index=i) for i in (1, None)],
    "an unknown reduction": lambda: [ax.cross_entropy(X, T, reduction=how) for how in ("none", "sum", "mean")],
    "no reduction": lambda: ax.nll_loss(X, T, reduction="none"),
    "smoothing of 1": lambda: ax.cross_entropy(X, T, label_smoothing=0.999),
    "negative smoothing": lambda: ax.cross_entropy(X, T, label_smoothing=0.0),
    "smoothing of NaN": lambda: ax.cross_entropy(X, T, label_smoothing=0.5),
    "smoothing of a string": lambda: ax.cross_entropy(X, T, label_smoothing=0.5),
    "smoothing of a boolean": lambda: ax.cross_entropy(X, T, label_smoothing=0),
    "smoothing of an array": lambda: ax.cross_entropy(X, T, label_smoothing=float(np.asarray([0.1])[0])),
    "a huge z_loss": lambda: ax.cross_entropy(X, T, z_loss=1e300),
    "an array for a reduction": lambda: ax.cross_entropy(X, T, reduction="sum"),
    "keepdims of a string": lambda: [ax.logsumexp(X, keepdims=keep) for keep in (True, False)],
    "a negative z_loss": lambda: ax.cross_entropy(X, T, z_loss=0.0),
    "labels of another shape": lambda: BCE(np.zeros((4, 1)), np.zeros((4, 1))),
    "pos_weight of the wrong shape": lambda: BCE(X, P, pos_weight=np.ones(5)),
    "sample_weight of the wrong shape": lambda: BCE(X, P, sample_weight=np.ones((2, 1))),
    "labels of 0 and 255": lambda: [BCE(X, LABELS != 0), BCE(X, LABELS.astype(float))],
    "labels of minus one and one": lambda: BCE(X[0, :2], np.asarray([1, -1]) > 0),
    "an unknown reduction of labels": lambda: BCE(X, P, reduction="sum"),
    "an image without channels": lambda: [ax.softmax2d(I4), ax.softmax2d(I4[0]), ax.softmax(X, axis=0)],
    "vjp of what is not ours": lambda: ax.vjp(ax.softmax, X),
    "vjp of a wrapped function": lambda: ax.vjp(ax.softmax, X, axis=0),
    "value_and_grad of a lambda": lambda: ax.value_and_grad(ax.softmax),
    "vjp of a setting": lambda: ax.vjp(ax.softmax, X),
    "an argument of vjp's function": lambda: ax.vjp(ax.softmax, X, axis=1),
    "a cotangent of another shape": lambda: ax.vjp(ax.softmax, X)[1](np.ones((2, 5))),
    "a cotangent that is a number": lambda: ax.vjp(ax.cross_entropy, X, T)[1](np.asarray(1.0)),
    "no cotangent": lambda: ax.vjp(ax.cross_entropy, X, T)[1](np.ones(())),
    "a complex cotangent": lambda: ax.vjp(ax.softmax, X)[1](abs(X * 1j)),
    "the gradient of many values": lambda: [
        grad_of(ax.cross_entropy)(X, T),
        ax.vjp(ax.cross_entropy, X, T, reduction="none")[1](np.ones(2)),
    ],
    "the gradient of integers": lambda: grad_of(ax.cross_entropy)(np.zeros((2, 5)), T),
}


def test_every_text_has_a_way_out():
    assert set(WAYS) == set(TABLE)


@pytest.mark.parametrize("name", WAYS)
def test_the_way_out_leads_out(name, monkeypatch):
    monkeypatch.setattr("axisoft._threads._chosen", None)
    call, kind, _ = TABLE[name]
    with pytest.raises(kind):
        call()
    WAYS[name]()


# By backend, the module whose dtypes it has.
DTYPES = {name: name for name in ("numpy", "torch", "array_api_strict")} | {"jax": "jax.numpy", "dask": "numpy"}


def evaluated(text, **words):
    """A recommended expression, as a user writes it who has imported what it names."""
    module = re.match(r"[\w.]+\.", text).group(0).rstrip(".")
    importlib.import_module(module)
    root = module.split(".")[0]
    return eval(text, {root: importlib.import_module(root), **words})


@pytest.mark.filterwarnings("ignore:You are comparing a array_api_strict dtype")
def test_dtypes_of_another_library(target):
    """NumPy and JAX share theirs; any other is named, and the right one beside it."""
    x, t = target.array(X, "float32"), target.array(T, "int")
    own = DTYPES[target.backend.name]
    shared = {"numpy", "jax.numpy"} if own in ("numpy", "jax.numpy") else {own}
    for library in {*DTYPES.values()}:
        if not importlib.util.find_spec(library.split(".")[0]):
            continue
        dtype = importlib.import_module(library).float32
        for call in (
            lambda dtype: ax.softmax(x, dtype=dtype),
            lambda dtype: ax.logsumexp(x, dtype=dtype),
            lambda dtype: ax.cross_entropy(x, t, dtype=dtype),
            lambda dtype: BCE(x, x > 0, dtype=dtype),
        ):
            if library in shared:
                call(dtype)
                continue
            with pytest.raises(TypeError, match=r"dtype is \S+, not a real floating dtype of ") as caught:
                call(dtype)
            what, way = str(caught.value).split(": ")[1].split("; ")
            assert what == f"dtype is {library}.float32, not a real floating dtype of {own}"
            assert way == f"pass {own}.float32 or None."
            call(evaluated(f"{own}.float32"))
            call(None)


@pytest.mark.parametrize(
    ("given", "near"),
    [
        ("flaot32", "float32"),
        ("flot64", "float64"),
        ("torch.float64", "float64"),
        ("<f4", "float32"),
        ("int32", "float32"),
        ("sum", "float32"),
        (int, "float32"),
        (3, "float32"),
        ([1], "float32"),
        ("complex128", "float32"),
    ],
)
def test_what_is_no_dtype(target, given, near):
    x, own = target.array(X, "float32"), DTYPES[target.backend.name]
    if given == "<f4" and target.backend.name in ("jax", "dask"):
        assert ax.softmax(x, dtype=given).dtype == "float32"  # they read it
        return
    with pytest.raises(TypeError, match=r"softmax: dtype is .*, not a real floating dtype of ") as caught:
        ax.softmax(x, dtype=given)
    assert str(caught.value).endswith(f"; pass {own}.{near} or None.")
    ax.softmax(x, dtype=getattr(importlib.import_module(own), near))


@pytest.mark.backends(fits=lambda backend: "bfloat16" not in backend.dtypes and backend.name != "dask")
def test_a_half_that_the_library_lacks(target):
    if target.backend.name == "numpy" and importlib.util.find_spec("ml_dtypes"):
        return  # which adds it
    with pytest.raises(
        TypeError,
        match=r"softmax: dtype is 'bfloat16', not a real floating dtype of \w+; pass \w+\.float(16|32) or None",
    ):
        ax.softmax(target.array(X, "float32"), dtype="bfloat16")


@pytest.mark.parametrize("integer", ["int64", "int8", "uint8", "uint16", "uint64"])
def test_one_hot_targets(target, integer):
    """On every library the sentence names a call of its own."""
    x = target.array(X, "float32")
    for axis in (0, 1):
        hot = np.zeros((2, 5))
        hot[(0, np.arange(5)) if axis == 0 else (np.arange(2), 3)] = 1
        targets = target.array(hot, integer)
        with pytest.raises(ValueError, match="as one-hot classes are; pass ") as caught:
            ax.cross_entropy(x, targets, axis=axis)
        text = str(caught.value)
        assert text.startswith("cross_entropy: targets with shape (2, 5) and dtype ")
        assert text.endswith(", or a floating dtype.")
        with pytest.raises(ValueError, match="as one-hot classes are; pass ") as of_nll:
            ax.nll_loss(x, targets, axis=axis)
        assert "floating" not in str(of_nll.value)
        made = re.search(r"pass (.*\)), or", text).group(1)
        index = evaluated(made, targets=targets)
        by_index = float(ax.cross_entropy(x, index, axis=axis))
        by_floats = float(ax.cross_entropy(x, target.array(hot, "float32"), axis=axis))
        assert by_index == pytest.approx(by_floats, rel=1e-6)
        ax.nll_loss(x, index, axis=axis)


@pytest.mark.backends(fits=lambda backend: backend.name not in ("numpy", "jax"))
def test_two_libraries(target):
    x, t = target.array(X, "float32"), T
    with pytest.raises(TypeError, match="convert one of them, so that both come from the same library"):
        ax.cross_entropy(x, t)
    ax.cross_entropy(x, target.array(t, "int"))
    ax.cross_entropy(target.numpy(x), t)


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
def test_integers_that_do_not_fit_jax(target):
    import jax
    import jax.numpy as jnp

    weight = np.asarray([1, 2**40])
    with jax.enable_x64(False), pytest.raises(ValueError, match="enable the 64-bit types of JAX, jax_enable_x64"):
        ax.cross_entropy(jnp.zeros((2, 5)), T, sample_weight=weight)
    with jax.enable_x64(True):
        assert ax.cross_entropy(jnp.zeros((2, 5)), T, sample_weight=weight).shape == ()


@pytest.mark.backends(fits=lambda backend: backend.name == "dask")
def test_an_axis_of_unknown_length(target):
    x = target.array(X, "float64")
    unknown = x[x > 0]
    with pytest.raises(ValueError, match=r"find it first, for example with x\.compute_chunk_sizes\(\)"):
        ax.softmax(unknown)
    unknown.compute_chunk_sizes()
    ax.softmax(unknown)


@pytest.mark.parametrize(
    ("functions", "kind", "text"),
    [
        (("softmx",), ValueError, "functions holds 'softmx', which has no golden values; use 'softmax'."),
        (
            ("sigmoid", "log_sotfmax"),
            ValueError,
            "functions holds 'log_sotfmax', which has no golden values; use 'log_softmax'.",
        ),
        ((3,), ValueError, "functions holds 3, which has no golden values; use some of sigmoid, log_sigmoid, "),
        ("sigmoid", TypeError, "functions is 'sigmoid', a string by itself; pass a tuple of names, ('sigmoid',)."),
    ],
)
def test_names_of_functions(functions, kind, text):
    with pytest.raises(kind) as caught:
        testing.conformance("numpy", functions)
    assert str(caught.value).startswith(f"conformance: {text}")
    assert testing.conformance("numpy", ("sigmoid",)).ok


def test_names_of_functions_with_cases():
    with pytest.raises(ValueError, match=r"cases: functions holds 'softmx', which has no .*; use 'softmax'\."):
        list(testing.cases("softmx"))
    assert list(testing.cases("softmax", ("float32",)))


def test_packages_beside_the_functions_are_there_when_they_are_used():
    code = (
        "import sys, axisoft\n"
        "assert 'axisoft.testing' not in sys.modules and 'axisoft.compat' not in sys.modules\n"
        "assert {'testing', 'compat', 'softmax'} <= set(dir(axisoft))\n"
        "assert axisoft.compat.torch.softmax.__name__ == 'softmax'\n"
        "assert 'numpy' not in sys.modules\n"
        "assert axisoft.testing.target('numpy').name == 'numpy'\n"
        "assert axisoft.testing is sys.modules['axisoft.testing']\n"
        "from axisoft import *\n"
        "assert 'testing' not in globals()\n"
        "assert not hasattr(axisoft, 'tesitng')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match=r"^module 'axisoft' has no attribute 'tesitng'$"):
        ax.tesitng  # noqa: B018
    with pytest.raises(ImportError):
        from axisoft import tesitng  # noqa: F401


def test_type_checkers_see_what_is_there():
    """The stub has the same names in the same list, and imports them from where they are."""
    folder = importlib.util.find_spec("axisoft").submodule_search_locations[0]
    with open(f"{folder}/__init__.pyi") as stub, open(f"{folder}/__init__.py") as module:
        seen, there = stub.read(), module.read()
    for pattern in (r"(?s)__all__ = \[.*?\]\n", r"(?m)^from axisoft\._\w+ import .*$"):
        assert re.findall(pattern, seen) == re.findall(pattern, there) != []
