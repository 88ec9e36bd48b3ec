"""What an operation is, and what it promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from axisoft._core.stable import over

Formula = Callable[..., Any]


@dataclass(frozen=True)
class Promise:
    """How far a result may lie from the true value: ``(base + slack) * ulp(scale)``.

    slack : ``None``, ``"distance"`` (of ``x_i`` from ``max x``) or ``"gap"`` (from the largest to the second largest).
    scale : the largest of these sets the spacing: ``"y"`` the result itself, ``"x"`` the largest input, ``"1"``.

    A gradient is a sum of terms, each a cotangent times an entry of the Jacobian, whose signs may differ; its scale is
    ``"terms"``, the sum of their sizes, and its slack ``"distances"``, those of the elements that a term is made of.
    """

    base: int
    slack: str | None = None
    scale: tuple[str, ...] = ("y",)

    def __str__(self) -> str:
        slack = {
            None: f"{self.base}",
            "distance": f"{self.base} + |x - max x|",
            "distances": f"{self.base} + d",
            "gap": f"{self.base} + g",
        }[self.slack]
        if self.scale == ("terms",):
            return f"{slack} ulp of each term"
        names = [{"y": "|y|", "x": "|max x|", "1": "1"}[part] for part in self.scale]
        return f"{slack} ulp" if names == ["|y|"] else f"{slack} ulp of max({', '.join(names)})"


@dataclass(frozen=True, eq=False)
class Op:
    """One operation: its formula and its derivatives in both directions, in Array API code.

    Arrays that a call leaves out are ``None``. ``do(op, *arrays, **static)`` runs another op in such a way that the
    caller's framework can differentiate it again; a rule that needs one calls ``do``, never the formula.

    formula(*arrays, xp, **static) -> y
    jvp(tangents, y, arrays, do, xp, **static) -> tangent of y; a tangent is ``None`` for an array that does not vary.
    vjp(g, y, arrays, wanted, do, xp, **static) -> a cotangent per array, ``None`` where it is not wanted.
    inputs : the names of the arrays, in order. The first decides dtype and library.
    promises : the accuracy of the result, each of them kept; none for an op that only other ops use.
    gradient_promises : that of the derivative along the first array.
    weights : for a loss, the op that gives each sample's weight in a mean; it takes the same arrays and options.
    result : what it has a value for, if it can be had slice by slice of the first array: ``"element"`` or, where the
        option ``axis`` (or, with ``keepdims``, all but its length of 1) is gone, ``"slice"``. ``None`` if it cannot.
    per : what each array has a value for, by broadcasting: ``"element"``, ``"slice"`` or, a vector along the axis,
        ``"class"``. A slice's may have the shape of the first array after all: targets that are probabilities.
    reads : which inputs ``vjp`` reads, and ``"y"`` if it reads the result; all inputs unless told otherwise. The two
        after it say the same by position.
    """

    name: str
    formula: Formula
    jvp: Formula
    vjp: Formula
    inputs: tuple[str, ...]
    promises: tuple[Promise, ...] = ()
    gradient_promises: tuple[Promise, ...] = ()
    weights: Op | None = None
    result: str | None = None
    per: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    reads_inputs: tuple[bool, ...] = field(init=False)
    reads_result: bool = field(init=False)

    def __post_init__(self) -> None:
        if not self.per:
            object.__setattr__(self, "per", ("element",) * len(self.inputs))
        if not self.reads:
            object.__setattr__(self, "reads", self.inputs)
        object.__setattr__(self, "reads_inputs", tuple(name in self.reads for name in self.inputs))
        object.__setattr__(self, "reads_result", "y" in self.reads)

    def __repr__(self) -> str:
        return f"Op({self.name!r})"


def elementwise(name: str, formula: Formula, slope: Formula, promise: Promise, gradient_promise: Promise) -> Op:
    """An op of one array whose derivative at each element is ``slope(x, y, do, xp)``, an array of its own."""

    def jvp(tangents, y, arrays, do, xp):
        return over("multiply", xp, slope(*arrays, y, do, xp), tangents[0])

    def vjp(g, y, arrays, wanted, do, xp):
        return (over("multiply", xp, slope(*arrays, y, do, xp), g),)

    reads = ("x", "y")
    return Op(name, formula, jvp, vjp, ("x",), (promise,), (gradient_promise,), result="element", reads=reads)
