"""Kinds of faults that users of this field report, a call of each; beside it the file that has the whole kind."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import axisoft as ax
from axisoft import compat

torch_alone = pytest.mark.backends(fits=lambda backend: backend.name == "torch")


@torch_alone
@pytest.mark.filterwarnings("ignore:`torch.jit.*` is deprecated:DeprecationWarning")
def test_a_tracer_keeps_the_operation_and_not_its_result(target):  # test_watched.py
    import torch

    traced = torch.jit.trace(lambda x: ax.logsumexp(x, axis=-1), (torch.zeros(2, 3),))
    assert traced(torch.ones(2, 3))[0].item() == pytest.approx(1 + np.log(3), rel=1e-6)


@torch_alone
def test_half_precision_losses_under_autocast_are_float32(target):  # test_compat_autocast.py
    import torch

    x, t = torch.full((8192, 10), 9.0, dtype=torch.float16), torch.zeros(8192, dtype=torch.int64)
    x[:, 0] = -9.0
    with torch.autocast("cpu", dtype=torch.float16):
        loss = compat.torch.cross_entropy(x, t, reduction="sum")
    assert loss.dtype is torch.float32
    assert loss.item() == pytest.approx(8192 * (18 + np.log(9 + np.exp(-18.0))), rel=1e-5)


@pytest.mark.host
@torch_alone
def test_a_class_among_targets_of_a_subclass_is_checked(target):  # test_watched.py
    import torch

    class Mask(torch.Tensor):
        pass

    with pytest.raises(IndexError, match="holds class 5"):
        ax.cross_entropy(torch.zeros(1, 3), torch.tensor([5]).as_subclass(Mask))


def test_a_row_does_not_show_in_the_bits_of_its_neighbour(target):  # test_reproducible.py
    rng = np.random.default_rng(0)
    for _ in range(50):
        x, y, z = rng.normal(size=(3, 2, 10))
        first, second = (ax.log_softmax(target.array(np.concatenate(pair), "float32")) for pair in ((x, y), (x, z)))
        assert np.array_equal(target.numpy(first)[:2], target.numpy(second)[:2])


def test_integer_weights_of_a_logarithm_of_a_sum_count_as_floats():  # test_compat_scipy.py
    a = np.zeros(3, dtype=np.float32)
    assert compat.scipy.logsumexp(a, b=np.asarray([1, 2, 3])).dtype == np.float64
    assert compat.scipy.logsumexp(np.asarray([0.5j, 0.5j])) == pytest.approx(np.log(2) + 0.5j)


def test_numbers_are_taken_where_the_peer_takes_them():  # test_compat_jax.py
    assert compat.jax.softplus(89.0) == pytest.approx(89.0)
    assert compat.optax.sigmoid_binary_cross_entropy(np.float32(0), 1.0) == pytest.approx(np.log(2), rel=1e-6)


@torch_alone
def test_unsigned_targets_of_any_size(target):  # test_integers.py
    import torch

    for dtype in (torch.uint16, torch.uint32, torch.uint64):
        t = torch.full((65,), 2).to(dtype)
        assert ax.cross_entropy(torch.zeros(65, 3), t).item() == pytest.approx(np.log(3), rel=1e-6)


def test_one_hot_integers_are_named(target):  # test_ways_out.py
    x = target.array(np.zeros((2, 3)), "float32")
    with pytest.raises(ValueError, match=r"one-hot classes are; pass .*argmax"):
        ax.cross_entropy(x, target.array(np.eye(3)[:2], "int"))


def test_a_facade_speaks_of_its_own_arguments():  # test_compat_errors.py
    with pytest.raises(IndexError, match="cross_entropy: target holds class 7"):
        compat.torch.cross_entropy(np.zeros((1, 3)), np.asarray([7]))


@pytest.mark.host
@pytest.mark.backends(fits=lambda backend: backend.name != "cupy")
def test_labels_of_0_and_255(target):  # test_integers.py
    x, t = target.array(np.zeros(2), "float32"), target.array([0, 255], "int")
    if target.backend.name == "dask":  # labels that nobody can read are numbers
        assert np.isfinite(target.numpy(ax.binary_cross_entropy_with_logits(x, t)))
        return
    with pytest.raises(ValueError, match=r"holds label 255 at \(1,\)"):
        ax.binary_cross_entropy_with_logits(x, t)


@pytest.mark.backends(fits=lambda backend: "float16" in backend.dtypes)
def test_sigmoids_of_half_precision_in_single(target):  # test_arrays.py
    x = target.array(np.linspace(4, 8, 1000), "float16")
    assert len(set(target.numpy(ax.sigmoid(x)).tolist())) < 40
    assert len(set(target.numpy(ax.sigmoid(x, dtype=target.xp.float32)).tolist())) > 900


def test_a_first_call_after_the_main_thread(target):  # test_late_calls.py
    code = (
        "import threading, time, numpy as np, axisoft\n"
        "late = lambda: (time.sleep(0.3), print(axisoft.softmax(np.zeros(2))))\n"
        "threading.Thread(target=late).start()"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[0.5 0.5]"
    assert not run.stderr


@pytest.mark.parametrize(
    ("call", "way"),
    [
        (lambda x: ax.softmax(x, dim=1), "axis=1"),
        (lambda x: ax.softmax(x, 1), "axis=1"),
        (lambda x: ax.logsumexp(x, keepdim=True), "keepdims=True"),
        (lambda x: ax.softmax(input=x), "softmax(x)"),
        (lambda x: ax.cross_entropy(x, x, x), "weight="),
    ],
)
def test_slips_are_answered_with_the_right_call(call, way):  # test_slips.py
    with pytest.raises(TypeError) as caught:
        call(np.zeros((2, 2)))
    assert way in str(caught.value)


def test_the_way_out_leads_out(target):  # test_ways_out.py
    x = target.array(np.zeros((2, 3)), "float32")
    with pytest.raises(TypeError, match="asarray") as caught:
        ax.cross_entropy(x, [0, 1])
    if target.backend.name == "torch":
        assert "torch.asarray(targets)" in str(caught.value)
