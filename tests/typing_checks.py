"""Read by mypy and pyright, run by nobody: what goes in is the type of what comes out, and where it is not.

Each ``type: ignore`` must be needed, by both of them.
"""

from __future__ import annotations

from typing import Any, Literal, assert_type

import jax
import numpy as np
import numpy.typing as npt
import torch

import axisoft as ax
from axisoft._typing import Array
from axisoft.compat import jax as jax_nn
from axisoft.compat import optax, scipy
from axisoft.compat import torch as functional

Matrix = tuple[int, int]
Floats = np.ndarray[Matrix, np.dtype[np.float64]]
Halves = np.ndarray[Matrix, np.dtype[np.float16]]
Singles = np.ndarray[Matrix, np.dtype[np.float32]]
Integers = np.ndarray[Matrix, np.dtype[np.int64]]
SomeFloats = np.ndarray[Matrix, np.dtype[np.floating[Any]]]
NoAxes = np.ndarray[tuple[()], np.dtype[np.float64]]
SomeFloat = np.ndarray[tuple[()], np.dtype[np.floating[Any]]]

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
    assert_type(ax.softmax2d(x[:, :, None]), npt.NDArray[np.float64])
    assert_type(ax.logsumexp(x, axis=None, keepdims=True), npt.NDArray[np.float64])
    assert_type(ax.logsumexp(x, axis=0), npt.NDArray[np.float64])
    assert_type(ax.nll_loss(x, labels, reduction="none"), npt.NDArray[np.float64])
    assert_type(ax.cross_entropy(x, labels, reduction="none", weight=np.ones(3)), npt.NDArray[np.float64])
    assert_type(ax.binary_cross_entropy_with_logits(x, x, reduction="none"), npt.NDArray[np.float64])


def shapes_stay(floats: Floats, halves: Halves) -> None:
    for f in (ax.sigmoid, ax.log_sigmoid, ax.softplus, ax.softmax, ax.log_softmax, ax.softmax2d):
        _, _ = f(floats).shape
        _, _, _ = f(floats).shape  # type: ignore[misc]
    assert_type(ax.softmax(floats), Floats)
    assert_type(ax.sigmoid(halves), Halves)
    assert_type(ax.logsumexp(halves, axis=0), npt.NDArray[np.float16])


def a_reduction_leaves_no_axes(
    floats: Floats, halves: Halves, integers: Integers, how: Literal["none", "sum", "mean"]
) -> None:
    assert_type(ax.logsumexp(floats), NoAxes)
    assert_type(ax.nll_loss(floats, labels, reduction="sum"), NoAxes)
    assert_type(ax.cross_entropy(floats, labels, weight=np.ones(3), ignore_index=-1), NoAxes)
    assert_type(ax.binary_cross_entropy_with_logits(floats, floats, pos_weight=x[0]), NoAxes)
    assert_type(ax.cross_entropy(floats, labels, reduction=how), npt.NDArray[np.float64])
    _, _ = ax.logsumexp(floats).shape  # type: ignore[misc]
    _, _ = ax.nll_loss(floats, labels).shape  # type: ignore[misc]
    _, _ = ax.cross_entropy(np.zeros((2, 3)), labels).shape  # type: ignore[misc]
    _, _ = ax.cross_entropy(floats, labels, reduction="sum").shape  # type: ignore[misc]
    _, _ = ax.cross_entropy(halves, labels).shape  # type: ignore[misc]
    _, _ = ax.binary_cross_entropy_with_logits(integers, integers).shape  # type: ignore[misc]
    (_,) = ax.cross_entropy(floats, labels, reduction="none").shape
    assert_type(float(ax.cross_entropy(floats, labels)), float)


def integers_become_floats(integers: Integers, masks: np.ndarray[Matrix, np.dtype[np.bool]]) -> None:
    assert_type(ax.sigmoid(integers), SomeFloats)
    assert_type(ax.log_sigmoid(masks), SomeFloats)
    assert_type(ax.softplus(integers), SomeFloats)
    assert_type(ax.softmax(integers), SomeFloats)
    assert_type(ax.log_softmax(masks, axis=0), SomeFloats)
    assert_type(ax.softmax2d(integers), SomeFloats)
    assert_type(ax.logsumexp(integers), SomeFloat)
    assert_type(ax.logsumexp(integers, axis=0), npt.NDArray[np.floating[Any]])
    integers_alone(ax.softplus(integers))  # type: ignore[arg-type]
    integers_alone(ax.nll_loss(integers, labels, reduction="none"))  # type: ignore[arg-type]


def integers_alone(a: npt.NDArray[np.int64]) -> None: ...


def dtypes_are_cast(floats: Floats, halves: Halves) -> None:
    assert_type(ax.sigmoid(halves, dtype=np.float32), SomeFloats)
    assert_type(ax.softmax(floats, dtype="float32", axis=0), SomeFloats)
    assert_type(ax.logsumexp(floats, dtype=np.float32), SomeFloat)
    assert_type(ax.cross_entropy(floats, labels, dtype=np.float32), SomeFloat)
    assert_type(ax.nll_loss(halves, labels), SomeFloat)
    assert_type(ax.cross_entropy(halves, labels), SomeFloat)
    assert_type(ax.cross_entropy(halves, labels, reduction="none"), npt.NDArray[np.floating[Any]])
    assert_type(ax.binary_cross_entropy_with_logits(halves, labels, reduction="none"), npt.NDArray[np.floating[Any]])
    assert_type(ax.log_sigmoid(tensor, dtype=torch.float64), torch.Tensor)


def scalars_become_arrays(single: np.float32) -> None:
    assert_type(ax.sigmoid(single), Any)


def tensor_in_tensor_out() -> None:
    assert_type(ax.sigmoid(tensor), torch.Tensor)
    assert_type(ax.softmax(tensor, axis=0, dtype=torch.float64), torch.Tensor)
    assert_type(ax.softmax2d(tensor), torch.Tensor)
    assert_type(ax.logsumexp(tensor), torch.Tensor)
    assert_type(ax.nll_loss(tensor, classes, reduction="none"), torch.Tensor)
    assert_type(ax.cross_entropy(tensor, classes, label_smoothing=0.1), torch.Tensor)
    assert_type(ax.binary_cross_entropy_with_logits(tensor, tensor, dtype=torch.float64), torch.Tensor)


def jax_in_jax_out(a: jax.Array, t: jax.Array) -> None:
    assert_type(ax.log_softmax(a), jax.Array)
    assert_type(ax.logsumexp(a, axis=0, keepdims=True), jax.Array)
    assert_type(ax.cross_entropy(a, t), jax.Array)


def any_library(a: Array, t: Array) -> Array:
    assert_type(ax.softmax(a), Array)
    return ax.cross_entropy(a, t)


def one_of_two(either: torch.Tensor | Floats) -> None:
    assert_type(ax.sigmoid(either), torch.Tensor | Floats)


def nothing_known_nothing_said(anything: Any) -> None:
    assert_type(ax.sigmoid(anything), Any)
    assert_type(ax.log_sigmoid(anything), Any)
    assert_type(ax.softplus(anything), Any)
    assert_type(ax.softmax(anything), Any)
    assert_type(ax.log_softmax(anything), Any)
    assert_type(ax.softmax2d(anything), Any)
    assert_type(ax.logsumexp(anything), Any)
    assert_type(ax.nll_loss(anything, labels), Any)
    assert_type(ax.cross_entropy(anything, labels), Any)
    assert_type(ax.binary_cross_entropy_with_logits(anything, labels), Any)
    assert_type(functional.cross_entropy(anything, labels), Any)


def turned_away() -> None:
    ax.softmax([1.0, 2.0])  # type: ignore[call-overload]
    ax.sigmoid(1.0)  # type: ignore[call-overload]
    ax.softmax(x, axis="rows")  # type: ignore[call-overload]
    ax.softmax(tensor, axes=0)  # type: ignore[call-overload]
    ax.logsumexp(x, keepdim=True)  # type: ignore[call-overload]
    ax.cross_entropy(x, labels, reduction="average")  # type: ignore[call-overload]
    ax.cross_entropy(tensor, classes, reduction="average")  # type: ignore[call-overload]
    ax.cross_entropy(x, [0, 1])  # type: ignore[call-overload]


def gradients(floats: Floats, halves: Halves) -> None:
    y, pullback = ax.vjp(ax.softmax, floats, axis=0)
    assert_type(y, Floats)
    assert_type(pullback(y)[0], Floats | None)
    loss, back = ax.vjp(ax.cross_entropy, halves, labels)
    assert_type(loss, SomeFloat)
    assert_type(back(loss)[0], Halves | None)
    _, _ = loss.shape  # type: ignore[misc]
    value, gradient = ax.value_and_grad(ax.cross_entropy)(floats, labels, label_smoothing=0.1)
    assert_type(value, NoAxes)
    assert_type(gradient, np.ndarray[Any, np.dtype[np.float64]])
    ax.vjp(ax.softmax, [1.0])  # type: ignore[type-var]
    ax.vjp(ax.softmax, floats, axes=0)  # type: ignore[arg-type]
    ax.value_and_grad(3)  # type: ignore[call-overload]


def gradients_of_tensors(a: jax.Array) -> None:
    value, gradient = ax.value_and_grad(ax.cross_entropy)(tensor, classes, label_smoothing=0.1)
    assert_type(value, torch.Tensor)
    assert_type(gradient, torch.Tensor)
    ax.value_and_grad(ax.cross_entropy)(tensor, classes, smoothing=0.1)  # type: ignore[call-overload]
    loss, back = ax.vjp(ax.cross_entropy, tensor, classes)
    assert_type(loss, torch.Tensor)
    assert_type(back(loss)[0], torch.Tensor | None)
    assert_type(ax.vjp(ax.softmax, a)[0], jax.Array)


def torch_facade(floats: Floats, a: jax.Array) -> None:
    assert_type(functional.softmax(tensor, 1), torch.Tensor)
    assert_type(functional.softmin(tensor, dim=1, dtype=torch.float64), torch.Tensor)
    assert_type(functional.log_softmax(a, 1), jax.Array)
    assert_type(functional.logsumexp(tensor, (0, 1)), torch.Tensor)
    assert_type(functional.sigmoid(a), jax.Array)
    assert_type(functional.logsigmoid(a), jax.Array)
    assert_type(functional.softplus(a, beta=2), jax.Array)
    assert_type(functional.nll_loss(tensor, classes), torch.Tensor)
    assert_type(functional.cross_entropy(input=tensor, target=classes, label_smoothing=0.1), torch.Tensor)
    assert_type(functional.binary_cross_entropy_with_logits(tensor, tensor), torch.Tensor)
    functional.cross_entropy([1.0], labels)  # type: ignore[call-overload]
    functional.cross_entropy(tensor, classes, reduction=1)  # type: ignore[call-overload]
    functional.cross_entropy(floats, labels, reduction=1)  # type: ignore[call-overload]


def torch_objects(floats: Floats, a: jax.Array) -> None:
    assert_type(functional.Softmax(dim=1)(a), jax.Array)
    assert_type(functional.LogSoftmax(dim=1)(tensor), torch.Tensor)
    assert_type(functional.Softmax2d()(a), jax.Array)
    assert_type(functional.Sigmoid()(tensor), torch.Tensor)
    assert_type(functional.NLLLoss()(tensor, classes), torch.Tensor)
    assert_type(functional.CrossEntropyLoss(tensor, reduction="sum")(tensor, classes), torch.Tensor)
    assert_type(functional.BCEWithLogitsLoss()(tensor, tensor), torch.Tensor)


def jax_and_optax_facades(a: jax.Array, t: jax.Array) -> None:
    assert_type(jax_nn.softmax(a, where=t), jax.Array)
    assert_type(jax_nn.log_softmax(tensor, axis=0), torch.Tensor)
    assert_type(jax_nn.sigmoid(tensor), torch.Tensor)
    assert_type(jax_nn.log_sigmoid(a), jax.Array)
    assert_type(jax_nn.softplus(a), jax.Array)
    assert_type(jax_nn.softplus(89.0), Any)
    assert_type(jax_nn.sigmoid(1j), Any)
    jax_nn.softmax([1.0])  # type: ignore[call-overload]
    assert_type(optax.softmax_cross_entropy(a, t, axis=(0, 1)), jax.Array)
    assert_type(optax.softmax_cross_entropy_with_integer_labels(a, t), jax.Array)
    assert_type(optax.safe_softmax_cross_entropy(tensor, tensor), torch.Tensor)
    assert_type(optax.sigmoid_binary_cross_entropy(tensor, 1.0), torch.Tensor)
    optax.safe_softmax_cross_entropy([1.0], a)  # type: ignore[call-overload]


def facades_say_nothing_of_numpy(floats: Floats) -> None:
    assert_type(functional.softmax(floats, 1), Any)
    assert_type(functional.softmin(floats, 1), Any)
    assert_type(functional.log_softmax(floats, 1), Any)
    assert_type(functional.logsumexp(floats, 1), Any)
    assert_type(functional.sigmoid(floats), Any)
    assert_type(functional.logsigmoid(floats), Any)
    assert_type(functional.softplus(floats), Any)
    assert_type(functional.nll_loss(floats, labels), Any)
    assert_type(functional.cross_entropy(floats, labels), Any)
    assert_type(functional.binary_cross_entropy_with_logits(floats, floats), Any)
    assert_type(functional.Softmax(1)(floats), Any)
    assert_type(functional.LogSoftmax(1)(floats), Any)
    assert_type(functional.Softmax2d()(floats), Any)
    assert_type(functional.Sigmoid()(floats), Any)
    assert_type(functional.NLLLoss()(floats, labels), Any)
    assert_type(functional.CrossEntropyLoss()(floats, labels), Any)
    assert_type(functional.BCEWithLogitsLoss()(floats, floats), Any)
    assert_type(jax_nn.softmax(floats), Any)
    assert_type(jax_nn.log_softmax(floats), Any)
    assert_type(jax_nn.logsumexp(floats, b=2.0), Any)
    assert_type(jax_nn.sigmoid(floats), Any)
    assert_type(jax_nn.log_sigmoid(floats), Any)
    assert_type(jax_nn.softplus(floats), Any)
    assert_type(optax.softmax_cross_entropy(floats, floats), Any)
    assert_type(optax.softmax_cross_entropy_with_integer_labels(floats, labels), Any)
    assert_type(optax.safe_softmax_cross_entropy(floats, floats), Any)
    assert_type(optax.sigmoid_binary_cross_entropy(floats, floats), Any)
    assert_type(scipy.softmax([[1.0, 2.0]], axis=1), Any)
    assert_type(scipy.log_softmax(floats), Any)
    assert_type(scipy.logsumexp([1.0, 2.0], b=[1, -1]), Any)
    assert_type(scipy.expit(0.5), Any)
    assert_type(scipy.log_expit(tensor), Any)
    assert_type(functional.cross_entropy(np.float64(1.0), labels), Any)


def gradients_of_facades(a: jax.Array, t: jax.Array) -> None:
    assert_type(ax.value_and_grad(functional.cross_entropy)(tensor, classes)[0], torch.Tensor)
    assert_type(ax.vjp(optax.softmax_cross_entropy, a, t, axis=0)[0], jax.Array)
    assert_type(ax.vjp(scipy.softmax, a, axis=0)[0], Any)


def packages() -> None:
    """Without an import of their own."""
    assert_type(ax.testing.conformance("numpy").ok, bool)
    assert_type(ax.compat.torch.softmax(tensor, dim=1), torch.Tensor)
    _ = ax.tesitng  # type: ignore[attr-defined]


def findings(anything: Any) -> None:
    found = ax.diagnose(x, labels, axis=0, ignore_index=255, loss="nll_loss")
    assert_type(found.codes, list[str])
    assert_type(found[0].count, int | None)
    ax.diagnose(tensor)
    ax.diagnose([1.0])  # type: ignore[arg-type]
    ax.diagnose(x, loss="mse")  # type: ignore[arg-type]


def layers(anything: Any) -> None:
    assert_type(ax.linear_cross_entropy(x, x, labels), np.ndarray[tuple[()], np.dtype[np.float64]])
    assert_type(ax.linear_cross_entropy(tensor, tensor, classes, soft_cap=30.0, chunk=64), torch.Tensor)
    assert_type(ax.linear_cross_entropy(anything, anything, labels), Any)
    ax.linear_cross_entropy(tensor, tensor, classes, softcap=30.0)  # type: ignore[call-overload]
    assert_type(ax.value_and_grad(ax.linear_cross_entropy, argnums=(0, 1))(tensor, tensor, classes)[1], Any)
