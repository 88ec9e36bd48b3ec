"""Derivatives of what is written around axisoft's functions, for libraries that have none: a tape.

The tape is one more array library. A function runs on its arrays as on any: an op of axisoft goes to the executor of
the library beneath and is pulled back by its own rules; what is computed around it is written down step by step, with
the rule of each step beside its name. A step that has no rule is an error, never a wrong gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

from axisoft import _backends
from axisoft._core.stable import sum_to
from axisoft._run import Call, pullback, run

Pull = Callable[[Any], Any]


class Taped:
    """An array, and the steps that lead to it: pairs of an array before and the function from one cotangent to another.

    Those of each library are a class by themselves, since namespaces are known by the types of arrays.
    """

    space: Any

    def __init__(self, value: Any, steps: Sequence[tuple[Taped, Pull]] = ()) -> None:
        self.value, self.steps = value, steps
        self.shape, self.dtype, self.ndim = tuple(value.shape), value.dtype, len(value.shape)

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return self.space

    @property
    def device(self) -> Any:
        return getattr(self.value, "device", None)

    def __bool__(self) -> bool:
        return bool(self.value)


@lru_cache(maxsize=64)
def of(xp: Any) -> type[Taped]:
    """The class of recorded arrays of a library."""
    space = _Space(xp)
    return type("Taped", (Taped,), {"space": space, **_operators(space)})


class _Space:
    """A library's namespace over recorded arrays, and the executor of the ops on them."""

    def __init__(self, xp: Any) -> None:
        self.xp = xp
        self.__name__ = f"axisoft tape over {getattr(xp, '__name__', repr(xp))}"
        _backends.adopt(self.__name__, self)

    def __getattr__(self, name: str) -> Any:
        beneath = getattr(self.xp, name)
        if isinstance(beneath, type) or not callable(beneath):
            return beneath
        return lambda *args, **kwargs: self.step(name, beneath, args, kwargs)

    def step(self, name: str, beneath: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """One function of the library."""
        bare = [a.value if isinstance(a, Taped) else a for a in args]
        y = beneath(*bare, **{key: a.value if isinstance(a, Taped) else a for key, a in kwargs.items()})
        if not (hasattr(y, "shape") and hasattr(y, "dtype")):
            return y
        varying = [i for i, a in enumerate(args) if isinstance(a, Taped) and a.steps]
        if not varying or not _is_floating(y, self.xp):
            return of(self.xp)(y)
        if name not in RULES:
            raise NotImplementedError(f"axisoft's tape has no rule for {name}")
        return of(self.xp)(y, [(args[i], partial(self.back, RULES[name], y, bare, i, kwargs)) for i in varying])

    def back(self, rule: Any, y: Any, bare: Any, i: int, kwargs: Any, g: Any) -> Any:
        """The cotangent of one argument of a step."""
        return sum_to(rule(g, y, bare, i, self.xp, kwargs), tuple(bare[i].shape), self.xp)  # type: ignore[no-untyped-call]

    # An executor's functions.

    def evaluate(self, op: Any, arrays: Sequence[Any], *, xp: Any, **static: Any) -> Any:
        bare = tuple(None if a is None else a.value for a in arrays)
        varying = [a is not None and bool(a.steps) for a in arrays]
        if not any(varying):
            return of(self.xp)(run(op.name, bare, xp=self.xp, **static))
        y, pull = pullback(Call(op, bare, self.xp, static), varying)
        found: dict[int, list[Any]] = {}

        def one(g: Any, i: int) -> Any:
            if found.get(0) is not None and found[0][0] is g:  # the cotangents of all arrays come at once
                return found[0][1][i]
            found[0] = [g, pull(g)]
            return found[0][1][i]

        steps = [(a, lambda g, i=i: one(g, i)) for i, a in enumerate(arrays) if varying[i]]
        return of(self.xp)(y, steps)

    def values(self, x: Any) -> Any:
        return _backends.values(x.value, self.xp)

    def device(self, x: Any) -> Any:
        return _backends.device(x.value, self.xp)


def _is_floating(y: Any, xp: Any) -> bool:
    return bool(xp.isdtype(y.dtype, "real floating"))


# Each rule: the cotangent of argument i of a step, from that of its result y. What broadcast is summed afterwards.


def _where(g: Any, y: Any, args: Any, i: int, xp: Any, kwargs: Any) -> Any:
    return xp.where(args[0], g, 0.0) if i == 1 else xp.where(args[0], 0.0, g)


def _larger(g: Any, y: Any, args: Any, i: int, xp: Any, kwargs: Any) -> Any:
    """Of maximum and minimum: to the one that is the result, half to each of two that are equal."""
    share = xp.where(args[0] == args[1], 0.5 * g, g)
    return xp.where(args[i] == y, share, 0.0)


def _max(g: Any, y: Any, args: Any, i: int, xp: Any, kwargs: Any) -> Any:
    """The facades' maxima are taken off and put back: their derivatives cancel, so each may be 0."""
    return xp.zeros_like(args[0])


def _sum(g: Any, y: Any, args: Any, i: int, xp: Any, kwargs: Any) -> Any:
    if kwargs.keys() - {"axis"}:
        raise NotImplementedError("axisoft's tape sums along one axis, or over everything")
    if kwargs:
        g = xp.expand_dims(g, axis=kwargs["axis"])
    return xp.broadcast_to(g, args[0].shape)


def _take(g: Any, y: Any, args: Any, i: int, xp: Any, kwargs: Any) -> Any:
    """Along a vector: each element gets the cotangents of the places that took it."""
    index = xp.expand_dims(args[1], axis=0)
    number = xp.expand_dims(xp.arange(args[0].shape[0]), axis=1)
    return xp.sum(xp.where(index == number, xp.expand_dims(g, axis=0), 0.0), axis=1)


def _permuted(g: Any, y: Any, args: Any, i: int, xp: Any, kwargs: Any) -> Any:
    axes = args[1]
    return xp.permute_dims(g, tuple(axes.index(k) for k in range(len(axes))))


def _shaped(g: Any, y: Any, args: Any, i: int, xp: Any, kwargs: Any) -> Any:
    return xp.reshape(g, args[0].shape)


def _quotient(g: Any, y: Any, args: Any, i: int, xp: Any, kwargs: Any) -> Any:
    return g / args[1] if i == 0 else -g * y / args[1]


RULES: dict[str, Callable[..., Any]] = {
    "add": lambda g, y, args, i, xp, kwargs: g,
    "subtract": lambda g, y, args, i, xp, kwargs: g if i == 0 else -g,
    "multiply": lambda g, y, args, i, xp, kwargs: g * args[1 - i],
    "divide": _quotient,
    "negative": lambda g, y, args, i, xp, kwargs: -g,
    "abs": lambda g, y, args, i, xp, kwargs: g * xp.sign(args[0]),
    "log": lambda g, y, args, i, xp, kwargs: g / args[0],
    "expm1": lambda g, y, args, i, xp, kwargs: g * (y + 1.0),
    "where": _where,
    "maximum": _larger,
    "minimum": _larger,
    "max": _max,
    "sum": _sum,
    "take": _take,
    "clip": lambda g, y, args, i, xp, kwargs: xp.where(args[0] == y, g, 0.0),
    "astype": lambda g, y, args, i, xp, kwargs: xp.astype(g, args[0].dtype),
    "broadcast_to": lambda g, y, args, i, xp, kwargs: g,
    "permute_dims": _permuted,
    "reshape": _shaped,
    "squeeze": _shaped,
    "expand_dims": _shaped,
    "zeros_like": lambda g, y, args, i, xp, kwargs: xp.zeros_like(args[0]),
    "ones_like": lambda g, y, args, i, xp, kwargs: xp.zeros_like(args[0]),
}

_BINARY = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "eq": "equal", "ne": "not_equal",
    "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "and": "logical_and", "or": "logical_or",
}  # fmt: skip
_UNARY = {"neg": "negative", "invert": "logical_not", "abs": "abs"}


def _operators(space: _Space) -> dict[str, Any]:
    """The operators of Python by the functions of their names; those of two masks are logical."""
    xp = space.xp

    def binary(name: str, turned: bool) -> Any:
        def call(a: Any, b: Any) -> Any:
            operands = (b, a) if turned else (a, b)
            return space.step(name, lambda p, q: getattr(xp, name)(*_both(p, q, xp)), operands, {})

        return call

    found: dict[str, Any] = {"__hash__": object.__hash__}
    for word, name in _BINARY.items():
        found[f"__{word}__"] = binary(name, False)
        found[f"__r{word}__"] = binary(name, True)
    for word, name in _UNARY.items():
        found[f"__{word}__"] = lambda a, name=name: space.step(name, getattr(xp, name), (a,), {})
    return found


def _both(p: Any, q: Any, xp: Any) -> tuple[Any, Any]:
    """Two arrays, of an array and a number: the functions of older standards take no numbers."""
    if not hasattr(p, "dtype"):
        return xp.asarray(p, dtype=q.dtype), q
    if not hasattr(q, "dtype"):
        return p, xp.asarray(q, dtype=p.dtype)
    return p, q


def vjp(fun: Callable[..., Any], xp: Any, arrays: Sequence[Any], varying: Sequence[bool]) -> tuple[Any, Any]:
    """The value of fun at arrays of one library, and the function from its cotangent to those of the varying ones.

    ``fun`` takes recorded arrays. None comes for what does not vary.
    """
    leaf = of(xp)
    root = leaf(xp.empty(0))
    taped = [leaf(a, [(root, lambda g: g)] if varies else ()) for a, varies in zip(arrays, varying, strict=True)]
    out = fun(*taped)
    if not isinstance(out, Taped):
        return out, None

    def pull(g: Any) -> list[Any]:
        cotangents: dict[int, Any] = {id(out): g}
        for node in _ordered(out):
            g = cotangents.get(id(node))
            for before, back in node.steps if g is not None else ():
                if before is root:
                    continue
                part, known = back(g), cotangents.get(id(before))
                cotangents[id(before)] = part if known is None else known + part
        return [
            None if not varies else _like(cotangents.get(id(a)), a.value, xp)
            for a, varies in zip(taped, varying, strict=True)
        ]

    return out.value, pull


def _like(g: Any, x: Any, xp: Any) -> Any:
    return xp.zeros_like(x) if g is None else xp.astype(xp.reshape(g, x.shape), x.dtype, copy=False)


def _ordered(out: Taped) -> list[Taped]:
    """What leads to a result, each before what leads to it."""
    found: list[Taped] = []
    seen: set[int] = set()
    stack = [(out, False)]
    while stack:
        node, done = stack.pop()
        if done:
            found.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack += [(before, False) for before, _ in node.steps]
    return found[::-1]
