"""The figures of the wafer example."""

from __future__ import annotations

import maps
import matplotlib
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter

BINS = ListedColormap(["white", "#d9e2ec", "#1f2933"])  # outside, pass, fail
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7")  # of line, circle, edge, zone
OVERLAP = "#d00000"
RIM = "#9aa5b1"


def pyplot():
    """pyplot that draws to files and needs no display."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    return plt


def example(wafers):
    """The first map with all four defects and 8 dies or more of each in overlaps; the first of all if there is none."""
    shared = (wafers.defects & wafers.overlaps[:, None]).sum(axis=(2, 3))
    return int(np.argmax((shared >= 8).all(axis=1)))


def bare(ax, title="", label=""):
    ax.set(xticks=[], yticks=[], xlim=(-1, maps.SIZE), ylim=(maps.SIZE, -1))
    ax.set_title(title, fontsize=10)
    ax.set_ylabel(label, fontsize=10)
    for side in ax.spines.values():
        side.set_visible(False)


def painted(defects):
    """The defects in their colours; a die of an overlap in red."""
    image = np.ones((*defects.shape[1:], 3))
    for mask, colour in zip(defects, COLOURS, strict=True):
        image[mask] = matplotlib.colors.to_rgb(colour)
    image[defects.sum(axis=0) > 1] = matplotlib.colors.to_rgb(OVERLAP)
    return image


def legend(figure):
    patches = [Patch(color=c, label=n) for c, n in zip((*COLOURS, OVERLAP), (*maps.NAMES, "two or more"), strict=True)]
    figure.legend(handles=patches, loc="outside lower center", ncols=5, frameon=False)


def outline(ax, mask, colour, width=0.8):
    """The border of a mask, die by die: a contour of the mask on a finer grid."""
    fine = np.kron(np.pad(mask, 1), np.ones((8, 8)))
    at = (np.arange(fine.shape[0]) + 0.5) / 8 - 1.5
    if mask.any():
        ax.contour(at, at, fine, [0.5], colors=[colour], linewidths=width)


def maps_and_defects(path, wafers, count=6):
    """Maps with two or more defects, and their true defects below."""
    plt = pyplot()
    picks = np.flatnonzero(wafers.carried > 1)[:count]
    figure, axes = plt.subplots(2, count, figsize=(2 * count, 4.5), layout="constrained")
    for (above, below), k in zip(axes.T, picks, strict=True):
        above.imshow(wafers.maps[k], cmap=BINS, vmin=0, vmax=2)
        below.imshow(painted(wafers.defects[k]))
        outline(below, wafers.inside[k], RIM)
        bare(above)
        bare(below)
    axes[0, 0].set_ylabel("input: failing dies dark")
    axes[1, 0].set_ylabel("true defects")
    legend(figure)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def found(path, wafers, p, decisions):
    """One map: the truth, and for each network what it decides and its probability of each defect.

    The true outline of each defect is white, and that of its dies in overlaps red.
    """
    plt = pyplot()
    k, rows = example(wafers), len(p) + 1
    figure, axes = plt.subplots(rows, 5, figsize=(10.8, 2.15 * rows + 0.2), layout="constrained")
    axes[0, 0].imshow(wafers.maps[k], cmap=BINS, vmin=0, vmax=2)
    bare(axes[0, 0], "input", "truth")
    for (name, by), yes, (first, *others) in zip(p.items(), decisions, axes[1:], strict=True):
        first.imshow(painted(yes[k] & wafers.inside[k]))
        outline(first, wafers.inside[k], RIM)
        bare(first, "decision" if first is axes[1, 0] else "", name)
        for kind, ax in enumerate(others):
            image = ax.imshow(np.where(wafers.inside[k], by[k, kind], np.nan), cmap="viridis", vmin=0, vmax=1)
            outline(ax, wafers.defects[k, kind], "white")
            outline(ax, wafers.defects[k, kind] & wafers.overlaps[k], OVERLAP)
            bare(ax)
    for kind, ax in enumerate(axes[0, 1:]):
        ax.imshow(np.where(wafers.inside[k], wafers.defects[k, kind], np.nan), cmap="viridis", vmin=0, vmax=1)
        bare(ax, maps.NAMES[kind])
    legend(figure)
    figure.colorbar(image, ax=axes, label="probability", shrink=0.5)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def curves(path, losses):
    """The loss of each step, and its running mean over 25 steps."""
    plt = pyplot()
    figure, axes = plt.subplots(1, len(losses), figsize=(3.6 * len(losses), 3), layout="constrained")
    for ax, (name, values) in zip(axes, losses.items(), strict=True):
        ax.plot(np.arange(1, len(values) + 1), values, color="#bcccdc", linewidth=0.8)
        mean = np.convolve(values, np.ones(25) / 25, "valid")
        ax.plot(np.arange(25, len(values) + 1), mean, color="#0072b2")
        ax.set(title=name, xlabel="step", yscale="log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("loss in nats")
    figure.savefig(path, dpi=100)
    plt.close(figure)
