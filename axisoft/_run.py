"""The way from a checked call to its result: find who runs this namespace's arrays, and hand over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from axisoft import _backends, _core
from axisoft._backends import plain


class Call(NamedTuple):
    """A call whose arguments are checked: an op, its arrays, their namespace, and the options."""

    op: _core.Op
    arrays: tuple[Any, ...]
    xp: Any
    static: dict[str, Any]


class _Planning(threading.local):
    """Whether ``run`` hands back the call instead of running it, in this thread. torch.compile can read this."""

    on = False


_planning = _Planning()


def run(op: str, arrays: tuple[Any, ...], *, xp: Any, **static: Any) -> Any:
    """The result of one op on arrays of one namespace."""
    if _planning.on:
        return Call(_core.NAMED[op], arrays, xp, static)
    executor = _backends.executor(xp)
    evaluate = (plain if executor is None else executor).evaluate
    return evaluate(_core.NAMED[op], arrays, xp=xp, **static)


def plan(fun: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """The call that a public function comes down to, its arguments checked; anything else from any other function."""
    _planning.on = True
    try:
        return fun(*args, **kwargs)
    finally:
        _planning.on = False


def pullback(call: Call, wanted: Sequence[bool]) -> tuple[Any, Callable[[Any], list[Any]]]:
    """The call's result, and the function from its cotangent (None for ones) to those of the wanted arrays."""
    op, arrays, xp, static = call
    executor = _backends.executor(xp)
    if hasattr(executor, "vjp"):
        return _by_library(executor, call, wanted)
    ours = executor if hasattr(executor, "pullback") else plain
    result: tuple[Any, Callable[[Any], list[Any]]] = ours.pullback(op, arrays, wanted, xp=xp, **static)
    return result


def _by_library(executor: Any, call: Call, wanted: Sequence[bool]) -> tuple[Any, Callable[[Any], list[Any]]]:
    """A library that differentiates by itself does so, so that its other transformations go through as well."""
    op, arrays, xp, static = call
    places = [i for i, want in enumerate(wanted) if want]

    def fun(*varying: Any) -> Any:
        every = list(arrays)
        for i, a in zip(places, varying, strict=True):
            every[i] = a
        return executor.evaluate(op, tuple(every), xp=xp, **static)

    vjp = executor.vjp
    if op is _core.LINEAR_CROSS_ENTROPY and hasattr(executor, "vjp_of_layer"):
        vjp = executor.vjp_of_layer
    out, pull = vjp(fun, *(arrays[i] for i in places)) if places else (fun(), None)

    def spread(g: Any) -> list[Any]:
        found: list[Any] = [None] * len(arrays)
        if pull is not None:
            cotangents = pull(xp.ones_like(out) if g is None else xp.astype(g, out.dtype, copy=False))
            for i, cotangent in zip(places, cotangents, strict=True):
                found[i] = cotangent
        return found

    return out, spread
