"""Scenes to segment: handwritten digits of several sizes and colours on a dark, noisy canvas. NumPy alone.

The classes are the digits 0 to 9 and the background. The pixels just outside a digit are an edge that nobody can place:
they are labelled ``IGNORE``, as borders are in the PASCAL VOC data, and count in no loss and no score.
"""

from __future__ import annotations

import numpy as np

BACKGROUND, CLASSES, IGNORE = 10, 11, 255
NAMES = [*"0123456789", "background"]


def interpolation(old, new):
    """The (new, old) matrix of linear interpolation from old to new points with aligned corners."""
    places = np.linspace(0, old - 1, new)
    return np.stack([np.interp(places, np.arange(old), unit) for unit in np.eye(old)], axis=1).astype(np.float32)


def scene(rng, digits, labels, side):
    """One scene as (image of shape (3, side, side) in [0, 1], classes of shape (side, side)).

    ``digits`` are 8 x 8 images in [0, 1], drawn 1.5 to 3 times as large. They may touch, and cover each other a little:
    the later one is in front.
    """
    image = np.ones((3, side, side), np.float32) * rng.uniform(0.0, 0.25, (3, 1, 1))
    classes = np.full((side, side), BACKGROUND)
    for _ in range(rng.integers(side // 16, side // 5)):
        which = rng.integers(len(digits))
        height, width = rng.integers(12, 25), rng.integers(12, 25)
        height = int(np.clip(height, 0.75 * width, 1.33 * width))
        colour = rng.uniform(0.45, 1.0, (3, 1, 1))
        top, left = rng.integers(1, side - height), rng.integers(1, side - width)

        ink = interpolation(8, height) @ digits[which] @ interpolation(8, width).T
        drawn = np.zeros((side, side), np.float32)
        drawn[top : top + height, left : left + width] = ink
        digit = drawn > 0.4
        covered = digit & (classes != BACKGROUND)
        if covered.sum() > 0.05 * digit.sum():
            continue
        image = image * (1 - drawn) + colour * drawn
        classes[around(digit) & ~digit] = IGNORE
        classes[digit] = labels[which]
    image = image + rng.normal(0.0, 0.05, image.shape)
    return np.clip(image, 0.0, 1.0).astype(np.float32), classes


def around(mask):
    """The mask and its eight neighbours."""
    tall = mask.copy()
    tall[1:] |= mask[:-1]
    tall[:-1] |= mask[1:]
    wide = tall.copy()
    wide[:, 1:] |= tall[:, :-1]
    wide[:, :-1] |= tall[:, 1:]
    return wide


def batch(seed, count, digits, labels, side):
    """``count`` scenes, always the same for one seed: images (count, 3, side, side), classes (count, side, side)."""
    rng = np.random.default_rng(seed)
    images, classes = zip(*(scene(rng, digits, labels, side) for _ in range(count)), strict=True)
    return np.stack(images), np.stack(classes)


def class_weights(classes):
    """A weight per class, the inverse root of its share of the pixels, scaled to a mean of 1."""
    weights = np.bincount(classes[classes != IGNORE], minlength=CLASSES).clip(1) ** -0.5
    return (weights / weights.mean()).astype(np.float32)


def intersection_over_union(truth, found):
    """The score of each class; pixels labelled ``IGNORE`` are left out, and a class that is nowhere is NaN."""
    seen = truth != IGNORE
    pairs = np.bincount(truth[seen] * CLASSES + found[seen], minlength=CLASSES**2).reshape(CLASSES, CLASSES)
    union = pairs.sum(axis=0) + pairs.sum(axis=1) - pairs.diagonal()
    return np.where(union > 0, pairs.diagonal() / union.clip(1), np.nan)
