"""Softmax regression on handwritten digits: one loss function, trained in PyTorch, in JAX and in plain NumPy.

    pip install . scikit-learn torch jax
    python examples/digits.py

The 1797 digits of 8 x 8 pixels come with scikit-learn. All three start from the same weights and see the same batches;
the loss of each step is compared, and at the end NumPy evaluates PyTorch's weights to the same loss. PyTorch and JAX
differentiate the loss by themselves, and NumPy, which cannot, has its gradient from ``axisoft.value_and_grad``.
"""

from __future__ import annotations

import argparse
import sys

import jax
import jax.numpy as jnp
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import axisoft

STEPS, BATCH, RATE, DECAY = 600, 256, 1.0, 1e-4
CLOSE, ENOUGH = 1e-6, 0.95


def data():
    """Training and held-out images as rows of 65 numbers in [0, 1], the last of them 1, and labels."""
    digits = load_digits()
    images = np.concatenate([digits.data / 16.0, np.ones((len(digits.data), 1))], axis=1).astype(np.float32)
    return train_test_split(images, digits.target, test_size=0.25, random_state=0, stratify=digits.target)


def loss_of(weights, images, labels):
    """The loss, whatever the framework of its arrays: mean cross-entropy in nats and a penalty on the weights."""
    return axisoft.cross_entropy(images @ weights, labels) + 0.5 * DECAY * (weights**2).sum()


def torch_step(weights, images, labels):
    weights = weights.detach().requires_grad_()
    loss = loss_of(weights, images, labels)
    loss.backward()
    with torch.no_grad():
        return weights - RATE * weights.grad, float(loss)


@jax.jit
def jax_step(weights, images, labels):
    loss, gradient = jax.value_and_grad(loss_of)(weights, images, labels)
    return weights - RATE * gradient, loss


def numpy_step(weights, images, labels):
    loss, along_logits = axisoft.value_and_grad(axisoft.cross_entropy)(images @ weights, labels)
    gradient = images.T @ along_logits + DECAY * weights
    return weights - RATE * gradient, float(loss + 0.5 * DECAY * (weights**2).sum())


def accuracy(weights, images, labels):
    return float(np.mean(np.argmax(images @ weights, axis=1) == labels))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=STEPS, help=f"training steps ({STEPS})")
    steps = parser.parse_args().steps
    torch.set_num_threads(1)  # sums of one order, whatever the machine

    train, held_out, train_labels, held_out_labels = data()
    rng = np.random.default_rng(0)
    start = (0.01 * rng.standard_normal((train.shape[1], 10))).astype(np.float32)
    in_torch, in_jax, in_numpy = torch.tensor(start), jnp.asarray(start), start

    print(f"{len(train)} digits to train on, {len(held_out)} held out, {steps} steps of {BATCH}")
    print(f"{'step':>6} {'PyTorch':>12} {'JAX':>12} {'NumPy':>12} {'difference':>12}")
    worst = 0.0
    for step in range(steps):
        batch = rng.integers(0, len(train), BATCH)
        images, labels = train[batch], train_labels[batch]
        in_torch, by_torch = torch_step(in_torch, torch.tensor(images), torch.tensor(labels))
        in_jax, by_jax = jax_step(in_jax, jnp.asarray(images), jnp.asarray(labels))
        in_numpy, by_numpy = numpy_step(in_numpy, images, labels)
        losses = (by_torch, float(by_jax), by_numpy)
        difference = max(losses) - min(losses)
        worst = max(worst, difference)
        if step % 100 == 0 or step == steps - 1:
            print(f"{step:>6} " + " ".join(f"{loss:>12.7f}" for loss in losses) + f" {difference:>12.1e}")

    weights = {"PyTorch": in_torch.numpy(), "JAX": np.asarray(in_jax), "NumPy": in_numpy}
    scores = {name: accuracy(w, held_out, held_out_labels) for name, w in weights.items()}
    by_torch = float(loss_of(in_torch, torch.tensor(held_out), torch.tensor(held_out_labels)))
    by_numpy = float(loss_of(weights["PyTorch"], held_out, held_out_labels))
    print(f"largest difference of a step's losses: {worst:.1e} (at most {CLOSE:.0e})")
    print("held-out digits right: " + ", ".join(f"{name} {score:.1%}" for name, score in scores.items()))
    print(f"held-out loss of PyTorch's weights: PyTorch {by_torch:.7f}, NumPy {by_numpy:.7f}")

    wrong = [name for name, score in scores.items() if score < ENOUGH]
    if worst > CLOSE or abs(by_torch - by_numpy) > CLOSE or wrong:
        sys.exit("the frameworks do not agree, or have not learnt enough")


if __name__ == "__main__":
    main()
