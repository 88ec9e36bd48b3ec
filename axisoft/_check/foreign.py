"""What is no array, or none that axisoft can use: what it is, and the way to one.

Told by what a type offers and by what it is called: no library is imported for it.
"""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from axisoft import _backends
from axisoft._check.text import a as _a

# What makes an array of a thing, by a method of its type: of what is sparse, ragged, lazy, a table or on a device.
_METHODS = (
    ("toarray", "{}.toarray()"),
    ("todense", "{}.todense()"),
    ("to_tensor", "{}.to_tensor().numpy()"),
    ("to_dask_array", "{}.to_dask_array(lengths=True)"),
    ("to_numpy", "{}.to_numpy()"),
    ("numpy", "{}.numpy()"),
    ("to_dataarray", "{}.to_dataarray().to_numpy()"),
    ("compute", "{}.compute()"),
    ("__array__", "numpy.asarray({})"),
    ("__array_interface__", "numpy.asarray({})"),
    ("__jax_array__", "jax.numpy.asarray({})"),
    ("__cuda_array_interface__", "cupy.asarray({})"),
    ("__dlpack__", "numpy.from_dlpack({})"),
)

# What stands for an array, by its type and the start of its module: a word on it, and the way out.
_SYMBOLS = {
    ("Proxy", "torch"): (
        "which stands for an array while torch.fx traces",
        "call torch.fx.wrap on the name of a function of yours that calls {function}",
    ),
    ("KerasTensor", ""): (
        "which stands for an array while a model is built",
        "call {function} in a layer, for example keras.layers.Lambda(axisoft.{function})",
    ),
    ("ShapeDtypeStruct", "jax"): ("which has no values", "call jax.eval_shape on axisoft.{function}"),
    ("ShapedArray", "jax"): ("which has no values", "call jax.eval_shape on axisoft.{function}"),
    ("SparseTensor", "tensorflow"): ("not an array", "pass tensorflow.sparse.to_dense({name}).numpy()"),
    ("Ref", "jax"): ("which holds an array", "pass {name}[...]"),
}


def no_array(function: str, name: str, thing: Any, beside: dict[str, Any]) -> str:
    """The sentence on a thing that is no array. ``beside``: the other arguments of the call."""
    if thing is None:
        return f"{function}: {name} is None, not an array; pass an array in its place."
    kind, module = type(thing).__name__, type(thing).__module__ or ""
    # Several libraries call their type "array": the module tells it from what is wanted.
    what = _a(f"{module}.{kind}" if kind.lower() == "array" else kind)
    for (symbol, start), (word, way) in _SYMBOLS.items():
        if kind == symbol and module.startswith(start):
            return f"{function}: {name} is {what}, {word}; {way.format(function=function, name=name)}."
    return f"{function}: {name} is {what}, not an array; {_way(name, thing, beside)}."


def _way(name: str, thing: Any, beside: dict[str, Any]) -> str:
    method = next((way for method, way in _METHODS if hasattr(type(thing), method)), None)
    if method is not None:
        return _convert(method.format(name), True, beside)
    arrays = list(_arrays_in(name, thing))
    if arrays:
        return _one_of(name, thing, arrays)
    if callable(thing):
        return "call it first, and pass the array that it gives"
    if isinstance(thing, (str, bytes, bytearray)):
        return "pass an array of numbers in its place"
    if isinstance(thing, (int, float, complex)):
        return _convert(f"{name}.real" if isinstance(thing, complex) else name, False, beside)
    if isinstance(thing, numbers.Number):
        return _convert(f"float({name})", False, beside)
    if _is_buffer(thing):  # which PyTorch would read byte by byte
        return _convert(f"numpy.asarray({name})", True, beside)
    if isinstance(thing, Sequence):
        if _is_even(thing):
            return _convert(name, False, beside)
        return "give its rows one length, and convert it, for example with numpy.asarray"
    if isinstance(thing, Mapping):
        return _convert(f"list({name}.values())", False, beside)
    return _convert(f"list({name})", False, beside) if isinstance(thing, Iterable) else "pass an array in its place"


def _convert(made: str, is_array: bool, beside: dict[str, Any]) -> str:
    """How to make an array of the library, and on the device, of those beside it."""
    first = next(((name, a) for name, a in beside.items() if _is_array(a)), None)
    if first is not None:
        name, a = first
        library = library_of(_backends.namespace(a))
        if library != "numpy":
            device = f", device={name}.device" if library == "torch" and not a.is_cpu else ""
            return f"convert it first, for example with {library}.asarray({made}{device})"
    return f"convert it first, for example with {made if is_array else f'numpy.asarray({made})'}"


def _one_of(name: str, thing: Any, arrays: list[tuple[str, Any]]) -> str:
    """What a model returns, or several arrays in a row."""
    place, first = arrays[0]
    alike = all(type(a) is type(first) and a.shape == first.shape for _, a in arrays)
    if type(thing) in (list, tuple) and alike and len(arrays) == len(thing):
        return f"make it one array, for example with {library_of(_backends.namespace(first))}.stack({name})"
    return f"pass an array out of it, for example {place}"


def _arrays_in(name: str, thing: Any) -> Iterable[tuple[str, Any]]:
    """The arrays in a mapping, a sequence or an object with fields, and how to reach each."""
    if isinstance(thing, Mapping):
        items = [(f"{name}[{key!r}]", value) for key, value in thing.items()]
    elif isinstance(thing, (tuple, list)):
        fields = getattr(type(thing), "_fields", None)
        items = [(f"{name}.{fields[i]}" if fields else f"{name}[{i}]", value) for i, value in enumerate(thing)]
    else:
        own = {} if callable(thing) else getattr(thing, "__dict__", {})
        items = [(f"{name}.{field}", value) for field, value in own.items() if not field.startswith("_")]
    return (item for item in items if _is_array(item[1]))


def _is_array(thing: Any) -> bool:
    if thing is None or isinstance(thing, (int, float, complex, str, type)) or not hasattr(thing, "shape"):
        return False
    try:
        _backends.namespace(thing)
    except TypeError:
        return False
    return True


def _is_buffer(thing: Any) -> bool:
    try:
        memoryview(thing)
    except TypeError:
        return False
    return True


def _is_even(thing: Any) -> bool:
    """Whether nested sequences have one length at each depth."""
    if isinstance(thing, str) or not isinstance(thing, Sequence):
        return True
    lengths = {len(part) if isinstance(part, Sequence) else None for part in thing}
    return len(lengths) < 2 and all(map(_is_even, thing))


def library_of(xp: Any) -> str:
    """The name that a namespace is imported by."""
    name = _backends.name_of(xp)
    return {"jax": "jax.numpy", "dask": "dask.array"}.get(name, name)


def dtypes_of(xp: Any) -> str:
    """The name of the library that has the dtypes of a namespace."""
    library = library_of(xp)
    return "numpy" if library == "dask.array" else library


# PyTorch lacks an operation for these.
_NOT_JAGGED = {
    "log_sigmoid": "pass {name}.values()",
    "softplus": "pass {name}.values()",
    "nll_loss": "pass {name}.values() and the values() of the other arrays",
    "softmax2d": "call softmax2d on each of {name}.unbind()",
    "vjp": "call vjp with the values() of the arrays",
}


def ragged_axis(a: Any) -> int | None:
    """The axis of a jagged tensor whose length differs from row to row; None for other arrays."""
    return a._ragged_idx if type(a).__name__ == "NestedTensor" else None


def form(a: Any) -> Any:
    """What tells PyTorch's tensors of one type and dtype apart: dense, sparse, nested."""
    return a.layout, a.is_nested


def odd_array(function: str, name: str, a: Any) -> str | None:
    """The sentence on an array that stands for values other than its own; None for one that does not."""
    kinds = [kind.__name__ for kind in type(a).__mro__]
    module = type(a).__module__.partition(".")[0]
    if "MaskedArray" in kinds:
        return _masked(function, name, "numpy MaskedArray", f"{name}.data", f"~{name}.mask", f"{name}.filled")
    if "MaskedTensor" in kinds:
        data, mask = f"{name}.get_data()", f"{name}.get_mask()"
        return _masked(function, name, "MaskedTensor", data, mask, f"{name}.to_tensor")
    if "UninitializedTensorMixin" in kinds:
        return f"{function}: {name} is {_a(kinds[0])}, without a shape; call {name}.materialize(shape) first."
    if module == "sparse":
        return f"{function}: {name} is a sparse {kinds[0]}, not a dense array; pass {name}.todense()."
    if module == "torch" and hasattr(a, "layout"):
        layout = str(a.layout).removeprefix("torch.").removeprefix("_")
        if a.is_nested and layout == "strided":
            hint = f"call {function} on each of {name}.unbind()"
            return f"{function}: {name} is a nested tensor, which has no shape; {hint}."
        if layout == "jagged" and function in _NOT_JAGGED:
            hint = _NOT_JAGGED[function].format(name=name)
            return f"{function}: {name} is a jagged tensor, which this function does not take; {hint}."
        if layout not in ("strided", "jagged"):
            hint = f"pass {name}.to_dense()"
            return f"{function}: {name} is a tensor of layout {layout}, not a dense one; {hint}."
    return None


def _masked(function: str, name: str, kind: str, data: str, mask: str, filled: str) -> str:
    """A mask becomes ``where``, an ignored class, a weight of 0 or a value."""
    ways = {
        "targets": f"pass {filled}(-1), and ignore_index=-1 to the functions that take classes",
        "where": f"pass {filled}(False)",
    }
    weighs = "weight" in name
    default = f"pass {filled}(0)" if weighs else f"pass {data}, and where={mask} to the functions that take a mask"
    return f"{function}: {name} is a {kind}, whose mask would be lost; {ways.get(name, default)}."
