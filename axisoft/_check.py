"""Argument checks, and every error text.

One grammar: ``function: what is wrong, with the value; the way out.`` The tests hold each text word for word.
"""

from __future__ import annotations

import math
import numbers
import operator
from typing import Any

import array_api_compat as compat

from axisoft import _backends

REDUCTIONS = ("none", "sum", "mean")


# What the checks of an array found, by its type and dtype: its namespace. A microsecond each time otherwise.
_SOUND: dict[tuple[type, Any], Any] = {}


def arrays(function: str, **named: Any) -> tuple[Any, list[Any]]:
    """The namespace that all the arrays share, and the arrays in order; ``None`` stands for one left out."""
    first = next(iter(named))
    spaces = {}
    for name, a in named.items():
        if a is not None or name in (first, "targets", "cotangent"):
            found = _SOUND.get((type(a), getattr(a, "dtype", None)))
            spaces[name] = _sound(function, name, a) if found is None else found
    xp = spaces[first]
    if len(spaces) > 1:
        if any(space is not xp for space in spaces.values()):
            named, xp = _one_library(function, named, spaces)
        _one_device(function, {name: _backends.device(named[name], xp) for name in spaces})
    return xp, list(named.values())


# The options that a call of plain arguments comes down to, by these: the checks find the same of two such calls.
_PLAIN: dict[tuple[Any, ...], dict[str, Any]] = {}


def over_axes(function: str, x: Any, axis: Any, where: Any, dtype: Any) -> tuple[tuple[Any, Any], dict[str, Any]]:
    """The arrays of a softmax and its options, checked."""
    key = None
    if where is None and dtype is None and (axis is None or type(axis) is int):
        key = type(x), getattr(x, "dtype", None), getattr(x, "ndim", None), axis
        found = _PLAIN.get(key)
        if found is not None:
            return (x, None), found
    xp, (x, where) = arrays(function, x=x, where=where)
    static = {"axis": axes(function, axis, x)}
    mask(function, where, x, xp)
    static |= {"xp": xp, **dtypes(function, xp, x, dtype)}
    _keep(key, static, x)
    return (x, where), static


def over_classes(
    function: str, name: str, x: Any, targets: Any, axis: Any, how: Any, more: tuple[Any, ...], **options: Any
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arrays of a loss over classes and its options, checked.

    ``more`` is weight, sample_weight, ignore_index and, where probabilities may be targets, where and dtype.
    """
    key = None
    if type(axis) is int and type(how) is str and _left_out(more, options):
        one = type(x), getattr(x, "dtype", None), getattr(x, "ndim", None), axis
        key = (*one, function, type(targets), getattr(targets, "dtype", None), how)
        known = _PLAIN.get(key)
        if known is not None and _fit(function, x, targets, known):
            return (x, targets, None, None, None) if len(more) > 3 else (x, targets, None, None), known
    given = x, targets
    weight, sample_weight, ignore_index, where, dtype = (*more, None, None)[:5]
    xp, (x, targets, weight, sample_weight, where) = arrays(
        function, **{name: x}, targets=targets, weight=weight, sample_weight=sample_weight, where=where
    )
    axis = axis_of(function, axis, x, name)
    mask(function, where, x, xp, name)
    options = {n: number(function, n, value, below=_BELOW[n]) for n, value in options.items()}
    found, static = classification(
        function, name, xp, x, targets, axis, weight, sample_weight, ignore_index, how, dtype, soft=len(more) > 3
    )
    static |= options
    if found[0] is given[0] and found[1] is given[1]:  # neither cast nor adopted from another library
        _keep(key, static, x)
    return (*found, where) if len(more) > 3 else found, static


def _left_out(more: tuple[Any, ...], options: dict[str, Any]) -> bool:
    """Whether nothing but the arrays is given."""
    if any(a is not None for a in more):
        return False
    return all(type(value) is float and value == 0.0 for value in options.values())


_BELOW = {"label_smoothing": 1.0, "z_loss": math.inf}


def _fit(function: str, x: Any, targets: Any, static: dict[str, Any]) -> bool:
    """Whether class indices fit the logits, as to values, shapes and devices, in a call like one that was checked."""
    shape, axis, xp = x.shape, static["axis"], static["xp"]
    count = shape[axis]
    if not count or tuple(targets.shape) != (*shape[:axis], *shape[axis + 1 :]):
        return False
    seen = _backends.values(targets, xp)
    if (seen is None) is static["checked"] or _backends.device(x, xp) != _backends.device(targets, xp):
        return False
    if seen is not None and math.prod(shape):
        _check_classes(function, seen, count, None)
    return True


def _keep(key: tuple[Any, ...] | None, static: dict[str, Any], x: Any) -> None:
    """Lengths that depend on values, and the default dtype of integers, are looked at in each call."""
    if key is None or len(_PLAIN) >= 1024 or compat.is_dask_array(x):
        return
    if kind_of(static["xp"], x.dtype) == "floating":
        _PLAIN[key] = static


def _sound(function: str, name: str, a: Any) -> Any:
    """The namespace of an array that axisoft can use."""
    xp = _namespace(function, name, a)
    _real(function, name, a, xp)
    if any(n != n for n in a.shape):  # Dask's word for an axis whose length depends on values
        hint = f"find it first, for example with {name}.compute_chunk_sizes()"
        raise ValueError(f"{function}: {name} has shape {_shape(a)}, with an axis of unknown length; {hint}.")
    if not compat.is_dask_array(a) and len(_SOUND) < 256:
        _SOUND[type(a), a.dtype] = xp
    return xp


def _namespace(function: str, name: str, a: Any) -> Any:
    try:
        xp = _backends.namespace(a)
    except TypeError:
        # Not a sentence of its own per kind of thing: the type says what it is, and the way out is the same.
        what = "None" if a is None else _a(type(a).__name__)
        hint = f"convert it first, for example with numpy.asarray({name})"
        raise TypeError(f"{function}: {name} is {what}, not an array; {hint}.") from None
    if type(a).__name__ == "MaskedArray":
        hint = f"pass {name}.data, and where=~{name}.mask to the functions that take a mask"
        raise TypeError(f"{function}: {name} is a numpy MaskedArray, whose mask would be lost; {hint}.")
    return xp


def _a(noun: str) -> str:
    """The noun with its article."""
    return f"an {noun}" if noun[0] in "aeiouAEIOU" or noun.startswith("nd") else f"a {noun}"


def _one_library(function: str, named: dict[str, Any], spaces: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """NumPy arrays beside JAX arrays become JAX arrays, as JAX itself has it; any other mixture is an error."""
    kinds = {name: _backends.name_of(xp) for name, xp in spaces.items()}
    if set(kinds.values()) == {"numpy", "jax"}:
        xp = next(xp for name, xp in spaces.items() if kinds[name] == "jax")
        adopted = {name: _adopt(function, name, named[name], xp) for name in kinds if kinds[name] == "numpy"}
        return {**named, **adopted}, xp
    (first, kind), *others = kinds.items()
    name, other = next((n, k) for n, k in others if spaces[n] is not spaces[first])
    raise TypeError(
        f"{function}: {first} is {_a(kind)} array and {name} {_a(other)} array; "
        "convert one of them, so that both come from the same library."
    )


def _adopt(function: str, name: str, a: Any, xp: Any) -> Any:
    """A NumPy array as one of another library; an error where integers would not survive."""
    dtype = getattr(a.dtype, "newbyteorder", lambda order: a.dtype)("=")
    adopted = xp.asarray(a.astype(dtype))
    if a.dtype.kind in "iu" and adopted.dtype != dtype and a.size:
        info = xp.iinfo(adopted.dtype)
        wrong = next((int(v) for v in (a.min(), a.max()) if not info.min <= int(v) <= info.max), None)
        if wrong is not None:
            hint = "convert it to an array of that library first, or enable its 64-bit types"
            raise ValueError(f"{function}: {name} holds {wrong}, which does not fit {adopted.dtype}; {hint}.")
    return adopted


def _one_device(function: str, devices: dict[str, Any]) -> None:
    known = [(name, device) for name, device in devices.items() if device is not None]
    for name, device in known[1:]:
        if device != known[0][1]:
            raise ValueError(
                f"{function}: {known[0][0]} is on device {known[0][1]} and {name} on device {device}; "
                "move one of them, so that both are on the same device."
            )


def _real(function: str, name: str, a: Any, xp: Any) -> None:
    kind = kind_of(xp, a.dtype)
    if kind == "complex":
        hint = f"pass its real part, its imaginary part or abs({name})"
        raise TypeError(f"{function}: {name} has dtype {a.dtype}, and complex numbers have no order; {hint}.")
    if kind == "other":
        hint = "convert it to a floating, integer or boolean dtype"
        raise TypeError(f"{function}: {name} has dtype {a.dtype}, which is not a real one; {hint}.")


def kind_of(xp: Any, dtype: Any) -> str:
    """``"floating"``, ``"integer"``, ``"bool"``, ``"complex"`` or ``"other"``."""
    key = getattr(xp, "__name__", ""), dtype
    found = _KINDS.get(key)
    if found is None:
        found = _kind_of(xp, dtype)
        if len(_KINDS) < 256:
            _KINDS[key] = found
    return found


_KINDS: dict[tuple[str, Any], str] = {}


def _kind_of(xp: Any, dtype: Any) -> str:
    try:
        for kind in ("real floating", "integral", "bool"):
            if xp.isdtype(dtype, kind):
                return {"real floating": "floating", "integral": "integer", "bool": "bool"}[kind]
        return "complex" if xp.isdtype(dtype, "complex floating") else "other"
    except (TypeError, AttributeError):
        # No dtype at all; or one that another package adds to NumPy, which knows nothing of it.
        return "floating" if getattr(dtype, "__name__", str(dtype)) == "bfloat16" else "other"


def _compute(xp: Any, dtype: Any) -> tuple[Any, Any]:
    """The dtype a floating dtype is computed in, and the dtype itself in the machine's byte order."""
    native = dtype.newbyteorder("=") if hasattr(dtype, "newbyteorder") else dtype
    return (xp.float32 if str(dtype) == "bfloat16" or xp.finfo(dtype).bits < 32 else native), native


# What becomes of a floating dtype, by namespace, dtype and kind of function: reading a dtype's name takes 3 us.
_DTYPES: dict[tuple[Any, ...], dict[str, Any]] = {}


def dtypes(function: str, xp: Any, x: Any, dtype: Any, *, loss: bool = False) -> dict[str, Any]:
    """``given``, to cast to first; ``dtype``, to compute in; ``out``, of the result. A loss stays as it is computed."""
    key = getattr(xp, "__name__", ""), x.dtype, loss
    found = _DTYPES.get(key) if dtype is None else None
    if found is None:
        found = _dtypes(function, xp, x, dtype, loss)
        # The default dtype of integers may change at any time.
        if dtype is None and kind_of(xp, x.dtype) == "floating" and len(_DTYPES) < 256:
            _DTYPES[key] = found
    return found


def _dtypes(function: str, xp: Any, x: Any, dtype: Any, loss: bool) -> dict[str, Any]:
    given = None
    if dtype is not None:
        given = getattr(xp, dtype, dtype) if isinstance(dtype, str) else dtype
        try:
            kind = kind_of(xp, given)
        except TypeError:  # not hashable, so no dtype of any library
            kind = "other"
        if kind != "floating":
            hint = "pass a real floating dtype of the same library as the array, for example float32, or None"
            said = dtype.__name__ if isinstance(dtype, type) else repr(dtype)
            raise TypeError(f"{function}: dtype is {said}, not a real floating dtype; {hint}.")
        given = xp.empty(0, dtype=given).dtype  # a class that stands for a dtype becomes the dtype
        start = given
    elif kind_of(xp, x.dtype) == "floating":
        start = x.dtype
    else:
        start = xp.__array_namespace_info__().default_dtypes()["real floating"]
    compute, out = _compute(xp, start)
    return {"given": given, "dtype": compute, "out": compute if loss else out}


def axes(function: str, axis: Any, x: Any, name: str = "x") -> tuple[int, ...]:
    """``axis`` (an int, a tuple of them or None for all) as non-negative ints."""
    ndim = len(x.shape)
    if axis is None:
        return tuple(range(ndim))
    if isinstance(axis, (tuple, list)):
        result = tuple(_one_axis(function, a, axis, x, name, ndim) for a in axis)
        if len(set(result)) != len(result):
            hint = "name each axis once"
            raise ValueError(f"{function}: axis {axis} repeats an axis of {name} with shape {_shape(x)}; {hint}.")
        return result
    return (_one_axis(function, axis, axis, x, name, ndim),)


def axis_of(function: str, axis: Any, x: Any, name: str) -> int:
    """The one axis of a loss, as a non-negative int."""
    return _one_axis(function, axis, axis, x, name, len(x.shape), "an int")


def _one_axis(
    function: str, a: Any, whole: Any, x: Any, name: str, ndim: int, kinds: str = "an int, a tuple of ints or None"
) -> int:
    try:
        if isinstance(a, bool):
            raise TypeError
        index = operator.index(a)
    except TypeError:
        raise TypeError(f"{function}: axis {whole!r} is not an integer; use {kinds}.") from None
    if not -ndim <= index < ndim:
        hint = f"use an axis in [-{ndim}, {ndim})" if ndim else "an array without axes has none"
        raise ValueError(f"{function}: axis {index} is out of bounds for {name} with shape {_shape(x)}; {hint}.")
    return index % ndim


def mask(function: str, where: Any, x: Any, xp: Any, name: str = "x") -> None:
    if where is None:
        return
    if kind_of(xp, where.dtype) != "bool":
        hint = "pass a boolean array, for example where != 0"
        raise TypeError(f"{function}: where has dtype {where.dtype}, not bool; {hint}.")
    broadcasts(function, "where", where, tuple(x.shape), f"{name} with shape {_shape(x)}")


def broadcasts(function: str, name: str, a: Any, shape: tuple[int, ...], what: str) -> None:
    """An error unless ``a`` broadcasts to ``shape`` without making it any larger."""
    given = tuple(a.shape)
    fits = len(given) <= len(shape) and all(n in (1, m) for n, m in zip(reversed(given), reversed(shape), strict=False))
    if not fits:
        hint = "each of its axes, counted from the last, must be 1 or agree"
        raise ValueError(f"{function}: {name} with shape {given} does not broadcast to {what}; {hint}.")


def classification(
    function: str,
    name: str,
    xp: Any,
    x: Any,
    targets: Any,
    axis: int,
    weight: Any,
    sample_weight: Any,
    ignore_index: Any,
    how: Any,
    dtype: Any,
    *,
    soft: bool,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arrays of a loss over classes and its options, checked and cast. ``soft``: probabilities may be targets."""
    reduced = tuple(x.shape[:axis]) + tuple(x.shape[axis + 1 :])
    probabilities, checked = _targets(function, targets, x, axis, reduced, xp, name, soft), False
    _class_weight(function, weight, x, axis, name)
    if sample_weight is not None:
        broadcasts(function, "sample_weight", sample_weight, reduced, f"the losses with shape {reduced}")
    reduction(function, how)
    ignore_index = integer(function, "ignore_index", ignore_index)
    if probabilities:
        if ignore_index is not None:
            hint = "give the samples to leave out a sample_weight of 0"
            raise ValueError(f"{function}: ignore_index is {ignore_index}, but targets are probabilities; {hint}.")
    else:
        targets, ignore_index, checked = indices(function, targets, x.shape[axis], ignore_index, xp)
    weighted = probabilities or ignore_index is not None or weight is not None or sample_weight is not None
    static = {"xp": xp, **dtypes(function, xp, x, dtype, loss=True), "floats": (1, 2, 3) if probabilities else (2, 3)}
    static |= {"reduction": how, "weighted": weighted, "axis": axis, "ignore_index": ignore_index}
    static["checked"] = checked
    return (x, targets, weight, sample_weight), static


def _targets(
    function: str, targets: Any, x: Any, axis: int, reduced: tuple[int, ...], xp: Any, name: str, soft: bool
) -> bool:
    """Whether the targets are probabilities rather than class indices."""
    if x.shape[axis] == 0:
        hint = "give that axis at least one class"
        raise ValueError(f"{function}: {name} with shape {_shape(x)} has no classes along axis {axis}; {hint}.")
    kind = kind_of(xp, targets.dtype)
    if kind == "floating" and soft:
        if tuple(targets.shape) != tuple(x.shape):
            hint = f"class probabilities need shape {_shape(x)}, class indices an integer dtype and shape {reduced}"
            raise ValueError(
                f"{function}: targets with shape {_shape(targets)} and dtype {targets.dtype} do not fit "
                f"{name} with shape {_shape(x)}; {hint}."
            )
        return True
    if kind != "integer":
        hint = "class indices need an integer dtype" + (", class probabilities a floating one" if soft else "")
        raise TypeError(f"{function}: targets has dtype {targets.dtype}; {hint}.")
    if tuple(targets.shape) != reduced:
        hint = f"class indices need shape {reduced}, or choose the class axis with axis="
        raise ValueError(
            f"{function}: targets with shape {_shape(targets)} do not fit {name} with shape {_shape(x)} "
            f"and class axis {axis}; {hint}."
        )
    return False


def indices(function: str, targets: Any, count: int, ignore_index: int | None, xp: Any) -> tuple[Any, int | None, bool]:
    """Class indices in the library's index dtype, what ``ignore_index`` is in it, and whether they were checked.

    They are wherever values can be read.

    No index wraps into a class: those that do not fit the index dtype turn negative there. An ``ignore_index`` that the
    targets' own dtype cannot hold names nothing and is left out.
    """
    if ignore_index is not None:
        info = xp.iinfo(targets.dtype)
        if not info.min <= ignore_index <= info.max:
            ignore_index = None
    seen = _backends.values(targets, xp)
    if seen is not None and math.prod(targets.shape):
        _check_classes(function, seen, count, ignore_index)
    checked = seen is not None
    if targets.dtype == xp.int64:  # the widest, so the index dtype of a library that has it
        return targets, ignore_index, checked
    wide = xp.__array_namespace_info__().default_dtypes()["indexing"]
    return xp.astype(targets, wide, copy=False), _wrapped(ignore_index, wide, xp), checked


def _wrapped(value: int | None, dtype: Any, xp: Any) -> int | None:
    info = xp.iinfo(dtype)
    return value if value is None or value <= info.max else value - 2**info.bits


# Up to this many class indices are looked at as a list: less than a microsecond, where two reductions take four.
FEW = 64


def _are_classes(targets: Any, count: int, xp: Any) -> bool:
    """Whether the smallest and the largest index, and so all of them, are in [0, count)."""
    if math.prod(targets.shape) > FEW or not hasattr(targets, "tolist"):
        return bool(xp.min(targets) >= 0) and bool(xp.max(targets) < count)
    found = (targets if len(targets.shape) == 1 else xp.reshape(targets, (-1,))).tolist()
    return bool(min(found) >= 0 and max(found) < count)


def _check_classes(function: str, targets: Any, count: int, ignore_index: int | None) -> None:
    xp = _backends.namespace(targets)
    if _are_classes(targets, count, xp):
        return
    wide = targets if targets.dtype == xp.int64 else xp.astype(targets, xp.int64)
    bad = (wide < 0) | (wide >= count)
    if ignore_index is not None:
        bad = bad & (wide != _wrapped(ignore_index, xp.int64, xp))
    if not bool(xp.any(bad)):
        return
    flat = int(xp.argmax(xp.astype(xp.reshape(bad, (-1,)), xp.int32)))
    position = []
    for n in reversed(targets.shape):
        flat, i = divmod(flat, n)
        position.append(i)
    at = tuple(reversed(position))
    ignored = "set ignore_index to leave samples out" if ignore_index is None else f"ignore_index is {ignore_index}"
    hint = f"class indices are in [0, {count}), and {ignored}"
    value = int(targets[at])
    there = "is 1 class" if count == 1 else f"are {count} classes"
    raise IndexError(f"{function}: targets holds class {value} at {at}, but there {there}; {hint}.")


def _class_weight(function: str, weight: Any, x: Any, axis: int, name: str) -> None:
    count = x.shape[axis]
    if weight is not None and tuple(weight.shape) != (count,):
        hint = f"give one weight per class, shape ({count},)"
        raise ValueError(
            f"{function}: weight with shape {_shape(weight)} does not fit {name} with shape {_shape(x)} "
            f"and class axis {axis}; {hint}."
        )


def same_shape(function: str, targets: Any, logits: Any) -> None:
    if tuple(targets.shape) != tuple(logits.shape):
        hint = "give one label per logit"
        raise ValueError(
            f"{function}: targets with shape {_shape(targets)} and logits with shape {_shape(logits)} differ; {hint}."
        )


def channels(function: str, x: Any) -> None:
    if len(x.shape) not in (3, 4):
        hint = "give shape (C, H, W) or (N, C, H, W), or use softmax with axis="
        raise ValueError(f"{function}: x with shape {_shape(x)} has no channel axis before height and width; {hint}.")


def reduction(function: str, value: Any) -> None:
    if not isinstance(value, str) or value not in REDUCTIONS:
        raise ValueError(f'{function}: reduction is {value!r}; use "none", "sum" or "mean".')


def number(function: str, name: str, value: Any, *, below: float = math.inf) -> float:
    """A number from 0 to below ``below``. No array: an option is fixed when a call is compiled."""
    if type(value) is float and 0.0 <= value < below:
        return value
    bounds = f"[0, {below:g})"
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        said = repr(value) if isinstance(value, (str, bytes, bool)) or value is None else _a(type(value).__name__)
        raise TypeError(f"{function}: {name} is {said}, not a number; use a Python number in {bounds}.")
    try:
        result = float(value)
    except OverflowError:  # an int beyond every float
        result = math.inf
    if not 0 <= result < below:
        said = str(value) if math.isfinite(result) else str(result)
        raise ValueError(f"{function}: {name} is {said}; use a number in {bounds}.")
    return result


def flag(function: str, name: str, value: Any) -> bool:
    if not (isinstance(value, bool) or type(value).__name__ in ("bool", "bool_")):
        raise TypeError(f"{function}: {name} is {value!r}, not a boolean; use True or False.")
    return bool(value)


def integer(function: str, name: str, value: Any, hint: str = "use an int or None") -> int | None:
    if value is None:
        return None
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{function}: {name} is {value!r}, not an integer; {hint}.") from None


def own_function(function: str, fun: Any) -> None:
    """An error for what cannot be one of the public functions of arrays: before it is called, which may do anything."""
    module = getattr(fun, "__module__", None) or ""
    if module not in ("axisoft._softmax", "axisoft._sigmoid", "axisoft._losses"):
        _no_function(function, fun)


def planned(function: str, fun: Any, call: Any) -> Any:
    """The call that a public function came down to; an error for a function that comes down to none."""
    if not hasattr(call, "op"):
        _no_function(function, fun)
    return call


def _no_function(function: str, fun: Any) -> None:
    said = getattr(fun, "__name__", None) or _a(type(fun).__name__)
    hint = "pass the function itself, such as axisoft.softmax, and its options as keyword arguments"
    raise TypeError(f"{function}: fun is {said}, not a function of arrays from axisoft; {hint}.")


def cotangent(function: str, g: Any, out: Any, name: str) -> Any:
    """The cotangent as an array of the result's library."""
    _, (_, g) = arrays(function, result=out, cotangent=g)
    if tuple(g.shape) != tuple(out.shape):
        hint = "give it the shape of the result"
        raise ValueError(
            f"{function}: cotangent with shape {_shape(g)} does not fit the result of {name} "
            f"with shape {_shape(out)}; {hint}."
        )
    return g


def differentiable(function: str, name: str, x: Any, xp: Any) -> None:
    if kind_of(xp, x.dtype) != "floating":
        hint = "convert it to a floating dtype"
        raise TypeError(f"{function}: {name} has dtype {x.dtype}, and only floating arrays have a gradient; {hint}.")


def no_axes(function: str, value: Any, name: str) -> None:
    if value.shape != ():
        what = f"the value of {name} has shape {_shape(value)}, and only one without axes has a gradient"
        raise ValueError(f"{function}: {what}; reduce it, or use axisoft.vjp.")


def threads(function: str, name: str, value: Any) -> int:
    hint = "use a whole number of at least 1"
    number = integer(function, name, value, hint)
    if number is None or number < 1:
        raise ValueError(f"{function}: {name} is {value}; {hint}.")
    return number


def threads_in(function: str, name: str, text: str) -> int:
    """A number of threads from an environment variable."""
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{function}: {name} is {text!r}; set it to a whole number of at least 1, or unset it.")
    return int(text)


def _shape(x: Any) -> tuple[int, ...]:
    return tuple(x.shape)
