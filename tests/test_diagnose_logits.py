"""``diagnose`` of logits: what they are already, what they hold, at which scale; and of input of any shape."""

from __future__ import annotations

import itertools
import math
import re
import warnings

import numpy as np
import pytest
from diagnosed import BINARY, ELSEWHERE, INF, NAN, SEEN, P, T, X, indices, logits, run, with_values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import axisoft as ax

# Logits ---------------------------------------------------------------------------------------------------------------


@pytest.mark.backends(fits=lambda backend: backend.name != "dask")
def test_a_softmax_before_the_loss_in_every_dtype(target, dtype):
    x, t = target.array(logits(64, 50), dtype), target.array(indices(50, 64), "int")
    p, log_p = ax.softmax(x), ax.log_softmax(x)
    assert ax.diagnose(x, t) == []
    assert ax.diagnose(p, t).codes == ["probabilities"]
    assert ax.diagnose(log_p, t).codes == ["log-probabilities"]
    assert ax.diagnose(p, t, loss="nll_loss").codes == ["probabilities"]
    assert ax.diagnose(log_p, t, loss="nll_loss") == []
    assert ax.diagnose(ax.softmax(x, axis=0), t).codes == ["normalised-elsewhere"]
    assert ax.diagnose(ax.log_softmax(x, axis=0), t).codes == ["normalised-elsewhere"]
    assert ax.diagnose(ax.log_softmax(x, axis=0), t, loss="nll_loss").codes == ["normalised-elsewhere"]
    if dtype in ("float32", "float64"):  # one sum in half precision may be 1 by chance
        found = ax.diagnose(ax.softmax(x, axis=None), t)
        assert found.codes == ["normalised-elsewhere"]
        assert "(0, 1) together" in found[0].seen


def test_probabilities_that_have_become_another_dtype():
    for made_in, now in ((np.float32, np.float64), (np.float16, np.float16)):
        p = ax.softmax(logits(64, 50).astype(made_in)).astype(now)
        assert ax.diagnose(p).codes == ["probabilities"], (made_in, now)
    p = ax.softmax(logits(4, 100_000).astype(np.float16))
    assert ax.diagnose(p).codes == ["probabilities"], "most of them are subnormal numbers"
    p = ax.softmax(np.zeros((4, 1_000_000), dtype=np.float16))
    assert ax.diagnose(p).codes == ["probabilities"], "these sum to 1.0133"


@pytest.mark.backends(fits=lambda backend: backend.name == "torch")
def test_so_many_slices_that_it_is_not_by_chance(target):
    """One in 50 pairs of negative bfloat16 logits passes for log-probabilities; hardly one in 10 000 triples do."""
    for dtype, least in (("float64", 1), ("float32", 1), ("float16", 2), ("bfloat16", 3)):
        for function in (ax.softmax, ax.log_softmax):
            y = function(target.array(logits(3, 2), dtype))
            assert len(ax.diagnose(y[: least - 1])) == 0
            assert len(ax.diagnose(y[:least])) == 1


def test_log_probabilities_are_rounded_at_their_own_size():
    """Each of these is off by half of 2**-7, and so is the logarithm of the sum of their exponentials."""
    count = round(math.exp(1384.5 / 128))
    assert ax.diagnose(ax.log_softmax(np.zeros((4, count), dtype=np.float16))).codes == ["log-probabilities"]


def test_what_where_hides_is_not_looked_at_along_other_axes():
    assert ax.diagnose(ELSEWHERE).codes == ["normalised-elsewhere"]
    assert ax.diagnose(ELSEWHERE, where=with_values(SEEN, i4_1=False)).codes == ["in-unit-interval"]


def test_how_near_to_1_sums_are():
    for off, codes in ((7e-6, ["probabilities"]), (8e-6, ["in-unit-interval"])):
        assert ax.diagnose(with_values(P, i3_1=P[3, 1] + off)).codes == codes
        assert ax.diagnose(X, with_values(P, i3_1=P[3, 1] + off)).codes == (
            [] if codes[0] == "probabilities" else ["targets-sum"]
        )


def test_a_softmax_over_another_axis_of_images_with_ignored_pixels():
    x, t = logits(2, 4, 3, 5), indices(4, 2, 3, 5)
    t[0, 1] = 255
    for axes in (2, 3, (2, 3)):
        for function in (ax.softmax, ax.log_softmax):
            found = ax.diagnose(function(x, axis=axes), t, axis=1, ignore_index=255)
            assert found.codes == ["normalised-elsewhere"]
            assert re.search(rf"along (axis|the axes) {re.escape(str(axes))}", found[0].seen)


def test_slices_of_which_where_leaves_one_class():
    """A loss over one class is 0: there is no floor to speak of."""
    x = np.asarray([[1.0, 0.3], [0.25, 0.75]])
    assert not ax.diagnose(x, where=np.asarray([[True, False], [True, True]]))
    assert ax.diagnose(x, where=np.asarray([[False, False], [True, True]])).codes == [
        "nothing-visible",
        "probabilities",
    ]


def test_no_evidence_of_a_softmax():
    """What a one-hot array is, and logits less their largest."""
    assert not ax.diagnose(np.eye(4))
    dropped = np.asarray([1.0, 0.0])
    assert ax.diagnose(np.asarray([[0.0, -40.0], [NAN, -1.0]]), sample_weight=dropped).codes == ["saturated"]
    half = np.asarray([[0.0, 1.0], [1.0, 0.0], [0.25, 0.75], [0.5, 0.5]], dtype=np.float16)
    assert not ax.diagnose(half[:3]), "one slice of half precision, beside two that are no evidence"
    assert ax.diagnose(half).codes == ["probabilities"]
    assert not ax.diagnose(np.asarray([[0.0, 0.0], [-50.0, -60.0]])), "nor along another axis"
    assert ax.diagnose(np.asarray([[0.0, -40.0]])).codes == ["saturated"]
    assert ax.diagnose(np.asarray([[0.0, -40.0], [-0.5, np.log1p(-np.exp(-0.5))]])).codes == ["log-probabilities"]
    assert ax.diagnose(np.asarray([[0.0, 1.0], [0.25, 0.75]])).codes == ["probabilities"]


def test_the_least_loss_of_probabilities_is_what_is_said():
    for n in (2, 5, 1000):
        said = ax.diagnose(np.full((1, n), 1 / n))[0].seen
        least = float(ax.cross_entropy(np.eye(n)[:1], np.asarray([0])))
        assert said.endswith(f"the loss over {n} classes cannot fall below {least:.4g}.")


def test_scores_of_a_sigmoid_are_found_among_enough_numbers():
    x = np.random.default_rng(11).random((4, 4))
    for loss in ("cross_entropy", "binary_cross_entropy_with_logits"):
        assert ax.diagnose(x, loss=loss).codes == ["in-unit-interval"]
        assert not ax.diagnose(x[:, :3], loss=loss), "12 numbers may be in [0, 1] by chance"
        assert not ax.diagnose(x * 0, loss=loss), "a network that starts at 0"
        assert not ax.diagnose(with_values(x, i0_0=1.0001), loss=loss)
        assert not ax.diagnose(with_values(x, i0_0=-0.0001), loss=loss)


def test_more_than_half_of_the_slices_are_saturated():
    far = math.log(2 / np.finfo(np.float64).eps)  # where the rest is half a unit in the last place of 1
    x = np.asarray([[0.0, -far - 1e-9], [0.0, -far - 1e-9], [0.0, -far + 1e-9], [0.0, -1.0]])
    assert not ax.diagnose(x)
    found = ax.diagnose(x[:3])
    assert found.codes == ["saturated"]
    assert "in 2 of 3 slices the largest probability is 1 within rounding of float64" in found[0].seen
    assert "the median distance from the largest logit to the second is 36.74" in found[0].seen
    assert not ax.diagnose(np.asarray([[0.0, -INF], [3.0, -INF]])), "that is a mask, and no scale"
    assert ax.diagnose(x[:3, 1], **BINARY).codes == ["saturated"]
    assert not ax.diagnose(x[1:, 1], **BINARY)
    assert not ax.diagnose(x[:, 1], **BINARY), "half of them"


@pytest.mark.backends(fits=lambda backend: backend.name != "dask")
def test_dominated_samples_are_those_that_a_plain_implementation_loses(target, dtype):
    x = target.array(np.stack([np.linspace(1, 60, 60), np.zeros(60)], axis=1), dtype)
    t = target.array(np.zeros(60), "int")
    found = {f.code: f for f in ax.diagnose(x, t, axis=-1)}["dominated"]
    wide = np.float64 if dtype == "float64" else np.float32
    plain = target.numpy(x).astype(wide)
    plain = -(
        plain
        - plain.max(axis=1, keepdims=True)
        - np.log(np.exp(plain - plain.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True))
    )[:, 0]
    assert found.count == np.count_nonzero(plain == 0)
    assert found.first == (int(np.argmax(plain == 0)),)
    largest = np.log1p(np.exp(-(found.first[0] + 1.0)))
    assert f"it is {np.log1p(np.exp(-60.0)):.4g} to {largest:.4g}." in found.seen


def test_dominated_only_where_the_target_is_one_class():
    x, t = with_values(X, i4_1=90.0), np.eye(3)[T]
    assert ax.diagnose(x, t).codes == ["dominated"]
    assert not ax.diagnose(x, with_values(t, i4_0=1e-12)), "that loss is no rounding error"
    assert not ax.diagnose(x, T, label_smoothing=0.1)
    assert not ax.diagnose(with_values(X, i4_1=5000.0), T), "0 is then the loss itself"


@pytest.mark.parametrize(("of", "offset"), [("float16", 32.0), ("float32", 2.0**18), ("float64", 2.0**47)])
def test_an_offset_that_takes_the_digits(of, offset):
    """From where the spacing is 1/32, unless the slice spans more than a sixteenth of the offset."""
    x = np.asarray([[0.0, 1.0], [0.0, offset / 16]])
    found = ax.diagnose((x + offset).astype(of))
    assert found.codes == ["coarse-spacing"]
    assert (found[0].count, found[0].first) == (1, (0,))
    assert "where numbers are 0.0312 apart, and the slice spans 1." in found[0].seen
    assert not ax.diagnose((x[:1] + offset - 2).astype(of)), "just below"
    assert ax.diagnose((-x[:1] - offset).astype(of)).codes == ["coarse-spacing"], "below 0 as well"
    assert not ax.diagnose((x[:1] + offset).astype(int)), "integers are exact"


def test_an_offset_of_a_million_in_float32():
    found = ax.diagnose((X + 1e6).astype(np.float32), T)
    assert found.codes == ["coarse-spacing"]
    assert "1e+06 and more, where numbers are 0.0625 apart" in found[0].seen


@pytest.mark.backends(fits=lambda backend: backend.name != "dask")
def test_near_overflow_in_every_dtype(target, dtype):
    largest = {"float16": 65504.0, "bfloat16": 3.3895e38, "float32": 3.4028e38, "float64": 1.79769e308}[dtype]
    x = np.zeros((3, 4))
    x[1, 2] = largest * 0.75
    (found,) = ax.diagnose(target.array(x, dtype))
    assert (found.code, found.count, found.first) == ("near-overflow", 1, (1, 2))
    assert found.seen.endswith(f"and {dtype} ends at {largest:.5g}.")
    x[1, 2] = largest * 0.49
    assert ax.diagnose(target.array(x, dtype)) == []


# Hostile input --------------------------------------------------------------------------------------------------------

SHAPES = [
    (),
    (1,),
    (3,),
    (0,),
    (2, 3),
    (3, 2),
    (3, 3),
    (2, 1),
    (1, 2),
    (1, 1),
    (0, 3),
    (3, 0),
    (2, 3, 3),
    (2, 1, 3),
    (0, 1, 0),
]
KINDS_OF_TARGETS = ["int64", "uint8", "bool", "float32"]


def losses_of(x, t, loss, **options):
    """The losses, and None where the call is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return getattr(ax, loss)(x, t, reduction="none", **options)
        except (TypeError, ValueError, IndexError):
            return None


@pytest.mark.parametrize("loss", ["cross_entropy", "nll_loss", "binary_cross_entropy_with_logits"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_whatever_the_loss_turns_away_is_found_and_its_advice_on_the_axis_can_be_followed(shape, loss):
    """Every shape beside every other, along every axis: a call that is an error, or gives NaN or inf, has a finding."""
    binary = loss == BINARY["loss"]
    x = logits(*shape).astype(np.float32) if math.prod(shape) != 1 else np.full(shape, -1.5, dtype=np.float32)
    for target_shape, dtype in itertools.product(SHAPES, KINDS_OF_TARGETS):
        t = indices(2, *target_shape).astype(dtype)
        for axis in range(len(shape)) if not binary else [None]:
            options = {} if binary else {"axis": axis}
            found = ax.diagnose(x, t, loss=loss, **options)
            losses = losses_of(x, t, loss, **options)
            if losses is None or not np.isfinite(losses).all():
                assert found, (target_shape, dtype, axis)
            for advice in (f.advice for f in found if f.code == "another-axis" and dtype in ("int64", "uint8")):
                for other in {int(n) for n in re.findall(r"axis=(\d)", advice)}:
                    a = t.argmax(axis=other) if "argmax" in advice else t % shape[other]
                    assert losses_of(x, a, loss, axis=other) is not None, advice


def test_an_array_without_axes():
    assert not ax.diagnose(np.asarray(0.5), np.asarray(1), **BINARY)
    assert ax.diagnose(np.asarray(0.5), np.asarray(255), **BINARY).codes == ["labels-0-255"]
    with pytest.raises(ValueError, match=r"^diagnose: axis -1 is out of bounds for logits with shape \(\); "):
        ax.diagnose(np.asarray(0.5))


@pytest.mark.backends(fits=lambda backend: backend.name != "dask")
def test_empty_arrays_hold_nothing_to_find(target):
    x = target.array(np.zeros((0, 3)), "float32")
    assert ax.diagnose(x) == []
    assert ax.diagnose(x, target.array(np.zeros(0), "int"), ignore_index=255) == []
    assert ax.diagnose(x, x, sample_weight=target.array(np.zeros(0), "float32")) == []
    assert ax.diagnose(x, target.array(np.zeros((0, 3)), "int"), **BINARY) == []


@pytest.mark.backends(fits=lambda backend: backend.name != "dask")
def test_integer_logits(target):
    x, t = target.array(np.arange(24).reshape(8, 3) % 5, "int"), target.array(T, "int")
    assert ax.diagnose(x, t) == []
    assert ax.diagnose(x * 1000, t).codes == ["saturated"]


def test_nothing_is_changed_and_nothing_warned_of():
    x = np.asarray([[NAN, INF, -INF], [1e308, -1e308, 0.0], [-INF, -INF, -INF]])
    t, w = np.asarray([0, 255, -1]), np.asarray([NAN, INF, -1.0])
    for a in (x, t, w):
        a.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for loss in ("cross_entropy", "nll_loss"):
            for options in ({}, {"weight": w}, {"sample_weight": w}):
                assert ax.diagnose(x, t, loss=loss, **options)
        assert ax.diagnose(x, x, where=x > 0, label_smoothing=0.5)
        assert ax.diagnose(x, x, **BINARY)
        weights = with_values(np.ones(8), i4=0, i5=0)
        unsummed = with_values(P, i4_0=INF, i5_0=-INF, i6_1=0.9)
        assert ax.diagnose(ELSEWHERE / 2, unsummed, sample_weight=weights).codes == ["targets-sum", "in-unit-interval"]
        assert ax.diagnose(with_values(ELSEWHERE / 2, i4_0=INF, i5_0=-INF), sample_weight=weights)
        assert ax.diagnose(x.astype(">f8")[::-1, ::-1], t)


def test_no_function_of_the_library_calls_it():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ax.cross_entropy(P, T)
        ax.softmax(logits(8, 1))


# Random input ---------------------------------------------------------------------------------------------------------


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.backends(fits=lambda backend: backend.name != "dask")
def test_of_clean_input_nothing_is_found(target, dtype, data):
    """Standard normal logits, and targets of every kind in which each class occurs."""
    classes = data.draw(st.integers(2, 6))
    shape = data.draw(st.lists(st.integers(1, 4), min_size=0, max_size=3))
    axis = data.draw(st.integers(0, len(shape)))
    samples = math.prod(shape)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    x = rng.normal(size=(*shape[:axis], classes, *shape[axis:]))
    options = {"axis": axis}
    t = np.resize(rng.permutation(classes), samples).reshape(shape)
    if data.draw(st.booleans()):
        options["ignore_index"] = data.draw(st.sampled_from([-100, -1, 255]))
    kind = data.draw(st.sampled_from(["indices", "probabilities", "none", "binary"]))
    arguments = {
        "indices": (x, t),
        "probabilities": (x, np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)),
        "none": (x,),
        "binary": (x, np.resize([0, 1], x.shape)),
    }[kind]
    if kind == "binary":
        options = BINARY
    elif kind != "indices":
        options.pop("ignore_index", None)
    found = run(target, (arguments, options), dtype)
    # By its shape alone one axis may be as good as another, and few numbers may all be in [0, 1] or near one another.
    assert not set(found.codes) - {"ambiguous-axis", "coarse-spacing"}, found
    assert "ambiguous-axis" not in found.codes or x.shape.count(classes) > 1
