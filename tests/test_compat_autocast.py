"""axisoft.compat.torch under torch.autocast, and axisoft's own functions there."""

from __future__ import annotations

import numpy as np
import pytest

import axisoft
from axisoft.compat import _shared
from axisoft.compat import torch as F

pytestmark = pytest.mark.backends(fits=lambda backend: backend.name == "torch")


def calls(F, softmax2d, softmax, loss):
    """Every function of the facade, by name, as the facade and PyTorch call it alike."""
    import torch

    t, soft = torch.tensor([0, 2, 1]), torch.full((3, 4), 0.25)
    binary = F.binary_cross_entropy_with_logits
    return {
        "softmax": lambda x: F.softmax(x, 1),
        "softmin": lambda x: F.softmin(x, 1),
        "log_softmax": lambda x: F.log_softmax(x, 1),
        "softmax to float16": lambda x: F.softmax(x, 1, dtype=torch.float16),
        "softmin to float64": lambda x: F.softmin(x, 1, dtype=torch.float64),
        "log_softmax to bfloat16": lambda x: F.log_softmax(x, 1, dtype=torch.bfloat16),
        "logsumexp": lambda x: (F if hasattr(F, "logsumexp") else torch).logsumexp(x, 1),
        "sigmoid": lambda x: (F if hasattr(F, "Sigmoid") else torch).sigmoid(x),
        "logsigmoid": F.logsigmoid,
        "softplus": F.softplus,
        "softplus with beta": lambda x: F.softplus(x, 2.0),
        "Softmax2d": lambda x: softmax2d(x[None]),
        "Softmax": softmax,
        "nll_loss": lambda x: F.nll_loss(x, t),
        "nll_loss, none": lambda x: F.nll_loss(x, t, reduction="none"),
        "cross_entropy": lambda x: F.cross_entropy(x, t),
        "cross_entropy, none": lambda x: F.cross_entropy(x, t, reduction="none"),
        "cross_entropy, sum": lambda x: F.cross_entropy(x, t, reduction="sum"),
        "cross_entropy, weighted": lambda x: F.cross_entropy(x, t, x[0].abs(), label_smoothing=0.1),
        "cross_entropy of probabilities": lambda x: F.cross_entropy(x, soft.to(x.dtype)),
        "CrossEntropyLoss": lambda x: loss(x, t),
        "binary": lambda x: binary(x, soft.to(x.dtype)),
        "binary, weighted": lambda x: binary(x, soft.to(x.dtype), x.abs(), reduction="none", pos_weight=x[0].abs()),
    }


def test_every_dtype_is_pytorchs(target):
    """Function by function, inside and outside; values within the spacing of the coarser of the two."""
    import torch

    ours = calls(F, F.Softmax2d(), F.Softmax(1), F.CrossEntropyLoss())
    theirs = calls(torch.nn.functional, torch.nn.Softmax2d(), torch.nn.Softmax(1), torch.nn.CrossEntropyLoss())
    x = torch.tensor(np.random.default_rng(0).normal(size=(3, 4)))
    for amp in (torch.float16, torch.bfloat16):
        for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
            for name in ours:
                with torch.autocast("cpu", dtype=amp):
                    got, want = ours[name](x.to(dtype)), theirs[name](x.to(dtype))
                assert got.dtype == want.dtype, (name, dtype)
                assert torch.allclose(got.double(), want.double(), rtol=2e-2, atol=1e-3), (name, dtype)
                assert ours[name](x.to(dtype)).dtype == theirs[name](x.to(dtype)).dtype, (name, dtype)


def test_what_autocast_computes_in_single_is_pytorchs_list(target):
    """Each kind of device has a list, in PyTorch's dispatcher; those of devices that are not here can be read too."""
    import torch

    from axisoft._backends.torch import single as backend

    operations = {
        "softmax": "softmax.int", "softmin": "softmax.int", "log_softmax": "log_softmax.int",
        "logsumexp": "logsumexp", "softplus": "softplus", "sigmoid": "sigmoid", "logsigmoid": "log_sigmoid",
        "nll_loss": "nll_loss", "binary_cross_entropy_with_logits": "binary_cross_entropy_with_logits",
    }  # fmt: skip
    has = torch._C._dispatch_has_kernel_for_dispatch_key
    for kind, key in (("cpu", "AutocastCPU"), ("cuda", "AutocastCUDA"), ("xpu", "AutocastXPU"), ("mps", "AutocastMPS")):
        single = {name for name, operation in operations.items() if has(f"aten::{operation}", key)}
        single.add("cross_entropy")  # a composite of log_softmax and nll_loss, or on the list itself
        assert single == (backend.SINGLE if kind == "cpu" else backend.SINGLE_ON_DEVICES), kind


def test_a_sum_of_many_losses_in_half_precision_is_finite(target):
    import torch

    x = torch.full((8192, 4), 0.0, dtype=torch.float16)
    x[:, 0] = 20.0
    t = torch.ones(8192, dtype=torch.int64)
    with torch.autocast("cpu", dtype=torch.float16):
        loss = F.cross_entropy(x, t, reduction="sum")
    assert loss.dtype == torch.float32
    assert abs(loss.item() - 8192 * 20.0) < 1
    assert torch.isinf(F.cross_entropy(x, t, reduction="sum"))  # outside, in the dtype of the logits, as in PyTorch


def test_gradients_go_back_to_half_precision(target):
    import torch

    x = torch.tensor([[0.0, -20.0], [1.0, 2.0]], dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = F.cross_entropy(x, torch.tensor([0, 1]))
    loss.backward()
    assert x.grad.dtype == torch.bfloat16
    assert abs(x.grad[0, 0].double().item() + 0.5 * 2.0611536e-9) < 1e-11  # the confident row keeps its gradient


@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a:UserWarning")
def test_within_what_is_compiled(target):
    import torch

    torch.compiler.reset()

    @torch.compile(fullgraph=True, backend="eager")
    def step(x, t):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return F.cross_entropy(x, t), F.softmax(x, 1)

    loss, p = step(torch.zeros(3, 4, dtype=torch.bfloat16), torch.tensor([0, 1, 2]))
    assert loss.dtype == torch.float32
    assert p.dtype == torch.bfloat16


def test_devices_without_autocast(target):
    import torch

    from axisoft._backends.torch import single as backend

    x = torch.zeros(2, 3, dtype=torch.float16, device="meta")
    with torch.autocast("cpu", dtype=torch.float16):
        assert backend.autocast("cross_entropy", x) is x


def test_other_libraries_know_of_none(target):
    x = np.zeros(3, dtype=np.float16)
    import array_api_compat.numpy as xp

    assert _shared.single_under_autocast("cross_entropy", xp, x) is x


def test_axisofts_own_functions_are_what_they_are_outside(target, dtype):
    """Half in and half out, losses in float32, and to the bit the same."""
    import torch

    x = torch.tensor(np.random.default_rng(1).normal(size=(64, 40)) * 8).to(getattr(torch, dtype))
    t, soft = torch.arange(64) % 40, torch.full((64, 40), 1 / 40)
    functions = {
        "sigmoid": axisoft.sigmoid, "log_sigmoid": axisoft.log_sigmoid, "softplus": axisoft.softplus,
        "softmax": axisoft.softmax, "log_softmax": axisoft.log_softmax, "logsumexp": axisoft.logsumexp,
        "nll_loss": lambda x: axisoft.nll_loss(x, t), "cross_entropy": lambda x: axisoft.cross_entropy(x, t),
        "smoothed": lambda x: axisoft.cross_entropy(x, soft, label_smoothing=0.1),
        "binary": lambda x: axisoft.binary_cross_entropy_with_logits(x, soft),
    }  # fmt: skip
    for name, fun in functions.items():
        for amp in (torch.float16, torch.bfloat16):
            values = []
            for on in (False, True):
                leaf = x.clone().requires_grad_()
                with torch.autocast("cpu", dtype=amp, enabled=on):
                    plain, y = fun(x), fun(leaf)
                (gradient,) = torch.autograd.grad(y.float().sum(), leaf)
                values.append((plain, y, gradient))
            for inside, outside in zip(values[1], values[0], strict=True):
                assert inside.dtype == outside.dtype, name
                assert torch.equal(inside, outside), name
