"""The call that is diagnosed, and how its arrays are asked."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from axisoft import _check
from axisoft._core import stable


@dataclass
class Subject:
    """A call of a loss, its arguments checked but for what is to be explained.

    x : the logits in the dtype that they are computed in.
    formats : of the arrays of floats as they are given, by name; a library may read them in a wider dtype.
    axis : not negative; None for a loss without a class axis.
    """

    xp: Any
    loss: str
    axis: int | None
    logits: Any
    x: Any
    targets: Any = None
    weight: Any = None
    sample_weight: Any = None
    where: Any = None
    ignore_index: int | None = None
    label_smoothing: float = 0.0
    formats: dict[str, Format] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.logits.shape)

    @property
    def is_floating(self) -> bool:
        return "logits" in self.formats

    @property
    def format(self) -> Format:
        """That of the logits as they are given; for integers, of the dtype they become."""
        return self.formats.get("logits") or format_of(self.x.dtype, self.xp)

    @property
    def name(self) -> str:
        """What the first array is called."""
        return "log_probs" if self.loss == "nll_loss" else "logits"


def described(loss: str, axis: int | None, arrays: dict[str, Any], numbers: dict[str, Any]) -> str:
    """A call in words: the arrays and the numbers that are given."""
    said = [loss if axis is None else f"{loss} along axis {axis}"]
    for name, a in arrays.items():
        if a is not None:
            first = "log_probs" if name == "logits" and loss == "nll_loss" else name
            said.append(f"{dtype_name(a.dtype)} {first} of shape {tuple(a.shape)}")
    return ", ".join(said + [f"{name}={value}" for name, value in numbers.items() if value is not None])


def dtype_name(dtype: Any) -> str:
    return str(dtype).rsplit(".", 1)[-1]


def without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return shape[:axis] + shape[axis + 1 :]


def fits(shape: tuple[int, ...], onto: tuple[int, ...]) -> bool:
    """Whether an array broadcasts to ``onto`` without making it larger."""
    pairs = zip(reversed(shape), reversed(onto), strict=False)
    return len(shape) <= len(onto) and all(n in (1, m) for n, m in pairs)


def size(shape: tuple[int, ...], axes: tuple[int, ...]) -> int:
    return math.prod(shape[i] for i in axes)


classes: Callable[[Any, int | None, Any], Any] = stable.classes
along: Callable[[Any, int | None], tuple[int, ...]] = stable.along

# Formats --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Format:
    """What a floating dtype can tell apart."""

    name: str
    bits: int
    eps: float
    smallest: float
    largest: float


def format_of(dtype: Any, xp: Any) -> Format:
    name = dtype_name(dtype)
    if name == "bfloat16":  # NumPy knows nothing of it
        return Format(name, 16, 2.0**-7, 2.0**-126, 2.0**128 * (1 - 2.0**-8))
    info = xp.finfo(dtype)
    return Format(name, int(info.bits), float(info.eps), float(info.smallest_normal), float(info.max))


def slack(f: Format, count: int) -> float:
    """How far from 1 the sum of probabilities may be that were rounded to a format.

    Half-precision ones are made in float32 and rounded once. What is made in float32 may have become float64 since, and
    some libraries add in sequence. Each of ``count`` terms may be off by the spacing of subnormal numbers.
    """
    of_sum = 2 * f.eps if f.bits < 32 else 64 * 2.0**-23
    return of_sum + count * f.eps * f.smallest


# Questions ------------------------------------------------------------------------------------------------------------


def count(mask: Any, xp: Any) -> int:
    return int(xp.sum(xp.astype(mask, xp.int32)))  # the sum has the default integer dtype


def all_of(mask: Any, xp: Any) -> bool:
    return bool(xp.all(mask))


def any_of(mask: Any, xp: Any) -> bool:
    return bool(xp.any(mask))


def first(mask: Any, xp: Any) -> tuple[int, ...]:
    """The index of the first True, in the order of the last axis first."""
    flat = int(xp.argmax(xp.astype(xp.reshape(mask, (-1,)), xp.int32)))
    place = []
    for n in reversed(mask.shape):
        flat, i = divmod(flat, n)
        place.append(i)
    return tuple(reversed(place))


def every(a: Any, xp: Any) -> Any:
    """A mask in the shape of ``a``, True throughout."""
    return xp.ones_like(a, dtype=xp.bool)


def put(mask: Any, a: Any, other: float, xp: Any) -> Any:
    """An array of floats where the mask is True, a number elsewhere."""
    return xp.where(mask, a, other)


def bounds(a: Any, mask: Any, xp: Any) -> tuple[Any, Any]:
    """The smallest and the largest element of ``a`` where the mask, True somewhere, is True."""
    own = a[first(mask, xp)]
    held = xp.where(mask, a, own)
    number = float if _check.kind_of(xp, a.dtype) == "floating" else int
    return number(xp.min(held)), number(xp.max(held))


def of(n: int, total: int, noun: str) -> str:
    """``3 of 12 slices``, ``all 12 slices``."""
    if n == total:
        return f"the one {noun}" if n == 1 else f"all {n} {noun}s"
    return f"{n} of {total} {noun}s"


def at(place: tuple[int, ...] | None) -> str:
    """Nothing for no place, and for the one place of an array without axes."""
    return f", first at {place}" if place else ""
