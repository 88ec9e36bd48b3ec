"""Verified failures of other libraries, each got right on every backend."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from helpers import differentiates, forward_gradient, gradient

import axisoft

INF, NAN = np.inf, np.nan


def close(a, b, rtol=1e-6):
    return np.allclose(np.asarray(a, dtype=np.float64), b, rtol=rtol, atol=0, equal_nan=True)


def test_log_softmax_of_0_and_minus_40_keeps_its_digits(target):
    y = target.numpy(axisoft.log_softmax(target.array([0.0, -40.0], "float64")))
    assert close(y, [-4.248354255291589e-18, -40.0], rtol=1e-15)


def test_cross_entropy_of_0_and_minus_20_is_not_0(target):
    loss = axisoft.cross_entropy(target.array([[0.0, -20.0]], "float32"), target.array([0], "int"))
    assert close(target.numpy(loss), 2.061153620314381e-09)


@pytest.mark.backends(fits=differentiates)
def test_cross_entropy_of_0_and_minus_20_has_a_gradient(target):
    t = target.array([0], "int")
    got = gradient(target, lambda x: axisoft.cross_entropy(x, t), target.array([[0.0, -20.0]], "float32"))
    assert close(got, [[-2.061153618190204e-09, 2.061153618190204e-09]])


@pytest.mark.backends(fits=lambda backend: "float16" in backend.dtypes)
def test_logsumexp_of_100_000_zeros_in_half_precision(target):
    assert close(target.numpy(axisoft.logsumexp(target.array(np.zeros(100_000), "float16"))), 11.512925, rtol=1e-3)


@pytest.mark.backends(fits=lambda backend: "float16" in backend.dtypes)
def test_softmax_of_100_000_equal_in_half_precision(target):
    assert close(target.numpy(axisoft.softmax(target.array(np.zeros(100_000), "float16"))), 1e-5, rtol=2e-2)


@pytest.mark.backends(fits=lambda backend: "float16" in backend.dtypes)
def test_mean_cross_entropy_of_70_000_half_rows_is_float32(target):
    for dtype in {"float16", "bfloat16"} & set(target.backend.dtypes):
        loss = axisoft.cross_entropy(target.array(np.zeros((70_000, 3)), dtype), target.array(np.zeros(70_000), "int"))
        assert str(loss.dtype).endswith("float32")
        assert close(target.numpy(loss), np.log(3.0))


def test_softmax_of_int8_promotes_before_it_subtracts(target):
    y = target.numpy(axisoft.softmax(target.array([-100, 100], "int8")))
    assert np.argmax(y) == 1
    assert close(y[1], 1.0)


def test_integer_logits_are_promoted(target):
    x = target.array([[1, 2, 3]], "int")
    for function in ("softmax", "log_softmax", "logsumexp", "sigmoid", "log_sigmoid", "softplus"):
        y = getattr(axisoft, function)(x)
        wide = getattr(axisoft, function)(target.array([[1, 2, 3]], "float64"))
        assert close(target.numpy(y), target.numpy(wide))
    t = target.array([1], "int")
    assert close(target.numpy(axisoft.cross_entropy(x, t)), 1.4076059644443806)


def test_cross_entropy_at_logits_near_a_million(target):
    loss = axisoft.cross_entropy(target.array([[1e6, 1e6 + 1]], "float32"), target.array([0], "int"))
    assert close(target.numpy(loss), 1.3132616875182228)


def test_a_wrong_label_is_never_another_class(target):
    """IndexError or NaN: where values can be read, and where they cannot (test_special_values has both in full)."""
    x = target.array([[0.0, 1.0, 2.0]], "float32")
    for label in (-1, 3):
        try:
            loss = target.numpy(axisoft.cross_entropy(x, target.array([label], "int")))
        except IndexError:
            loss = np.nan
        assert np.isnan(loss)


def test_label_hidden_by_the_mask_costs_inf(target):
    where = target.array([[True, False]], "bool")
    loss = axisoft.cross_entropy(target.array([[0.0, 1.0]], "float32"), target.array([1], "int"), where=where)
    assert target.numpy(loss) == INF


def test_soft_target_of_0_at_minus_inf(target):
    x, t = target.array([[0.0, -INF]], "float32"), target.array([[1.0, 0.0]], "float32")
    assert target.numpy(axisoft.cross_entropy(x, t)) == 0.0


@pytest.mark.backends(fits=differentiates)
def test_soft_target_of_0_at_minus_inf_in_both_modes(target):
    x, t = target.array([[0.0, -INF]], "float32"), target.array([[1.0, 0.0]], "float32")
    assert np.array_equal(gradient(target, axisoft.cross_entropy, x, t), [[0.0, 0.0]])
    tangent = target.array([[1.0, 1.0]], "float32")
    assert forward_gradient(target, lambda x: axisoft.cross_entropy(x, t), x, tangent) == 0.0


def test_binary_cross_entropy_of_infinite_logits_that_agree(target):
    x, t = target.array([INF, -INF], "float32"), target.array([1.0, 0.0], "float32")
    assert np.array_equal(target.numpy(axisoft.binary_cross_entropy_with_logits(x, t, reduction="none")), [0.0, 0.0])


def test_binary_cross_entropy_of_40_against_0_is_not_clipped(target):
    loss = axisoft.binary_cross_entropy_with_logits(target.array([40.0], "float32"), target.array([0.0], "float32"))
    assert target.numpy(loss) == 40.0


@pytest.mark.backends(fits=differentiates)
def test_ignored_row_of_nan_or_minus_inf_has_gradient_0(target):
    x, t = target.array([[NAN, 0.0], [-INF, -INF], [0.0, 0.0]], "float32"), target.array([9, 9, 1], "int")
    got = gradient(target, lambda x: axisoft.cross_entropy(x, t, ignore_index=9), x)
    assert np.array_equal(got, [[0.0, 0.0], [0.0, 0.0], [0.5, -0.5]])


def test_all_targets_ignored_mean_is_0(target):
    loss = axisoft.cross_entropy(target.array([[0.0, 1.0]], "float32"), target.array([9], "int"), ignore_index=9)
    assert target.numpy(loss) == 0.0


@pytest.mark.backends(fits=differentiates)
def test_all_targets_ignored_gradient_is_0(target):
    x, t = target.array([[0.0, 1.0]], "float32"), target.array([9], "int")
    assert np.array_equal(gradient(target, lambda x: axisoft.cross_entropy(x, t, ignore_index=9), x), [[0.0, 0.0]])


@pytest.mark.backends(fits=differentiates)
def test_logsumexp_of_all_minus_inf_has_gradient_0(target):
    x = target.array([-INF, -INF], "float32")
    assert np.array_equal(gradient(target, axisoft.logsumexp, x), [0.0, 0.0])


def test_fully_masked_softmax_row_is_0(target):
    y = axisoft.softmax(target.array([[1.0, 2.0]], "float32"), where=target.array([[False, False]], "bool"))
    assert np.array_equal(target.numpy(y), [[0.0, 0.0]])


@pytest.mark.backends(fits=differentiates)
def test_fully_masked_softmax_row_has_gradient_0(target):
    where = target.array([[False, False]], "bool")
    x = target.array([[1.0, 2.0]], "float32")
    assert np.array_equal(gradient(target, lambda x: axisoft.softmax(x, where=where), x), [[0.0, 0.0]])


@pytest.mark.backends(fits=lambda backend: "float16" in backend.dtypes)
def test_sigmoid_in_half_precision_reaches_down_to_its_smallest_number(target):
    y = target.numpy(axisoft.sigmoid(target.array([-11.5, -16.0, -16.6], "float16")))
    assert np.array_equal(
        y, (1 / (1 + np.exp(np.asarray([11.5, 16.0, np.float64(np.float16(16.6))])))).astype(np.float16)
    )


def test_softplus_beyond_20_is_not_the_identity(target):
    y = target.numpy(axisoft.softplus(target.array([20.5], "float64")))
    assert close(y, 20.5 + 1.2501528648e-9, rtol=1e-15)
    assert y[0] > 20.5


def test_class_weights_and_smoothing_mean_the_same_for_indices_and_one_hot(target):
    rng = np.random.default_rng(3)
    x, labels = target.array(rng.normal(size=(4, 3)), "float64"), [0, 2, 1, 2]
    weight = target.array([0.2, 1.0, 5.0], "float64")
    one_hot = target.array(np.eye(3)[labels], "float64")
    for reduction in ("none", "sum", "mean"):
        options = {"weight": weight, "label_smoothing": 0.1, "reduction": reduction}
        by_index = axisoft.cross_entropy(x, target.array(labels, "int"), **options)
        by_one_hot = axisoft.cross_entropy(x, one_hot, **options)
        assert close(target.numpy(by_index), target.numpy(by_one_hot), rtol=1e-14)


def test_int32_targets(target):
    x = target.array([[0.0, 0.0]], "float32")
    assert close(target.numpy(axisoft.cross_entropy(x, target.array([1], "int32"))), np.log(2.0))


def test_targets_are_checked_against_the_class_axis(target):
    """(2, 5, 5) logits meant as classes-last fit (2, 5) targets over either axis: the axis says which is meant."""
    rng = np.random.default_rng(0)
    values, labels = rng.normal(size=(2, 5, 5)), rng.integers(0, 5, size=(2, 5))
    x, t = target.array(values, "float64"), target.array(labels, "int")
    last = target.numpy(axisoft.cross_entropy(x, t, axis=-1, reduction="none"))
    swapped = target.array(np.swapaxes(values, 1, 2), "float64")
    assert close(last, target.numpy(axisoft.cross_entropy(swapped, t, axis=1, reduction="none")), rtol=1e-14)
    with pytest.raises(
        ValueError, match=r"targets with shape \(2, 5\) do not fit logits with shape \(2, 5, 5\) and class axis 0"
    ):
        axisoft.cross_entropy(x, t, axis=0)


def test_binary_cross_entropy_does_not_broadcast_labels(target):
    x, t = target.array(np.zeros((4, 1)), "float32"), target.array(np.zeros(4), "float32")
    with pytest.raises(ValueError, match=r"targets with shape \(4,\) and logits with shape \(4, 1\) differ"):
        axisoft.binary_cross_entropy_with_logits(x, t)


@pytest.mark.backends(fits=lambda backend: backend.name == "torch")
# PyTorch's tracer instantiates the Functions that it says should not be; and warns of array_api_compat's caches.
@pytest.mark.filterwarnings("ignore:<class 'torch.autograd.function.Function'> should not be:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a:UserWarning")
def test_torch_compile_takes_the_whole_graph(target):
    """Forward and backward, without a graph break; ``aot_eager`` traces all of it and needs no C++ compiler."""
    import torch

    x, t = target.array([[0.0, -20.0, 1.0], [3.0, 1.0, 1.0]], "float32"), target.array([0, 1], "int")
    where = target.array([[True, True, False]] * 2, "bool")
    for fun in (
        lambda x: axisoft.softmax(x, where=where),
        axisoft.log_softmax,
        axisoft.sigmoid,
        lambda x: axisoft.logsumexp(x, axis=0),
        lambda x: axisoft.cross_entropy(x, t, where=where, label_smoothing=0.1, z_loss=0.1, ignore_index=-1),
        lambda x: axisoft.binary_cross_entropy_with_logits(x, (x > 0).to(x.dtype)),
    ):
        torch.compiler.reset()
        compiled = torch.compile(fun, fullgraph=True, backend="aot_eager")
        assert close(target.numpy(compiled(x)), target.numpy(fun(x)))
        assert close(gradient(target, compiled, x), gradient(target, fun, x))


@pytest.mark.backends(fits=lambda backend: backend.name == "torch")
@pytest.mark.host  # the process that it starts knows no target
def test_a_first_call_may_be_a_compiled_one(target):
    code = """
import torch, axisoft
x = torch.zeros((2, 3), requires_grad=True)
torch.compile(axisoft.log_softmax, fullgraph=True, backend="aot_eager")(x).sum().backward()
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


@pytest.mark.backends(fits=lambda backend: backend.name == "torch")
def test_log_softmax_of_a_tensor_that_needs_a_gradient(target):
    import torch

    x = target.array([[0.0, 1.0]], "float32").requires_grad_()
    axisoft.log_softmax(x)[0, 0].backward()
    assert torch.allclose(x.grad, torch.tensor([[0.7310586, -0.7310586]], device=x.device))
