"""
One training in four libraries
==============================

Softmax regression on the handwritten digits, from the same weights and by the same loss function, in NumPy, PyTorch,
JAX and Dask. PyTorch and JAX differentiate it by their own means; for NumPy and Dask, ``axisoft.value_and_grad`` does.
"""

import dask.array as da
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits

import axisoft

digits = load_digits()
images, labels = (digits.data / 16).astype(np.float32), digits.target
start = np.random.default_rng(0).normal(0, 0.01, (64, 10)).astype(np.float32)
steps, rate = 60, 1.0

# %%
# A step in each: the same loss.

smoothed = {"label_smoothing": 0.05}


def numpy_step(weights, images, labels):
    loss, along_logits = axisoft.value_and_grad(axisoft.cross_entropy)(images @ weights, labels, **smoothed)
    return loss, weights - rate * (images.T @ along_logits)


def torch_step(weights, images, labels):
    weights = weights.detach().requires_grad_()
    loss = axisoft.cross_entropy(images @ weights, labels, **smoothed)
    loss.backward()
    return loss.detach(), weights.detach() - rate * weights.grad


@jax.jit
def jax_step(weights, images, labels):
    loss, gradient = jax.value_and_grad(lambda w: axisoft.cross_entropy(images @ w, labels, **smoothed))(weights)
    return loss, weights - rate * gradient


def dask_step(weights, images, labels):
    loss, weights = numpy_step(weights, images, labels)  # the same words, and a graph over six blocks of images
    return loss.persist(), weights.persist()


# %%

libraries = {
    "NumPy": (numpy_step, np.asarray),
    "PyTorch": (torch_step, torch.tensor),
    "JAX": (jax_step, jnp.asarray),
    "Dask": (dask_step, lambda a: da.from_array(a, chunks=(300, *a.shape[1:]) if len(a) > 64 else a.shape)),
}
losses = {}
for name, (step, array) in libraries.items():
    weights, found = array(start), []
    given = array(images), array(labels)
    for _ in range(steps):
        loss, weights = step(weights, *given)
        found.append(float(loss))
    losses[name] = np.asarray(found)
    right = np.mean(np.argmax(images @ np.asarray(weights), axis=1) == labels)
    print(f"{name:8} last loss {found[-1]:.7f}   of the digits {right:.1%} right")

# %%
# Four curves that lie on each other; below, how far from NumPy's. What is left is rounding.

fig, axes = plt.subplots(2, 1, figsize=(8, 5.6), sharex=True, height_ratios=(2, 1), layout="constrained")
shapes = {"NumPy": ("#8d6cab", 6.5, "-"), "PyTorch": ("#d1495b", 4, "-"), "JAX": ("#2e86ab", 2, "-")}
shapes["Dask"] = ("k", 1, ":")
for name, (colour, width, style) in shapes.items():
    axes[0].plot(losses[name], style, color=colour, lw=width, label=name)
    if name != "NumPy":
        apart = np.abs(losses[name] - losses["NumPy"]) / losses["NumPy"]
        axes[1].plot(np.maximum(apart, 1e-9), style, color=colour, lw=1.8)
axes[0].set(ylabel="loss, nats")
axes[0].legend()
axes[1].set(yscale="log", xlabel="step", ylabel="relative difference", ylim=(5e-10, 1e-5))
plt.show()
