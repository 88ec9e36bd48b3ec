"""
Is 90 per cent right nine times in ten?
=======================================

A network that is trained for long is too sure of what it says. One number, the
temperature that makes the held-out loss least, mends that without changing a single answer (Guo, Pleiss, Sun and
Weinberger, "On calibration of modern neural networks", 2017).
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

import axisoft

digits = load_digits()
rng = np.random.default_rng(0)
images = digits.data / 16 + rng.normal(0, 0.35, digits.data.shape)  # noise, so that there is something to be unsure of
train, tune, test = np.split(rng.permutation(len(images)), [600, 1200])
net = MLPClassifier((64,), alpha=0.0, max_iter=400, tol=0.0, n_iter_no_change=400, random_state=0)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)  # 400 turns over the images, converged or not
    net.fit(images[train], digits.target[train])


def logits_of(which):
    hidden = np.maximum(images[which] @ net.coefs_[0] + net.intercepts_[0], 0)
    return hidden @ net.coefs_[1] + net.intercepts_[1]


# %%
# The temperature, from samples that the training has not seen.

tuned, labels = logits_of(tune), digits.target[tune]
best = minimize_scalar(lambda log_t: axisoft.cross_entropy(tuned / np.exp(log_t), labels), bounds=(-3, 3))
temperature = np.exp(best.x)
print(f"temperature {temperature:.2f}")

# %%
# How often it is right, against how sure it is, on samples that neither has seen.


def curve(p, labels, edges=(0.0, 0.4, 0.6, 0.8, 0.9, 0.97, 1.0001)):
    sure, right = p.max(axis=1), p.argmax(axis=1) == labels
    place = np.digitize(sure, edges) - 1
    bins = [place == b for b in range(len(edges) - 1) if np.sum(place == b) > 5]
    return [sure[b].mean() for b in bins], [right[b].mean() for b in bins], [np.mean(b) for b in bins]


logits, labels = logits_of(test), digits.target[test]
fig, ax = plt.subplots(figsize=(5.8, 5.2), layout="constrained")
ax.plot([0, 1], [0, 1], color="0.6", ls=":", label="as sure as it is right")
for name, x, colour in (("as trained", logits, "#d1495b"), ("with its temperature", logits / temperature, "#1b7f5c")):
    p = axisoft.softmax(x, axis=1)
    sure, right, share = curve(p, labels)
    off = np.sum(np.abs(np.asarray(sure) - right) * share)
    loss, whole = axisoft.cross_entropy(x, labels), np.mean(p.argmax(axis=1) == labels)
    print(f"{name:21} loss {loss:.3f}, right {whole:.1%}, off by {off:.1%}")
    ax.plot(sure, right, "-", color=colour, lw=2, label=name)
    ax.scatter(sure, right, s=600 * np.asarray(share), color=colour, alpha=0.5, zorder=3)
ax.set(xlabel="how sure", ylabel="how often right", xlim=(0.25, 1.02), ylim=(0.0, 1.02))
ax.legend(loc="upper left")
plt.show()
