"""Argument checks, and every error text.

One grammar: ``function: what is wrong, with the value; the way out.`` The tests hold each text word for word.
"""

from __future__ import annotations

import math
import operator
from functools import lru_cache
from typing import Any, NoReturn

import array_api_compat as compat

from axisoft import _backends

REDUCTIONS = ("none", "sum", "mean")


def arrays(function: str, **named: Any) -> tuple[Any, list[Any]]:
    """The namespace that all the arrays share, and the arrays in order; ``None`` stands for one left out."""
    first = next(iter(named))
    spaces = {}
    for name, a in named.items():
        if a is not None or name == first:
            spaces[name] = _namespace(function, name, a)
    xp = spaces[first]
    if len(spaces) == 1:
        _real(function, first, named[first], xp)
        return xp, list(named.values())
    if len(set(spaces.values())) > 1:
        named, xp = _one_library(function, named, spaces)
    for name in spaces:
        _real(function, name, named[name], xp)
    _one_device(function, {name: _backends.device(named[name], xp) for name in spaces})
    return xp, list(named.values())


def _namespace(function: str, name: str, a: Any) -> Any:
    try:
        xp = compat.array_namespace(a)
    except TypeError:
        # Not a sentence of its own per kind of thing: the type says what it is, and the way out is the same.
        what = "None" if a is None else f"a {type(a).__name__}"
        hint = f"convert it first, for example with numpy.asarray({name})"
        raise TypeError(f"{function}: {name} is {what}, not an array; {hint}.") from None
    if type(a).__name__ == "MaskedArray":
        hint = f"pass {name}.data, and where=~{name}.mask to the functions that take a mask"
        raise TypeError(f"{function}: {name} is a numpy MaskedArray, whose mask would be lost; {hint}.")
    return xp


def _one_library(function: str, named: dict[str, Any], spaces: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """NumPy arrays beside JAX arrays become JAX arrays, as JAX itself has it; any other mixture is an error."""
    kinds = {name: _backends.name_of(xp) for name, xp in spaces.items()}
    if set(kinds.values()) == {"numpy", "jax"}:
        xp = next(xp for name, xp in spaces.items() if kinds[name] == "jax")
        return {name: xp.asarray(a) if kinds.get(name) == "numpy" else a for name, a in named.items()}, xp
    (first, kind), *others = kinds.items()
    name, other = next((n, k) for n, k in others if spaces[n] is not spaces[first])
    raise TypeError(
        f"{function}: {first} is a {kind} array and {name} a {other} array; "
        "convert one of them, so that both come from the same library."
    )


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
        raise TypeError(f"{function}: {name} has dtype {a.dtype}, which does not hold numbers; {hint}.")


@lru_cache(maxsize=None)
def kind_of(xp: Any, dtype: Any) -> str:
    """``"floating"``, ``"integer"``, ``"bool"``, ``"complex"`` or ``"other"``."""
    try:
        for kind in ("real floating", "integral", "bool"):
            if xp.isdtype(dtype, kind):
                return {"real floating": "floating", "integral": "integer", "bool": "bool"}[kind]
        return "complex" if xp.isdtype(dtype, "complex floating") else "other"
    except TypeError:  # numpy knows nothing of dtypes that other packages add to it
        return "floating" if str(dtype) == "bfloat16" else "other"


@lru_cache(maxsize=None)
def _compute(xp: Any, dtype: Any) -> tuple[Any, Any]:
    """The dtype a floating dtype is computed in, and the dtype itself in the machine's byte order."""
    if str(dtype) == "bfloat16" or xp.finfo(dtype).bits < 32:
        return xp.float32, dtype if not hasattr(dtype, "newbyteorder") else dtype.newbyteorder("=")
    native = dtype.newbyteorder("=") if hasattr(dtype, "newbyteorder") else dtype
    return native, native


def dtypes(function: str, xp: Any, x: Any, dtype: Any, *, loss: bool = False) -> tuple[Any, Any, Any]:
    """x cast to ``dtype`` if that is given, the dtype to compute in, and the dtype of the result."""
    if dtype is not None:
        dtype = getattr(xp, dtype, dtype) if isinstance(dtype, str) else dtype
        try:
            kind = kind_of(xp, dtype)
        except TypeError:  # not hashable, so no dtype of any library
            kind = "other"
        if kind != "floating":
            hint = "pass a real floating dtype of the same library as the array, for example float32, or None"
            raise TypeError(f"{function}: dtype is {dtype!r}, not a real floating dtype; {hint}.")
        x = xp.astype(x, dtype, copy=False)
    if kind_of(xp, x.dtype) == "floating":
        compute, out = _compute(xp, x.dtype)
    else:
        compute = out = xp.__array_namespace_info__().default_dtypes()["real floating"]
    return x, compute, compute if loss else out


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


def cast(a: Any, dtype: Any, xp: Any) -> Any:
    """A weight or a soft target in the dtype that the call computes in."""
    return None if a is None else xp.astype(a, dtype, copy=False)


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
    fits = len(given) <= len(shape) and all(
        n in (1, m) for n, m in zip(reversed(given), reversed(shape), strict=False)
    )
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
    probabilities = _targets(function, targets, x, axis, reduced, xp, name, soft)
    _class_weight(function, weight, x, axis, name)
    if sample_weight is not None:
        broadcasts(function, "sample_weight", sample_weight, reduced, f"the losses with shape {reduced}")
    reduction(function, how)
    ignore_index = integer(function, "ignore_index", ignore_index)
    x, compute, out = dtypes(function, xp, x, dtype, loss=True)
    if probabilities:
        if ignore_index is not None:
            hint = "give the samples to leave out a sample_weight of 0"
            raise ValueError(f"{function}: ignore_index is {ignore_index}, but targets are probabilities; {hint}.")
        targets = cast(targets, compute, xp)
    else:
        targets, ignore_index = indices(function, targets, x.shape[axis], ignore_index, xp)
    weighted = probabilities or ignore_index is not None or weight is not None or sample_weight is not None
    arrays = (x, targets, cast(weight, compute, xp), cast(sample_weight, compute, xp))
    static = {"xp": xp, "dtype": compute, "out": out, "reduction": how, "weighted": weighted}
    return arrays, {**static, "axis": axis, "ignore_index": ignore_index}


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


def indices(function: str, targets: Any, count: int, ignore_index: int | None, xp: Any) -> tuple[Any, int | None]:
    """Class indices in the library's index dtype, checked where their values can be read without waiting.

    An index that does not fit that dtype turns negative, which no class is; so with an unsigned dtype a negative
    ``ignore_index`` can name nothing, and is left out rather than compared with.
    """
    if ignore_index is not None and ignore_index < 0 and xp.isdtype(targets.dtype, "unsigned integer"):
        ignore_index = None
    original = targets
    wide = xp.__array_namespace_info__().default_dtypes()["indexing"]
    targets = xp.astype(targets, wide, copy=False)
    if math.prod(targets.shape) and _backends.readable(targets, xp):
        bad = (targets < 0) | (targets >= count)
        if ignore_index is not None:
            bad = bad & (targets != ignore_index)
        if bool(xp.any(bad)):
            _bad_class(function, original, bad, count, ignore_index, xp)
    return targets, ignore_index


def _bad_class(function: str, targets: Any, bad: Any, count: int, ignore_index: int | None, xp: Any) -> NoReturn:
    flat = int(xp.argmax(xp.astype(xp.reshape(bad, (-1,)), xp.int32)))
    position = []
    for n in reversed(targets.shape):
        flat, i = divmod(flat, n)
        position.append(i)
    at = tuple(reversed(position))
    value = int(targets[at])
    ignored = "set ignore_index to leave samples out" if ignore_index is None else f"ignore_index is {ignore_index}"
    hint = f"class indices are in [0, {count}), and {ignored}"
    raise IndexError(f"{function}: targets holds class {value} at {at}, but there are {count} classes; {hint}.")


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
    if value not in REDUCTIONS:
        raise ValueError(f'{function}: reduction is {value!r}; use "none", "sum" or "mean".')


def number(function: str, name: str, value: Any, *, below: float = math.inf) -> float:
    """A number from 0 to below ``below``."""
    bounds = f"[0, {below:g})"
    try:
        result = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{function}: {name} is {value!r}, not a number; use a number in {bounds}.") from None
    if not 0 <= result < below:
        raise ValueError(f"{function}: {name} is {value}; use a number in {bounds}.")
    return result


def integer(function: str, name: str, value: Any) -> int | None:
    if value is None:
        return None
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{function}: {name} is {value!r}, not an integer; use an int or None.") from None


def _shape(x: Any) -> tuple[int, ...]:
    return tuple(x.shape)
