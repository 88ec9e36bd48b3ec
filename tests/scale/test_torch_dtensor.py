"""PyTorch's DTensors on 2 and 4 processes: every function as on one, and nothing but numbers per sample goes between
them, both ways."""

from __future__ import annotations

import pytest
from scale import dtensor
from scale.processes import run


@pytest.mark.parametrize("world", dtensor.LAYOUTS)
def test_a_layout_gives_what_one_tensor_gives(world):
    found = run(dtensor.layouts, world)
    assert len(found) == len(dtensor.LAYOUTS[world]) * len(dtensor.SHAPES) * 23 * 2
    assert [row for row in found if row[1]] == []


# All-reduces forward and backward, at most. PyTorch's loss_parallel takes 3 and 0 for a cross_entropy.
MESSAGES = {
    "softmax": (2, 2),
    "log_softmax": (2, 2),
    "logsumexp": (2, 2),
    "nll_loss": (1, 0),
    "cross_entropy": (3, 3),
    "each": (3, 3),
    "smoothed": (4, 3),
    "weight": (5, 4),
    "ignored": (3, 3),
    "where": (4, 3),
    "probabilities": (4, 4),
    "sample_weight": (3, 3),
}


def test_slices_that_processes_share_take_few_messages():
    found = run(dtensor.messages, 2)
    for name, most in MESSAGES.items():
        *counts, largest, _ = found[name]
        assert all(count.keys() <= {"allreduce_"} for count in counts), name
        assert all(count.total() <= n for count, n in zip(counts, most, strict=True)), (name, counts)
        assert largest <= 3, name


def test_what_a_step_sends():
    """As docs/scale.md has it: 9 numbers a sample, whatever the number of classes."""
    assert run(dtensor.messages, 2)["cross_entropy"][-1] == 9


def test_edges():
    found = run(dtensor.edges, 2)
    rows = [found.pop(key) for key in list(found) if isinstance(key, tuple)]
    assert rows == [True] * 8
    assert found.pop("half precision") == (True, True)
    assert found.pop("what is not summed yet")
    assert str(found.pop("DTensor targets")) == "(Replicate(),)"
    got, want = found.pop("unread classes")
    assert got == want
    assert found.pop("value_and_grad") == (True, True)
    assert found.pop("vjp")
    assert found.pop("loss_parallel")
    assert found.pop("second derivative") == [True, True]
    assert found == {
        "second derivative of shared slices": (
            "NotImplementedError: cross_entropy: the gradient along slices that processes share cannot be "
            "differentiated again; replicate it first, x.redistribute(placements=[Replicate()] * x.device_mesh.ndim)."
        ),
        "no group": (
            "TypeError: softmax: across is 'v', which is no process group of torch.distributed; give one, such as "
            "mesh.get_group(), or leave it out for a DTensor."
        ),
        "no part": (
            "TypeError: softmax: across is given for a numpy array, which has no other parts; leave it out, since the "
            "whole array is here."
        ),
        "uneven parts": (
            "ValueError: softmax: x with shape (8, 1) has another elsewhere; give each process a part of one shape, or "
            "make a DTensor of them."
        ),
        "wrong class": (
            "IndexError: cross_entropy: targets holds class 6 at (0,), but there are 6 classes; class indices are in "
            "[0, 6), and set ignore_index to leave samples out."
        ),
        "wrong class in a group": (
            "IndexError: cross_entropy: targets holds class 6 at (0,), but there are 6 classes; class indices are in "
            "[0, 6), and set ignore_index to leave samples out."
        ),
        "two meshes": (
            "ValueError: cross_entropy: logits is on one and targets on other; redistribute one of them, so that both "
            "are on the same mesh."
        ),
        "diagnose": "TypeError: diagnose: logits is a tensor that several processes share; pass logits.full_tensor().",
    }


@pytest.mark.parametrize("world", dtensor.LAYERS)
def test_a_linear_layer_in_any_layout(world):
    found = run(dtensor.layers, world)
    assert len(found) == len(dtensor.LAYERS[world]) * 2 * 16
    assert [row for row in found if row[1]] == []


def test_a_linear_layer_in_a_group():
    assert max(run(dtensor.layer_in_a_group, 2)) < 2e-6
