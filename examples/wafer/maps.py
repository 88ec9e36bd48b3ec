"""Wafer bin maps with line, circle, edge and zone defects that may overlap, made by code from a seed.

A map is a disc of dies on a square grid: 0 outside the wafer, 1 for a die that passes, 2 for one that fails. Each
defect is a shape on the disc. A die in it fails with probability ``KILLS``, independently for each defect that it lies
in; any die fails at random besides. The labels say for each die which defects it lies in, whether it fails or not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

NAMES = ("line", "circle", "edge", "zone")
SIZE = 52
OUTSIDE, PASS, FAIL = 0, 1, 2
KILLS = 0.9
COUNTS = (0.1, 0.15, 0.25, 0.25, 0.25)  # how often a map carries 0, 1, 2, 3 and 4 of the defects


class Wafers(NamedTuple):
    maps: np.ndarray  # (N, H, W), uint8
    defects: np.ndarray  # (N, 4, H, W), bool, in the order of NAMES

    @property
    def inside(self):
        return self.maps != OUTSIDE

    @property
    def carried(self):
        """How many defects each map carries."""
        return self.defects.any(axis=(2, 3)).sum(axis=1)

    @property
    def overlaps(self):
        """The dies that lie in two or more defects."""
        return self.defects.sum(axis=1) > 1


def make(count, seed):
    """``count`` maps and their labels."""
    rng = np.random.default_rng(seed)
    made = [wafer(rng) for _ in range(count)]
    return Wafers(np.stack([m for m, _ in made]), np.stack([d for _, d in made]))


def wafer(rng):
    """One map of 40 to 52 dies across, and its defects."""
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    radius = rng.uniform(0.39, 0.5) * SIZE
    inside = np.hypot(x, y) <= radius
    defects = np.zeros((len(NAMES), SIZE, SIZE), bool)
    for kind in rng.permutation(len(NAMES))[: rng.choice(len(COUNTS), p=COUNTS)]:
        defects[kind] = inside & SHAPES[kind](rng, x, y, radius)

    passes = rng.uniform(0.93, 0.99) * (1 - KILLS) ** defects.sum(axis=0)
    fails = rng.random((SIZE, SIZE)) >= passes
    return np.where(inside, np.where(fails, FAIL, PASS), OUTSIDE).astype(np.uint8), defects


def line(rng, x, y, radius):
    """A scratch, 2 to 3 dies wide, straight or a little bent."""
    along, across = turned(rng, *moved(rng, x, y, 0.55 * radius))
    half = rng.uniform(0.5, 0.9) * radius
    bend = rng.uniform(-0.2, 0.2) * half * (1 - (along / half) ** 2)
    return (np.abs(along) <= half) & (np.abs(across - bend) <= rng.uniform(1.0, 1.6))


def circle(rng, x, y, radius):
    """A ring, 3 to 5 dies wide."""
    distance = np.hypot(*moved(rng, x, y, 0.45 * radius))
    return np.abs(distance - rng.uniform(0.3, 0.65) * radius) <= rng.uniform(1.4, 2.4)


def edge(rng, x, y, radius):
    """An arc of a quarter of the rim or more, 3 to 7 dies deep."""
    angle = (np.arctan2(y, x) - rng.uniform(0, 2 * np.pi)) % (2 * np.pi)
    return (np.hypot(x, y) > radius - rng.uniform(3, 7)) & (angle <= rng.uniform(1 / 4, 1) * 2 * np.pi)


def zone(rng, x, y, radius):
    """A filled patch with an uneven outline."""
    along, across = turned(rng, *moved(rng, x, y, 0.75 * radius))
    long, short = np.sort(rng.uniform(0.25, 0.55, 2))[::-1] * radius
    wave = 1 + 0.15 * np.sin(rng.integers(2, 5) * np.arctan2(across, along) + rng.uniform(0, 2 * np.pi))
    return np.hypot(along / long, across / short) <= wave


SHAPES = (line, circle, edge, zone)


def moved(rng, x, y, reach):
    """Coordinates from a centre at random within ``reach`` of the wafer's."""
    angle, distance = rng.uniform(0, 2 * np.pi), reach * np.sqrt(rng.random())
    return x - distance * np.cos(angle), y - distance * np.sin(angle)


def turned(rng, x, y):
    """Coordinates along a direction at random, and across it."""
    angle = rng.uniform(0, np.pi)
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def one_label(defects, order):
    """A class index per die, as softmax needs it: the first of ``order`` that the die lies in, or "none", the last."""
    labels = np.full(defects[:, 0].shape, len(NAMES), np.int64)
    for kind in order[::-1]:
        labels[defects[:, kind]] = kind
    return labels


def shared_label(defects):
    """Class probabilities per die: 1 shared out evenly over the defects that it lies in, or 1 for "none"."""
    classes = np.concatenate([defects, ~defects.any(axis=1, keepdims=True)], axis=1)
    return (classes / classes.sum(axis=1, keepdims=True)).astype(np.float32)
