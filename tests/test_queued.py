"""CuPy's way without CuPy: the suite's tests of values and gradients, over NumPy in the place of its kernels.

What is left to a device are the two kernels of axisoft/_backends/cupy.py, which test_cupy_without_device.py compiles,
and CuPy itself.
"""

# ruff: noqa: F401 - what is imported is run

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

import eager
import numpy as np
import pytest
from test_accuracy import (
    test_200_000_classes,
    test_a_million_classes,
    test_cross_entropy_of_a_million_classes,
    test_cross_entropy_over_a_long_first_axis,
    test_every_length_of_nearly_equal_terms,
    test_spikes_among_a_million,
    test_the_gradient_of_logsumexp_over_many_classes,
)
from test_autodiff import (
    test_a_class_that_does_not_exist,
    test_a_dominant_class_keeps_its_digits,
    test_a_soft_target_of_0_at_minus_inf_has_a_finite_derivative,
    test_edges,
    test_finite_differences,
    test_the_derivative_along_a_target_of_0_is_the_loss_that_it_would_let_in,
    test_the_gradient_of_a_half_precision_array_is_that_of_float32_rounded_once,
)
from test_golden import test_golden, test_slides
from test_large_arrays import (
    test_cross_entropy_and_its_gradient,
    test_special_rows_among_many,
    test_the_softmax_family,
)
from test_linear import (
    test_a_capped_logit_keeps_the_digits_of_its_slope,
    test_gradients_along_some_of_the_arrays,
    test_more_axes,
    test_no_samples,
    test_nothing_of_a_dropped_sample_leaks,
    test_one_sample_without_axes,
    test_samples_that_all_are_dropped,
    test_the_promise_given_the_logits,
    test_value_and_gradients,
    test_what_is_hidden_may_hold_anything,
)
from test_reproducible import test_a_slice_is_by_itself_where_no_value_chooses
from test_special_values import (
    test_100_000_equal_half_entries,
    test_all_dropped_mean_is_0,
    test_binary_cross_entropy_at_infinite_logits,
    test_cross_entropy,
    test_dropped_samples_do_not_count,
    test_no_elements,
    test_one_element,
    test_slice_that_the_mask_hides,
    test_soft_target_of_0_at_a_logit_of_minus_inf_adds_0,
    test_softmax_family,
    test_target_that_the_mask_hides_costs_inf,
    test_weights_that_cancel_give_a_mean_of_0,
)

from axisoft import _backends, testing
from axisoft._backends import queued


@dataclass(frozen=True)
class OnNumPy(testing.targets.Target):
    """Every call in a session is run as CuPy's would be."""

    @contextlib.contextmanager
    def session(self):
        with eager.installed():
            yield


ROW = replace(_backends.BY_NAME["cupy"], package="numpy", namespace="array_api_compat.numpy")
TARGETS = [OnNumPy(ROW, "cuda")]


def test_nothing_waits_for_the_device():
    """All that is above ran on arrays that say so."""
    x = np.zeros((2, 3)).view(eager.Array)
    for ask in (bool, int, float, list, lambda x: x.item(), lambda x: x.sum().tolist(), lambda x: x.nonzero()):
        with pytest.raises(AssertionError, match="this waits for the device"):
            ask(x)


def test_what_is_left_out_of_a_sum_is_found_and_put_back_wherever_it_is():
    rng = np.random.default_rng(0)
    for shape, axis in (((7,), 0), ((3, 5), 0), ((3, 5), 1), ((2, 3, 4), 1)):
        x = rng.normal(size=shape).view(eager.Array)
        at = eager.XP.position(x, (axis,))
        assert np.array_equal(eager.XP.take_along_axis(x, at, axis), np.max(x, axis=axis, keepdims=True))
        y = eager.XP.put_over(x.copy(), at, at * 0.0, axis)
        assert np.array_equal(y, np.where(x == np.max(x, axis=axis, keepdims=True), 0.0, x))


def test_arrays_that_cupy_cannot_count_are_not_written_to_by_index(monkeypatch):
    x = np.zeros((2, 3)).view(eager.Array)
    index = np.asarray([[2], [0]])
    monkeypatch.setattr(queued, "UNCOUNTED", 6)
    assert np.array_equal(eager.XP.put_over(x, index, 5.0, 1), [[0, 0, 5], [5, 0, 0]])
    assert not np.asarray(x).any()


def test_nan_is_where_the_largest_element_is():
    x = np.asarray([[0.0, np.nan, np.inf]]).view(eager.Array)
    assert np.array_equal(eager.XP.position(x, (1,)), [[1]])
    assert eager.XP.position(x, (0, 1)) is None


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("count", [1, 63, 64, 65, 1023, 1024, 1025, 70_000])
def test_no_sum_of_a_kernel_is_long(monkeypatch, count, order):
    """Whatever the number of terms, a thread adds 4 in sequence, and all of them are in the sum."""
    longest = {"along": 0, "across": 0}

    def watched(x, axis, keepdims=False):
        along = "along" if x.strides[axis] == x.itemsize else "across"
        longest[along] = max(longest[along], x.shape[axis])
        return eager.kernel_sum(x, axis, keepdims)

    monkeypatch.setattr(eager.XP, "_sum", watched)
    x = np.asarray(np.arange(2.0 * count).reshape(count, 2), order=order).view(eager.Array)
    assert np.array_equal(eager.XP.sum(x, axis=0, keepdims=True), np.sum(x, axis=0, keepdims=True))
    assert longest["along"] <= 4 * 256
    assert longest["across"] <= 4 * 16
