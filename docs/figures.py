"""``python docs/figures.py [FOLDER]``: the pictures of docs/axis.md, from the slides, and of docs/how-it-works.md."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

import axisoft
from axisoft import testing

FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent / "figures"
EDGE = "#d1495b"


def square(ax: Any, x: np.ndarray, decimals: int, cmap: str, low: float, high: float) -> None:
    ax.imshow(x, cmap=cmap, vmin=low, vmax=high)
    for (i, j), value in np.ndenumerate(x):
        dark = (value - low) / (high - low)
        dark = abs(2 * dark - 1) > 0.7 if cmap == "RdBu_r" else dark > 0.55
        ax.text(
            j, i, f"{value:.{decimals}f}", ha="center", va="center", color="white" if dark else "black", fontsize=11
        )
    ax.set_xticks([])
    ax.set_yticks([])
    for side in ax.spines.values():
        side.set_visible(False)


def outline(ax: Any, top: int, left: int, height: int, width: int) -> None:
    gap = 0.06
    box = (left - 0.5 + gap, top - 0.5 + gap)
    ax.add_patch(Rectangle(box, width - 2 * gap, height - 2 * gap, fill=False, ec=EDGE, lw=2.5))


def rows_of(title: str, x: np.ndarray, names: list[str], table: Any, file: str) -> None:
    """A row for each (name, values, colours, outlines), a column a class."""
    fig, axes = plt.subplots(len(table), 4, figsize=(8.4, 1.95 * len(table)), squeeze=False, layout="constrained")
    for row, (label, y, cmap, limits, decimals, boxes) in zip(axes, table, strict=True):
        for c, ax in enumerate(row):
            square(ax, y[c], decimals, cmap, *limits)
            for box in boxes(c):
                outline(ax, *box)
        row[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=11, labelpad=10)
    for ax, name in zip(axes[0], names, strict=True):
        ax.set_title(name, fontsize=12)
    fig.savefig(FOLDER / file, dpi=110, facecolor="white", metadata={"Software": None})
    plt.close(fig)


# A layer: what it is, in which files, and what a call brings there; imports go down only.
LAYERS = (
    (
        "what users call",
        "softmax  ·  sigmoid  ·  losses  ·  vjp  ·  diagnose",
        "cross_entropy(logits, targets, label_smoothing=0.1)",
    ),
    ("checks", "_check", "shapes, dtypes, axis, classes: every error text"),
    ("the way", "_run", "who runs this namespace?"),
    ("backends", "numpy  ·  torch  ·  jax  ·  cupy  ·  dask  ·  none", "how it runs: kernels, tiles, a compiler"),
    ("core", "_core: formulas, derivatives, promises", "what it means: one formula, by the standard alone"),
)


def layers() -> None:
    """The layers, and one call on its way through them."""
    fig, ax = plt.subplots(figsize=(8.4, 5.4), layout="constrained")
    colours = plt.get_cmap("GnBu")(np.linspace(0.5, 0.12, len(LAYERS)))
    for i, (name, files, says) in enumerate(LAYERS):
        top = -1.25 * i
        ax.add_patch(Rectangle((0, top - 0.86), 8.4, 0.86, fc=colours[i], ec="none"))
        ink = "#0d2430"
        ax.text(0.18, top - 0.28, name, fontsize=12.5, weight="bold", va="center", color=ink)
        ax.text(8.22, top - 0.28, files, fontsize=9.5, va="center", ha="right", color=ink, family="monospace")
        ax.text(0.18, top - 0.62, says, fontsize=10, va="center", color=ink)
        if i:
            ax.annotate(
                "", (4.0, top + 0.02), (4.0, top + 0.37), arrowprops={"arrowstyle": "-|>", "color": EDGE, "lw": 2}
            )
            ax.annotate(
                "", (4.5, top + 0.37), (4.5, top + 0.02), arrowprops={"arrowstyle": "-|>", "color": "0.45", "lw": 2}
            )
    for x, y, text, side in ((3.85, 0, "arrays", "right"), (4.65, 0, "arrays of the same library", "left")):
        ax.text(x, -1.06 + y, text, fontsize=9, va="center", ha=side, color="0.3")
    ax.set(xlim=(-0.05, 8.45), ylim=(-5.95, 0.1))
    ax.axis("off")
    fig.savefig(FOLDER / "layers.png", dpi=110, facecolor="white", metadata={"Software": None})
    plt.close(fig)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    layers()
    doc = testing.slides()
    names = doc["classes"]["segmentation"]
    x = np.asarray(doc["logits"]["segmentation"], dtype=np.float64)
    span = (-5.5, 5.5)
    nothing = lambda c: []
    one_pixel = lambda c: [(0, 0, 1, 1)]
    each = lambda c: [(i, j, 1, 1) for i in (0, 1) for j in (0, 1)]
    columns = lambda c: [(0, j, 2, 1) for j in (0, 1)]
    lines = lambda c: [(i, 0, 1, 2) for i in (0, 1)]
    whole = lambda c: [(0, 0, 2, 2)]
    of = lambda axis: axisoft.softmax(x, axis=axis)
    table = [
        ("logits", x, "RdBu_r", span, 0, nothing),
        ("sigmoid:\neach by itself", axisoft.sigmoid(x), "Blues", (0, 1), 2, nothing),
        ("softmax over\nclasses, axis=0", of(0), "Blues", (0, 1), 2, one_pixel),
        ("softmax over\nheight, axis=1", of(1), "Blues", (0, 1), 2, columns),
        ("softmax over\nwidth, axis=2", of(2), "Blues", (0, 1), 2, lines),
        ("softmax over\nboth, axis=(1, 2)", of((1, 2)), "Blues", (0, 1), 2, whole),
    ]
    rows_of("axis", x, names, table, "axis.png")
    one = x[:, None]  # an axis of length 1
    alone = axisoft.softmax(one, axis=1)[:, 0]
    table = [
        ("logits", x, "RdBu_r", span, 0, nothing),
        ("softmax over an\naxis of length 1", alone, "Blues", (0, 1), 0, each),
    ]
    rows_of("one", x, names, table, "one.png")
    x = np.asarray(doc["logits"]["wafer"], dtype=np.float64)
    found = axisoft.sigmoid(x)
    there = lambda y: lambda c: [(i, j, 1, 1) for (i, j) in np.argwhere(y[c] > 0.5)]
    p = axisoft.softmax(x, axis=0)
    table = [
        ("logits", x, "RdBu_r", span, 0, nothing),
        ("sigmoid, and what\nis above 0.5", found, "Blues", (0, 1), 2, there(found)),
        ("softmax over the\nclasses", p, "Blues", (0, 1), 2, there(p)),
    ]
    rows_of("wafer", x, doc["classes"]["wafer"], table, "wafer.png")


if __name__ == "__main__":
    main()
