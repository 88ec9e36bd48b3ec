"""The public losses."""

from __future__ import annotations

from typing import Any, Unpack, overload

from axisoft import _check
from axisoft._run import run
from axisoft._typing import (
    AnyNumPy,
    AnyShape,
    Array,
    ArrayT,
    Binary,
    CrossEntropy,
    Floating,
    LossT,
    Nll,
    NoAxes,
    NumPy,
    Reduced,
    Reduction,
    Scalar,
)


@overload
def nll_loss(log_probs: Scalar, targets: Array, /, **options: Unpack[Nll[Reduction]]) -> Any: ...
@overload
def nll_loss(log_probs: NumPy[Any, LossT], targets: Array, /, **options: Unpack[Nll[Reduced]]) -> NoAxes[LossT]: ...
@overload
def nll_loss(log_probs: NumPy[Any, LossT], targets: Array, /, **options: Unpack[Nll[Reduction]]) -> AnyShape[LossT]: ...
@overload
def nll_loss(log_probs: AnyNumPy[Any], targets: Array, /, **options: Unpack[Nll[Reduced]]) -> NoAxes[Floating]: ...
@overload
def nll_loss(log_probs: AnyNumPy[Any], targets: Array, /, **options: Unpack[Nll[Reduction]]) -> AnyShape[Floating]: ...
@overload
def nll_loss(log_probs: ArrayT, targets: Array, /, **options: Unpack[Nll[Reduction]]) -> ArrayT: ...
@_check.spelled
def nll_loss(
    log_probs: ArrayT,
    targets: Array,
    /,
    *,
    axis: int = -1,
    weight: Array | None = None,
    sample_weight: Array | None = None,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
    across: Any = None,
) -> ArrayT:
    """Negative log-likelihood of the targets, in nats: ``-log_probs[target]``.

    Parameters
    ----------
    log_probs : array of any shape, of any library, with log-probabilities along ``axis``.
    targets : class indices of any integer dtype, in the shape of log_probs less ``axis``.
    axis : the class axis.
    weight, sample_weight, ignore_index, reduction, across : as for :func:`cross_entropy`.

    Returns
    -------
    array of the same library and device : in the shape of targets, or of no axes if it is reduced. float16 and bfloat16
        give float32.

    Raises
    ------
    TypeError, ValueError, IndexError : as for :func:`cross_entropy`; targets must be indices.

    Notes
    -----
    ``nll_loss(log_softmax(x), targets)`` is ``cross_entropy(x, targets)``. Special values, dropped samples and wrong
    classes are as they are there. Within 4 ulp.

    Examples
    --------
    >>> import numpy as np
    >>> nll_loss(np.log([[0.25, 0.75], [0.5, 0.5]]), np.asarray([1, 0]), reduction="none")
    array([0.28768207, 0.69314718])
    """
    more = weight, sample_weight, ignore_index
    arrays, static = _check.over_classes("nll_loss", "log_probs", log_probs, targets, axis, reduction, more, across)
    return run("nll_loss", arrays, **static)


@overload
def cross_entropy(logits: Scalar, targets: Array, /, **options: Unpack[CrossEntropy[Reduction, Any]]) -> Any: ...
@overload
def cross_entropy(
    logits: NumPy[Any, LossT], targets: Array, /, **options: Unpack[CrossEntropy[Reduced, None]]
) -> NoAxes[LossT]: ...
@overload
def cross_entropy(
    logits: NumPy[Any, LossT], targets: Array, /, **options: Unpack[CrossEntropy[Reduction, None]]
) -> AnyShape[LossT]: ...
@overload
def cross_entropy(
    logits: AnyNumPy[Any], targets: Array, /, **options: Unpack[CrossEntropy[Reduced, Any]]
) -> NoAxes[Floating]: ...
@overload
def cross_entropy(
    logits: AnyNumPy[Any], targets: Array, /, **options: Unpack[CrossEntropy[Reduction, Any]]
) -> AnyShape[Floating]: ...
@overload
def cross_entropy(logits: ArrayT, targets: Array, /, **options: Unpack[CrossEntropy[Reduction, Any]]) -> ArrayT: ...
@_check.spelled
def cross_entropy(
    logits: ArrayT,
    targets: Array,
    /,
    *,
    axis: int = -1,
    weight: Array | None = None,
    sample_weight: Array | None = None,
    where: Array | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: Reduction = "mean",
    dtype: Any = None,
    across: Any = None,
) -> ArrayT:
    """Cross-entropy between targets and the softmax of the logits, in nats: ``logsumexp(x) - x[target]``.

    With h_c = -log_softmax(x)_c, targets t (the indicator of the class, for indices), class weights w, sample weight f,
    K classes and the smoothing s, a sample's loss is
    ``f * ((1 - s) sum_c t_c w_c h_c + s/K sum_c w_c h_c + z_loss * logsumexp(x)**2 * sum_c t_c w_c)``.

    Parameters
    ----------
    logits : array of any shape, of any library, with scores along ``axis``: anything real, not probabilities.
    targets : class indices of any integer dtype, in the shape of logits less ``axis``; or class probabilities of a
        floating dtype, in the shape of logits. Probabilities are differentiable too.
    axis : the class axis: -1 for (N, C), 1 for (N, C, d1, ..., dK).
    weight : array of shape (C,), a factor per class.
    sample_weight : array that broadcasts to the shape of the per-sample losses, a factor per sample.
    where : boolean array that broadcasts to logits. False classes take no part; a target among them costs +inf.
    ignore_index : targets of this value are left out; it need not be a class. Only for class indices.
    label_smoothing : in [0, 1), shared out evenly over the K classes that ``where`` lets through.
    z_loss : factor of ``logsumexp(x)**2``, not negative.
    reduction : "none" for a loss per sample; "sum"; "mean" for the sum over the sum of the samples' weights, each being
        ``sample_weight`` times the class weight of its target (``sum_c t_c w_c`` for probabilities).
    dtype : floating dtype that logits are cast to first.
    across : where the class axis goes on, if logits (with probabilities, ``weight`` and ``where``) hold a part of it,
        as for :func:`softmax`. Class indices and C are those of the whole axis.

    Returns
    -------
    array of the same library and device : in the shape of logits less ``axis``, or of no axes if it is reduced. The
        dtype is that of the logits, whatever that of the other arrays, but float32 for float16 and bfloat16.

    Raises
    ------
    TypeError : an argument is not an array, a dtype does not fit, or the arrays are of two libraries.
    ValueError : an axis, a shape, a reduction or a number does not fit, there are no classes, or two devices.
    IndexError : a class index is outside [0, C) and is not ignore_index. Under tracing, and where reading a value would
        wait for a device, that sample's loss and gradient are NaN instead.

    Notes
    -----
    NaN for a row with NaN or +inf in it, or nothing but -inf; +inf, with gradient 0, for one that ``where`` hides
    entirely; +inf for a target at -inf. A probability of 0 at a logit of -inf adds 0. A sample that ignore_index or a
    weight of 0 drops never enters: NaN or inf in its row reaches neither the loss nor a gradient. Where the total
    weight is 0, the mean is 0 and so is its gradient. Within ``8 + g`` ulp of the loss itself, per sample, g being the
    distance from the largest to the second largest logit. Label smoothing is from Szegedy et al., "Rethinking the
    Inception Architecture for Computer Vision" (2016); the derivations are in docs/numerics.md.

    Examples
    --------
    >>> import numpy as np
    >>> logits = np.asarray([[2.0, 0.0, -1.0], [0.0, -40.0, -50.0]])
    >>> cross_entropy(logits, np.asarray([0, 0]), reduction="none")
    array([1.69846020e-01, 4.24854713e-18])
    >>> float(cross_entropy(logits, np.asarray([0, 255]), ignore_index=255)).__round__(6)
    0.169846
    """
    more = weight, sample_weight, ignore_index, where, dtype
    numbers = {"label_smoothing": label_smoothing, "z_loss": z_loss}
    arrays, static = _check.over_classes(
        "cross_entropy", "logits", logits, targets, axis, reduction, more, across, **numbers
    )
    return run("cross_entropy", arrays, **static)


@overload
def binary_cross_entropy_with_logits(
    logits: Scalar, targets: Array, /, **options: Unpack[Binary[Reduction, Any]]
) -> Any: ...
@overload
def binary_cross_entropy_with_logits(
    logits: NumPy[Any, LossT], targets: Array, /, **options: Unpack[Binary[Reduced, None]]
) -> NoAxes[LossT]: ...
@overload
def binary_cross_entropy_with_logits(
    logits: NumPy[Any, LossT], targets: Array, /, **options: Unpack[Binary[Reduction, None]]
) -> AnyShape[LossT]: ...
@overload
def binary_cross_entropy_with_logits(
    logits: AnyNumPy[Any], targets: Array, /, **options: Unpack[Binary[Reduced, Any]]
) -> NoAxes[Floating]: ...
@overload
def binary_cross_entropy_with_logits(
    logits: AnyNumPy[Any], targets: Array, /, **options: Unpack[Binary[Reduction, Any]]
) -> AnyShape[Floating]: ...
@overload
def binary_cross_entropy_with_logits(
    logits: ArrayT, targets: Array, /, **options: Unpack[Binary[Reduction, Any]]
) -> ArrayT: ...
@_check.spelled
def binary_cross_entropy_with_logits(
    logits: ArrayT,
    targets: Array,
    /,
    *,
    pos_weight: Array | None = None,
    sample_weight: Array | None = None,
    reduction: Reduction = "mean",
    dtype: Any = None,
) -> ArrayT:
    """Binary cross-entropy between labels and the sigmoid of the logits, per element and in nats.

    ``pos_weight * t * softplus(-x) + (1 - t) * softplus(x)``, times the sample weight.

    Parameters
    ----------
    logits : array of any shape, of any library: scores, not probabilities.
    targets : labels in the shape of logits: booleans, integers that are 0 or 1, or floating ones from 0 to 1, which are
        differentiable too.
    pos_weight : array that broadcasts to logits, a factor of the positive part.
    sample_weight : array that broadcasts to logits, a factor of each element's loss.
    reduction : "none" for a loss per element; "sum"; "mean" for the sum over the sum of the sample weights, or over the
        number of elements if there are none. ``pos_weight`` is part of the loss, not of that sum.
    dtype : floating dtype that logits are cast to first.

    Returns
    -------
    array of the same library and device : in the shape of logits, or of no axes if it is reduced. The dtype is that of
        the logits, but float32 for float16 and bfloat16.

    Raises
    ------
    TypeError : an argument is not an array, a dtype is not real, or the arrays are of two libraries.
    ValueError : a shape or the reduction does not fit, the arrays are on two devices, or an integer label is neither 0
        nor 1. Under tracing, and where reading a value would wait for a device, such a label is taken as a number.

    Notes
    -----
    The loss is linear in the label, outside of [0, 1] too; there it is no cross-entropy, may be negative and has no
    lower bound. An infinite logit that agrees with its 0 or 1 costs 0, one that disagrees +inf. An element of weight 0
    never enters: NaN in it reaches neither the loss nor a gradient. Where the total weight is 0, the mean is 0. Within
    4 ulp.

    Examples
    --------
    >>> import numpy as np
    >>> binary_cross_entropy_with_logits(np.asarray([40.0, -np.inf]), np.asarray([1, 0]), reduction="none")
    array([4.24835426e-18, 0.00000000e+00])
    """
    name = "binary_cross_entropy_with_logits"
    arrays, static = _check.over_labels(name, logits, targets, pos_weight, sample_weight, reduction, dtype)
    return run(name, arrays, **static)
