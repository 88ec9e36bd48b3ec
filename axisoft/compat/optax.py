"""The losses of Optax over arrays of any library: one loss per sample, in nats, in the dtype of the logits.

A Python number becomes an array of the library of the other arrays in the call, or of NumPy if there is none; lists are
a TypeError, as in Optax.
"""

from __future__ import annotations

from typing import Any, overload

import axisoft
from axisoft import _check
from axisoft._check import facades
from axisoft._typing import Array, ArrayT, Axes, FromNumPy
from axisoft.compat import _shared
from axisoft.compat._facade import facade

__all__ = [
    "safe_softmax_cross_entropy",
    "sigmoid_binary_cross_entropy",
    "softmax_cross_entropy",
    "softmax_cross_entropy_with_integer_labels",
]

# axisoft's names, and a way out that Optax does not have, by the names and the way out here.
NAMES = {"targets": "labels", "set ignore_index to leave samples out": "give where to leave samples out"}


@overload
def softmax_cross_entropy(
    logits: FromNumPy | float, labels: Array | float, axis: Axes = -1, where: Array | None = None
) -> Any: ...
@overload
def softmax_cross_entropy(
    logits: ArrayT, labels: Array | float, axis: Axes = -1, where: Array | None = None
) -> ArrayT: ...
@facade(NAMES)
def softmax_cross_entropy(logits: Any, labels: Any, axis: Axes = -1, where: Array | None = None) -> Any:
    """Cross-entropy between class probabilities and the softmax of the logits: ``-sum(labels * log_softmax(logits))``.

    Parameters
    ----------
    logits : array of any shape and library, with scores along the axes.
    labels : probabilities of any real dtype, not negative; they and the logits broadcast together, but for the class
        axes of the logits.
    axis : the class axes: int, tuple of ints, or None for all.
    where : boolean array, in the shape of the losses or one that broadcasts to the logits. What it hides takes no part,
        and neither do its labels.

    Returns
    -------
    array like logits, without the class axes.

    Raises
    ------
    TypeError : an argument is no array, a dtype does not fit, or the arrays are of two libraries.
    ValueError : the shapes do not broadcast, or the axis is out of bounds.

    Notes
    -----
    :func:`axisoft.cross_entropy`. A label of 0 at a logit of -inf adds 0. A row whose labels are all 0, that is hidden
    entirely or that has no classes gives 0 and has gradient 0.
    """
    name = "softmax_cross_entropy"
    logits, labels, where = _shared.with_numbers(logits, labels, where)
    xp, (x, t, where) = _check.arrays(name, logits=logits, targets=labels, where=where)
    axes = _check.axes(name, axis, x, "logits")
    shape = _shared.common_shape(name, logits=x.shape, labels=t.shape)
    extra = len(shape) - len(x.shape)
    if any(shape[a + extra] != x.shape[a] for a in axes):
        raise facades.more_labels(name, t, x)
    mask = _mask(name, xp, x, where, axes)
    axes = tuple(a + extra for a in axes)
    floats, out = _shared.promoted(name, xp, x)
    t = _shared.axes_last(xp, xp.broadcast_to(xp.astype(t, floats.dtype, copy=False), shape), axes)
    x = _shared.axes_last(xp, xp.broadcast_to(x, shape), axes)
    if mask is not None:
        mask = _shared.axes_last(xp, xp.broadcast_to(mask, shape), axes)
        t = xp.where(mask, t, 0.0)
    if _check.lengths(x)[-1] == 0:
        return _shared.finish(xp, xp.sum(x, axis=-1), tuple(x.shape[:-1]), out)
    loss = axisoft.cross_entropy(x, t, where=mask, reduction="none")
    return _shared.finish(xp, loss, tuple(loss.shape), out)


@overload
def softmax_cross_entropy_with_integer_labels(
    logits: FromNumPy | float, labels: Array | float, axis: int | tuple[int, ...] = -1, where: Array | None = None
) -> Any: ...
@overload
def softmax_cross_entropy_with_integer_labels(
    logits: ArrayT, labels: Array | float, axis: int | tuple[int, ...] = -1, where: Array | None = None
) -> ArrayT: ...
@facade(NAMES)
def softmax_cross_entropy_with_integer_labels(
    logits: Any, labels: Any, axis: int | tuple[int, ...] = -1, where: Array | None = None
) -> Any:
    """Cross-entropy between classes and the softmax of the logits: ``logsumexp(logits) - logits[label]``.

    Parameters
    ----------
    logits : array of any shape and library, with scores along the axes.
    labels : classes, of any integer dtype; they and the logits broadcast together, but for the class axes. With several
        of these, a class is its place in the elements of the axes, the last of them running fastest.
    axis : the class axes: int or tuple of ints.
    where : boolean array, in the shape of the losses or one that broadcasts to the logits. What it hides takes no part.

    Returns
    -------
    array like logits, without the class axes.

    Raises
    ------
    TypeError, ValueError : as for :func:`softmax_cross_entropy`; labels must be integers.
    IndexError : a class is outside of [0, C), negative ones included, and values can be read; NaN elsewhere.

    Notes
    -----
    :func:`axisoft.cross_entropy`. A label that ``where`` hides costs +inf. A row that is hidden entirely gives 0 and
    has gradient 0, whatever its label.
    """
    name = "softmax_cross_entropy_with_integer_labels"
    logits, labels, where = _shared.with_numbers(logits, labels, where)
    xp, (x, t, where) = _check.arrays(name, logits=logits, targets=labels, where=where)
    if axis is None:
        raise facades.no_class_axis(name)
    if _check.kind_of(xp, t.dtype) != "integer":
        raise facades.labels_are_no_classes(name, t)
    axes = _check.axes(name, axis, x, "logits")
    mask = _mask(name, xp, x, where, axes)
    out = _check.dtypes(name, xp, x, None)["out"]
    if mask is not None:
        mask = _shared.axes_last(xp, xp.broadcast_to(mask, x.shape), axes)
    x = _shared.axes_last(xp, x, axes)
    shape = _shared.common_shape(name, **{"logits without class axes": x.shape[:-1], "labels": t.shape})
    x, t = xp.broadcast_to(x, (*shape, x.shape[-1])), xp.broadcast_to(t, shape)
    weight = None
    if mask is not None:
        mask = xp.broadcast_to(mask, x.shape)
        some = xp.any(mask, axis=-1)
        t, weight = xp.where(some, t, xp.zeros_like(t)), some
    loss = axisoft.cross_entropy(x, t, where=mask, sample_weight=weight, reduction="none")
    return _shared.finish(xp, loss, tuple(loss.shape), out)


@overload
def safe_softmax_cross_entropy(logits: FromNumPy | float, labels: Array | float) -> Any: ...
@overload
def safe_softmax_cross_entropy(logits: ArrayT, labels: Array | float) -> ArrayT: ...
@facade(NAMES)
def safe_softmax_cross_entropy(logits: Any, labels: Any) -> Any:
    """:func:`softmax_cross_entropy` along the last axis; a label of 0 at a logit of -inf adds 0 in both."""
    return softmax_cross_entropy(logits, labels)


@overload
def sigmoid_binary_cross_entropy(logits: FromNumPy | float, labels: Array | float) -> Any: ...
@overload
def sigmoid_binary_cross_entropy(logits: ArrayT, labels: Array | float) -> ArrayT: ...
@facade(NAMES)
def sigmoid_binary_cross_entropy(logits: Any, labels: Any) -> Any:
    """Binary cross-entropy between labels and the sigmoid of the logits, per element.

    Parameters
    ----------
    logits : array of any shape and library.
    labels : from 0 to 1, of any real dtype, in a shape that broadcasts to that of the logits.

    Returns
    -------
    array like logits.

    Raises
    ------
    TypeError : an argument is no array, a dtype is not real, or the arrays are of two libraries.
    ValueError : labels do not broadcast to the logits; (4, 1) logits and (4,) labels are not one (4, 4) loss.

    Notes
    -----
    :func:`axisoft.binary_cross_entropy_with_logits`. An infinite logit that agrees with its label costs 0.
    """
    name = "sigmoid_binary_cross_entropy"
    logits, labels = _shared.with_numbers(logits, labels)
    xp, (x, t) = _check.arrays(name, logits=logits, targets=labels)
    shape = tuple(x.shape)
    _check.broadcasts(name, "labels", t, shape, f"logits with shape {shape}")
    t = xp.broadcast_to(t, shape)
    loss = axisoft.binary_cross_entropy_with_logits(x, t, reduction="none")
    return _shared.finish(xp, loss, shape, _check.dtypes(name, xp, x, None)["out"])


def _mask(name: str, xp: Any, x: Any, where: Any, axes: tuple[int, ...]) -> Any:
    """The mask with the axes of the logits: one with fewer has those of the losses, as in Optax."""
    if where is None:
        return None
    if len(where.shape) == len(x.shape) - len(axes) and axes:
        for a in sorted(axes):
            where = xp.expand_dims(where, axis=a)
    _check.mask(name, where, x, xp, "logits")
    return where
