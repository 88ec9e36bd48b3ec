"""Read by mypy, run by nobody: what goes in is the type of what comes out."""

from __future__ import annotations

from typing import Any, assert_type

import jax
import numpy as np
import numpy.typing as npt
import torch

import axisoft as ax

x: npt.NDArray[np.float64] = np.zeros((2, 3))
labels: npt.NDArray[np.int64] = np.zeros(2, dtype=np.int64)
tensor = torch.zeros((2, 3))
classes = torch.zeros(2, dtype=torch.int64)


def numpy_in_numpy_out() -> None:
    assert_type(ax.sigmoid(x), npt.NDArray[np.float64])
    assert_type(ax.log_sigmoid(x), npt.NDArray[np.float64])
    assert_type(ax.softplus(x), npt.NDArray[np.float64])
    assert_type(ax.softmax(x, axis=(0, 1)), npt.NDArray[np.float64])
    assert_type(ax.log_softmax(x, where=x > 0), npt.NDArray[np.float64])
    assert_type(ax.logsumexp(x, axis=None, keepdims=True), npt.NDArray[np.float64])
    assert_type(ax.softmax2d(x[:, :, None]), npt.NDArray[np.float64])
    assert_type(ax.nll_loss(x, labels, reduction="sum"), npt.NDArray[np.float64])
    assert_type(ax.cross_entropy(x, labels, weight=np.ones(3), ignore_index=-1), npt.NDArray[np.float64])
    assert_type(ax.binary_cross_entropy_with_logits(x, x, pos_weight=x[0]), npt.NDArray[np.float64])


def tensor_in_tensor_out() -> None:
    assert_type(ax.sigmoid(tensor), torch.Tensor)
    assert_type(ax.softmax(tensor, axis=0, dtype=torch.float64), torch.Tensor)
    assert_type(ax.logsumexp(tensor), torch.Tensor)
    assert_type(ax.cross_entropy(tensor, classes, label_smoothing=0.1), torch.Tensor)


def jax_in_jax_out(a: jax.Array, t: jax.Array) -> None:
    assert_type(ax.log_softmax(a), jax.Array)
    assert_type(ax.cross_entropy(a, t), jax.Array)


def turned_away(anything: Any) -> None:
    ax.softmax([1.0, 2.0])  # type: ignore[type-var]
    ax.sigmoid(1.0)  # type: ignore[type-var]
    ax.softmax(x, axis="rows")  # type: ignore[arg-type]
    ax.cross_entropy(x, labels, reduction="average")  # type: ignore[arg-type]
    ax.cross_entropy(x, [0, 1])  # type: ignore[arg-type]
    assert_type(ax.softmax(anything), Any)


def gradients() -> None:
    y, pullback = ax.vjp(ax.softmax, x, axis=0)
    assert_type(y, npt.NDArray[np.float64])
    assert_type(pullback(y), tuple[npt.NDArray[np.float64] | None, ...])
    value, gradient = ax.value_and_grad(ax.cross_entropy)(tensor, classes, label_smoothing=0.1)
    assert_type(value, torch.Tensor)
    assert_type(gradient, torch.Tensor)
    ax.value_and_grad(ax.cross_entropy)(tensor, classes, smoothing=0.1)  # type: ignore[call-arg]
    ax.value_and_grad(3)  # type: ignore[arg-type]
    loss, back = ax.vjp(ax.cross_entropy, tensor, classes)
    assert_type(loss, torch.Tensor)
    assert_type(back(loss), tuple[torch.Tensor | None, ...])
    ax.vjp(ax.softmax, [1.0])  # type: ignore[type-var]


def findings(anything: Any) -> None:
    found = ax.diagnose(x, labels, axis=0, ignore_index=255, loss="nll_loss")
    assert_type(found.codes, list[str])
    assert_type(found[0].count, int | None)
    ax.diagnose(tensor)
    ax.diagnose([1.0])  # type: ignore[arg-type]
    ax.diagnose(x, loss="mse")  # type: ignore[arg-type]
