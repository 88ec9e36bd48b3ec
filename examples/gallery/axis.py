"""
Softmax over which axis?
========================

A network that segments an image has a score for each class at each pixel. Softmax over the classes makes each pixel
choose one; over the height and the width, each class chooses a pixel. Both are computed as readily.
"""

import matplotlib.pyplot as plt
import numpy as np

import axisoft

# %%
# Scores of three classes on 48 x 48 pixels, (class, height, width): a bump for each class, and some noise.

names = ["disc", "bar", "background"]
rows, columns = np.mgrid[:48, :48]
disc = 6 - np.hypot(rows - 16, columns - 15) / 2
bar = 5 - np.abs(rows + columns - 66) / 1.5
logits = np.stack([disc, bar, np.ones((48, 48))]) + np.random.default_rng(0).normal(0, 0.4, (3, 48, 48))

# %%
# What sums to 1 tells what was asked.

over_classes = axisoft.softmax(logits, axis=0)
over_pixels = axisoft.softmax(logits, axis=(1, 2))
print("each pixel:", over_classes.sum(axis=0).min(), "to", over_classes.sum(axis=0).max())
print("each class:", over_pixels.sum(axis=(1, 2)))

# %%
# The class of each pixel is in the first. The second is a map of where each class is, if it is there once: the
# attention of a keypoint. It says nothing of which class a pixel has, and its numbers are small where a class is wide;
# the colours of each of its three maps end at their own largest.

fig, axes = plt.subplots(3, 3, figsize=(7.5, 7.4), layout="constrained")
kinds = [("logits", logits, "RdBu_r", -8, 8), ("axis=0", over_classes, "viridis", 0, 1)]
kinds.append(("axis=(1, 2)", over_pixels, "viridis", 0, None))  # colours up to the largest of each class
for row, (kind, values, colours, low, high) in zip(axes, kinds, strict=True):
    for ax, name, value in zip(row, names, values, strict=True):
        shown = ax.imshow(value, cmap=colours, vmin=low, vmax=high)
        ax.set(xticks=[], yticks=[])
        if kind == "logits":
            ax.set_title(name)
        if high is None:
            ax.set_xlabel(f"at most {value.max():.2g}")
    row[0].set_ylabel(kind)
    if high is not None:
        fig.colorbar(shown, ax=row, shrink=0.9)
plt.show()
