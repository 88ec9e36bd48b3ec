"""What the targets hold: classes, ignored values, labels, probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from axisoft import _check
from axisoft._check.classes import _wrapped as wrapped
from axisoft._diagnose.report import Finding
from axisoft._diagnose.subject import (
    Subject,
    all_of,
    along,
    any_of,
    at,
    bounds,
    classes,
    count,
    dtype_name,
    every,
    first,
    of,
    put,
    slack,
)

# What other tools write where there is no class: image formats, PyTorch's default, and the usual "none".
IGNORED = (255, -100, -1)
# As many absent classes are named.
NAMED = 10


@dataclass(frozen=True)
class Classes:
    """The classes of targets that fit the logits.

    held : boolean, in the shape of the logits: whether the target is of this class. Nothing is where it is ignored.
    index, certain : in the shape of the slices: the class, where the target is of one class and no other.
    ignored : boolean, in the shape of the slices.
    """

    held: Any
    index: Any
    certain: Any
    ignored: Any

    @classmethod
    def of_indices(cls, s: Subject) -> Classes:
        """An index that does not fit the library's index dtype is negative in it, as it is in the losses."""
        xp, index = s.xp, wide(s.targets, s.xp)
        ignored = index != index
        if s.ignore_index is not None and _holds(s.targets.dtype, s.ignore_index, xp):
            ignored = index == wrapped(s.ignore_index, index.dtype, xp)
        held = classes(s.x, s.axis, xp) == xp.expand_dims(index, axis=s.axis)
        held = held & ~xp.expand_dims(ignored, axis=s.axis)
        return cls(held, index, xp.any(held, axis=s.axis), ignored)

    @classmethod
    def of_probabilities(cls, s: Subject) -> Classes:
        xp, t = s.xp, numbers(s.targets, s.xp)
        ones = xp.sum(xp.astype(t == 1, xp.int32), axis=s.axis)
        certain = (ones == 1) & xp.all((t == 0) | (t == 1), axis=s.axis)
        return cls(t > 0, xp.argmax(xp.astype(t == 1, xp.int32), axis=s.axis), certain, ones < 0)


def _holds(dtype: Any, value: int, xp: Any) -> bool:
    """Whether a dtype can hold a number: an ignore_index that the targets cannot hold names none of them."""
    if _check.kind_of(xp, dtype) == "bool":
        return value in (0, 1)
    info = xp.iinfo(dtype)
    return bool(info.min <= value <= info.max)


def wide(t: Any, xp: Any) -> Any:
    """Integers or booleans in the library's index dtype."""
    return t if t.dtype == xp.int64 else xp.astype(t, xp.__array_namespace_info__().default_dtypes()["indexing"])


def numbers(t: Any, xp: Any) -> Any:
    """Targets in a dtype to compare and sum in."""
    if _check.kind_of(xp, t.dtype) != "floating":
        return wide(t, xp)
    return xp.astype(t, _check.dtypes("diagnose", xp, t, None)["dtype"], copy=False)


def nonzero(a: Any, xp: Any) -> Any:
    return a if _check.kind_of(xp, a.dtype) == "bool" else a != 0


def counted(s: Subject, c: Classes | None) -> Any:
    """Which samples have weight: a mask in the shape of the slices."""
    xp = s.xp
    kept = xp.all(every(s.x, xp), axis=s.axis)
    if c is not None:
        kept = kept & ~c.ignored
        if s.weight is not None:
            heavy = xp.reshape(nonzero(s.weight, xp), along(s.x, s.axis))
            kept = kept & (xp.any(c.held & heavy, axis=s.axis) | ~xp.any(c.held, axis=s.axis))
    if s.sample_weight is not None:
        kept = kept & xp.broadcast_to(nonzero(s.sample_weight, xp), kept.shape)
    return kept


def indices(s: Subject, c: Classes) -> Iterator[Finding]:
    """Values that are no classes, and an ignore_index that is one."""
    xp, t, n = s.xp, c.index, s.shape[s.axis or 0]
    total = count(t == t, xp)
    if s.ignore_index is not None and 0 <= s.ignore_index < n:
        left_out = count(c.ignored, xp)
        where = first(c.ignored, xp) if left_out else None
        seen = (
            f"ignore_index={s.ignore_index} is one of the {n} classes, so what is of that class is left out: "
            f"{of(left_out, total, 'target')}{at(where)}."
        )
        advice = "Mark what has no label by a number outside of the classes, unless that class is to be left out."
        yield Finding("ignore-index-is-a-class", seen, advice, left_out, where)
    bad = ((t < 0) | (t >= n)) & ~c.ignored
    if not total or not any_of(bad, xp):
        return
    if _is_mask(c, n, xp):
        yield _mask(t == 255, s)
        return
    for value in _ignored_values(s.targets.dtype, xp):
        here = bad & (t == wrapped(value, t.dtype, xp))
        many = count(here, xp)
        if many:
            yield _not_ignored(s, value, here, many, total)
            bad = bad & ~here
    many = count(bad, xp)
    if not many:
        return
    place = first(bad, xp)
    there = "the 1 class" if n == 1 else f"the {n} classes"
    seen = f"in {of(many, total, 'target')} the index is none of {there}{at(place)}: {int(s.targets[place])}."
    advice = f"Class indices are in [0, {n}); look at the axis, the number of classes and the table of labels."
    low, high = bounds(t, ~c.ignored, xp)
    if (low, high) == (1, n):
        advice = f"They run from 1 to {n}: subtract 1 if classes are counted from 1, else add a class."
    yield Finding("class-out-of-range", seen, advice, many, place)


def _is_mask(c: Classes, n: int, xp: Any) -> bool:
    """Whether all indices are 0 or 255, which is no class of n, or ignored."""
    t = c.index
    return n <= 255 and any_of((t == 255) & ~c.ignored, xp) and all_of((t == 0) | (t == 255) | c.ignored, xp)


def _not_ignored(s: Subject, value: int, here: Any, many: int, total: int) -> Finding:
    place = first(here, s.xp)
    n, now = s.shape[s.axis or 0], "no ignore_index is given"
    if s.ignore_index is not None:
        now = f"ignore_index is {s.ignore_index}"
    seen = f"{value} in {of(many, total, 'target')}{at(place)}: it is none of the {n} classes, and {now}."
    if value not in IGNORED:
        meant = value - 2 ** s.xp.iinfo(s.targets.dtype).bits
        seen += f" {value} is what {meant} becomes in {dtype_name(s.targets.dtype)}."
    advice = f"Give ignore_index={value} if it marks what has no label."
    return Finding("not-ignored", seen, advice, many, place)


def _ignored_values(dtype: Any, xp: Any) -> list[int]:
    values = list(IGNORED)
    if _check.kind_of(xp, dtype) == "integer":
        info = xp.iinfo(dtype)
        if info.min == 0:
            values = [255] + [2**info.bits + v for v in IGNORED[1:] if 2**info.bits + v != 255]
    return values


def occurring(s: Subject, c: Classes, kept: Any) -> Iterator[Finding]:
    """Classes of which no sample is that counts; nothing of fewer samples than classes, which cannot have them all."""
    xp, axis, n = s.xp, s.axis or 0, s.shape[s.axis or 0]
    total, samples = count(kept, xp), count(kept == kept, xp)
    if samples and not total:
        seen = (
            f"none of {samples} samples counts, each is ignored or has weight 0: the mean loss and its gradient are 0."
        )
        yield Finding("nothing-counted", seen, "Look at ignore_index, the weights and what the targets hold.", samples)
    if total < n or _is_mask(c, n, xp):
        return
    others = tuple(i for i in range(len(s.shape)) if i != axis)
    seen_here = xp.any(c.held & xp.expand_dims(kept, axis=axis), axis=others)
    absent = ~seen_here
    if s.ignore_index is not None and 0 <= s.ignore_index < n:
        absent = absent & (xp.reshape(classes(s.x, axis, xp), (-1,)) != s.ignore_index)
    many = count(absent, xp)
    if not many:
        return
    names = []
    rest = absent
    for _ in range(min(many, NAMED)):
        (i,) = first(rest, xp)
        names.append(str(i))
        rest = rest & (xp.reshape(classes(s.x, axis, xp), (-1,)) != i)
    more = ", ..." if many > NAMED else ""
    seen = f"{many} of {n} classes without a sample among {total}: {', '.join(names)}{more}."
    advice = "Look at the table of labels and the number of classes, unless these samples happen to have none of them."
    yield Finding("class-absent", seen, advice, many, (int(names[0]),))


def probabilities(s: Subject, kept: Any) -> Iterator[Finding]:
    """Probabilities that are none, or that are normalised along another axis."""
    xp, axis, t = s.xp, s.axis or 0, numbers(s.targets, s.xp)
    if s.ignore_index is not None:
        seen = f"ignore_index is {s.ignore_index}, and the targets are probabilities, of which none is an index."
        advice = "Leave it out, and give the samples to leave out a sample_weight of 0."
        yield Finding("ignore-index-of-probabilities", seen, advice)
    kept = xp.broadcast_to(xp.expand_dims(kept, axis=axis), s.shape)
    if not any_of(kept, xp):
        return
    found = list(label_values(s, t, kept, "class probabilities"))
    yield from found
    if found:
        return
    held = put(kept, t, 0.0, xp)
    f = s.formats["targets"]

    def one(a: Any, i: int) -> Any:
        return xp.abs(xp.sum(a, axis=i) - 1.0) <= slack(f, s.shape[i])

    rows = xp.any(kept, axis=axis)
    wrong = rows & ~one(held, axis)
    many = count(wrong, xp)
    if not many:
        return
    others = []
    if all_of((t >= 0) & (t <= 1), xp):
        others = [i for i, n in enumerate(s.shape) if n > 1 and i != axis and all_of(one(t, i), xp)]
    if others:
        seen = f"the targets sum to 1 along axis {others[0]}, not along the class axis {axis}."
        yield Finding("another-axis", seen, f"Give axis={others[0]} if the classes lie there.")
        return
    place = first(wrong, xp)
    low, high = bounds(xp.sum(held, axis=axis), wrong, xp)
    seen = (
        f"along the class axis {axis} the targets do not sum to 1 in {of(many, count(rows, xp), 'slice')}{at(place)}, "
        f"but to {_range(low, high)}."
    )
    advice = (
        "Normalise them along the class axis; if each class is a yes or no of its own, use "
        "binary_cross_entropy_with_logits."
    )
    yield Finding("targets-sum", seen, advice, many, place)


def of_one_class(s: Subject) -> Iterator[Finding]:
    """Targets that are no class indices: labels of one class, or integers in the shape of the logits."""
    t = numbers(s.targets, s.xp)
    one = s.shape[s.axis or 0] == 1 and s.ignore_index is not None
    yield from label_values(s, t, t != s.ignore_index if one else every(t, s.xp))


def label_values(s: Subject, t: Any, kept: Any, what: str = "labels") -> Iterator[Finding]:
    """Labels that are not in [0, 1]. ``t`` : as ``numbers`` makes them; those not kept are left out."""
    xp = s.xp
    total = count(kept, xp)
    if _check.kind_of(xp, t.dtype) == "floating":
        nan = kept & xp.isnan(t)
        many = count(nan, xp)
        if many:
            place = first(nan, xp)
            seen = f"NaN in {of(many, total, 'target')}{at(place)}: their loss is NaN."
            yield Finding("targets-nan", seen, "Look at what made them; give them a sample_weight of 0.", many, place)
            kept = kept & ~nan
    bad = kept & ((t < 0) | (t > 1))
    many = count(bad, xp)
    if not many:
        return
    if all_of((t == 0) | (t == 255) | ~kept, xp):
        yield _mask(kept & (t == 255), s)
        return
    place = first(bad, xp)
    low, high = bounds(t, kept, xp)
    seen = (
        f"{what} are in [0, 1], and {of(many, total, 'target')} not{at(place)}: {_value(t, place, xp)}, of "
        f"{_range(low, high)} in all."
    )
    if _check.kind_of(xp, s.targets.dtype) == "floating":
        advice = "A loss of them has no lower bound; scale them, or look at what made them."
    else:
        advice = "Class indices have the shape of the logits without the class axis; labels are 0 and 1."
    yield Finding("labels-outside-0-1", seen, advice, many, place)


def _mask(here: Any, s: Subject) -> Finding:
    xp = s.xp
    many, place = count(here, xp), first(here, xp)
    what = "0 and 255" if any_of(s.targets == 0, xp) else "255"
    share = of(many, count(here == here, xp), "target")
    seen = f"the targets hold {what} and nothing else{'' if what == '255' else f', 255 in {share}'}{at(place)}."
    advice = (
        "If 255 stands for yes, as in the image of a mask, give targets == 255, as integers for classes and in any "
        "real dtype for binary labels; if it marks what has no label, give "
    )
    advice += "those a sample_weight of 0." if s.axis is None else "ignore_index=255."
    return Finding("labels-0-255", seen, advice, many, place)


def _value(t: Any, place: tuple[int, ...], xp: Any) -> str:
    """One element, whole numbers in full."""
    return f"{float(t[place]):.6g}" if _check.kind_of(xp, t.dtype) == "floating" else str(int(t[place]))


def _range(low: Any, high: Any) -> str:
    return f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g}"


def other_axes(shape: tuple[int, ...], axis: int) -> Iterator[tuple[int, ...]]:
    """Every other axis, then every pair and so on, of those longer than 1."""
    wider = [i for i, n in enumerate(shape) if n > 1]
    for many in range(1, len(wider) + 1):
        yield from (axes for axes in combinations(wider, many) if axes != (axis,))


def along_axes(axes: tuple[int, ...]) -> str:
    return f"axis {axes[0]}" if len(axes) == 1 else f"the axes {axes} together"


def weight_values(s: Subject) -> Iterator[Finding]:
    xp = s.xp
    for name, a in (("weight", s.weight), ("sample_weight", s.sample_weight)):
        if a is None or _check.kind_of(xp, a.dtype) == "bool":
            continue
        bad = a < 0
        if _check.kind_of(xp, a.dtype) == "floating":
            bad = bad | ~xp.isfinite(a)
        many = count(bad, xp)
        if many:
            place = first(bad, xp)
            seen = f"{many} negative, infinite or NaN in {name}{at(place)}: {float(a[place]):.6g}."
            advice = "A negative weight rewards what is wrong, and a mean divides by the sum of the weights."
            yield Finding("weight-values", seen, advice, many, place)


def reach(s: Subject, c: Classes, kept: Any, visible: Any) -> Iterator[Finding]:
    """Targets whose loss is +inf."""
    xp, axis = s.xp, s.axis or 0
    total = count(kept, xp)
    seen_there = xp.any(visible, axis=axis)
    hidden = kept & seen_there & xp.any(c.held & ~visible, axis=axis)
    many = count(hidden, xp)
    if many:
        place = first(hidden, xp)
        seen = f"where hides the target of {of(many, total, 'sample')}{at(place)}: that loss is +inf, its gradient 0."
        yield Finding(
            "target-hidden", seen, "Give these samples a sample_weight of 0, or let their class through.", many, place
        )
    lowest = visible & (s.x == -float("inf"))
    lost = kept & xp.any(c.held & lowest, axis=axis)
    many = count(lost, xp)
    if many:
        place = first(lost, xp)
        what = "logit" if s.name == "logits" else "log-probability"
        seen = f"the {what} of the target is -inf in {of(many, total, 'sample')}{at(place)}: that loss is +inf."
        advice = "Leave these samples out, or do not mask their class."
        yield Finding("target-at-minus-inf", seen, advice, many, place)
    smoothed = kept & xp.any(lowest, axis=axis)
    many = count(smoothed, xp) if s.label_smoothing else 0
    if many:
        place = first(smoothed, xp)
        seen = (
            f"label_smoothing={s.label_smoothing:g} gives each class a share, in {of(many, total, 'sample')} one at "
            f"-inf too{at(place)}: that loss is +inf."
        )
        advice = "Hide these classes with where=, which label smoothing leaves out, and not with -inf."
        yield Finding("smoothing-at-minus-inf", seen, advice, many, place)
