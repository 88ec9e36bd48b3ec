"""Somebody else's function in the place of axisoft's: how it is called, and how it is differentiated."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import axisoft
from axisoft import _backends, _check
from axisoft._core import OPS
from axisoft.testing.targets import Target


def by_function(implementation: Any, functions: tuple[str, ...] | None) -> dict[str, Callable[..., Any]]:
    """Whose place each implementation takes: a mapping says so, and a function by itself has the one name given."""
    if isinstance(implementation, Mapping):
        names = _check.names("conformance", functions or tuple(implementation), tuple(OPS))
        missing = next((name for name in names if name not in implementation), None)
        if missing is not None:
            hint = "leave it out of functions, or give the mapping a function for it"
            raise ValueError(f"conformance: implementation has nothing for {missing!r}; {hint}.")
        found = {name: implementation[name] for name in names}
    else:
        if functions is None or len(functions) != 1:
            hint = (
                'name the one whose golden values it is judged by, functions=("softmax",), or pass a mapping from names'
            )
            raise ValueError(f"conformance: implementation is one function and functions is {functions!r}; {hint}.")
        found = dict.fromkeys(_check.names("conformance", functions, tuple(OPS)), implementation)
    for name, function in found.items():
        if not callable(function):
            hint = "pass a function of arrays"
            raise TypeError(f"conformance: implementation for {name} is {function!r}, which cannot be called; {hint}.")
    return found


def called_as(name: str, implementation: Callable[..., Any]) -> Callable[..., Any]:
    """The implementation, to be called as axisoft's function of that name is.

    Axis and reduction are always told to a function that takes them, since its own defaults may be others. An option
    that it does not take is left out if that is the default, and is NotImplementedError if not: no case for it.
    """
    parameters = inspect.signature(getattr(axisoft, name)).parameters
    always = {n: parameters[n].default for n in ("axis", "reduction") if n in parameters}
    taken: Mapping[str, inspect.Parameter]
    try:
        taken = inspect.signature(implementation).parameters
    except (TypeError, ValueError):  # a function in C, which does not say
        taken = {}
    every = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in taken.values())

    def call(*arrays: Any, **options: Any) -> Any:
        given = {n: value for n, value in (always | options).items() if every or n in taken}
        for n, value in options.items():
            if n not in given and not (n in always and value == always[n]):
                raise NotImplementedError(f"it takes no {n}")
        return implementation(*arrays, **given)

    return call


def derivative(where: Target) -> Callable[..., Any]:
    """As ``axisoft.vjp``, by the library's own differentiation; NotImplementedError where it has none."""
    library = _backends.executor(where.xp)

    def vjp(fun: Callable[..., Any], x: Any, *others: Any, **options: Any) -> Any:
        if not hasattr(library, "vjp"):
            raise NotImplementedError(f"{where.backend.name} does not differentiate")
        return library.vjp(lambda x: fun(x, *others, **options), x)

    return vjp
