"""``python docs/errors.py [FOLDER]``: errors of axisoft and its peers in ulp of float32, for docs/numerics.md.

The true values come from mpmath, or for long slices from longdouble, which is exact enough for float32.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import matplotlib
import mpmath
import numpy as np
import optax
import torch
from scipy import special
from torch.nn import functional

import axisoft
from axisoft.testing import ulp

matplotlib.use("agg")

import matplotlib.pyplot as plt

FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent / "figures"
COLOURS = {"axisoft": "#1b7f5c", "SciPy": "#8d6cab", "PyTorch": "#d1495b", "JAX": "#2e86ab", "Optax": "#edae49"}
GAPS = np.linspace(0.0, 80.0, 161)
LABEL = np.zeros(1, dtype=np.int64)

Of = dict[str, Callable[[np.ndarray], Any]]


def by_torch(x: np.ndarray) -> np.ndarray:
    t = torch.from_numpy(x).requires_grad_()
    functional.cross_entropy(t, torch.from_numpy(LABEL)).backward()
    return t.grad.numpy()  # type: ignore[union-attr]


def by_optax(x: Any) -> Any:
    return optax.softmax_cross_entropy_with_integer_labels(x, LABEL).mean()


LOSSES: Of = {
    "axisoft": lambda x: axisoft.cross_entropy(x, LABEL),
    "SciPy": lambda x: -special.log_softmax(x, axis=1)[0, 0],
    "PyTorch": lambda x: functional.cross_entropy(torch.from_numpy(x), torch.from_numpy(LABEL)).numpy(),
    "JAX": lambda x: -jax.nn.log_softmax(x, axis=1)[0, 0],
    "Optax": by_optax,
}
GRADIENTS: Of = {
    "axisoft": lambda x: axisoft.value_and_grad(axisoft.cross_entropy)(x, LABEL)[1][0, 0],
    "PyTorch": lambda x: by_torch(x)[0, 0],
    "JAX": lambda x: jax.grad(lambda x: -jax.nn.log_softmax(x, axis=1)[0, 0])(x)[0, 0],
    "Optax": lambda x: jax.grad(by_optax)(x)[0, 0],
}
SOFTMAX: Of = {
    "axisoft": axisoft.softmax,
    "SciPy": lambda x: special.softmax(x, axis=-1),
    "PyTorch": lambda x: torch.softmax(torch.from_numpy(x), -1).numpy(),
    "JAX": jax.nn.softmax,
}
ELEMENTS: dict[str, tuple[Callable[[Any], Any], Of]] = {
    "sigmoid": (
        lambda x: 1 / (1 + mpmath.exp(-x)),
        {
            "axisoft": axisoft.sigmoid,
            "SciPy": special.expit,
            "PyTorch": lambda x: torch.sigmoid(torch.from_numpy(x)).numpy(),
            "JAX": jax.nn.sigmoid,
        },
    ),
    "log-sigmoid": (
        lambda x: -mpmath.log1p(mpmath.exp(-x)),
        {
            "axisoft": axisoft.log_sigmoid,
            "SciPy": special.log_expit,
            "PyTorch": lambda x: functional.logsigmoid(torch.from_numpy(x)).numpy(),
            "JAX": jax.nn.log_sigmoid,
        },
    ),
    "softplus": (
        lambda x: mpmath.log1p(mpmath.exp(x)),
        {
            "axisoft": axisoft.softplus,
            "SciPy": special.softplus,
            "PyTorch": lambda x: functional.softplus(torch.from_numpy(x)).numpy(),
            "JAX": jax.nn.softplus,
        },
    ),
}
AROUND = np.linspace(-86.0, 86.0, 173)  # up to where results are normal numbers


def off(found: Any, true: Any) -> float:
    """The largest error in ulp, at least a tenth, which is where the plot begins."""
    true = np.asarray(true, dtype=np.longdouble)
    error = np.abs(np.asarray(found, dtype=np.longdouble) - true) / ulp(np.abs(true).astype(np.float64), "float32")
    return max(float(np.max(error)), 0.1)


def over_gaps(of: Of, true: Callable[[Any], Any]) -> dict[str, list[float]]:
    """For a label that leads by each gap."""
    found: dict[str, list[float]] = {name: [] for name in of}
    for gap in GAPS.astype(np.float32):
        x = np.asarray([[gap, 0.0]], dtype=np.float32)
        value = float(true(mpmath.mpf(float(gap))))
        for name, function in of.items():
            found[name].append(off(function(x), value))
    return found


def over_lengths(lengths: list[int]) -> dict[str, list[float]]:
    """For normally distributed logits and so many classes."""
    rng, found = np.random.default_rng(0), {name: [] for name in SOFTMAX}
    for n in lengths:
        x = rng.normal(size=n).astype(np.float32)
        e = np.exp(x.astype(np.longdouble))
        for name, function in SOFTMAX.items():
            found[name].append(off(function(x), e / np.sum(e)))
    return found


def over_numbers(of: Of, true: Callable[[Any], Any]) -> dict[str, list[float]]:
    """The largest error among 16 float32 numbers around each place."""
    found: dict[str, list[float]] = {name: [] for name in of}
    for place in AROUND:
        x = np.linspace(place - 0.5, place + 0.5, 16, dtype=np.float32)
        value = [float(true(mpmath.mpf(float(one)))) for one in x]
        for name, function in of.items():
            found[name].append(off(function(x), value))
    return found


def draw(ax: Any, at: Any, found: dict[str, list[float]], title: str, label: str) -> None:
    for name in (name for name in COLOURS if name in found):
        width, order = (2.6, 3) if name == "axisoft" else (1.4, 2)
        ax.plot(at, found[name], color=COLOURS[name], label=name, lw=width, zorder=order)
    ax.set_yscale("log")
    ax.set_title(title, fontsize=11)
    ax.set_xlabel(label)
    ax.grid(alpha=0.25)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def main() -> None:
    mpmath.mp.dps = 60
    FOLDER.mkdir(exist_ok=True)
    lengths = [int(n) for n in np.unique(np.logspace(1, 5.7, 25).astype(int))]
    fig, axes = plt.subplots(2, 3, figsize=(12.5, 7.4), layout="constrained")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        loss, slope = lambda g: mpmath.log1p(mpmath.exp(-g)), lambda g: -1 / (1 + mpmath.exp(g))
        draw(axes[0, 0], GAPS, over_gaps(LOSSES, loss), "cross-entropy", "lead of the label")
        draw(axes[0, 1], GAPS, over_gaps(GRADIENTS, slope), "its gradient along the label", "lead of the label")
        draw(axes[0, 2], lengths, over_lengths(lengths), "softmax", "classes")
        for ax, (name, (true, of)) in zip(axes[1], ELEMENTS.items(), strict=True):
            draw(ax, AROUND, over_numbers(of, true), name, "x")
    axes[0, 2].set_xscale("log")
    for ax in axes[:, 0]:
        ax.set_ylabel("error, ulp of float32")
    axes[0, 0].legend(frameon=False, fontsize=9)
    fig.savefig(FOLDER / "errors.png", dpi=110, facecolor="white", metadata={"Software": None})


if __name__ == "__main__":
    main()
