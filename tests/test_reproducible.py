"""A slice's result is a function of the slice, the shape and the layout: not of other slices, nor of the threads."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from helpers import differentiates, gradient

import axisoft as ax

RNG = np.random.default_rng(11)
FAMILY = {"softmax": ax.softmax, "log_softmax": ax.log_softmax, "logsumexp": ax.logsumexp}
# Small and large, of few classes and of many, and below and above the sizes at which backends change their ways.
SHAPES = [(4, 10), (50, 40), (40, 900), (3, 40_000), (20_000, 7)]
LAYOUTS = {"rows": (-1, "C"), "columns": (0, "C"), "rows of Fortran": (-1, "F")}


def kinds(shape, dtype):
    """Slices along the last axis of the same shape, of each kind that is computed in a way of its own."""
    plain = RNG.normal(size=shape) / 2
    confident, tied, spiky = plain.copy(), plain.copy(), plain * 8
    confident[:, 0] += 30.0
    tied[:, :2] = 9.0
    odd = plain.copy()
    odd[:, 0] = np.nan
    gone = np.full(shape, -np.inf)
    return [a.astype(dtype) for a in (plain, confident, tied, spiky, odd, gone)]


def results(target, x, axis, order, dtype):
    """Values and gradients of every function over classes, as NumPy arrays with the slices first."""
    a = np.moveaxis(x, -1, axis)
    a = target.array(a, dtype)
    if order == "F" and target.backend.name in ("numpy", "torch"):
        a = a.T.copy().T if target.backend.name == "numpy" else a.T.contiguous().T
    labels = np.arange(len(x)) % x.shape[1]
    labels = target.array(labels, "int")
    g = target.array(np.ones(a.shape), dtype)
    found = {}
    for name, fun in FAMILY.items():
        y, pullback = ax.vjp(fun, a, axis=axis)
        found[name] = y
        found[f"{name}, gradient"] = pullback(y if y.shape != g.shape else g)[0]
        found[f"{name}, directly"] = fun(a, axis=axis)
    for how in ({}, {"label_smoothing": 0.1}):
        y, pullback = ax.vjp(ax.cross_entropy, a, labels, axis=axis, reduction="none", **how)
        found[f"cross_entropy {how}"] = ax.cross_entropy(a, labels, axis=axis, reduction="none", **how)
        found[f"cross_entropy {how}, gradient"] = pullback(target.xp.ones_like(y))[0]
    return {name: slices(target.numpy(y), axis) for name, y in found.items()}


def slices(y, axis):
    return np.moveaxis(y, axis, -1) if y.ndim > 1 else y


@pytest.mark.backends(fits=lambda backend: backend.name in ("numpy", "torch"))
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_slice_is_by_itself(target, shape, layout, precision):
    """The first slice, or the last, beside others of each kind: bit for bit the same."""
    _is_by_itself(target, shape, layout, precision)


@pytest.mark.backends(fits=lambda backend: backend.name not in ("numpy", "torch"))
@pytest.mark.parametrize("layout", ["rows", "columns"])
@pytest.mark.parametrize("shape", [(4, 10), (40, 900)], ids=str)
def test_a_slice_is_by_itself_where_no_value_chooses(target, shape, layout):
    """Of backends that run one formula, whatever the values are."""
    _is_by_itself(target, shape, layout, "float32")


def _is_by_itself(target, shape, layout, precision):
    axis, order = LAYOUTS[layout]
    plain, confident, *others = kinds(shape, precision)
    for i, own in ((0, plain), (-1, confident)):
        expected = None
        for rest in (plain, confident, *others):
            x = rest.copy()
            x[i] = own[i]
            with np.errstate(all="ignore"):
                found = results(target, x, axis, order, precision)
            expected = expected or found
            for name, y in found.items():
                assert np.array_equal(y[i], expected[name][i]), name


@pytest.mark.backends(fits=differentiates)
@pytest.mark.parametrize("shape", [(4, 10), (50, 40)], ids=str)
@pytest.mark.parametrize("name", [*FAMILY, "cross_entropy"])
def test_a_gradient_of_the_librarys_own_is_by_itself(target, shape, name):
    """Made by whatever differentiates, at small sizes too."""
    labels = target.array(np.arange(shape[0]) % shape[1], "int")
    if name == "cross_entropy":
        fun = lambda x: ax.cross_entropy(x, labels, reduction="none")
    else:
        fun = lambda x: FAMILY[name](x, axis=-1)
    plain, *others = kinds(shape, "float32")
    g = RNG.normal(size=shape[:1] if name in ("logsumexp", "cross_entropy") else shape)
    g = target.array(g, "float32")
    expected = gradient(target, fun, target.array(plain, "float32"), cotangent=g)
    for rest in others:
        rest[0] = plain[0]
        found = gradient(target, fun, target.array(rest, "float32"), cotangent=g)
        assert np.array_equal(found[0], expected[0])


@pytest.mark.parametrize("count", [1, 2, 3, 199])
def test_how_many_slices_are_confident_changes_none(target, count):
    """From the few that are picked out, one by itself among them, to all of them."""
    plain, confident, *_ = kinds((200, 300), "float32")
    for axis, order in LAYOUTS.values():
        found = []
        for n in (count, 200):
            x = plain.copy()
            x[:n] = confident[:n]
            found.append(results(target, x, axis, order, "float32"))
        for name in found[0]:
            assert np.array_equal(found[0][name][:count], found[1][name][:count]), name


@pytest.mark.host
@pytest.mark.backends(fits=lambda backend: backend.name in ("numpy", "torch"))
@pytest.mark.parametrize(
    "shape",
    [
        (70_001,),
        (333, 301),
        (40_003, 21),
        (9, 7001),
        (41, 1499),
        (5, 100),
        (8, 17, 13),
        (5, 100_003),
        (3, 7, 5001),
        (1, 200_000),
    ],
    ids=str,
)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_the_number_of_threads_changes_nothing(target, shape, precision, monkeypatch):
    x = RNG.normal(size=shape) * 4
    if target.backend.name == "numpy":
        monkeypatch.setattr("axisoft._threads._chosen", None)
        set_threads, before = ax.set_num_threads, ax.get_num_threads()
    else:
        import torch

        set_threads, before = torch.set_num_threads, torch.get_num_threads()
    a = target.array(x, precision)
    found = []
    try:
        for threads in (1, 2, 3, 5):
            set_threads(threads)
            found.append(every_result(target, a, precision))
    finally:
        set_threads(before)
    for other in found[1:]:
        for name, y in found[0].items():
            assert np.array_equal(y, other[name]), name


@pytest.mark.host
@pytest.mark.backends(fits=lambda backend: backend.name == "torch")
def test_the_number_of_threads_changes_no_sigmoid_of_mapped_tensors(target):
    """PyTorch's own shows where they share it out."""
    import torch

    x, before = target.array(RNG.normal(size=(7, 10_007)) * 4, "float32"), torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3, 5):
            torch.set_num_threads(threads)
            slope = torch.func.grad(lambda x: ax.sigmoid(x).sum())
            found.append((torch.vmap(ax.sigmoid)(x), torch.vmap(slope)(x), slope(x)))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def every_result(target, a, dtype):
    found = {}
    for name in ("sigmoid", "log_sigmoid", "softplus"):
        y, pullback = ax.vjp(getattr(ax, name), a)
        found[name], found[f"{name}, gradient"] = y, pullback(a)[0]
    labels = target.array(np.zeros(a.shape), dtype)
    for how in ("sum", "mean"):
        y, gradient = ax.value_and_grad(ax.binary_cross_entropy_with_logits)(a, labels, reduction=how)
        found[f"binary, {how}"], found[f"binary, {how}, gradient"] = y, gradient
    for axis in {0, a.ndim - 1}:
        for name, fun in FAMILY.items():
            y, pullback = ax.vjp(fun, a, axis=axis)
            found[f"{name} over {axis}"] = y
            found[f"{name} over {axis}, directly"] = fun(a, axis=axis)
            found[f"{name} over {axis}, gradient"] = pullback(a if y.shape == a.shape else y)[0]
        t = target.array(np.zeros([n for i, n in enumerate(a.shape) if i != axis]), "int")
        for how in ({}, {"label_smoothing": 0.1}, {"reduction": "sum"}):
            y, gradient = ax.value_and_grad(ax.cross_entropy)(a, t, axis=axis, **how)
            found[f"loss over {axis}, {how}"] = y
            found[f"loss over {axis}, {how}, directly"] = ax.cross_entropy(a, t, axis=axis, **how)
            found[f"loss over {axis}, {how}, gradient"] = gradient
    found["everything"] = ax.logsumexp(a)
    return {name: target.numpy(y) for name, y in found.items()}


FIRST_CALLS = """
import torch
from torch.utils._python_dispatch import TorchDispatchMode

class Record(TorchDispatchMode):
    seen = set()
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if args and isinstance(args[0], torch.Tensor):
            self.seen.add((func.overloadpacket.__name__, args[0].numel(), args[0].dtype))
        return func(*args, **(kwargs or {}))

with Record() as record:
    from axisoft._backends import torch as _
wanted = {(name, 1, dtype) for name in ("exp", "log", "log1p") for dtype in (torch.float32, torch.float64)}
print(sorted(map(str, wanted - record.seen)))
"""


@pytest.mark.backends(fits=lambda backend: backend.name == "torch")
def test_no_thread_of_pytorch_finds_a_kernel_of_half_the_digits(target):
    """Which one in a thousand processes does whose first call is shared by threads: so the first is of one element."""
    done = subprocess.run([sys.executable, "-c", FIRST_CALLS], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("[]\n", "")
