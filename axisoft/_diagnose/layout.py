"""What the shapes and dtypes say: which axis the targets fit, and as what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from axisoft import _check
from axisoft._diagnose.report import Finding
from axisoft._diagnose.subject import Subject, all_of, any_of, dtype_name, first, fits, without

BINARY = "binary_cross_entropy_with_logits"


def over_classes(s: Subject) -> tuple[str | None, list[Finding]]:
    """What the targets of a loss with a class axis are read as, and what is wrong with their shape and dtype.

    "indices" or "probabilities" of classes; "labels" of 0 and 1; None for targets that are not there or do not fit.
    """
    assert s.axis is not None
    count = s.shape[s.axis]
    if count == 0:
        seen = f"axis {s.axis} of {s.name} with shape {s.shape} has length 0, so there are no classes."
        return None, [Finding("no-classes", seen, "Name the class axis with axis=.")]
    found = [_one_class(s)] if count == 1 else []
    if s.targets is None:
        return None, found
    shape = tuple(s.targets.shape)
    floating = _check.kind_of(s.xp, s.targets.dtype) == "floating"
    if count == 1 and shape in (s.shape, without(s.shape, s.axis)):
        return "labels", found
    if shape == s.shape:
        reading, more = _in_the_shape_of_logits(s, floating)
    elif shape == without(s.shape, s.axis):
        reading, more = _in_the_shape_of_slices(s, floating)
    else:
        reading, more = None, [_elsewhere(s, shape, floating)]
    return reading, found + more


def _one_class(s: Subject) -> Finding:
    assert s.axis is not None
    seen = (
        f"the class axis {s.axis} of {s.name} with shape {s.shape} has length 1: softmax is 1 for whatever number is "
        "there, cross_entropy is 0, and its gradient too."
    )
    others = [i for i, n in enumerate(s.shape) if n > 1]
    if s.targets is not None and tuple(s.targets.shape) == without(s.shape, s.axis):
        one_score = f"use {BINARY} on the logits in the shape {tuple(s.targets.shape)} of the targets"
    else:
        one_score = f"use sigmoid and {BINARY}"
    if others:
        one_score += f"; if the classes lie along another axis, name it with axis= (longer ones: {_listed(others)})"
    return Finding("axis-of-length-1", seen, f"For one score a sample, {one_score}.")


def _in_the_shape_of_slices(s: Subject, floating: bool) -> tuple[str | None, list[Finding]]:
    kind = _check.kind_of(s.xp, s.targets.dtype)
    if floating:
        return None, [_indices_dtype(s)]
    found = [_indices_dtype(s)] if kind == "bool" else []
    others = [i for i in _axes_of_indices(s) if i != s.axis]
    if others and len(s.shape) > 2:
        seen = (
            f"class indices with shape {tuple(s.targets.shape)} fit axis {s.axis} of {s.name} with shape {s.shape}, "
            f"and {_axes(others)} as well: no error would tell if the wrong one were taken."
        )
        found.append(Finding("ambiguous-axis", seen, f"Make sure that the classes lie along axis {s.axis}."))
    return "indices", found


def _indices_dtype(s: Subject) -> Finding:
    t, shape = s.targets, tuple(s.targets.shape)
    name = s.formats["targets"].name if "targets" in s.formats else dtype_name(t.dtype)
    dtype, advice = f"dtype {name}", "Convert them to an integer dtype."
    if shape == s.shape:
        seen = f"nll_loss takes class indices, and the targets with shape {shape} and {dtype} are probabilities."
        advice = f"Use cross_entropy on the logits, or argmax(targets, axis={s.axis})."
    elif _check.kind_of(s.xp, t.dtype) == "bool" or all_of(t == s.xp.floor(t), s.xp):
        seen = f"the targets with shape {shape} are class indices of {dtype}; {s.loss} takes integers."
    else:
        place = first(t != s.xp.floor(t), s.xp)
        seen = (
            f"the targets with shape {shape} have the shape of class indices and {dtype}, and not all are whole "
            f"numbers: {float(t[place]):.6g} at {place}."
        )
        advice = f"Class probabilities need shape {s.shape}, class indices an integer dtype."
    return Finding("indices-dtype", seen, advice)


def _in_the_shape_of_logits(s: Subject, floating: bool) -> tuple[str | None, list[Finding]]:
    if floating:
        return ("probabilities", []) if s.loss == "cross_entropy" else (None, [_indices_dtype(s)])
    xp, t, what = (
        s.xp,
        s.targets,
        f"targets of dtype {dtype_name(s.targets.dtype)} in the shape {s.shape} of the {s.name}",
    )
    t = t if _check.kind_of(xp, t.dtype) != "bool" else xp.astype(t, xp.int32)
    if any_of((t != 0) & (t != 1), xp):
        return "labels", []
    ones = [i for i, n in enumerate(s.shape) if n > 1 and all_of(_sum(t, i, xp) == 1, xp)]
    argmax = f"give {s.loss} argmax(targets, axis={{}})"
    if s.loss == "cross_entropy":
        argmax += " or the targets in a floating dtype"
    if s.axis in ones:
        seen = f"{what} are one-hot along axis {s.axis}; {s.loss} takes class indices in the shape of the slices."
        advice = f"If just one class is right, {argmax.format(s.axis)}; if each is a yes or no, use {BINARY}."
        return None, [Finding("one-hot-integers", seen, advice)]
    if ones:
        seen = f"{what} are one-hot along {_axes(ones)}, not along the class axis {s.axis}."
        there = f"If the classes lie there, {argmax.format(ones[0])}, with axis={ones[0]}"
        advice = f"{there}; if each is a yes or no, use {BINARY}."
        return None, [Finding("another-axis", seen, advice)]
    seen = f"{what} are all 0 or 1, and no axis has just one 1 in each slice: labels of yes and no."
    if single := [i for i, n in enumerate(s.shape) if n == 1]:
        seen += f" Axis {single[0]} has length 1, as that of a single channel has."
    advice = f"Use {BINARY}, which takes them as they are, and sigmoid rather than softmax."
    return None, [Finding("binary-labels", seen, advice)]


def _sum(t: Any, axis: int, xp: Any) -> Any:
    return xp.sum(xp.astype(t, xp.int32), axis=axis)


def _elsewhere(s: Subject, shape: tuple[int, ...], floating: bool) -> Finding:
    """Targets in the shape of neither the logits nor their slices."""
    what = f"the targets with shape {shape}"
    axes = _axes_of_indices(s)
    wide = [i for i in axes if s.shape[i] > 1]
    integer = " in an integer dtype" if _check.kind_of(s.xp, s.targets.dtype) != "integer" else ""
    if wide:
        seen = f"{what} fit {_axes(wide)} of {s.name} with shape {s.shape} as class indices, not axis {s.axis}."
        advice = " or ".join(f"axis={i} for {s.shape[i]} classes" for i in wide)
        return Finding("another-axis", seen, f"Give {advice}{', and the targets' + integer if integer else ''}.")
    if axes:
        seen = (
            f"{what} fit {s.name} with shape {s.shape} only along {_axes(axes)}, of length 1: one score a place, of "
            "which softmax would be 1."
        )
        advice = f"Use sigmoid and {BINARY} on the logits in the shape {shape}; for several classes, widen that axis."
        return Finding("single-channel", seen, advice)
    kept = [i for i, n in enumerate(s.shape) if n > 1 and shape == (*s.shape[:i], 1, *s.shape[i + 1 :])]
    if kept:
        (i,) = kept
        seen = f"{what} keep axis {i} of {s.name} with shape {s.shape}, with length 1."
        named = "" if i == s.axis else f", and the class axis as axis={i}"
        return Finding("kept-axis", seen, f"Give class indices in the shape {without(shape, i)}{integer}{named}.")
    for i in range(len(s.shape)):
        rest = without(s.shape, i)
        for j in range(len(s.shape)):
            if i != j and shape == (*rest[:j], s.shape[i], *rest[j:]):
                seen = f"{what} are {s.name} with shape {s.shape} whose axis {i} has become axis {j}."
                wanted = "" if floating or s.loss != "cross_entropy" else ", and for probabilities a floating dtype"
                advice = f"Move that axis of the targets back, or choose one layout for both{wanted}."
                return Finding("moved-axis", seen, advice)
    if _check.kind_of(s.xp, s.logits.dtype) != "floating" and any(
        s.shape == without(shape, i) for i in range(len(shape))
    ):
        seen = (
            f"{s.name} are of dtype {dtype_name(s.logits.dtype)} with shape {s.shape}, and {what} have one axis more."
        )
        return Finding("swapped-arguments", seen, f"Give the {s.name} first and the targets second.")
    seen = f"{what} fit {s.name} with shape {s.shape} neither as class indices, along any axis, nor as probabilities."
    assert s.axis is not None
    soft = f", class probabilities shape {s.shape}" if s.loss == "cross_entropy" else ""
    advice = f"Class indices along axis {s.axis} need shape {without(s.shape, s.axis)}{soft}."
    return Finding("targets-shape", seen, advice)


def binary(s: Subject) -> tuple[str | None, list[Finding]]:
    """As ``over_classes``, of binary cross-entropy."""
    if s.targets is None:
        return None, []
    shape = tuple(s.targets.shape)
    if shape == s.shape:
        return "labels", []
    what = f"the targets with shape {shape}"
    axes = [i for i in _axes_of_indices(s) if s.shape[i] > 1]
    if axes and _check.kind_of(s.xp, s.targets.dtype) == "integer":
        seen = f"{what} are integers and fit {_axes(axes)} of logits with shape {s.shape} as class indices."
        named = " or ".join(f"axis={i}" for i in axes)
        advice = f"If just one class is right, use cross_entropy with {named}; else give one label a logit."
        return None, [Finding("class-indices", seen, advice)]
    if [n for n in shape if n != 1] == [n for n in s.shape if n != 1]:
        seen = f"{what} and logits with shape {s.shape} differ in axes of length 1"
        both = tuple(max(n, m) for n, m in zip(_led(shape, len(s.shape)), _led(s.shape, len(shape)), strict=True))
        if both not in (shape, s.shape):
            seen += f", and would broadcast to {both} where no shape is checked"
        return None, [Finding("kept-axis", f"{seen}.", f"Give the targets shape {s.shape}.")]
    seen = f"{what} and logits with shape {s.shape} differ; binary cross-entropy has one label a logit."
    return None, [Finding("targets-shape", seen, f"Give the targets shape {s.shape}.")]


def _led(shape: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    """With as many axes of length 1 in front as broadcasting adds."""
    return (1,) * (ndim - len(shape)) + shape


def weights(s: Subject) -> Iterator[Finding]:
    """Weights of another shape; they are left out then."""
    slices = s.shape if s.axis is None else without(s.shape, s.axis)
    if s.weight is not None and s.axis is not None and tuple(s.weight.shape) != (s.shape[s.axis],):
        seen = f"weight with shape {tuple(s.weight.shape)} is not one number for each of {s.shape[s.axis]} classes"
        axes = [i for i, n in enumerate(s.shape) if tuple(s.weight.shape) == (n,)]
        hint = f", but fits {_axes(axes)}" if axes else ""
        advice = f"Give it shape ({s.shape[s.axis]},), or name the class axis with axis=."
        yield Finding("weight-shape", f"{seen} along axis {s.axis}{hint}.", advice)
        s.weight = None
    if s.sample_weight is not None and not fits(tuple(s.sample_weight.shape), slices):
        seen = (
            f"sample_weight with shape {tuple(s.sample_weight.shape)} does not broadcast to losses with shape {slices}."
        )
        yield Finding("weight-shape", seen, f"Give it shape {slices}, or axes of length 1 in it.")
        s.sample_weight = None


def _axes_of_indices(s: Subject) -> list[int]:
    """The axes without which the logits have the shape of the targets."""
    shape = tuple(s.targets.shape)
    return [i for i in range(len(s.shape)) if shape == without(s.shape, i)]


def _axes(axes: Sequence[int]) -> str:
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {_listed(axes)}"


def _listed(numbers: Sequence[int]) -> str:
    *most, last = map(str, numbers)
    return f"{', '.join(most)} and {last}" if most else last
