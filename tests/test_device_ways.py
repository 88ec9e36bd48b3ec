"""What PyTorch's ways of a device cost there, counted without one; and that nothing waits for it.

A pass is one read or one write of an array as large as the logits, in bytes of the logits: a mask is a quarter of one.
What touches one number a slice (``gather``, ``scatter_``) is no pass, and what has one number a slice is none either.
A kernel is an operation that PyTorch dispatches, but for views and for the scalars that it wraps.
"""

from __future__ import annotations

import numpy as np
import pytest
from helpers import CASES, made

import axisoft as ax

pytestmark = pytest.mark.backends(fits=lambda backend: backend.name == "torch")

# Of float32 logits: (passes, kernels) of the value, and of the value and its gradient along the logits, whose cotangent
# is given. PyTorch's own: softmax (2, 1) and (5, 2), log_softmax the same, cross_entropy (3, 2) and (8, 6).
COSTS = {
    "softmax": ((5, 3), (13, 15)),
    "softmax of fewer classes": ((2, 1), (10, 13)),
    "softmax of more classes": ((5, 3), (17, 17)),
    "softmax over another axis": ((6, 12), (18, 26)),
    "log_softmax": ((6, 11), (11, 22)),
    "logsumexp": ((4, 15), (17, 31)),
    "cross_entropy": ((4, 17), (9, 33)),
    "cross_entropy of pixels": ((4, 19), (9, 35)),
    "sigmoid": ((2, 1), (12, 5)),
    "binary_cross_entropy_with_logits": ((33, 16), (59, 31)),
}
# What may not be exceeded, whatever the table says.
BARS = {
    "softmax": ((5, 99), (13, 99)),
    "log_softmax": ((6, 16), (14, 30)),
    "logsumexp": ((5, 99), (99, 99)),
    "cross_entropy": ((4, 24), (9, 40)),
    "cross_entropy of pixels": ((4.5, 99), (99, 99)),
}
VIEWS = {"view", "detach", "alias", "expand", "unsqueeze", "squeeze", "as_strided", "split", "select", "t", "slice"}
NO_KERNEL = VIEWS | {"scalar_tensor", "empty", "empty_like"}
A_NUMBER_A_SLICE = {"gather", "scatter_"}


def counter(size):
    from torch import Tensor
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Counter(TorchDispatchMode):
        passes, kernels = 0.0, 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            out = function(*args, **(kwargs or {}))
            name = function.overloadpacket.__name__
            if name not in NO_KERNEL:
                self.kernels += 1
                large = [a for a in tree_leaves((args, kwargs, out)) if isinstance(a, Tensor) and a.numel() >= size]
                if name not in A_NUMBER_A_SLICE:
                    self.passes += sum(a.itemsize for a in large) / 4
            return out

    return Counter()


def work(name):
    """A function of logits on the meta device, and the logits."""
    import torch

    shape, axis = {
        "softmax of more classes": ((64, 100_000), -1),
        "softmax of fewer classes": ((4096, 8192), -1),
        "softmax over another axis": ((32, 128, 50), 1),
        "cross_entropy of pixels": ((8, 21, 256, 256), 1),
    }.get(name, ((4096, 32_000), -1))
    x = torch.empty(shape, device="meta", requires_grad=True)
    name = name.partition(" of ")[0].partition(" over ")[0]
    function = getattr(ax, name)
    if name == "cross_entropy":
        t = torch.empty([n for i, n in enumerate(shape) if i != axis % len(shape)], dtype=torch.int64, device="meta")
        return lambda x: function(x, t, axis=axis), x
    if name == "binary_cross_entropy_with_logits":
        t = torch.empty(shape, device="meta")
        return lambda x: function(x, t), x
    return (function if name == "sigmoid" else lambda x: function(x, axis=axis)), x


@pytest.mark.parametrize("name", COSTS)
def test_passes_and_kernels(target, name):
    import torch

    call, x = work(name)
    found = []
    with counter(x.numel()) as value:
        y = call(x)
    found.append((value.passes, value.kernels))
    g = torch.empty_like(y)
    with counter(x.numel()) as gradient:
        y.backward(g)
    found.append((value.passes + gradient.passes, value.kernels + gradient.kernels))
    assert tuple(found) == COSTS[name]
    for counts, bar in zip(found, BARS.get(name, ()), strict=False):
        assert counts <= bar


def no_waiting():
    from torch.utils._python_dispatch import TorchDispatchMode

    class NoWaiting(TorchDispatchMode):
        """An error for what would wait for a device: a number for Python, or a shape that depends on values."""

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            name = function.overloadpacket.__name__
            assert name not in ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select"), name
            return function(*args, **(kwargs or {}))

    return NoWaiting()


@pytest.mark.parametrize("name", CASES)
def test_nothing_waits_for_a_device(target, name, dtype, monkeypatch):
    """Neither on the way to a value nor on that to its gradients."""
    import torch

    from axisoft._backends.torch import watch

    monkeypatch.setattr(watch, "as_device", True)
    fun, arrays, options = CASES[name]
    arrays = [made(target, a, dtype) for a in arrays]
    options = {k: made(target, v, dtype) for k, v in options.items()}
    leaves = [a.requires_grad_() for a in arrays if a.is_floating_point()]
    with no_waiting():
        y = fun(*arrays, **options)
        torch.autograd.grad(y, leaves, torch.ones_like(y), allow_unused=True)


def sum_on_a_device(terms):
    """As CUDA's softmax adds a slice along memory: 1024 threads, each in sequence by fours, then in pairs."""
    found = np.zeros(1024, np.float32)
    for row in np.moveaxis(terms.reshape(-1, 1024, 4), 2, 1).reshape(-1, 1024):
        found = found + row
    while len(found) > 1:
        found = found[: len(found) // 2] + found[len(found) // 2 :]
    return found[0]


def test_the_limits_of_sums_on_a_device(target):
    """Equal terms drift the most. A probability may be off by two ulp for each that the sum is, of 8."""
    from axisoft._backends.torch import limits

    for length, most in ((limits.STEADY_ON_DEVICE, 3.0), (limits.STEADY_IN_LOG_ON_DEVICE, 7.0)):
        for x in np.linspace(-3.0, -0.01, 50):
            terms = np.full(length, np.exp(x), np.float32)
            terms[0] = 1.0
            right = terms.astype(np.float64).sum()
            assert abs(sum_on_a_device(terms) - right) <= most * np.spacing(np.float32(right))


def test_the_switch_is_what_the_suite_runs_on(target):
    """A tensor in the host's memory may be read on one target and not on the other."""
    from axisoft._backends.torch import watch, ways

    x = target.array([1.0], "float32")
    is_device = target.device_name == "as_device"
    assert ways.place((x,)) == ("device" if is_device else "host" if target.device_name == "cpu" else "device")
    assert (watch.values(x) is None) == (target.device_name != "cpu")
