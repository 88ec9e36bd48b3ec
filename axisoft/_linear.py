"""The public loss of a linear layer."""

from __future__ import annotations

from typing import Any, Unpack, overload

from axisoft import _check
from axisoft._run import run
from axisoft._typing import (
    AnyNumPy,
    AnyShape,
    Array,
    ArrayT,
    Floating,
    Linear,
    LossT,
    NoAxes,
    NumPy,
    Reduced,
    Reduction,
    Scalar,
)


@overload
def linear_cross_entropy(
    features: Scalar,
    matrix: Array,
    targets: Array,
    bias: Array | None = None,
    /,
    **options: Unpack[Linear[Reduction, Any]],
) -> Any: ...
@overload
def linear_cross_entropy(
    features: NumPy[Any, LossT],
    matrix: Array,
    targets: Array,
    bias: Array | None = None,
    /,
    **options: Unpack[Linear[Reduced, None]],
) -> NoAxes[LossT]: ...
@overload
def linear_cross_entropy(
    features: NumPy[Any, LossT],
    matrix: Array,
    targets: Array,
    bias: Array | None = None,
    /,
    **options: Unpack[Linear[Reduction, None]],
) -> AnyShape[LossT]: ...
@overload
def linear_cross_entropy(
    features: AnyNumPy[Any],
    matrix: Array,
    targets: Array,
    bias: Array | None = None,
    /,
    **options: Unpack[Linear[Reduced, Any]],
) -> NoAxes[Floating]: ...
@overload
def linear_cross_entropy(
    features: AnyNumPy[Any],
    matrix: Array,
    targets: Array,
    bias: Array | None = None,
    /,
    **options: Unpack[Linear[Reduction, Any]],
) -> AnyShape[Floating]: ...
@overload
def linear_cross_entropy(
    features: ArrayT,
    matrix: Array,
    targets: Array,
    bias: Array | None = None,
    /,
    **options: Unpack[Linear[Reduction, Any]],
) -> ArrayT: ...
@_check.spelled
def linear_cross_entropy(
    features: ArrayT,
    matrix: Array,
    targets: Array,
    bias: Array | None = None,
    /,
    *,
    weight: Array | None = None,
    sample_weight: Array | None = None,
    where: Array | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    soft_cap: float | None = None,
    reduction: Reduction = "mean",
    dtype: Any = None,
    chunk: int | None = None,
    across: Any = None,
) -> ArrayT:
    """:func:`cross_entropy` of the logits ``features @ matrix.T + bias``, which are never all there, in nats.

    Parameters
    ----------
    features : array of shape (..., D), of any library.
    matrix : array of shape (C, D), a row per class, floating.
    targets : class indices of any integer dtype and shape (...), or probabilities, floating, of shape (..., C).
    bias : array of shape (C,), floating; None for none.
    weight, sample_weight, ignore_index, label_smoothing, z_loss, reduction : as for :func:`cross_entropy`.
    where : boolean array that broadcasts to (..., C): of shape (C,), the classes that a padded matrix has.
    soft_cap : number above 0; the logits are then ``soft_cap * tanh(logits / soft_cap)``.
    dtype : floating dtype that features are cast to first.
    chunk : how many samples have their logits at a time; as many as fit into 48 MB, but at least 128, unless told.
    across : where the class axis goes on, if matrix (with bias, ``weight``, ``where``, probabilities) holds a part of
        its rows, as for :func:`softmax`.

    Returns
    -------
    array of the same library and device : in the shape of features less the last axis, or of no axes if it is reduced.
        The dtype is that of features, but float32 for float16 and bfloat16.

    Raises
    ------
    TypeError, ValueError, IndexError : as for :func:`cross_entropy`; and where D or C of two arrays differ.

    Notes
    -----
    The value, the special values and the accuracy are those of ``cross_entropy`` of the logits that the product gave.
    The gradients of features, matrix and bias are made tile by tile with the value, where it is summed or a mean: three
    products, as with all logits; of losses by themselves the logits are made again, for a fourth. Dropped samples enter
    no product, whatever they hold; on NumPy and on PyTorch's CPU they cost nothing. Half precision is multiplied as it
    is, and gives logits, losses and sums of gradients in float32. docs/scale.md says what it keeps in memory. Tiles of
    samples with the gradient made beside the loss are those of Hsu et al., "Liger Kernel" (2024); Wijmans et al., "Cut
    Your Losses in Large-Vocabulary Language Models" (2025), have tiles of classes.

    Examples
    --------
    >>> import numpy as np
    >>> features, matrix = np.asarray([[1.0, 0.0], [0.0, 2.0]]), np.asarray([[2.0, 0.0], [0.0, 1.0], [-1.0, 0.5]])
    >>> linear_cross_entropy(features, matrix, np.asarray([0, 1]), reduction="none")
    array([0.16984602, 0.40760596])
    """
    arrays, static = _check.over_layer(
        "linear_cross_entropy",
        features,
        matrix,
        targets,
        bias,
        weight=weight,
        sample_weight=sample_weight,
        where=where,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        z_loss=z_loss,
        soft_cap=soft_cap,
        reduction=reduction,
        dtype=dtype,
        chunk=chunk,
        across=across,
    )
    return run("linear_cross_entropy", arrays, **static)
