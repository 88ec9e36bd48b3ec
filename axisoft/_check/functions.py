"""What ``vjp`` and ``value_and_grad`` are given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from axisoft._check.arrays import arrays
from axisoft._check.dtypes import kind_of
from axisoft._check.lengths import agree, lengths
from axisoft._check.text import a as _a
from axisoft._check.text import nearest


def own_function(function: str, fun: Any) -> None:
    """An error for what cannot be one of the public functions of arrays: before it is called, which may do anything."""
    module = getattr(fun, "__module__", None) or ""
    if module not in ("axisoft._softmax", "axisoft._sigmoid", "axisoft._losses", "axisoft._linear"):
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


def names(function: str, given: Any, known: Sequence[str]) -> tuple[str, ...]:
    """The names of functions; all that are known unless some are given."""
    if isinstance(given, str):
        hint = f"pass a tuple of names, ({given!r},)"
        raise TypeError(f"{function}: functions is {given!r}, a string by itself; {hint}.")
    for name in given or ():
        if name not in known:
            near = nearest(name, known) if isinstance(name, str) else None
            hint = f"use {near!r}" if near else f"use some of {', '.join(known)}"
            raise ValueError(f"{function}: functions holds {name!r}, which has no golden values; {hint}.")
    return tuple(given or known)


def cotangent(function: str, g: Any, out: Any, name: str) -> Any:
    """The cotangent as an array of the result's library."""
    _, (_, g) = arrays(function, result=out, cotangent=g)
    if not agree(lengths(g), lengths(out)):
        hint = "give it the shape of the result"
        raise ValueError(
            f"{function}: cotangent with shape {lengths(g)} does not fit the result of {name} "
            f"with shape {lengths(out)}; {hint}."
        )
    return g


def differentiable(function: str, name: str, x: Any, xp: Any) -> None:
    if x is None:
        raise TypeError(f"{function}: {name} is None, and only floating arrays have a gradient; pass an array.")
    if kind_of(xp, x.dtype) != "floating":
        hint = "convert it to a floating dtype"
        raise TypeError(f"{function}: {name} has dtype {x.dtype}, and only floating arrays have a gradient; {hint}.")


def places(function: str, argnums: Any, count: int, name: str) -> tuple[int, ...]:
    """Which of ``count`` positional arrays are differentiated along."""
    every = argnums if isinstance(argnums, tuple) else (argnums,)
    hint = "use the place of a positional array, or a tuple of places"
    if not every or not all(isinstance(i, int) and not isinstance(i, bool) for i in every):
        raise TypeError(f"{function}: argnums is {argnums!r}; {hint}.")
    for i in every:
        if not 0 <= i < count or every.count(i) > 1:
            what = f"{name} is called with {count} by position"
            raise ValueError(f"{function}: argnums is {argnums!r}, and {what}; {hint}, each once.")
    return every


def no_axes(function: str, value: Any, name: str) -> None:
    if value.shape != ():
        what = f"the value of {name} has shape {lengths(value)}, and only one without axes has a gradient"
        raise ValueError(f"{function}: {what}; reduce it, or use axisoft.vjp.")
