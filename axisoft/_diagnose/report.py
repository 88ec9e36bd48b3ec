"""What a diagnosis consists of: findings, each of a kind that has a name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# Every kind of finding: its code, and when exactly it is reported. docs/diagnose.md prints this table.
KINDS = {
    # Shapes.
    "no-classes": "the class axis has length 0",
    "axis-of-length-1": "the class axis has length 1: softmax says 1 to everything",
    "single-channel": "the targets fit one axis of the logits as class indices, and that axis has length 1",
    "another-axis": "class indices, one-hot integers or probabilities fit another axis than the given one",
    "ambiguous-axis": "by their shape, class indices fit the given axis and others (logits of three axes or more)",
    "moved-axis": "the targets have the axes of the logits, with one of them moved: NCHW against NHWC",
    "kept-axis": "the targets have an axis of length 1 too many or too few",
    "swapped-arguments": "integers in the place of the logits, with an axis less than the targets have",
    "targets-shape": "the targets fit in no way that the other kinds name",
    "weight-shape": "weight is not one number per class, or sample_weight does not broadcast to the losses",
    # What targets are.
    "one-hot-integers": "integers or booleans in the shape of the logits, with one 1 in each slice",
    "binary-labels": "integers or booleans in the shape of the logits, all 0 or 1, and one-hot along no axis",
    "class-indices": "binary cross-entropy is given class indices",
    "indices-dtype": "class indices of a floating or boolean dtype; probabilities where only indices are taken",
    # What targets hold.
    "labels-0-255": "all labels are 0 or 255, as images hold masks",
    "labels-outside-0-1": "labels or class probabilities below 0 or above 1",
    "targets-nan": "labels or class probabilities that are NaN",
    "targets-sum": "class probabilities do not sum to 1",
    "class-out-of-range": "class indices outside [0, C) that are not ignored",
    "not-ignored": "255, -1 or -100, or what an unsigned dtype makes of these, outside [0, C) and not ignored",
    "ignore-index-is-a-class": "ignore_index is in [0, C)",
    "ignore-index-of-probabilities": "ignore_index is given beside class probabilities",
    "class-absent": "of at least as many samples as classes, none is of some class",
    "nothing-counted": "every sample is ignored or has weight 0",
    "weight-values": "weights below 0, infinite or NaN",
    "target-hidden": "`where` hides the target",
    "target-at-minus-inf": "the logit of the target is -inf",
    "smoothing-at-minus-inf": "label smoothing gives a share to a logit of -inf",
    # What logits hold.
    "logits-nan": "slices with NaN",
    "logits-plus-inf": "slices with +inf",
    "all-minus-inf": "slices with nothing but -inf",
    "nothing-visible": "slices that `where` hides entirely",
    "infinite-loss": "binary cross-entropy: an infinite logit that disagrees with its label",
    "probabilities": "the logits sum to 1 along the class axis and lie in [0, 1]",
    "log-probabilities": "the exponentials of the logits sum to 1 along the class axis",
    "normalised-elsewhere": "the logits, or their exponentials, sum to 1 along other axes than the class axis",
    "not-log-probabilities": "nll_loss is given slices whose exponentials do not sum to 1",
    "in-unit-interval": "at least 16 logits, and all lie in [0, 1], as the sigmoid's results do",
    "saturated": "more than half of the slices have a probability that is 1 within rounding",
    "dominated": "losses above 0 that a plain `-log(softmax(x))` rounds to 0",
    "coarse-spacing": "logits that share an offset at which their dtype's numbers are 1/32 or more apart",
    "near-overflow": "logits within a factor of 2 of the largest number of their dtype",
}

# Columns of what is printed.
WIDTH = 100


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    code : its kind, one of ``KINDS``.
    seen : what was seen, with the numbers.
    advice : what to do.
    count : of how many slices, samples or elements it is true; None where that is no matter of counting.
    first : where the first of them is: an index of the targets or the logits, or of the logits less the class axis.
    """

    code: str
    seen: str
    advice: str
    count: int | None = None
    first: tuple[int, ...] | None = None

    def __str__(self) -> str:
        return "\n".join(_wrapped(f"{self.code}: {self.seen}", "", "  ") + _wrapped(self.advice, "  -> ", "     "))


def _wrapped(text: str, start: str, then: str) -> list[str]:
    import textwrap  # not of use before anything is printed

    # No line ends within a shape or a place.
    lines = textwrap.wrap(
        re.sub(r"(?<=\d), (?=\d)", ",\xa0", text),
        WIDTH,
        initial_indent=start,
        subsequent_indent=then,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\xa0", " ") for line in lines]


class Diagnosis(list[Finding]):
    """The findings, as a list that prints readably. ``subject`` says what was looked at."""

    def __init__(self, findings: Iterable[Finding] = (), subject: str = "") -> None:
        super().__init__(findings)
        self.subject = subject

    @property
    def codes(self) -> list[str]:
        return [finding.code for finding in self]

    def __str__(self) -> str:
        said = {0: "nothing found", 1: "1 finding"}.get(len(self), f"{len(self)} findings")
        return "\n".join([f"{said} in {self.subject}", *map(str, self)])

    __repr__ = __str__
