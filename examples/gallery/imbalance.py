"""
A rare class, by weights
========================

One sample in fifty is of the rare class. A loss that counts every sample alike hardly sees it; ``weight`` gives each
class a factor, and the mean divides by the sum of the factors, so that the loss keeps its scale.
"""

import matplotlib.pyplot as plt
import numpy as np

import axisoft

rng = np.random.default_rng(1)
common, rare = rng.normal((0, 0), 1.0, (2450, 2)), rng.normal((2.0, 1.4), 0.6, (50, 2))
points = np.concatenate([common, rare])
labels = np.repeat([0, 1], [len(common), len(rare)])
inputs = np.concatenate([points, points**2, points[:, :1] * points[:, 1:], np.ones((len(points), 1))], axis=1)


def train(weight):
    """Softmax regression in plain NumPy: 800 steps down the gradient."""
    w = np.zeros((inputs.shape[1], 2))
    for _ in range(800):
        _, along_logits = axisoft.value_and_grad(axisoft.cross_entropy)(inputs @ w, labels, weight=weight)
        w -= 0.1 * inputs.T @ along_logits
    return w


# %%
# The weights that make both classes count alike: inverse to how often each comes.

balanced = len(labels) / (2 * np.bincount(labels))
trained = {"every sample alike": train(None), f"weight={balanced.round(2).tolist()}": train(balanced)}
for name, w in trained.items():
    found = np.argmax(inputs @ w, axis=1) == 1
    of_rare, of_common = np.mean(found[labels == 1]), np.mean(found[labels == 0])
    print(f"{name:20} finds {of_rare:.0%} of the rare, and takes {of_common:.1%} of the common for rare")

# %%

side = np.linspace(-3.6, 4.4, 200)
u, v = np.meshgrid(side, side)
grid = np.stack([u, v, u**2, v**2, u * v, np.ones_like(u)], axis=-1)
fig, axes = plt.subplots(1, 2, figsize=(9.5, 4.3), sharey=True, layout="constrained")
for ax, (name, w) in zip(axes, trained.items(), strict=True):
    p = axisoft.softmax(grid @ w, axis=-1)[..., 1]
    shown = ax.contourf(u, v, p, levels=np.linspace(0, 1, 11), cmap="RdBu_r", alpha=0.75)
    ax.contour(u, v, p, levels=[0.5], colors="k", linewidths=1.5)
    ax.plot(*common.T, ".", color="#1f3d7a", ms=2.5, alpha=0.6)
    ax.plot(*rare.T, "o", color="#8c1c2c", ms=4, mec="white", mew=0.4)
    ax.set(title=name, xticks=[], yticks=[])
fig.colorbar(shown, ax=axes, label="probability of the rare class")
plt.show()
