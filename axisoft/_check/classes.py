"""Losses over classes: targets, indices and weights."""

from __future__ import annotations

import math
import operator
from typing import Any

from axisoft import _backends
from axisoft._check.arrays import FORMS, arrays
from axisoft._check.axes import axis_of, broadcasts, mask, packed, same_shape
from axisoft._check.dtypes import dtypes, kind_of
from axisoft._check.foreign import library_of, ragged_axis
from axisoft._check.lengths import agree, lengths
from axisoft._check.options import integer, number, reduction
from axisoft._check.parts import parts
from axisoft._check.plain import PLAIN, keep


def over_classes(
    function: str,
    name: str,
    x: Any,
    targets: Any,
    axis: Any,
    how: Any,
    more: tuple[Any, ...],
    across: Any = None,
    **options: Any,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arrays of a loss over classes and its options, checked.

    ``more`` is weight, sample_weight, ignore_index and, where probabilities may be targets, where and dtype.
    """
    key = None
    if across is None and type(axis) is int and type(how) is str and _left_out(more, options):
        form, other = FORMS.find(type(x)), FORMS.find(type(targets))
        one = type(x), getattr(x, "dtype", None), getattr(x, "ndim", None), axis, form and form(x)
        key = (*one, function, type(targets), getattr(targets, "dtype", None), how, other and other(targets))
        known = PLAIN.find(key)
        if known is not None and _fit(function, x, targets, known):
            return (x, targets, None, None, None) if len(more) > 3 else (x, targets, None, None), known
    given = x, targets
    weight, sample_weight, ignore_index, where, dtype = (*more, None, None)[:5]
    xp, (x, targets, weight, sample_weight, where) = arrays(
        function, **{name: x}, targets=targets, weight=weight, sample_weight=sample_weight, where=where
    )
    axis = axis_of(function, axis, x, name)
    mask(function, where, x, xp, name)
    options = {n: number(function, n, value, below=_BELOW[n]) for n, value in options.items()}
    shared = parts(function, across, xp)
    found, static = classification(
        function, name, xp, x, targets, axis, weight, sample_weight, ignore_index, how, dtype, len(more) > 3, shared
    )
    static |= options
    if across is not None:
        static["across"] = across
    if found[0] is given[0] and found[1] is given[1]:  # neither cast nor adopted from another library
        keep(key, static, x)
    return (*found, where) if len(more) > 3 else found, static


def _left_out(more: tuple[Any, ...], options: dict[str, Any]) -> bool:
    """Whether nothing but the arrays is given."""
    for a in more:
        if a is not None:
            return False
    for value in options.values():  # noqa: SIM110
        if type(value) is not float or value != 0.0:
            return False
    return True


_BELOW = {"label_smoothing": 1.0, "z_loss": math.inf}


def _fit(function: str, x: Any, targets: Any, static: dict[str, Any]) -> bool:
    """Whether class indices fit the logits, as to values, shapes and devices, in a call like one that was checked."""
    shape, axis, xp = lengths(x), static["axis"], static["xp"]
    count = shape[axis]
    if count == 0 or not agree(lengths(targets), (*shape[:axis], *shape[axis + 1 :])):
        return False
    seen, known = _backends.read(targets, xp)
    if known is not static["checked"] or not _backends.on_one_device(x, targets, xp):
        return False
    if seen is not None:
        _check_classes(seen, (), function, count, None)
    return True


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
    soft: bool,
    shared: int = 1,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arrays of a loss over classes and its options, checked and cast.

    ``soft`` : probabilities may be targets. ``shared`` : how many parts like x the class axis has.
    """
    shape = lengths(x)
    reduced = (*shape[:axis], *shape[axis + 1 :])
    probabilities, checked = _targets(function, targets, x, axis, reduced, xp, name, soft), False
    _class_weight(function, weight, x, axis, name)
    if sample_weight is not None:
        broadcasts(function, "sample_weight", sample_weight, reduced, f"the losses with shape {reduced}")
    reduction(function, how)
    packed(function, name, x, probabilities and how == "none")
    ignore_index = integer(function, "ignore_index", ignore_index)
    if probabilities:
        if ignore_index is not None:
            hint = "give the samples to leave out a sample_weight of 0"
            raise ValueError(f"{function}: ignore_index is {ignore_index}, but targets are probabilities; {hint}.")
    else:
        count = shape[axis] if shared == 1 else shape[axis] * shared  # which may be None
        targets, ignore_index, checked = indices(function, targets, count, ignore_index, xp)
    weighted = probabilities or ignore_index is not None or weight is not None or sample_weight is not None
    static = {"xp": xp, **dtypes(function, xp, x, dtype, loss=True), "floats": (1, 2, 3) if probabilities else (2, 3)}
    static |= {"reduction": how, "weighted": weighted, "axis": axis, "ignore_index": ignore_index}
    static["checked"] = checked
    return (x, targets, weight, sample_weight), static


def _targets(
    function: str, targets: Any, x: Any, axis: int, reduced: tuple[int, ...], xp: Any, name: str, soft: bool
) -> bool:
    """Whether the targets are probabilities rather than class indices."""
    if lengths(x)[axis] == 0:
        hint = "give that axis at least one class"
        raise ValueError(f"{function}: {name} with shape {lengths(x)} has no classes along axis {axis}; {hint}.")
    kind = kind_of(xp, targets.dtype)
    given, shape = lengths(targets), lengths(x)
    said = f"do not fit {name} with shape {shape}"
    if kind == "floating" and soft:
        if not agree(given, shape):
            hint = f"class probabilities need shape {shape}, class indices an integer dtype and shape {reduced}"
            what = f"targets with shape {given} and dtype {targets.dtype}"
            raise ValueError(f"{function}: {what} {said}; {hint}.")
        return True
    if kind != "integer":
        hint = "class indices need an integer dtype" + (", class probabilities a floating one" if soft else "")
        raise TypeError(f"{function}: targets has dtype {targets.dtype}; {hint}.")
    if agree(given, shape):
        index = "targets.long()" if str(targets.dtype) in _UNORDERED else "targets"
        hint = f"pass {library_of(xp)}.argmax({index}, axis={axis})" + (", or a floating dtype" if soft else "")
        what = f"targets with shape {given} and dtype {targets.dtype} are as large as {name}, as one-hot classes are"
        raise ValueError(f"{function}: {what}; {hint}.")
    if not agree(given, reduced):
        hint = f"class indices need shape {reduced}"
        other = next((i for i in range(len(shape)) if agree(given, (*shape[:i], *shape[i + 1 :]))), None)
        if other is not None:
            hint += f", or choose the class axis with axis={other}"
        raise ValueError(f"{function}: targets with shape {given} {said} and class axis {axis}; {hint}.")
    return False


def indices(function: str, targets: Any, count: int, ignore_index: int | None, xp: Any) -> tuple[Any, int | None, bool]:
    """Class indices in the library's index dtype, what ``ignore_index`` is in it, and whether they were checked.

    They are wherever values can be read; a lazy library reads them later, and no formula relies on it.

    No index wraps into a class: those that do not fit the index dtype turn negative there. An ``ignore_index`` that the
    targets' own dtype cannot hold names nothing and is left out.
    """
    if ignore_index is not None:
        info = xp.iinfo(targets.dtype)
        if not info.min <= ignore_index <= info.max:
            ignore_index = None
    seen, checked = _backends.read(targets, xp)
    if seen is not None:
        _check_classes(seen, (), function, count, ignore_index)
    else:
        targets = _backends.looked_at(targets, _check_classes, (function, count, ignore_index), xp)
    if targets.dtype == xp.int64:  # the widest, so the index dtype of a library that has it
        return targets, ignore_index, checked
    wide = xp.__array_namespace_info__().default_dtypes()["indexing"]
    return xp.astype(targets, wide, copy=False), _wrapped(ignore_index, wide, xp), checked


def _wrapped(value: int | None, dtype: Any, xp: Any) -> int | None:
    info = xp.iinfo(dtype)
    return value if value is None or value <= info.max else value - 2**info.bits


# Up to this many class indices are looked at as a list: less than a microsecond, where two reductions take four.
FEW = 64
# PyTorch has neither order nor minimum of these. As int64, what does not fit turns negative, and so is no class either.
_UNORDERED = ("torch.uint16", "torch.uint32", "torch.uint64")


def _are_classes(targets: Any, count: int, xp: Any) -> bool:
    """Whether the smallest and the largest index, and so all of them, are in [0, count)."""
    if 0 in targets.shape:
        return True
    if math.prod(targets.shape) > FEW or not hasattr(targets, "tolist"):
        if str(targets.dtype) in _UNORDERED:
            targets = xp.astype(targets, xp.int64)
        # As Python's numbers: a narrow dtype need not hold the count that it is compared with.
        return int(xp.min(targets)) >= 0 and int(xp.max(targets)) < count
    found = (targets if len(targets.shape) == 1 else xp.reshape(targets, (-1,))).tolist()
    return bool(min(found) >= 0 and max(found) < count)


def _outside(targets: Any, count: int, ignore_index: int | None = None) -> tuple[int, tuple[int, ...]] | None:
    """The first index outside [0, count) that is not ignored, and its place; None if there is none."""
    xp = _backends.namespace(targets)
    if _are_classes(targets, count, xp):
        return None
    wide = targets if targets.dtype == xp.int64 else xp.astype(targets, xp.int64)
    bad = (wide < 0) | (wide >= count)
    if ignore_index is not None:
        bad = bad & (wide != _wrapped(ignore_index, xp.int64, xp))
    if not bool(xp.any(bad)):
        return None
    flat = int(xp.argmax(xp.astype(xp.reshape(bad, (-1,)), xp.int32)))
    position = []
    for n in reversed(targets.shape):
        flat, i = divmod(flat, n)
        position.append(i)
    at = tuple(reversed(position))
    value = int(wide[at])
    wrapped = value < 0 and "uint" in str(targets.dtype)
    return value + 2**64 if wrapped else value, at


def _check_classes(targets: Any, first: tuple[int, ...], function: str, count: int, ignore_index: int | None) -> None:
    """``first`` : where the targets begin, if they are a block of what was given."""
    found = _outside(targets, count, ignore_index)
    if found is None:
        return
    value, at = found
    at = tuple(map(operator.add, first, at)) if first else at
    ignored = "set ignore_index to leave samples out" if ignore_index is None else f"ignore_index is {ignore_index}"
    hint = f"class indices are in [0, {count}), and {ignored}"
    there = "is 1 class" if count == 1 else f"are {count} classes"
    raise IndexError(f"{function}: targets holds class {value} at {at}, but there {there}; {hint}.")


def over_labels(
    function: str, logits: Any, targets: Any, pos_weight: Any, sample_weight: Any, how: Any, dtype: Any
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arrays of a loss of labels and its options, checked."""
    key: tuple[Any, ...] | None = None
    given = logits, targets, pos_weight, sample_weight
    if pos_weight is sample_weight is dtype and type(how) is str and type(targets) is type(logits):
        form = FORMS.find(type(logits))
        forms = form and (form(logits), form(targets))
        key = function, how, type(logits), getattr(logits, "dtype", None), getattr(targets, "dtype", None), forms
        known = PLAIN.find(key)
        same = known is not None and lengths(logits) == lengths(targets)
        if same and _backends.on_one_device(logits, targets, known["xp"]):
            return given, known
    xp, (logits, targets, pos_weight, sample_weight) = arrays(
        function, logits=logits, targets=targets, pos_weight=pos_weight, sample_weight=sample_weight
    )
    labels(function, logits, targets, how, xp)
    shape = lengths(logits)
    for label, a in (("pos_weight", pos_weight), ("sample_weight", sample_weight)):
        if a is not None:
            broadcasts(function, label, a, shape, f"logits with shape {shape}")
    reduction(function, how)
    static = {"xp": xp, "floats": (1, 2, 3), "reduction": how, "weighted": sample_weight is not None}
    static |= dtypes(function, xp, logits, dtype, loss=True)
    # Integer labels are looked at in each call.
    if targets is given[1] and kind_of(xp, targets.dtype) == "floating" and ragged_axis(targets) is None:
        keep(key, static, logits)
    return (logits, targets, pos_weight, sample_weight), static


def labels(function: str, logits: Any, targets: Any, how: Any, xp: Any) -> None:
    """An error for integer labels other than 0 and 1, where values can be read. Others mean what they say."""
    same_shape(function, targets, logits)
    packed(function, "logits", logits, how == "none")
    if kind_of(xp, targets.dtype) != "integer" or ragged_axis(targets) is not None or 0 in lengths(targets):
        return
    seen = _backends.values(targets, xp)
    found = None if seen is None else _outside(seen, 2)
    if found is not None:
        value, at = found
        true = "targets > 0" if value < 0 else "targets != 0"
        hint = f"pass booleans, for example {true}, or labels of a floating dtype if these are meant"
        raise ValueError(f"{function}: targets holds label {value} at {at}, but integer labels are 0 and 1; {hint}.")


def _class_weight(function: str, weight: Any, x: Any, axis: int, name: str) -> None:
    count = lengths(x)[axis]
    if weight is not None and not agree(lengths(weight), (count,)):
        hint = f"give one weight per class, shape ({count},)"
        raise ValueError(
            f"{function}: weight with shape {lengths(weight)} does not fit {name} with shape {lengths(x)} "
            f"and class axis {axis}; {hint}."
        )
