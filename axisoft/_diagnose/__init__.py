"""What is wrong with a call of a loss though no error says so. One public function: ``diagnose``.

report.py    the kinds of findings, and the list that prints
subject.py   the call, and how its arrays are asked
layout.py    shapes and dtypes          labels.py   what the targets hold
scores.py    what the logits hold       binary.py   binary cross-entropy
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from axisoft import _check
from axisoft._diagnose import binary, labels, layout, scores
from axisoft._diagnose.report import Diagnosis, Finding
from axisoft._diagnose.subject import Subject, described, every, format_of
from axisoft._typing import Array, Loss


@_check.spelled
def diagnose(
    logits: Array,
    targets: Array | None = None,
    /,
    *,
    axis: int = -1,
    loss: Loss = "cross_entropy",
    weight: Array | None = None,
    sample_weight: Array | None = None,
    where: Array | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> Diagnosis:
    """What people who mix up axes, losses and shapes get wrong without an error, as a list of findings.

    Nothing is computed that training would use. The arguments are those of the loss, to be looked at before it runs.

    Parameters
    ----------
    logits : array of any shape, of any library; log-probabilities if the loss is nll_loss.
    targets : as the loss takes them, or as you have them: that they do not fit is a finding, and how they would. Left
        out, the logits alone are looked at.
    axis : the class axis; binary cross-entropy has none.
    loss : "cross_entropy", "nll_loss" or "binary_cross_entropy_with_logits".
    weight, sample_weight, where, ignore_index, label_smoothing : as for the loss, if it has them. The samples that they
        drop are not looked at, and neither is what ``where`` hides.

    Returns
    -------
    list of findings, empty if nothing was found. Each has ``code``, a name that stays; ``seen``, what was seen with the
        numbers; ``advice``, what to do; ``count`` and ``first``, of how many slices, samples or elements it is true and
        where the first is, or None. ``print`` shows it readably, ``codes`` is the list of the codes, and ``subject``
        says what was looked at. docs/diagnose.md lists all codes.

    Raises
    ------
    TypeError : an argument is not an array, the arrays are of two libraries, or an array holds no values that can be
        read, as it is lazy or being traced.
    ValueError : the axis is out of bounds, where does not broadcast, the loss is none of the three, it does not have an
        option, or a number does not fit.

    Notes
    -----
    A finding says what is so, with the numbers that it rests on, and nothing is guessed; whether it is a mistake is for
    you to judge. Values are read: arrays on a device are looked at there, and the call waits for the device. It takes
    memory of a few times the logits. Nothing is changed, no warning is given, and no function of axisoft calls this.

    Examples
    --------
    >>> import numpy as np
    >>> from axisoft import diagnose
    >>> logits, targets = np.zeros((2, 4, 8, 8)), np.zeros((2, 8, 8), dtype=np.int64)
    >>> print(diagnose(logits, targets))
    1 finding in cross_entropy along axis 3, float64 logits of shape (2, 4, 8, 8), int64 targets of shape (2, 8, 8)
    another-axis: the targets with shape (2, 8, 8) fit axis 1 of logits with shape (2, 4, 8, 8) as class
      indices, not axis 3.
      -> Give axis=1 for 4 classes.
    >>> [(finding.code, finding.count) for finding in diagnose(logits, targets, axis=1)]
    [('class-absent', 3)]
    """
    options = {"weight": weight, "where": where, "ignore_index": ignore_index}
    label_smoothing = _check.number("diagnose", "label_smoothing", label_smoothing, below=1.0)
    ignore_index = _check.integer("diagnose", "ignore_index", ignore_index)
    _check.loss("diagnose", loss, **options, label_smoothing=label_smoothing or None)
    named: dict[str, Any] = {"logits": logits} if targets is None else {"logits": logits, "targets": targets}
    named |= {"weight": weight, "sample_weight": sample_weight, "where": where}
    xp, arrays = _check.arrays("diagnose", **named)
    named = dict(zip(named, arrays, strict=True))
    place = None if loss == "binary_cross_entropy_with_logits" else _check.axis_of("diagnose", axis, logits, "logits")
    _check.mask("diagnose", named["where"], logits, xp, "logits")
    said = described(loss, place, named, {"ignore_index": ignore_index, "label_smoothing": label_smoothing or None})
    floats = {n: a.dtype for n, a in named.items() if a is not None and _check.kind_of(xp, a.dtype) == "floating"}
    formats = {name: format_of(dtype, xp) for name, dtype in floats.items()}
    xp, named = _check.readable("diagnose", named, xp)
    dtype = _check.dtypes("diagnose", xp, named["logits"], None)["dtype"]
    x = xp.astype(named["logits"], dtype, copy=False)
    named |= {"ignore_index": ignore_index, "label_smoothing": label_smoothing}
    s = Subject(xp, loss, place, x=x, formats=formats, **named)
    return Diagnosis(binary.findings(s) if place is None else _over_classes(s), said)


def _over_classes(s: Subject) -> Iterator[Finding]:
    xp = s.xp
    reading, found = layout.over_classes(s)
    yield from found
    if s.axis is None or not s.shape[s.axis]:
        return
    yield from layout.weights(s)
    yield from labels.weight_values(s)
    c = None
    if reading == "indices":
        c = labels.Classes.of_indices(s)
        yield from labels.indices(s, c)
    elif reading == "probabilities":
        c = labels.Classes.of_probabilities(s)
    kept = labels.counted(s, c)
    if reading == "labels":
        yield from labels.of_one_class(s)
    elif reading == "probabilities":
        yield from labels.probabilities(s, kept)
    visible = every(s.x, xp) if s.where is None else xp.broadcast_to(s.where, s.shape)
    slices = scores.Slices(s, visible, kept)
    if c is not None:
        yield from labels.occurring(s, c, kept)
        yield from labels.reach(s, c, kept, visible)
    yield from scores.not_numbers(s, slices)
    yield from scores.normalised(s, slices)
    if s.loss == "cross_entropy":
        yield from scores.near_overflow(s, slices.live)
        yield from scores.scale(s, slices)
        if c is not None and not s.label_smoothing:
            yield from scores.dominated(s, slices, c)


__all__ = ["Diagnosis", "Finding", "diagnose"]
