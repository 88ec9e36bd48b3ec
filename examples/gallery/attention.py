"""
A row of attention behind a mask
================================

A word looks at itself and those before it, not at padding, and a row of padding at nothing at all. ``where`` says what
is there; what is not takes no part, whatever its score is.
"""

import matplotlib.pyplot as plt
import numpy as np

import axisoft

words = ["the", "wafer", "has", "a", "scratch", "(pad)", "(pad)"]
there = np.asarray([word != "(pad)" for word in words])
scores = np.random.default_rng(3).normal(0, 1.6, (7, 7))
scores[:, 5] = np.nan  # whatever padding holds: a mask that is multiplied or added lets it through
mask = np.tril(np.ones((7, 7), dtype=bool)) & there[:, None] & there[None, :]

# %%
# Each row sums to 1 over what its word may see. A row that sees nothing is 0 throughout: what it attends to is nothing,
# and no NaN comes of it.

attention = axisoft.softmax(scores, axis=-1, where=mask)
print(attention.sum(axis=-1).round(12))

# %%
# Its gradient is finite everywhere, and 0 behind the mask.

_, pullback = axisoft.vjp(axisoft.softmax, scores, where=mask)
(gradient,) = pullback(np.cos(np.arange(49.0)).reshape(7, 7))
print(np.isfinite(gradient).all(), np.abs(gradient[~mask]).max())

# %%

fig, axes = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
shown = [("softmax(scores, where=mask)", attention, "Blues", 0)]
shown.append(("a gradient along the scores", gradient, "RdBu_r", -0.4))
for ax, (title, values, colours, low) in zip(axes, shown, strict=True):
    image = ax.imshow(np.where(mask, values, np.nan), cmap=colours, vmin=low, vmax=-low or 1)
    ax.set_facecolor("0.93")
    ax.set_xticks(range(7), words, rotation=40)
    ax.set_yticks(range(7), words)
    ax.set_title(title)
    fig.colorbar(image, ax=ax, shrink=0.8)
axes[0].set(xlabel="what is looked at", ylabel="who looks")
plt.show()
