"""What looks like an array, or holds some, and is none: one sentence, whose way out is followed to a result."""

from __future__ import annotations

import array
import collections
import importlib.util
import re
import subprocess
import sys
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pytest

import axisoft as ax

IN_TORCH = pytest.mark.backends(fits=lambda backend: backend.name == "torch")
IN_JAX = pytest.mark.backends(fits=lambda backend: backend.name == "jax")

X = np.asarray([[0.5, -1.0, 2.0, 0.0, 3.0], [1.0, 1.0, 0.0, -2.0, 0.5]], dtype=np.float32)
ARGUMENTS = {
    "x": X,
    "logits": X,
    "log_probs": X,
    "targets": np.asarray([0, 4]),
    "weight": np.asarray([1.0, 2.0, 0.5, 1.0, 1.0], dtype=np.float32),
    "sample_weight": np.asarray([1.0, 2.0], dtype=np.float32),
    "pos_weight": np.asarray([1.0, 2.0, 0.5, 1.0, 1.0], dtype=np.float32),
    "where": np.asarray([True, True, False, True, True]),
}
BINARY = {"targets": (X > 0).astype(np.float32), "sample_weight": np.ones((2, 5), dtype=np.float32)}
# Every function with every array that it takes.
TAKES = {
    **dict.fromkeys(("sigmoid", "log_sigmoid", "softplus"), ("x",)),
    **dict.fromkeys(("softmax", "log_softmax", "logsumexp"), ("x", "where")),
    "nll_loss": ("log_probs", "targets", "weight", "sample_weight"),
    "cross_entropy": ("logits", "targets", "weight", "sample_weight", "where"),
    "binary_cross_entropy_with_logits": ("logits", "targets", "pos_weight", "sample_weight"),
}
PLACES = [(function, name) for function, names in TAKES.items() for name in names]


def as_is(target, value):
    return target.array(value, str(np.asarray(value).dtype))


def values(function, name):
    return BINARY[name] if function.startswith("binary") and name in BINARY else ARGUMENTS[name]


def call(function, **named):
    positional = [named.pop(name) for name in ("x", "logits", "log_probs") if name in named]
    positional += [named.pop("targets")] if "targets" in named else []
    return getattr(ax, function)(*positional, **named)


def others(target, function, name):
    """The arrays beside the one that is tried: as few as the call needs."""
    needed = [other for other in TAKES[function][:2] if other not in ("where", name)]
    return {other: as_is(target, values(function, other)) for other in needed}


HINT = re.compile(
    r"; (?:convert it first, for example with|make it one array, for example with|pass an array out of it, for example|"
    r"pass) (.+?)(?:, and (\w+)=(.+) to the functions .*)?\.$"
)


def way_of(text):
    """The expressions that a sentence recommends: for the argument, and for a mask beside it."""
    found = HINT.search(text)
    assert found is not None, text
    return found.groups()


def names_of(things):
    """What the words of a sentence mean to the user who reads it: their variables, and libraries by name."""
    modules = {}
    for library in ("numpy", "torch", "jax", "array_api_strict", "dask", "cupy"):
        if importlib.util.find_spec(library):
            modules[library] = __import__(library)
    if "jax" in modules:
        __import__("jax.numpy")
    if "dask" in modules:
        __import__("dask.array")
    return {**modules, **things}


def follow(target, function, name, thing, kind=TypeError):
    """The sentence, and the result of the call that it recommends."""
    beside = others(target, function, name)
    with pytest.raises(kind) as caught:
        call(function, **{**beside, name: thing})
    text = str(caught.value)
    assert re.fullmatch(rf"{function}: {name} is [^;]+; [^;]+\.", text), text
    assert caught.value.__cause__ is None
    made, option, extra = way_of(text)
    words = names_of({**beside, name: thing})
    named = {**beside, name: eval(made, words)}
    if option is not None and (option in TAKES[function] or (option == "ignore_index" and function[:5] == "cross")):
        named[option] = eval(extra, words)
    y = call(function, **named)
    return text, target.numpy(y)


def right(target, function, name):
    beside = others(target, function, name)
    return target.numpy(call(function, **{**beside, name: as_is(target, values(function, name))}))


class Sparse:
    """Has what a sparse matrix has."""

    def __init__(self, values):
        self.values, self.shape, self.dtype, self.ndim = values, values.shape, values.dtype, values.ndim

    def toarray(self):
        return self.values


class Table:
    def __init__(self, values):
        self._values = values

    def to_numpy(self):
        return self._values


class Exchange:
    """Nothing but the protocol of exchange."""

    def __init__(self, values):
        self._values = values

    def __dlpack__(self, **options):
        return self._values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._values.__dlpack_device__()


class Convertible:
    def __init__(self, values):
        self._values = values

    def __array__(self, dtype=None, copy=None):
        return self._values


class Output:
    """What a model returns."""

    def __init__(self, values):
        self.loss, self.logits = None, values


Named = collections.namedtuple("Named", ["logits"])

# Things that any library's users hold, made of an array's values.
PLAIN = {
    "a list": lambda a: a.tolist(),
    "a tuple": lambda a: tuple(a.tolist()),
    "a deque": lambda a: collections.deque(a.tolist()),
    "a generator of rows": lambda a: (row for row in a.tolist()),
    "a memoryview": memoryview,
    "a sparse matrix": Sparse,
    "a table": Table,
    "an object with __array__": Convertible,
    "an object with __dlpack__": Exchange,
}


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize(("function", "name"), PLACES)
def test_what_becomes_an_array(target, function, name, kind):
    """In the library of the arrays beside it, whatever it is made of."""
    thing = PLAIN[kind](values(function, name))
    if kind == "a generator of rows":
        beside = others(target, function, name)
        with pytest.raises(TypeError, match=rf"^{function}: {name} is a generator, not an array; convert it first, "):
            call(function, **{**beside, name: thing})
        return
    _, y = follow(target, function, name, thing)
    if name in ("x", "logits", "log_probs") and len(others(target, function, name)) == 0:
        return  # no library was named, so it is NumPy's
    assert y == pytest.approx(right(target, function, name), rel=1e-6)


def test_what_is_no_number_of_an_array(target):
    """What nothing makes an array of: the way out says so, or says what to do first."""
    x = as_is(target, X)
    for thing, what, way in (
        (None, "None, not an array", "pass an array in its place"),
        ("ab", "a str, not an array", "pass an array of numbers in its place"),
        (b"ab", "a bytes, not an array", "pass an array of numbers in its place"),
        (object(), "an object, not an array", "pass an array in its place"),
        (np.sum, "a function, not an array", "call it first, and pass the array that it gives"),
        (
            [[1, 2], [3]],
            "a list, not an array",
            "give its rows one length, and convert it, for example with numpy.asarray",
        ),
        ({"probs": x}, "a dict, not an array", "pass an array out of it, for example targets['probs']"),
        (Named(x), "a Named, not an array", "pass an array out of it, for example targets.logits"),
        (Output(x), "an Output, not an array", "pass an array out of it, for example targets.logits"),
        (
            SimpleNamespace(a=1, b=x),
            "a SimpleNamespace, not an array",
            "pass an array out of it, for example targets.b",
        ),
        ((x, None), "a tuple, not an array", "pass an array out of it, for example targets[0]"),
    ):
        if thing is np.sum and type(thing).__name__ != "function":
            what = f"a {type(thing).__name__}, not an array"
        for loss in (ax.cross_entropy, ax.nll_loss, ax.binary_cross_entropy_with_logits):
            with pytest.raises(TypeError) as caught:
                loss(x, thing)
            assert str(caught.value) == f"{loss.__name__}: targets is {what}; {way}."
    assert ax.cross_entropy(x, x).shape == ()


def test_arrays_in_a_row(target):
    rows = [as_is(target, X[0]), as_is(target, X[1])]
    text, y = follow(target, "softmax", "x", rows)
    assert "stack(x)" in text
    assert y == pytest.approx(target.numpy(ax.softmax(as_is(target, X))), rel=1e-6)


def test_numbers(target):
    """Beside an array they become one of its library, on its own otherwise NumPy's."""
    x = as_is(target, np.float32(2.0))
    for number in (1, 1.0, True, 0.5 + 0j, Decimal("0.5")):
        with pytest.raises(TypeError) as caught:
            ax.binary_cross_entropy_with_logits(x, number)
        made, *_ = way_of(str(caught.value))
        t = eval(made, names_of({"targets": number, "logits": x}))
        assert ax.binary_cross_entropy_with_logits(x, t).shape == ()
        if not isinstance(number, (complex, Decimal)):
            assert ax.softmax(np.asarray(number), axis=None) == 1


def test_buffers():
    """Which say what they hold, and what their module calls them."""
    for code in "bBhHiIlLqQfd":
        held = array.array(code, [1, 2])
        with pytest.raises(TypeError) as caught:
            ax.softmax(held)
        assert str(caught.value) == (
            "softmax: x is an array.array, not an array; convert it first, for example with numpy.asarray(x)."
        )
        assert ax.softmax(np.asarray(held)).shape == (2,)


def test_masked_arrays():
    """Each argument has its own way to say what is left out."""
    for function, name in PLACES:
        a = values(function, name)
        mask = np.zeros(a.shape, dtype=bool)
        mask.flat[1] = True
        masked = np.ma.masked_array(a, mask)
        named = {n: values(function, n) for n in TAKES[function][:2] if n not in (name, "where")}
        with pytest.raises(TypeError) as caught:
            call(function, **{**named, name: masked})
        text = str(caught.value)
        assert f": {name} is a numpy MaskedArray, whose mask would be lost; pass {name}." in text
        made, option, extra = way_of(text)
        named[name] = eval(made, {name: masked})
        if option in TAKES[function] or (option == "ignore_index" and function in ("cross_entropy", "nll_loss")):
            named[option] = eval(extra, {name: masked})
        assert not np.isnan(call(function, **named)).any()
    with pytest.raises(TypeError, match="x is a numpy MaskedArray, whose mask would be lost"):
        ax.softmax(np.ma.masked)


SYMBOLS = {
    ("KerasTensor", "keras.src.backend.common.keras_tensor"): (
        "which stands for an array while a model is built; call {function} in a layer, "
        "for example keras.layers.Lambda(axisoft.{function})"
    ),
    ("KerasTensor", "tf_keras.src.engine.keras_tensor"): (
        "which stands for an array while a model is built; call {function} in a layer, "
        "for example keras.layers.Lambda(axisoft.{function})"
    ),
    ("SparseTensor", "tensorflow.python.framework.sparse_tensor"): (
        "not an array; pass tensorflow.sparse.to_dense({name}).numpy()"
    ),
    ("COO", "sparse.numba_backend._coo.core"): "not an array; convert it first, for example with {name}.todense()",
    ("EagerTensor", "tensorflow.python.framework.ops"): (
        "not an array; convert it first, for example with {name}.numpy()"
    ),
    ("RaggedTensor", "tensorflow.python.ops.ragged.ragged_tensor"): (
        "not an array; convert it first, for example with {name}.to_tensor().numpy()"
    ),
    ("DataArray", "xarray.core.dataarray"): "not an array; convert it first, for example with {name}.to_numpy()",
    ("Array", "awkward.highlevel"): "not an array; convert it first, for example with {name}.to_numpy()",
    ("Delayed", "dask.delayed"): "not an array; convert it first, for example with {name}.compute()",
    ("Param", "flax.nnx"): "not an array; convert it first, for example with jax.numpy.asarray({name})",
    ("DeviceNDArray", "numba.cuda"): "not an array; convert it first, for example with cupy.asarray({name})",
}
METHODS = {
    "COO": "todense",
    "EagerTensor": "numpy",
    "RaggedTensor": "to_tensor",
    "DataArray": "to_numpy",
    "Array": "to_numpy",
    "Delayed": "compute",
    "Param": "__jax_array__",
    "DeviceNDArray": "__cuda_array_interface__",
}


@pytest.mark.parametrize(("kind", "module"), SYMBOLS)
def test_things_of_libraries_that_are_not_here(kind, module):
    """Told by their names: none of these is imported."""
    members = {"shape": (2, 5), "dtype": "float32", "ndim": 2, METHODS.get(kind, "values"): lambda self: X}
    thing = type(kind, (), {**members, "__module__": module})()
    what = f"{module}.{kind}" if kind == "Array" else kind
    article = "an" if what[0] in "aE" else "a"
    for function, name in PLACES:
        beside = {n: values(function, n) for n in TAKES[function][:2] if n not in (name, "where")}
        with pytest.raises(TypeError) as caught:
            call(function, **{**beside, name: thing})
        tail = SYMBOLS[kind, module].format(function=function, name=name)
        assert str(caught.value) == f"{function}: {name} is {article} {what}, {tail}."


@pytest.mark.parametrize("form", [lambda m: m, lambda m: m.tocsr(), lambda m: m.tocsc(), lambda m: m.tolil()])
def test_scipy(form):
    """Where it is installed; ``Sparse`` stands for it everywhere."""
    if not importlib.util.find_spec("scipy"):
        return
    from scipy import sparse

    for make in (sparse.coo_matrix, sparse.coo_array):
        x = form(make(X))
        with pytest.raises(TypeError) as caught:
            ax.softmax(x)
        assert str(caught.value) == (
            f"softmax: x is a {type(x).__name__}, not an array; convert it first, for example with x.toarray()."
        )
        assert np.array_equal(ax.softmax(x.toarray()), ax.softmax(X))


def dense_only(a):
    import torch

    return torch.as_tensor(a)


LAYOUTS = {
    "sparse_coo": lambda a: dense_only(a).to_sparse(),
    "sparse_csr": lambda a: dense_only(a).to_sparse_csr(),
    "sparse_csc": lambda a: dense_only(a).to_sparse_csc(),
    "sparse_bsr": lambda a: dense_only(a).to_sparse_bsr((1, 1)),
    "sparse_bsc": lambda a: dense_only(a).to_sparse_bsc((1, 1)),
    "mkldnn": lambda a: dense_only(a).to_mkldnn(),
}


@IN_TORCH
@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("function", "name"), PLACES)
def test_layouts_of_torch(target, function, name, layout):
    """The same type and dtype as a dense tensor, before and after one of that kind was seen."""
    a = values(function, name)
    if layout == "mkldnn":
        a = a.astype(np.float32)
    if a.ndim < 2 and layout != "mkldnn":
        layout = "sparse_coo"
    thing = LAYOUTS[layout](a)
    beside = others(target, function, name)
    for _ in range(2):
        with pytest.raises(TypeError) as caught:
            call(function, **{**beside, name: thing})
        text = f"{function}: {name} is a tensor of layout {layout}, not a dense one; pass {name}.to_dense()."
        assert str(caught.value) == text
        y = call(function, **{**beside, name: thing.to_dense().to(dense_only(values(function, name)).dtype)})
        assert target.numpy(y) == pytest.approx(right(target, function, name))


@IN_TORCH
@pytest.mark.filterwarnings("ignore:The PyTorch API of")
@pytest.mark.parametrize(("function", "name"), PLACES)
def test_nested_and_masked_tensors(target, function, name):
    import torch
    from torch.masked import MaskedTensor

    a = dense_only(values(function, name))
    beside = others(target, function, name)
    for _ in range(2):
        with pytest.raises(TypeError) as caught:
            call(function, **{**beside, name: torch.nested.nested_tensor([a, a])})
        hint = f"call {function} on each of {name}.unbind()"
        assert str(caught.value) == f"{function}: {name} is a nested tensor, which has no shape; {hint}."
        call(function, **{**beside, name: torch.nested.nested_tensor([a, a]).unbind()[0]})
    for masked in (MaskedTensor(a, torch.ones_like(a, dtype=torch.bool)),):
        with pytest.raises(TypeError) as caught:
            call(function, **{**beside, name: masked})
        made, *_ = way_of(str(caught.value))
        call(function, **{**beside, name: eval(made, {name: masked})})


@IN_TORCH
@pytest.mark.filterwarnings("ignore:torch.quantize")
def test_other_things_of_torch(target):
    import torch

    x = dense_only(X)
    quantized = torch.quantize_per_tensor(x, 0.1, 0, torch.quint8)
    without = torch.nn.parameter.UninitializedParameter()
    packed = torch.nn.utils.rnn.pack_sequence([x])
    for thing, text in (
        (quantized, "has dtype torch.quint8, which is not a real one; pass x.dequantize()"),
        (without, "is an UninitializedParameter, without a shape; call x.materialize(shape) first"),
        (torch.nn.Linear(2, 2), "is a Linear, not an array; call it first, and pass the array that it gives"),
        (packed, "is a PackedSequence, not an array; pass an array out of it, for example x.data"),
        (x.max(0), "is a max, not an array; pass an array out of it, for example x[0]"),
        (x.shape, "is a Size, not an array; convert it first, for example with numpy.asarray(x)"),
    ):
        with pytest.raises(TypeError) as caught:
            ax.softmax(thing)
        assert str(caught.value) == f"softmax: x {text}."
    assert ax.softmax(torch.nn.Parameter(x)).shape == (2, 5)


def wrapped(x):
    return ax.softmax(x)


@IN_TORCH
def test_symbolic_tracing_by_torch(target):
    import torch

    with pytest.raises(TypeError) as caught:
        torch.fx.symbolic_trace(lambda x: ax.softmax(x))
    assert str(caught.value) == (
        "softmax: x is a Proxy, which stands for an array while torch.fx traces; "
        "call torch.fx.wrap on the name of a function of yours that calls softmax."
    )
    code = (
        "import torch, axisoft\n"
        "def probabilities(x):\n    return axisoft.softmax(x)\n"
        "torch.fx.wrap('probabilities')\n"
        "graph = torch.fx.symbolic_trace(lambda x: probabilities(x) + 1)\n"
        "assert torch.equal(graph(torch.zeros(4)), torch.full((4,), 1.25))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def rows():
    import torch

    generator = torch.Generator().manual_seed(9)
    return [torch.randn((n, 5), generator=generator) for n in (2, 3)]


def jagged(parts=None):
    import torch

    return torch.nested.nested_tensor(rows() if parts is None else parts, layout=torch.jagged)


JAGGED = {
    "softmax": lambda x: ax.softmax(x),
    "softmax, an axis": lambda x: ax.softmax(x, axis=x.ndim - 1),
    "softmax, a dtype": lambda x: ax.softmax(x, dtype="float64"),
    "softmax, a mask": lambda x: ax.softmax(x, where=x > -0.5),
    "log_softmax": lambda x: ax.log_softmax(x),
    "logsumexp": lambda x: ax.logsumexp(x, axis=-1),
    "logsumexp, kept": lambda x: ax.logsumexp(x, axis=(-1,), keepdims=True),
    "sigmoid": lambda x: ax.sigmoid(x),
    "half": lambda x: ax.softmax(x.half()),
    "probabilities": lambda x: ax.cross_entropy(x, ax.softmax(x), reduction="none"),
    "binary": lambda x: ax.binary_cross_entropy_with_logits(x, ax.sigmoid(x), reduction="none"),
    "binary, integers": lambda x: ax.binary_cross_entropy_with_logits(x, (x > 0) * 1, reduction="none"),
}


@IN_TORCH
@pytest.mark.parametrize("name", JAGGED)
def test_jagged_tensors(target, name):
    """What PyTorch has the operations for works, row by row as it does on dense tensors; gradients too."""
    import torch

    fun = JAGGED[name]
    for _ in range(2):
        got = fun(jagged())
        assert got.is_nested
        for y, row in zip(got.unbind(), rows(), strict=True):
            assert torch.allclose(y, fun(row), rtol=1e-5, atol=1e-7)
    x = jagged().requires_grad_()
    fun(x).values().sum().backward()
    for g, row in zip(x.grad.unbind(), rows(), strict=True):
        dense = row.clone().requires_grad_()
        fun(dense).sum().backward()
        assert torch.allclose(g, dense.grad, rtol=1e-4, atol=1e-6)


@IN_TORCH
def test_what_jagged_tensors_do_not_have(target):
    import torch

    x = jagged()
    t = torch.nested.nested_tensor_from_jagged(torch.tensor([0, 1, 4, 2, 3]), x.offsets())
    shape = tuple(x.shape)
    along = f"x is a jagged tensor with shape {shape}, which PyTorch does not reduce along axis"
    lacks = "is a jagged tensor, which this function does not take; pass"
    rest = "and the values() of the other arrays."
    fails = f"logits is a jagged tensor, which this call does not take; pass logits.values() {rest}"
    for call, text in (
        (lambda: ax.softmax(x, axis=1), f"softmax: {along} 1; call softmax on each of x.unbind()."),
        (lambda: ax.softmax(x, axis=0), f"softmax: {along} 0; call softmax on each of x.unbind()."),
        (lambda: ax.log_softmax(x, axis=(1, 2)), f"log_softmax: {along} 1; call log_softmax on each of x.unbind()."),
        (lambda: ax.logsumexp(x), f"logsumexp: {along} 0; call logsumexp on each of x.unbind()."),
        (lambda: ax.log_sigmoid(x), f"log_sigmoid: x {lacks} x.values()."),
        (lambda: ax.softplus(x), f"softplus: x {lacks} x.values()."),
        (lambda: ax.nll_loss(x, t), f"nll_loss: log_probs {lacks} log_probs.values() {rest}"),
        (lambda: ax.cross_entropy(x, t), f"cross_entropy: {fails}"),
        (lambda: ax.cross_entropy(x, t, reduction="none"), f"cross_entropy: {fails}"),
        (lambda: ax.cross_entropy(x, ax.softmax(x)), f"cross_entropy: {fails}"),
        (lambda: ax.binary_cross_entropy_with_logits(x, ax.sigmoid(x)), f"binary_cross_entropy_with_logits: {fails}"),
        (lambda: ax.value_and_grad(ax.cross_entropy)(x, t), f"cross_entropy: {fails}"),
        (
            lambda: ax.softmax(x, where=torch.ones(5, dtype=torch.bool)),
            "softmax: one of x and where is a jagged tensor, and the other is not; "
            "give where the form of x, or pass the values() of what is jagged.",
        ),
    ):  # fmt: skip
        for _ in range(2):
            with pytest.raises((TypeError, ValueError)) as caught:
                call()
            assert str(caught.value) == text
    for row in x.unbind():
        assert ax.softmax(row, axis=0).shape == row.shape
        assert ax.logsumexp(row).shape == ()
    assert ax.softplus(x.values()).shape == (5, 5)
    assert ax.cross_entropy(x.values(), t.values()).shape == ()
    assert ax.nll_loss(x.values(), t.values()).shape == ()
    assert ax.softmax(x.values(), where=torch.ones(5, dtype=torch.bool)).shape == (5, 5)
    turned = x.transpose(1, 2)
    assert ax.softmax(turned, axis=1).is_nested
    with pytest.raises(ValueError, match=r"which PyTorch does not reduce along axis 1; call logsumexp on each"):
        ax.logsumexp(turned, axis=1)


@IN_JAX
def test_things_of_jax(target):
    import jax
    import jax.numpy as jnp
    from jax.experimental import sparse

    x = jnp.asarray(X)
    for make in (sparse.BCOO.fromdense, sparse.BCSR.fromdense):
        thing = make(x)
        with pytest.raises(TypeError) as caught:
            ax.softmax(thing)
        assert str(caught.value) == (
            f"softmax: x is a {type(thing).__name__}, not an array; convert it first, for example with x.todense()."
        )
        assert np.array_equal(ax.softmax(thing.todense()), ax.softmax(x))
    shaped = jax.ShapeDtypeStruct((2, 5), jnp.float32)
    with pytest.raises(TypeError) as caught:
        ax.softmax(shaped)
    assert str(caught.value) == (
        "softmax: x is a ShapeDtypeStruct, which has no values; call jax.eval_shape on axisoft.softmax."
    )
    assert jax.eval_shape(ax.softmax, shaped).shape == (2, 5)


def test_nothing_is_imported_to_tell():
    code = (
        "import sys, axisoft\n"
        "for thing in ([1.0], None, object(), {'a': 1}, range(3), memoryview(b'ab')):\n"
        "    try:\n        axisoft.softmax(thing)\n"
        "    except TypeError:\n        continue\n"
        "    raise SystemExit('no error')\n"
        "known = {'numpy', 'torch', 'jax', 'scipy', 'dask', 'pandas', 'sparse', 'keras', 'tensorflow'}\n"
        "raise SystemExit(str(known & set(sys.modules)) if known & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
