"""``diagnose``: each finding, in an input that has it and not in the nearest; shapes and values of targets."""

from __future__ import annotations

import numpy as np
import pytest
from diagnosed import (
    BINARY,
    IMAGE,
    INF,
    MAP,
    NAN,
    NLL,
    NUMPY,
    ONE_HOT,
    PAIRS,
    SEEN,
    YES,
    P,
    T,
    X,
    indices,
    logits,
    run,
    with_values,
)

import axisoft as ax
from axisoft._diagnose.report import KINDS


def test_every_kind_has_its_pair():
    assert set(PAIRS) == set(KINDS)


@pytest.mark.parametrize("code", PAIRS)
@pytest.mark.backends(fits=lambda backend: backend.name != "dask")
def test_a_finding_is_there_and_not_in_the_nearest_input(target, code):
    red, green, count, first = PAIRS[code]
    found = {finding.code: finding for finding in run(target, red)}
    assert code in found, found
    assert (found[code].count, found[code].first) == (count, first)
    assert code not in run(target, green).codes


@pytest.mark.parametrize("code", ["another-axis", "not-ignored", "class-absent", "labels-0-255", "coarse-spacing"])
@pytest.mark.backends(fits=lambda backend: backend.executor is not None)
def test_arrays_on_a_device_are_looked_at_there(target, code, monkeypatch):
    """Where nothing is in the host's memory, as on an accelerator, the library's own operations look."""
    monkeypatch.setattr("axisoft._backends.values", lambda x, xp: None)
    red, green, count, first = PAIRS[code]
    (found,) = run(target, red)
    assert (found.code, found.count, found.first) == (code, count, first)
    assert code not in run(target, green).codes


@pytest.mark.parametrize("code", PAIRS)
def test_nothing_else_is_found_there(code):
    assert run(NUMPY, PAIRS[code][0]).codes == [code]


# Shapes ---------------------------------------------------------------------------------------------------------------

SQUARE = logits(2, 5, 5)
LAYOUTS = {
    "indices of NCHW logits": (IMAGE, MAP, {}, "another-axis", "axis=1 for 4 classes"),
    "indices that fit two other axes": (
        logits(2, 5, 5, 3),
        indices(5, 2, 5, 3),
        {},
        "another-axis",
        "axis=1 for 5 classes or axis=2 for 5",
    ),
    "floating indices of another axis": (
        IMAGE,
        MAP.astype(float),
        {},
        "another-axis",
        "and the targets in an integer dtype",
    ),
    "one-hot of NCHW logits": (
        IMAGE,
        np.moveaxis(np.eye(4, dtype=int)[MAP], -1, 1),
        {},
        "another-axis",
        "argmax(targets, axis=1)",
    ),
    "one-hot, floating": (IMAGE, np.moveaxis(np.eye(4)[MAP], -1, 1), {}, "another-axis", "Give axis=1"),
    "soft targets of another axis": (IMAGE, ax.softmax(IMAGE, axis=1), {}, "another-axis", "Give axis=1"),
    "one-hot in NHWC, logits in NCHW": (
        IMAGE,
        np.eye(4, dtype=int)[MAP],
        {"axis": 1},
        "moved-axis",
        "whose axis 1 has become axis 3",
    ),
    "square logits": (
        SQUARE,
        indices(5, 2, 5),
        {},
        "ambiguous-axis",
        "fit axis 2 of logits with shape (2, 5, 5), and axis 1 as well",
    ),
    "square logits, the other": (
        SQUARE,
        indices(5, 2, 5),
        {"axis": 1},
        "ambiguous-axis",
        "fit axis 1 of logits with shape (2, 5, 5), and axis 2 as well",
    ),
    "a cube": (logits(5, 5, 5), indices(5, 5, 5), {"axis": 1}, "ambiguous-axis", "axes 0 and 2 as well"),
    "booleans that are one-hot": (X, ONE_HOT.astype(bool), {}, "one-hot-integers", "of dtype bool"),
    "one-hot of one sample": (X[0], ONE_HOT[0], {}, "one-hot-integers", "argmax(targets, axis=0)"),
    "one-hot for nll_loss": (np.log(P), ONE_HOT, NLL, "one-hot-integers", "give nll_loss argmax(targets, axis=1);"),
    "a kept axis, last": (X, T[:, None], {}, "kept-axis", "shape (8,)."),
    "a kept axis that is not the one given": (
        IMAGE,
        MAP[:, None],
        {},
        "kept-axis",
        "shape (2, 3, 5), and the class axis as axis=1",
    ),
    "a kept axis, floating": (X, T[:, None].astype(float), {}, "kept-axis", "shape (8,) in an integer dtype"),
    "booleans as indices": (logits(8, 2), np.asarray([True, False] * 4), {}, "indices-dtype", "integer dtype"),
    "numbers that are no indices": (X, T / 2, {}, "indices-dtype", "not all are whole numbers: 0.5 at (1,)."),
    "probabilities for nll_loss": (np.log(P), P, NLL, "indices-dtype", "Use cross_entropy on the logits, or argmax"),
    "labels of one channel": (
        logits(2, 1, 3, 5),
        (indices(7, 2, 1, 3, 5) < 3).astype(int),
        {},
        "binary-labels",
        "Axis 1 has length 1",
    ),
    "labels beside one channel": (
        logits(2, 1, 3, 5),
        indices(2, 2, 3, 5),
        {},
        "single-channel",
        "on the logits in the shape (2, 3, 5)",
    ),
    "one score a sample": (
        logits(8, 1),
        indices(2, 8),
        {},
        "axis-of-length-1",
        "on the logits in the shape (8,) of the targets",
    ),
    "one score and a label each": (logits(8, 1), indices(2, 8, 1), {}, "axis-of-length-1", "sigmoid"),
    "the first axis": (logits(1, 8), None, {"axis": 0}, "axis-of-length-1", "longer ones: 1"),
    "labels without the axis": (logits(4, 1), indices(2, 4), BINARY, "kept-axis", "would broadcast to (4, 4)"),
    "labels with an axis more": (logits(1, 4), indices(2, 1, 1, 4), BINARY, "kept-axis", "shape (1, 4)."),
    "labels of another length": (logits(4, 2), indices(2, 3, 2), BINARY, "targets-shape", "shape (4, 2)"),
    "classes for binary cross-entropy": (IMAGE, MAP, BINARY, "class-indices", "cross_entropy with axis=1"),
    "weights of another axis": (IMAGE, MAP, {"axis": 1, "weight": np.ones(5)}, "weight-shape", "fits axis 3"),
    "weights of samples": (X, T, {"sample_weight": np.ones((8, 3))}, "weight-shape", "losses with shape (8,)"),
    "weights of labels": (X, YES, {**BINARY, "sample_weight": np.ones(8)}, "weight-shape", "losses with shape (8, 3)"),
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.backends(fits=lambda backend: backend.name != "dask")
def test_shapes_that_do_not_fit_are_explained(target, name):
    x, t, options, code, words = LAYOUTS[name]
    found = run(target, ((x,) if t is None else (x, t), options))
    assert found.codes == [code], found
    assert words in f"{found[0].seen} {found[0].advice}", found


def test_an_axis_of_length_1_is_one_hot_in_nothing():
    assert ax.diagnose(logits(2, 1, 3, 5), np.ones((2, 1, 3, 5), dtype=int)).codes == ["binary-labels"]


def test_integers_in_the_shape_of_the_logits_are_found_whatever_is_ignored():
    assert ax.diagnose(X, with_values(ONE_HOT, i2_2=255), ignore_index=255).codes == ["labels-outside-0-1"]


def test_in_two_dimensions_the_axis_is_not_called_ambiguous():
    assert not ax.diagnose(logits(4, 4), indices(4, 4))


# Values ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("integer", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"])
@pytest.mark.backends(fits=lambda backend: backend.name != "dask")
def test_ignored_values_of_every_integer_dtype(target, integer):
    """What is no class, and looks like what other tools write; -1 and -100 are other numbers in an unsigned dtype."""
    info = np.iinfo(integer)
    for value in (255, -1, -100):
        held = int(np.asarray(value).astype(integer)) if integer[0] == "u" or info.min <= value <= info.max else None
        if held is None:
            continue
        t = T.astype(integer)
        t[4:6] = held
        x, t = target.array(X, "float32"), target.xp.asarray(t)
        found = ax.diagnose(x, t)
        assert found.codes == ["not-ignored"]
        assert found[0].seen.startswith(
            f"{held} in 2 of 8 targets, first at (4,): it is none of the 3 classes, and no "
        )
        assert f"ignore_index={held} " in found[0].advice
        assert held in (255, -1, -100) or f" {held} is what {value} becomes in {integer}." in found[0].seen
        assert ax.diagnose(x, t, ignore_index=held) == []
        wrong = ax.diagnose(x, t, ignore_index=77)
        assert wrong.codes == ["not-ignored"]
        assert "ignore_index is 77" in wrong[0].seen


def test_an_ignore_index_that_the_targets_cannot_hold_names_none_of_them():
    t = T.astype(np.uint64)
    t[4] = 2**64 - 1
    assert ax.diagnose(X, t, ignore_index=-1).codes == ["not-ignored"]
    assert ax.diagnose(X, t, ignore_index=2**64 - 1) == []


def test_classes_out_of_range():
    found = ax.diagnose(X, with_values(T, i3=-7, i5=12, i6=12))
    assert found.codes == ["class-out-of-range"]
    assert (found[0].count, found[0].first) == (3, (3,))
    assert found[0].seen == "in 3 of 8 targets the index is none of the 3 classes, first at (3,): -7."
    assert "subtract 1 if classes are counted from 1" in ax.diagnose(X, T + 1)[0].advice
    assert "subtract" not in ax.diagnose(X, with_values(T, i3=3))[0].advice  # a 0 is among them
    both = ax.diagnose(X, with_values(T, i3=7, i5=255))
    assert both.codes == ["not-ignored", "class-out-of-range"]
    assert [finding.count for finding in both] == [1, 1]


def test_masks_and_ignored_values_are_told_apart():
    def codes(values, **options):
        return ax.diagnose(X, np.asarray(values, dtype=np.uint8), **options).codes

    assert codes([0, 255] * 4) == ["labels-0-255"]
    assert codes([255] * 8) == ["labels-0-255"]
    assert codes([0, 255, 1, 255, 2, 0, 1, 2]) == ["not-ignored"]
    assert codes([0, 255, 1, 255, 2, 0, 1, 2], ignore_index=255) == []
    assert codes([0, 255] * 4, ignore_index=255) == ["class-absent"]
    assert codes([255] * 8, ignore_index=255) == ["nothing-counted"]


@pytest.mark.parametrize("of", [np.uint8, np.int64, np.float32])
def test_masks_are_found_in_every_place_where_labels_may_be(of):
    mask = (255 * YES).astype(of)
    assert ax.diagnose(X, mask, **BINARY).codes == ["labels-0-255"]
    assert ax.diagnose(X, mask).codes == ["labels-0-255"]
    assert ax.diagnose(X[:, :1], mask[:, :1]).codes == ["axis-of-length-1", "labels-0-255"]
    assert ax.diagnose(X[:, :1], mask[:, 0]).codes == ["axis-of-length-1", "labels-0-255"]
    assert ax.diagnose(X[:, :1], mask[:, :1], ignore_index=255).codes == ["axis-of-length-1"]


def test_255_is_a_class_of_many():
    x, t = logits(600, 300), indices(300, 600)
    assert not ax.diagnose(x, t)
    assert ax.diagnose(x[:, :256], 255 * indices(2, 600)).codes == ["class-absent"]
    assert ax.diagnose(x[:, :255], 255 * indices(2, 600)).codes == ["labels-0-255"]
    found = ax.diagnose(x, t, ignore_index=255)
    assert found.codes == ["ignore-index-is-a-class"]
    assert "2 of 600 targets, first at (255,)" in found[0].seen


def test_classes_that_never_occur():
    assert ax.diagnose(X, np.asarray([0, 0, 0, 0, 2, 2, 2, 2]))[0].seen == "1 of 3 classes without a sample among 8: 1."
    assert ax.diagnose(X[:3], np.asarray([0, 0, 2])).codes == ["class-absent"]
    assert not ax.diagnose(X[:2], np.asarray([0, 0])), "two samples cannot have three classes"
    many = ax.diagnose(logits(99, 40), np.zeros(99, dtype=int))
    assert many[0].seen == "39 of 40 classes without a sample among 99: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ...."
    soft = ax.diagnose(X, np.tile([0.5, 0.5, 0.0], (8, 1)))
    assert (soft.codes, soft[0].first) == (["class-absent"], (2,))
    # A class that is left out on purpose is not missed, and of one that has no weight nothing occurs.
    assert ax.diagnose(X, T, ignore_index=2).codes == ["ignore-index-is-a-class"]
    assert ax.diagnose(X, T, weight=np.asarray([1.0, 1.0, 0.0])).codes == ["class-absent"]
    assert ax.diagnose(X, YES * 0, **BINARY)[0].seen == "all 24 labels are 0."


def test_labels():
    found = ax.diagnose(X, with_values(YES.astype(float), i3_1=1.5, i4_0=-0.25), **BINARY)
    assert found.codes == ["labels-outside-0-1"]
    assert (
        found[0].seen == "labels are in [0, 1], and 2 of 24 targets not, first at (3, 1): 1.5, of -0.25 to 1.5 in all."
    )
    assert not ax.diagnose(X, ax.sigmoid(X), **BINARY), "soft labels are labels"
    assert ax.diagnose(X, with_values(P, i5_1=-0.1, i5_0=P[5, 0] + P[5, 1] + 0.1)).codes == ["labels-outside-0-1"]


def test_losses_of_inf_are_told_apart():
    """What where hides, what is -inf, and where nothing is left at all."""
    nothing = with_values(SEEN, i4_0=False, i4_1=False, i4_2=False)
    assert ax.diagnose(X, T, where=nothing).codes == ["nothing-visible"]
    lost = with_values(X, i4_1=-INF)
    assert ax.diagnose(lost, T, where=with_values(SEEN, i4_1=False)).codes == ["target-hidden"]
    assert ax.diagnose(lost, T, where=with_values(SEEN, i4_0=False)).codes == ["target-at-minus-inf"]
    soft = ax.diagnose(lost, P)
    assert (soft.codes, soft[0].first) == (["target-at-minus-inf"], (4,))
    assert not ax.diagnose(lost, with_values(P, i4_0=P[4, 0] + P[4, 1], i4_1=0.0)), "a probability of 0 adds nothing"


@pytest.mark.parametrize("value", [-1.0, INF, NAN])
def test_weights_that_are_none(value):
    for name, shape in (("weight", 3), ("sample_weight", 8)):
        found = ax.diagnose(X, T, **{name: with_values(np.ones(shape), i2=value)})
        assert (found.codes, found[0].count, found[0].first) == (["weight-values"], 1, (2,))
        assert found[0].seen == f"1 negative, infinite or NaN in {name}, first at (2,): {value:g}."
    assert ax.diagnose(X, YES, **BINARY, sample_weight=np.asarray(value)).codes == ["weight-values"]


def test_infinite_logits_that_agree_with_their_label():
    x = with_values(X, i0_0=-INF, i0_1=INF)
    assert (YES[0, 0], YES[0, 1]) == (0, 1)
    assert not ax.diagnose(x, YES, **BINARY)
    found = ax.diagnose(x, 1 - YES, **BINARY)
    assert (found.codes, found[0].count) == (["infinite-loss"], 2)
    assert ax.diagnose(x, np.clip(YES, 0.1, 0.9), **BINARY)[0].count == 2
    assert ax.diagnose(with_values(X, i2_0=1e308), YES, **BINARY).codes == ["near-overflow"]


def test_probabilities_that_are_none():
    found = ax.diagnose(X, ax.sigmoid(X))
    assert found.codes == ["targets-sum"]
    assert found[0].seen.startswith(
        "along the class axis 1 the targets do not sum to 1 in all 8 slices, first at (0,), but"
    )
    assert "binary_cross_entropy_with_logits" in found[0].advice


def test_what_is_left_out_is_not_looked_at():
    """Neither as a target nor as a logit: the loss does not look at it either."""
    bad = with_values(X, i4_0=NAN, i5_1=INF, i6_2=1e308)
    weights = np.ones(8)
    weights[4:7] = 0
    hidden = with_values(SEEN, i4_1=False, i5_0=False, i5_1=False, i5_2=False)
    lost = with_values(X, i4_1=-INF, i5_0=-INF, i5_1=-INF, i5_2=-INF, i6_1=-INF)
    assert not ax.diagnose(bad, T, where=hidden, sample_weight=weights)
    assert not ax.diagnose(lost, T, sample_weight=weights, label_smoothing=0.1)
    assert not ax.diagnose(lost, with_values(P, i4_1=NAN, i5_0=INF, i5_1=-INF), sample_weight=weights)
    assert not ax.diagnose(lost, with_values(YES * 1.0, i4_1=255), **BINARY, sample_weight=weights[:, None])
    assert not ax.diagnose(bad, T, sample_weight=weights)
    assert not ax.diagnose(bad, with_values(T, i4=9, i5=9, i6=9), ignore_index=9)
    assert not ax.diagnose(bad, P, sample_weight=weights)
    assert not ax.diagnose(bad, YES, **BINARY, sample_weight=weights[:, None])
    assert np.isfinite(ax.cross_entropy(bad, T, sample_weight=weights))
