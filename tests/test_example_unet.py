"""The scenes of ``examples/unet``: what is made of NumPy alone. Its ``train.py`` checks the rest of it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parent.parent / "examples" / "unet" / "scenes.py"


@pytest.fixture(scope="module")
def scenes():
    spec = importlib.util.spec_from_file_location("unet_scenes", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def digits():
    """Ten strokes for ten digits, 8 x 8: digit k is a bar of full ink."""
    images = np.zeros((10, 8, 8), np.float32)
    for k in range(10):
        images[k, 1:7, 1 + k // 2 : 4 + k // 2] = 1
    return images, np.arange(10)


def test_a_seed_makes_the_same_scenes_and_another_seed_others(scenes, digits):
    images, classes = scenes.batch((3, 1), 4, *digits, 64)
    again, classes_again = scenes.batch((3, 1), 4, *digits, 64)
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(classes, classes_again)
    assert (scenes.batch((3, 2), 4, *digits, 64)[1] != classes).any()


def test_scenes_hold_every_class_and_a_border_round_each_digit(scenes, digits):
    images, classes = scenes.batch(0, 20, *digits, 64)
    assert images.shape == (20, 3, 64, 64)
    assert images.dtype == np.float32
    assert images.min() >= 0
    assert images.max() <= 1
    assert set(np.unique(classes)) == {*range(scenes.CLASSES), scenes.IGNORE}
    for one in classes:
        digit = (one != scenes.BACKGROUND) & (one != scenes.IGNORE)
        assert (one[scenes.around(digit) & ~digit] == scenes.IGNORE).all()  # never background beside a digit


def test_interpolation_keeps_the_ends_and_straight_lines(scenes):
    matrix = scenes.interpolation(4, 8)
    np.testing.assert_allclose(matrix @ np.arange(4.0), np.linspace(0, 3, 8), rtol=1e-6)
    assert matrix[0].tolist() == [1, 0, 0, 0]
    assert matrix[-1].tolist() == [0, 0, 0, 1]
    assert scenes.interpolation(1, 2).tolist() == [[1], [1]]


def test_class_weights_favour_what_is_rare_and_leave_the_border_out(scenes):
    classes = np.repeat([*range(scenes.CLASSES), scenes.IGNORE], [*[100] * 10, 10_000, 50_000])
    weights = scenes.class_weights(classes)
    assert weights.mean() == pytest.approx(1)
    np.testing.assert_allclose(weights[:10] / weights[scenes.BACKGROUND], 10, rtol=1e-6)


def test_score_counts_no_ignored_pixel(scenes):
    truth = np.asarray([[0, 0, 10, scenes.IGNORE], [10, 10, 10, scenes.IGNORE]])
    found = np.asarray([[0, 10, 10, 3], [10, 10, 10, 0]])
    scores = scenes.intersection_over_union(truth, found)
    assert scores[0] == 1 / 2
    assert scores[scenes.BACKGROUND] == 4 / 5
    assert np.isnan(scores[1:10]).all()
