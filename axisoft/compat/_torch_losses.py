"""The losses of ``torch.nn.functional``: PyTorch's reductions around axisoft's losses."""

from __future__ import annotations

import math
import warnings
from typing import Any, overload

import axisoft
from axisoft import _backends, _check
from axisoft._check import facades
from axisoft._run import run
from axisoft._typing import Array, ArrayT, FromNumPy
from axisoft.compat import _shared
from axisoft.compat._facade import facade

# axisoft's names, and a way out that PyTorch does not have, by the names and the way out here.
NAMES = {
    "logits": "input",
    "log_probs": "input",
    "targets": "target",
    "sample_weight": "weight",
    "targets are": "target holds",
    "do not fit": "does not fit",
    "are as large as": "is as large as",
    "the functions that take a mask": "axisoft's own functions",
    "choose the class axis with axis=": "move the class axis to 1 first, for example with moveaxis",
}


@overload
def nll_loss(
    input: FromNumPy,
    target: Array,
    weight: Array | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any: ...
@overload
def nll_loss(
    input: ArrayT,
    target: Array,
    weight: Array | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> ArrayT: ...
@facade(NAMES)
def nll_loss(
    input: ArrayT,
    target: Array,
    weight: Array | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> ArrayT:
    """Negative log-likelihood of the targets, in nats, by :func:`axisoft.nll_loss`.

    Parameters
    ----------
    input : log-probabilities of shape (C,), (N, C) or (N, C, d1, ..., dK).
    target : class indices of any integer dtype, of shape (), (N,) or (N, d1, ..., dK).
    weight, size_average, ignore_index, reduce, reduction : as for :func:`cross_entropy`.

    Returns
    -------
    array like input: a loss per target, or without axes.

    Raises
    ------
    TypeError, ValueError, IndexError : as for :func:`cross_entropy`.
    """
    how = legacy_reduction(size_average, reduce, reduction, 4)
    xp, (x, t, w) = _check.arrays("nll_loss", input=input, targets=target, weight=weight)
    x = _shared.single_under_autocast("nll_loss", xp, x)
    options = {"axis": _class_axis(x), "weight": w, "ignore_index": ignore_index, "reduction": _summed(how)}
    loss = axisoft.nll_loss(x, t, **options)
    weights = _total_weight("nll_loss", xp, x, t, w, ignore_index, loss.dtype) if how == "mean" else None
    return _reduced("nll_loss", xp, x, loss, weights)  # type: ignore[no-any-return]


@overload
def cross_entropy(
    input: FromNumPy,
    target: Array,
    weight: Array | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any: ...
@overload
def cross_entropy(
    input: ArrayT,
    target: Array,
    weight: Array | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> ArrayT: ...
@facade(NAMES)
def cross_entropy(
    input: ArrayT,
    target: Array,
    weight: Array | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> ArrayT:
    """Cross-entropy between targets and the softmax of the logits, in nats, by :func:`axisoft.cross_entropy`.

    Parameters
    ----------
    input : logits of shape (C,), (N, C) or (N, C, d1, ..., dK), of any library.
    target : class indices of any integer dtype, of shape (), (N,) or (N, d1, ..., dK); or class probabilities, not
        negative, of a floating dtype and the shape of input.
    weight : shape (C,), a factor per class.
    size_average, reduce : deprecated; if one is given, they decide the reduction, with a warning.
    ignore_index : targets of this value are left out. Not with probabilities.
    reduction : "none", "sum" or "mean". The mean of class indices is over the sum of the weights of the targets that
        are not ignored; that of probabilities over N * d1 * ... * dK, whatever the weights.
    label_smoothing : from 0 to 1, shared out over the classes.

    Returns
    -------
    array like input: a loss per target, or without axes. The dtype is that of the input; float32 under autocast.

    Raises
    ------
    TypeError : an argument is not an array, a dtype does not fit, or the arrays are of two libraries.
    ValueError : a shape, the reduction or a number does not fit, or ignore_index is a class and targets probabilities.
    IndexError : a class index is outside of [0, C) and not ignore_index; NaN where values cannot be read.

    Notes
    -----
    The mean is NaN, with gradient 0, where nothing is left: all is ignored, or weighs 0, or there are no samples. NaN
    or inf in the row of an ignored sample, or of a class weight of 0, reaches neither the loss nor a gradient.
    """
    name, how = "cross_entropy", legacy_reduction(size_average, reduce, reduction, 4)
    xp, (x, t, w) = _check.arrays(name, input=input, targets=target, weight=weight)
    x = _shared.single_under_autocast(name, xp, x)
    whole = type(label_smoothing) in (int, float) and label_smoothing == 1  # which axisoft's own does not take
    smoothing = 1.0 if whole else _check.number(name, "label_smoothing", label_smoothing, below=1.0)
    axis, soft = _class_axis(x), _check.kind_of(xp, t.dtype) == "floating"
    options: dict[str, Any] = {"axis": axis, "weight": w, "reduction": _summed(how)}
    if not soft:
        options["ignore_index"] = ignore_index
    elif (ignored := _check.integer(name, "ignore_index", ignore_index)) is not None and ignored >= 0:
        raise facades.probabilities_are_not_ignored(name, ignored)
    if smoothing and (smoothing == 1 or soft or not _all_count(xp, w)):
        loss = _smoothed(x, t, smoothing, options)
    else:
        loss = axisoft.cross_entropy(x, t, label_smoothing=smoothing, **options)
    weights: Any = None
    if how == "mean":
        count = x.shape[axis] if x.shape else 1
        weights = math.prod(x.shape) // count if soft else _total_weight(name, xp, x, t, w, ignore_index, loss.dtype)
    return _reduced(name, xp, x, loss, weights)  # type: ignore[no-any-return]


@overload
def binary_cross_entropy_with_logits(
    input: FromNumPy,
    target: Array,
    weight: Array | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Array | None = None,
) -> Any: ...
@overload
def binary_cross_entropy_with_logits(
    input: ArrayT,
    target: Array,
    weight: Array | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Array | None = None,
) -> ArrayT: ...
@facade(NAMES)
def binary_cross_entropy_with_logits(
    input: ArrayT,
    target: Array,
    weight: Array | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Array | None = None,
) -> ArrayT:
    """Binary cross-entropy between labels and the sigmoid of the logits, in nats.

    Parameters
    ----------
    input : logits of any shape and library.
    target : labels from 0 to 1, of the same shape.
    weight, pos_weight : arrays that broadcast to input: a factor of each loss, and one of its positive part.
    size_average, reduce : deprecated, as for :func:`cross_entropy`.
    reduction : "none", "sum" or "mean"; the mean is over the number of elements, whatever the weights.

    Returns
    -------
    array like input: a loss per element, or without axes. The dtype is that of the input; float32 under autocast.

    Raises
    ------
    TypeError : an argument is not an array, a dtype is not real, or the arrays are of two libraries.
    ValueError : a shape or the reduction does not fit.

    Notes
    -----
    :func:`axisoft.binary_cross_entropy_with_logits`. An infinite logit that agrees with its label costs 0; an element
    of weight 0 never enters. The mean of no elements is NaN.
    """
    name, how = "binary_cross_entropy_with_logits", legacy_reduction(size_average, reduce, reduction, 4)
    named = {"input": input, "targets": target, "weight": weight, "pos_weight": pos_weight}
    xp, (x, t, w, positive) = _check.arrays(name, **named)
    x = _shared.single_under_autocast(name, xp, x)
    loss = axisoft.binary_cross_entropy_with_logits(x, t, pos_weight=positive, sample_weight=w, reduction=_summed(how))
    weights = math.prod(x.shape) if how == "mean" else None
    return _reduced(name, xp, x, loss, weights)  # type: ignore[no-any-return]


def legacy_reduction(size_average: bool | None, reduce: bool | None, reduction: str, stacklevel: int = 3) -> str:
    """The reduction, where the deprecated arguments decide it if one of them is given."""
    if size_average is None and reduce is None:
        return reduction
    by_legacy = "none" if reduce is not None and not reduce else "mean"
    if by_legacy == "mean" and size_average is not None and not size_average:
        by_legacy = "sum"
    text = f"size_average and reduce args will be deprecated, please use reduction='{by_legacy}' instead."
    warnings.warn(text, stacklevel=stacklevel)
    return by_legacy


def _summed(how: str) -> Any:
    """PyTorch's means are sums over weights of its own; what is no reduction is left to axisoft's check."""
    return "sum" if how == "mean" else how


def _class_axis(x: Any) -> int:
    return 1 if len(x.shape) > 1 else 0


def _all_count(xp: Any, weight: Any) -> bool:
    """Whether it is known that no class weighs 0: axisoft's own smoothing, in one pass, is then PyTorch's."""
    if weight is None:
        return True
    seen = _backends.values(weight, xp)
    return seen is not None and not bool(_backends.namespace(seen).any(seen == 0))


def _smoothed(x: Any, t: Any, smoothing: float, options: dict[str, Any]) -> Any:
    """The loss and its smoothing apart: a class weight of 0 does not drop the smoothing of that class's samples.

    The smoothing is the cross-entropy of even probabilities: a number per class, which the op spreads over the samples.
    """
    name, axis, how = "cross_entropy", options["axis"], options["reduction"]
    more = options["weight"], None, options.get("ignore_index"), None, None
    arrays, static = _check.over_classes(name, "logits", x, t, axis, how, more, label_smoothing=0.0, z_loss=0.0)
    x, t, w, *_ = arrays
    xp, dtype, count = static["xp"], static["dtype"], x.shape[axis]
    if smoothing == 1 and _check.kind_of(xp, t.dtype) == "floating":  # of which there is a gradient still, of 0
        return run(name, (x, t * 0.0 + 1.0 / count, w, None, None), **static)
    row = tuple(count if i == axis else 1 for i in range(len(x.shape)))
    even = xp.full(row, smoothing / count, dtype=dtype, device=getattr(x, "device", None))
    counts, ignored = None, static["ignore_index"]
    if _check.kind_of(xp, t.dtype) == "integer":
        named = xp.ones_like(t, dtype=xp.bool) if ignored is None else t != ignored
        counts = xp.astype(named, dtype)
        if not static["checked"]:
            counts = xp.where(((t >= 0) & (t < count)) | ~named, counts, math.nan)
    alone = {**static, "floats": (1, 2, 3), "weighted": True, "checked": False, "ignore_index": None}
    share = run(name, (x, even, w, counts, None), **alone)
    return share if smoothing == 1 else run(name, arrays, **static) * (1.0 - smoothing) + share


def _read(name: str, xp: Any, t: Any, count: int, ignore_index: int) -> tuple[Any, Any, Any]:
    """Class indices; which of them are not ignored; which of them are classes."""
    index, ignored, _ = _check.indices(name, t, count, ignore_index, xp)
    exists = (index >= 0) & (index < count)
    return index, xp.ones_like(exists) if ignored is None else index != ignored, exists


def _total_weight(name: str, xp: Any, x: Any, t: Any, weight: Any, ignore_index: int, dtype: Any) -> Any:
    """The sum of the weights of the targets that are not ignored. Where one is no class, the loss is NaN already."""
    index, named, exists = _read(name, xp, t, x.shape[_class_axis(x)], ignore_index)
    kept = xp.reshape(named & exists, (-1,))
    if weight is None:
        return xp.sum(xp.astype(kept, dtype))
    index = xp.where(kept, xp.reshape(index, (-1,)), 0)
    return xp.sum(xp.where(kept, xp.take(xp.astype(weight, dtype), index, axis=0), 0.0))


def _reduced(name: str, xp: Any, x: Any, loss: Any, weights: Any) -> Any:
    """The loss, over the weights if it is a mean, in the dtype of the input. No weights: NaN, with gradient 0."""
    shape, out = tuple(loss.shape), _check.dtypes(name, xp, x, None)["out"]
    if isinstance(weights, int):
        loss = loss / weights if weights else loss * math.nan
    elif type(weights).__name__ == "SymInt":  # a length that torch.export does not know yet
        loss = loss / weights
    elif weights is not None:
        none = weights == 0
        loss = xp.where(none, math.nan, loss / xp.where(none, 1.0, weights))
    with _shared.quiet(xp):  # a float16 loss may be too large for float16
        return _shared.finish(xp, loss, shape, out)
