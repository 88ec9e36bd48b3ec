"""What the logits hold: numbers that are none, probabilities already, a scale that leaves no gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from axisoft._diagnose.labels import Classes, along_axes, other_axes
from axisoft._diagnose.report import Finding
from axisoft._diagnose.subject import (
    Subject,
    all_of,
    any_of,
    at,
    bounds,
    classes,
    count,
    dtype_name,
    first,
    format_of,
    of,
    put,
    size,
    slack,
)
from axisoft._losses import cross_entropy
from axisoft._softmax import log_softmax, logsumexp

# So many logits are not in [0, 1] by chance: a third of standard normal ones are, all of 16 once in 30 million draws.
ENOUGH = 16
# How likely it may be that so many slices are normalised by chance, each as likely as its sum may be off by rounding:
# one slice is enough in float32, two are in float16, three in bfloat16.
CHANCE = 1e-4
# The spacing of logits that counts as coarse: a probability is then known to one part in 32.
COARSE = 2.0**-5
INF = math.inf


class Slices:
    """The logits of the samples that count, slice by slice.

    visible : boolean, in the shape of the logits: what ``where`` lets through.
    kept : boolean, in the shape of the slices: the samples that count.
    sound : of these, the slices whose softmax is a number: no NaN, no +inf, something above -inf.
    live : in the shape of the logits, what is visible of the sound slices.
    """

    def __init__(self, s: Subject, visible: Any, kept: Any) -> None:
        xp, axis = s.xp, s.axis
        self.visible, self.kept = visible, kept
        self.nan = kept & xp.any(visible & xp.isnan(s.x), axis=axis)
        self.plus = kept & xp.any(visible & (s.x == INF), axis=axis)
        self.seen = xp.any(visible, axis=axis)
        self.empty = kept & self.seen & xp.all(~visible | (s.x == -INF), axis=axis)
        self.sound = kept & self.seen & ~self.nan & ~self.plus & ~self.empty
        self.live = visible & xp.expand_dims(self.sound, axis=axis)
        self.total = count(kept, xp)


def not_numbers(s: Subject, slices: Slices) -> Iterator[Finding]:
    """Slices of which softmax is no number."""
    nan = "softmax and the loss are NaN" if s.loss == "cross_entropy" else "the loss may be so too"
    lost = "softmax and the loss are NaN" if s.loss == "cross_entropy" else "no class has a probability"
    cases = (
        ("logits-nan", slices.nan, "NaN", nan, "Look at what made them"),
        ("logits-plus-inf", slices.plus, "+inf", nan, "Look for an overflow in what made them"),
        ("all-minus-inf", slices.empty, "nothing but -inf", lost, "Mask with where=, of which softmax is 0"),
    )
    for code, mask, what, result, advice in cases:
        many = count(mask, s.xp)
        if many:
            place = first(mask, s.xp)
            seen = f"{what} in {of(many, slices.total, 'slice')}{at(place)}: {result}."
            yield Finding(code, seen, f"{advice}; or give these samples a sample_weight of 0.", many, place)
    hidden = slices.kept & ~slices.seen
    many = count(hidden, s.xp)
    if many:
        place = first(hidden, s.xp)
        seen = f"where hides {of(many, slices.total, 'slice')} entirely{at(place)}: softmax is 0, the loss +inf."
        yield Finding("nothing-visible", seen, "Give these samples a sample_weight of 0.", many, place)


@dataclass(frozen=True)
class _Kind:
    """A way to be normalised.

    inside : where a number may be one of these.
    empty : what stands for no number.
    off : how far from normalised an array is along axes; 0 if it is.
    evident : which slices cannot be so for another reason.
    allowed : how far n of them may be off by rounding.
    """

    inside: Any
    empty: float
    off: Callable[[Any, tuple[int, ...]], Any]
    evident: Callable[[Any, tuple[int, ...]], Any]
    allowed: Callable[[int], float]


def _probability(s: Subject) -> _Kind:
    """A slice of 0 with one 1 in it sums to 1 without a softmax."""
    xp = s.xp
    return _Kind(
        (s.x >= 0) & (s.x <= 1),
        0.0,
        lambda a, axes: xp.sum(a, axis=axes) - 1.0,
        lambda a, axes: xp.any((a > 0) & (a < 1), axis=axes),
        lambda n: slack(s.format, n),
    )


def _logarithm(s: Subject) -> _Kind:
    """The exponentials of a slice less its largest sum to 1 without a softmax where the rest is far below.

    Each logarithm is rounded at its own size, log(n) on average.
    """
    xp = s.xp
    return _Kind(
        s.x <= 0,
        -INF,
        lambda a, axes: logsumexp(a, axis=axes),
        lambda a, axes: (xp.max(a, axis=axes) < 0) & xp.any(a > -INF, axis=axes),
        lambda n: slack(s.format, 0) * (1 + math.log(n)),
    )


def normalised(s: Subject, slices: Slices) -> Iterator[Finding]:
    """Logits that are probabilities or logarithms of them already, along this axis or another."""
    xp, axis, live = s.xp, s.axis or 0, slices.live
    n = count(slices.sound, xp)
    if not n or s.shape[axis] < 2:
        return
    kind = _probability(s)
    if all_of(~live | kind.inside, xp) and any_of(live & (s.x > 0) & (s.x < 1), xp):
        worst, axes = _sums(s, slices, kind)
        seen, least = f"all {count(live, xp)} {s.name} are in [0, 1]", _fewest(s, slices)
        if axes == (axis,) and least > 1:
            yield _probabilities(s, f"{seen}, and {_each(n)} along axis {axis} sums to 1, within {worst:.2g}", least, n)
        elif axes and axes != (axis,):
            yield _elsewhere(s, f"{seen} and sum to 1 along {along_axes(axes)}", axes)
        elif s.loss == "cross_entropy":
            yield from in_unit_interval(s, live, f"the loss cannot fall below {_floor(least):.4g}")
        if axes:
            return
    kind = _logarithm(s)
    if all_of(~live | kind.inside, xp):
        worst, axes = _sums(s, slices, kind)
        if axes and axes != (axis,):
            yield _elsewhere(s, f"the exponentials of the {s.name} sum to 1 along {along_axes(axes)}", axes)
            return
        if axes and s.loss == "cross_entropy":
            seen = f"the exponentials of {_each(n)} along axis {axis} sum to 1, within {worst:.2g}: log-probabilities."
            advice = "Give them to nll_loss; cross_entropy of them is the same, and takes log_softmax once more."
            yield Finding("log-probabilities", seen, advice, n)
    if s.loss == "nll_loss":
        yield from _not_log_probabilities(s, slices, kind)


def _sums(s: Subject, slices: Slices, kind: _Kind) -> tuple[float, tuple[int, ...]]:
    """How far the slices are from being normalised, and the axes along which they are: this one, others or none.

    Along other axes all logits are looked at, those of ignored samples too.
    """
    xp, axis = s.xp, s.axis or 0
    held = put(slices.live, s.x, kind.empty, xp)
    worst = float(xp.max(put(slices.sound, xp.abs(kind.off(held, (axis,))), 0.0, xp)))
    found: tuple[int, ...] = ()
    if worst <= kind.allowed(s.shape[axis]):
        found = (axis,)
    elif s.where is None and all_of(kind.inside, xp):
        held = s.x
        for axes in other_axes(s.shape, axis):
            if all_of(xp.abs(kind.off(held, axes)) <= kind.allowed(size(s.shape, axes)), xp):
                found = axes
                break
    by_chance = kind.allowed(size(s.shape, found)) ** count(kind.evident(held, found), xp) if found else 1.0
    return worst, found if by_chance <= CHANCE else ()


def _fewest(s: Subject, slices: Slices) -> int:
    """The least number of classes that a sound slice has."""
    xp, axis = s.xp, s.axis or 0
    number = xp.sum(xp.astype(slices.live, xp.int32), axis=axis)
    return int(xp.min(xp.where(slices.sound, number, s.shape[axis])))


def _each(n: int) -> str:
    return "the one slice" if n == 1 else f"each of {n} slices"


def _floor(n: int) -> float:
    """The least cross-entropy of n logits that differ by at most 1: ``log(1 + (n - 1) / e)``."""
    return math.log1p((n - 1) / math.e)


def _probabilities(s: Subject, seen: str, least: int, n: int) -> Finding:
    if s.loss == "nll_loss":
        advice = "Give nll_loss their logarithms, best log_softmax of the scores."
        return Finding("probabilities", f"{seen}.", advice, n)
    seen = f"{seen}: softmax of them again, and the loss over {least} classes cannot fall below {_floor(least):.4g}."
    advice = "Give cross_entropy the scores before softmax; or nll_loss the logarithms of these."
    return Finding("probabilities", seen, advice, n)


def _elsewhere(s: Subject, seen: str, axes: tuple[int, ...]) -> Finding:
    advice = "Give the scores before any softmax."
    if len(axes) == 1:
        advice = f"Give the scores before softmax, with axis={axes[0]} if the classes lie where that softmax had them."
    return Finding("normalised-elsewhere", f"{seen}, not along the class axis {s.axis}.", advice)


def in_unit_interval(s: Subject, live: Any, floor: str) -> Iterator[Finding]:
    xp = s.xp
    many = count(live, xp)
    if many >= ENOUGH and any_of(live & (s.x != 0), xp):
        low, high = bounds(s.x, live, xp)
        seen = f"all {many} logits are in [0, 1], from {low:.4g} to {high:.4g}, as the sigmoid's results are: {floor}."
        yield Finding("in-unit-interval", seen, f"Give {s.loss} the scores before any sigmoid.", many)


def _not_log_probabilities(s: Subject, slices: Slices, kind: _Kind) -> Iterator[Finding]:
    xp, axis = s.xp, s.axis or 0
    sums = kind.off(put(slices.live, s.x, kind.empty, xp), (axis,))
    wrong = slices.sound & (xp.abs(sums) > kind.allowed(s.shape[axis]))
    many = count(wrong, xp)
    if many:
        place = first(wrong, xp)
        low, high = bounds(sums, wrong, xp)
        seen = (
            f"the exponentials do not sum to 1 in {of(many, slices.total, 'slice')}{at(place)}: the logarithms of the "
            f"sums are {low:.4g} to {high:.4g}."
        )
        advice = "Give nll_loss the log_softmax of the scores, or the scores themselves to cross_entropy."
        yield Finding("not-log-probabilities", seen, advice, many, place)


def scale(s: Subject, slices: Slices) -> Iterator[Finding]:
    """Logits so far apart that softmax is one-hot, or so large that their dtype tells few of them apart."""
    xp, axis, live = s.xp, s.axis or 0, slices.live
    if s.shape[axis] < 2 or not any_of(slices.sound, xp):
        return
    x = put(live, s.x, -INF, xp)
    largest = xp.max(x, axis=axis, keepdims=True)
    rest = xp.where(classes(x, axis, xp) == xp.argmax(x, axis=axis, keepdims=True), -INF, x)
    second = xp.max(rest, axis=axis, keepdims=True)
    two = slices.sound & xp.squeeze(second > -INF, axis=axis)
    # Half of the distance, which does not overflow.
    gap = put(second > -INF, largest, 0.0, xp) / 2 - put(second > -INF, second, 0.0, xp) / 2
    gap = put(two, xp.squeeze(gap, axis=axis), INF, xp)
    n = count(two, xp)
    eps = format_of(s.x.dtype, xp).eps
    one = two & (-xp.max(log_softmax(put(live, s.x, 0.0, xp), axis=axis, where=live), axis=axis) <= eps / 2)
    many = count(one, xp)
    if 2 * many > n:
        place = first(one, xp)
        median = 2 * float(xp.sort(xp.reshape(gap, (-1,)))[(n - 1) // 2])
        seen = (
            f"in {of(many, n, 'slice')} the largest probability is 1 within rounding of {dtype_name(s.x.dtype)}"
            f"{at(place)}; the median distance from the largest logit to the second is {median:.4g}. The gradient is "
            f"below {eps / 2:.1g} where that class is right."
        )
        advice = "Divide the logits by a temperature, or look at the scale of the inputs and of the last layer."
        yield Finding("saturated", seen, advice, many, place)
    if s.is_floating:
        yield from _coarse(s, slices, largest)


def _coarse(s: Subject, slices: Slices, largest: Any) -> Iterator[Finding]:
    """A common offset above 16 times what the logits of a slice span, so that most of their digits go to it."""
    xp, axis = s.xp, s.axis or 0
    f = s.format
    finite = slices.live & (s.x > -INF)
    high = xp.squeeze(put(largest > -INF, largest, 0.0, xp), axis=axis)
    low = xp.min(put(finite, s.x, INF, xp), axis=axis)
    low = put(slices.sound, low, 0.0, xp)
    offset = xp.where(low > 0, low, xp.where(high < 0, -high, xp.zeros_like(low)))
    coarse = slices.sound & (offset >= COARSE / f.eps) & (offset / 32 > high / 2 - low / 2)
    many = count(coarse, xp)
    if not many:
        return
    place = first(coarse, xp)
    near, spacing = float(offset[place]), f.eps * 2.0 ** (math.frexp(float(offset[place]))[1] - 1)
    span = 2 * (float(high[place]) / 2 - float(low[place]) / 2)
    seen = (
        f"in {of(many, slices.total, 'slice')} the logits are so far from 0 that {f.name} is coarse"
        f"{at(place)}: {near:.4g} and more, where numbers are {spacing:.3g} apart, and the slice spans {span:.4g}."
    )
    advice = (
        "Subtract an offset before the logits are rounded to that dtype, which changes no softmax, or keep them in a "
        "wider one; to mask, use where=."
    )
    yield Finding("coarse-spacing", seen, advice, many, place)


def near_overflow(s: Subject, live: Any) -> Iterator[Finding]:
    """Numbers that the next factor of 2 makes infinite. Far below 0 they may be a mask, and -inf would do as well."""
    xp = s.xp
    f = s.format
    close = live & (s.x > f.largest / 2)
    many = count(close, xp)
    if many:
        place = first(close, xp)
        seen = (
            f"above {f.largest / 2:.5g} in {of(many, count(live, xp), 'logit')}{at(place)}: {float(s.x[place]):.5g}, "
            f"and {f.name} ends at {f.largest:.5g}."
        )
        advice = "Scale the logits down, or make them in a wider dtype."
        yield Finding("near-overflow", seen, advice, many, place)


def dominated(s: Subject, slices: Slices, c: Classes) -> Iterator[Finding]:
    """Losses that are not 0, and would be if the probability were rounded to 1."""
    xp, axis = s.xp, s.axis or 0
    good = c.certain & slices.sound
    if s.shape[axis] < 2 or not any_of(good, xp):
        return
    x, targets = put(slices.live, s.x, 0.0, xp), xp.where(good, c.index, 0)
    losses = cross_entropy(x, targets, axis=axis, where=slices.live, reduction="none")
    eps = format_of(s.x.dtype, xp).eps
    small = good & (losses > 0) & (losses <= eps / 2)
    many = count(small, xp)
    if many:
        place = first(small, xp)
        low, high = bounds(losses, small, xp)
        seen = (
            f"-log(softmax) in {dtype_name(s.x.dtype)} rounds the loss to 0 in {of(many, slices.total, 'sample')}"
            f"{at(place)}: it is {low:.4g}{'' if low == high else f' to {high:.4g}'}."
        )
        advice = (
            "Nothing is to be done with axisoft, which keeps these losses and their gradients; a plain implementation "
            "gives 0 for both, and differs from this one by that."
        )
        yield Finding("dominated", seen, advice, many, place)
