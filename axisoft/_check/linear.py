"""A loss of the logits that a linear layer would give, which are not there."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from axisoft._check.arrays import arrays
from axisoft._check.axes import mask
from axisoft._check.classes import classification
from axisoft._check.dtypes import kind_of
from axisoft._check.lengths import agree, lengths
from axisoft._check.options import integer, number
from axisoft._check.parts import parts


class _Logits(NamedTuple):
    """What the logits would be."""

    shape: tuple[Any, ...]
    dtype: Any


def over_layer(
    function: str,
    features: Any,
    matrix: Any,
    targets: Any,
    bias: Any,
    *,
    weight: Any,
    sample_weight: Any,
    where: Any,
    ignore_index: Any,
    soft_cap: Any,
    chunk: Any,
    reduction: Any,
    dtype: Any,
    across: Any,
    **numbers: Any,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arrays of a linear layer's loss and its options, checked."""
    xp, (features, matrix, targets, bias, weight, sample_weight, where) = arrays(
        function,
        features=features,
        matrix=matrix,
        targets=targets,
        bias=bias,
        weight=weight,
        sample_weight=sample_weight,
        where=where,
    )
    logits = _logits(function, features, matrix, bias, xp)
    axis = len(logits.shape) - 1
    mask(function, where, logits, xp, "logits")
    options = {
        name: number(function, name, value, below=1.0 if name == "label_smoothing" else math.inf)
        for name, value in numbers.items()
    }
    soft_cap = None if soft_cap is None else number(function, "soft_cap", soft_cap)
    if soft_cap == 0:
        raise ValueError(f"{function}: soft_cap is {soft_cap}; use a number above 0, or None for no cap.")
    hint = "use a number of samples, or None"
    chunk = integer(function, "chunk", chunk, hint)
    if chunk is not None and chunk < 1:
        raise ValueError(f"{function}: chunk is {chunk}; {hint}.")
    shared = parts(function, across, xp)
    weights = weight, sample_weight, ignore_index
    (_, targets, weight, sample_weight), static = classification(
        function, "logits", xp, logits, targets, axis, *weights, reduction, dtype, True, shared
    )
    static |= options | {"soft_cap": soft_cap, "chunk": chunk, "axis": 1}
    for name in ("floats", "weighted", "out"):  # as the other arrays are
        del static[name]
    if across is not None:
        static["across"] = across
    return (features, matrix, targets, bias, weight, sample_weight, where), static


def _logits(function: str, features: Any, matrix: Any, bias: Any, xp: Any) -> _Logits:
    for name, a in (("features", features), ("matrix", matrix), ("bias", bias)):
        if a is not None and name != "features" and kind_of(xp, a.dtype) != "floating":
            hint = "convert it to a floating dtype"
            raise TypeError(f"{function}: {name} has dtype {a.dtype}, not a floating one; {hint}.")
    shape, sizes = lengths(features), lengths(matrix)
    if not shape:
        raise ValueError(f"{function}: features with shape {shape} have no axis; give shape (..., D).")
    if len(sizes) != 2 or not agree(sizes[1:], shape[-1:]):
        hint = f"give a row of {shape[-1]} for each class, shape (C, {shape[-1]})"
        if len(sizes) == 2 and agree(sizes[:1], shape[-1:]):
            hint += ", for example matrix.T"
        raise ValueError(f"{function}: matrix with shape {sizes} does not fit features with shape {shape}; {hint}.")
    if bias is not None and not agree(lengths(bias), sizes[:1]):
        hint = f"give one number per class, shape {sizes[:1]}"
        raise ValueError(f"{function}: bias with shape {lengths(bias)} does not fit matrix with shape {sizes}; {hint}.")
    return _Logits((*shape[:-1], sizes[0]), features.dtype)
