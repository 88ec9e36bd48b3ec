"""Axes, and the shapes that go with them."""

from __future__ import annotations

import operator
from typing import Any

from axisoft._check.arrays import FORMS, arrays
from axisoft._check.dtypes import dtypes, kind_of
from axisoft._check.foreign import ragged_axis
from axisoft._check.lengths import agree, lengths
from axisoft._check.parts import parts
from axisoft._check.plain import PLAIN, keep


def over_axes(
    function: str, x: Any, axis: Any, where: Any, dtype: Any, across: Any
) -> tuple[tuple[Any, Any], dict[str, Any]]:
    """The arrays of a softmax and its options, checked."""
    key = None
    if where is None and dtype is None and across is None and (axis is None or type(axis) is int):
        form = FORMS.find(type(x))
        key = type(x), getattr(x, "dtype", None), getattr(x, "ndim", None), axis, form and form(x)
        found = PLAIN.find(key)
        if found is not None:
            return (x, None), found
    xp, (x, where) = arrays(function, x=x, where=where)
    static = {"axis": axes(function, axis, x)}
    mask(function, where, x, xp)
    static |= {"xp": xp, **dtypes(function, xp, x, dtype)}
    if across is not None:
        parts(function, across, xp)
        static["across"] = across
    keep(key, static, x)
    return (x, where), static


def axes(function: str, axis: Any, x: Any, name: str = "x") -> tuple[int, ...]:
    """``axis`` (an int, a tuple of them or None for all) as non-negative ints."""
    ndim = len(x.shape)
    if axis is None:
        axis = tuple(range(ndim))
    if isinstance(axis, (tuple, list)):
        result = tuple(_one_axis(function, a, axis, x, name, ndim) for a in axis)
        if len(set(result)) != len(result):
            hint = "name each axis once"
            raise ValueError(f"{function}: axis {axis} repeats an axis of {name} with shape {lengths(x)}; {hint}.")
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
        hint = f"use an axis in [-{ndim}, {ndim})"
        if not ndim:
            hint = "use None for an array without axes" if "None" in kinds else "give it a class axis"
        raise ValueError(f"{function}: axis {index} is out of bounds for {name} with shape {lengths(x)}; {hint}.")
    index %= ndim
    ragged = ragged_axis(x)
    if ragged is not None and (index in (0, ragged) or (ragged > 1 and (function != "softmax" or whole is not a))):
        what = f"{name} is a jagged tensor with shape {lengths(x)}, which PyTorch does not reduce along axis {index}"
        raise ValueError(f"{function}: {what}; call {function} on each of {name}.unbind().")
    return index


def mask(function: str, where: Any, x: Any, xp: Any, name: str = "x") -> None:
    if where is None:
        return
    if kind_of(xp, where.dtype) != "bool":
        hint = "pass a boolean array, for example where != 0"
        raise TypeError(f"{function}: where has dtype {where.dtype}, not bool; {hint}.")
    if (ragged_axis(x) is None) is not (ragged_axis(where) is None):
        hint = f"give where the form of {name}, or pass the values() of what is jagged"
        raise ValueError(f"{function}: one of {name} and where is a jagged tensor, and the other is not; {hint}.")
    broadcasts(function, "where", where, lengths(x), f"{name} with shape {lengths(x)}")


def broadcasts(function: str, name: str, a: Any, shape: tuple[int, ...], what: str) -> None:
    """An error unless ``a`` broadcasts to ``shape`` without making it any larger."""
    given = lengths(a)
    pairs = zip(reversed(given), reversed(shape), strict=False)
    fits = len(given) <= len(shape) and all(n == 1 or agree((n,), (m,)) for n, m in pairs)
    if not fits:
        hint = "each of its axes, counted from the last, must be 1 or agree"
        raise ValueError(f"{function}: {name} with shape {given} does not broadcast to {what}; {hint}.")


def packed(function: str, name: str, x: Any, works: bool) -> None:
    """An error for a jagged tensor where PyTorch lacks an operation that the call needs."""
    if not works and ragged_axis(x) is not None:
        hint = f"pass {name}.values() and the values() of the other arrays"
        raise ValueError(f"{function}: {name} is a jagged tensor, which this call does not take; {hint}.")


def same_shape(function: str, targets: Any, logits: Any) -> None:
    if not agree(lengths(targets), lengths(logits)):
        hint = "give one label per logit"
        raise ValueError(
            f"{function}: targets with shape {lengths(targets)} and logits with shape {lengths(logits)} differ; {hint}."
        )


def channels(function: str, x: Any) -> None:
    if len(x.shape) not in (3, 4):
        hint = "give shape (C, H, W) or (N, C, H, W), or use softmax with axis="
        raise ValueError(f"{function}: x with shape {lengths(x)} has no channel axis before height and width; {hint}.")
