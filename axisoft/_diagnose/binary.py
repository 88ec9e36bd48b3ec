"""Binary cross-entropy: each logit is a question of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from axisoft._diagnose import labels, layout, scores
from axisoft._diagnose.report import Finding
from axisoft._diagnose.subject import Subject, all_of, any_of, at, count, dtype_name, every, first, format_of, of, put

INF = math.inf


def findings(s: Subject) -> Iterator[Finding]:
    xp = s.xp
    reading, found = layout.binary(s)
    yield from found
    yield from layout.weights(s)
    yield from labels.weight_values(s)
    kept = every(s.x, xp)
    if s.sample_weight is not None:
        kept = kept & labels.nonzero(s.sample_weight, xp)
    total = count(every(s.x, xp), xp)
    if total and not any_of(kept, xp):
        seen = f"none of {total} logits counts, as each has weight 0: the mean loss and its gradient are 0."
        yield Finding("nothing-counted", seen, "Look at sample_weight.", total)
    if reading and any_of(kept, xp):
        yield from _labels(s, kept)
    yield from _logits(s, kept)


def _labels(s: Subject, kept: Any) -> Iterator[Finding]:
    xp, t = s.xp, labels.numbers(s.targets, s.xp)
    found = list(labels.label_values(s, t, kept))
    yield from found
    n = count(kept, xp)
    for value in (0, 1) if n > 1 else ():
        if all_of((t == value) | ~kept, xp):
            advice = "Look at what made the labels, unless there happens to be no other."
            yield Finding("class-absent", f"all {n} labels are {value}.", advice, n)
    disagree = kept & (((s.x == INF) & (t < 1)) | ((s.x == -INF) & (t > 0)))
    many = count(disagree, xp)
    if many:
        place = first(disagree, xp)
        seen = f"an infinite logit disagrees with its label in {of(many, n, 'place')}{at(place)}: that loss is +inf."
        yield Finding("infinite-loss", seen, "Look for an overflow in what made the logits.", many, place)


def _logits(s: Subject, kept: Any) -> Iterator[Finding]:
    xp = s.xp
    nan = kept & xp.isnan(s.x)
    many, n = count(nan, xp), count(kept, xp)
    if many:
        place = first(nan, xp)
        seen = f"NaN in {of(many, n, 'logit')}{at(place)}: their loss is NaN."
        yield Finding("logits-nan", seen, "Look at what made them.", many, place)
    finite = kept & xp.isfinite(s.x)
    n = count(finite, xp)
    if not n:
        return
    if all_of(~finite | ((s.x >= 0) & (s.x <= 1)), xp):
        zero, one = math.log(2), math.log1p(math.exp(-1))
        floor = f"the loss of a label 0 cannot fall below {zero:.4g}, of a label 1 not below {one:.4g}"
        yield from scores.in_unit_interval(s, finite, floor)
    eps = format_of(s.x.dtype, xp).eps
    far = finite & (xp.abs(s.x) >= math.log(2 / eps))
    many = count(far, xp)
    if 2 * many > n:
        place = first(far, xp)
        median = float(xp.sort(xp.reshape(put(finite, xp.abs(s.x), INF, xp), (-1,)))[(n - 1) // 2])
        seen = (
            f"{math.log(2 / eps):.4g} or more from 0 in {of(many, n, 'logit')}{at(place)}, the median {median:.4g}: "
            f"the slope of the sigmoid is below {eps / 2:.1g} there, the rounding of {dtype_name(s.x.dtype)}."
        )
        advice = "Divide the logits by a temperature, or look at the scale of the inputs and of the last layer."
        yield Finding("saturated", seen, advice, many, place)
    yield from scores.near_overflow(s, finite)
