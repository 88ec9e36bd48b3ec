"""
The digits of a confident prediction
====================================

Two classes, float32, and a label that leads by a gap. The loss is log(1 + exp(-gap)), about exp(-gap): small, and every
digit of it is there to be had. SciPy, PyTorch and JAX round 1 + exp(-gap) before they take its logarithm; Optax
subtracts two numbers near each other.
"""

import math

import jax
import matplotlib.pyplot as plt
import numpy as np
import optax
import torch
from scipy import special

import axisoft

gaps = np.linspace(0, 30, 121, dtype=np.float32)
x = np.stack([gaps, np.zeros_like(gaps)], axis=1)
labels = np.zeros(len(gaps), dtype=np.int64)

losses = {
    "axisoft": axisoft.cross_entropy(x, labels, reduction="none"),
    "SciPy": -special.log_softmax(x, axis=1)[:, 0],
    "PyTorch": torch.nn.functional.cross_entropy(torch.tensor(x), torch.tensor(labels), reduction="none").numpy(),
    "JAX": -jax.nn.log_softmax(x, axis=1)[:, 0],
    "Optax": optax.softmax_cross_entropy_with_integer_labels(x, labels),
}

# %%
# The digits that are right, of the seven that float32 has. SciPy, PyTorch and JAX lose the same ones.

true = np.asarray([math.log1p(math.exp(-float(gap))) for gap in gaps])
digits = {}
for name, loss in losses.items():
    error = np.abs(np.asarray(loss, dtype=np.float64) - true) / true
    digits[name] = -np.log10(np.clip(error, 2.0**-24, 1.0)) + 0.0
for name, right in digits.items():
    print(f"{name:8} at a gap of 7: {right[28]:.1f}   of 12: {right[48]:.1f}   of 20: {right[80]:.1f}")

# %%

fig, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
styles = {"axisoft": "-", "SciPy": "-", "PyTorch": "--", "JAX": ":", "Optax": "-."}
colours = dict(zip(styles, ("#1b7f5c", "#8d6cab", "#d1495b", "#2e86ab", "#c98a10"), strict=True))
for name, right in digits.items():
    ax.plot(gaps, right, styles[name], color=colours[name], lw=2.6 if name == "axisoft" else 1.7, label=name)
ax.set(xlabel="lead of the label", ylabel="correct decimal digits of the loss", ylim=(-0.2, 7.6))
ax.legend()
plt.show()
