"""PyTorch: whatever records, counts or replaces operations sees them all; what is in the host's memory can be read."""

from __future__ import annotations

import copy
import io

import numpy as np
import pytest
from helpers import CASES, made

import axisoft as ax

pytestmark = [
    pytest.mark.backends(fits=lambda backend: backend.name == "torch"),
    pytest.mark.filterwarnings("ignore:`torch.jit.*` is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*legacy TorchScript.*:DeprecationWarning"),
]
RNG = np.random.default_rng(4)


def calls(target, name, dtype="float32"):
    """The arrays of a case, and the function of them alone."""
    fun, args, options = CASES[name]
    given = {key: value for key, value in options.items() if isinstance(value, np.ndarray)}
    fixed = {key: value for key, value in options.items() if key not in given and key != "dtype"}
    arrays = tuple(made(target, a, dtype) for a in (*args, *given.values()))
    return arrays, lambda *a: fun(*a[: len(args)], **dict(zip(given, a[len(args) :], strict=True)), **fixed)


def others(arrays):
    """Other values in the same arrays: logits that are turned round, other masks, labels that are classes still."""
    return tuple(a.flip(0) for a in arrays)


def same(target, a, b):
    return np.allclose(target.numpy(a), target.numpy(b), rtol=1e-5, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("varies", [False, True], ids=["without gradients", "with gradients"])
@pytest.mark.parametrize("name", CASES)
def test_jit_trace_records_operations_and_no_result(target, name, varies):
    """Not a warning, and what was recorded can be saved, takes other values, and has a gradient."""
    import torch

    arrays, call = calls(target, name)
    leaf = arrays[0].clone().requires_grad_(varies)
    traced = torch.jit.trace(call, (leaf, *arrays[1:]), check_trace=False)
    assert same(target, traced(*others(arrays)), call(*others(arrays)))
    torch.jit.save(traced, io.BytesIO())
    if varies:
        gradients = []
        for fun in (traced, call):
            x, *rest = others(arrays)
            x = x.clone().requires_grad_()
            fun(x, *rest).square().sum().backward()
            gradients.append(x.grad)
        assert np.allclose(*map(target.numpy, gradients), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("size", [2, 7])
def test_jit_trace_takes_other_batch_sizes(target, size):
    import torch

    call = lambda x, t: ax.cross_entropy(x, t, label_smoothing=0.1) + ax.softmax(x)[0, 0]
    x, t = torch.zeros(4, 30), torch.zeros(4, dtype=torch.int64)
    traced = torch.jit.trace(call, (x, t), check_trace=False)
    given = torch.randn(size, 30), torch.arange(size)
    assert same(target, traced(*given), call(*given))


def test_large_tensors_are_recorded_too(target):
    import torch

    for fun in (ax.softmax, ax.log_softmax, ax.logsumexp, ax.sigmoid):
        traced = torch.jit.trace(fun, (torch.zeros(300, 300),), check_trace=False)
        x = torch.randn(300, 300)
        assert same(target, traced(x), fun(x))


def modes():
    """Name to a mode, and what tells whether it saw an operation of PyTorch's."""
    import torch
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode

    class Dispatch(TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.seen = []

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            self.seen.append(str(function))
            return function(*args, **(kwargs or {}))

    class Function(TorchFunctionMode):
        def __init__(self):
            super().__init__()
            self.seen = []

        def __torch_function__(self, function, types, args=(), kwargs=None):
            self.seen.append(getattr(function, "__name__", str(function)))
            return function(*args, **(kwargs or {}))

    class Profiler:
        def __enter__(self):
            self.profile = torch.autograd.profiler.profile()
            self.profile.__enter__()
            return self

        def __exit__(self, *error):
            self.profile.__exit__(*error)
            self.seen = [event.name for event in self.profile.function_events]

    return {"dispatch": Dispatch, "function": Function, "profiler": Profiler}


HEART = {
    "sigmoid": "sigmoid",
    "log_sigmoid": "log_sigmoid",
    "softplus": "log_sigmoid",
    "softmax": "softmax",
    "log_softmax": "log_softmax",
    "logsumexp": "exp",
    "indices, plain, mean": "softmax",
    "probabilities, plain, mean": "softmax",
    "binary, none": "exp",
    "nll_loss, none": "gather",
}


@pytest.mark.parametrize("kind", ["dispatch", "function", "profiler"])
@pytest.mark.parametrize("varies", [False, True], ids=["without gradients", "with gradients"])
@pytest.mark.parametrize("name", HEART)
def test_modes_see_every_operation(target, name, varies, kind):
    """The one that does the work among them; the result is the same but for rounding."""
    arrays, call = calls(target, name)
    leaf = arrays[0].clone().requires_grad_(varies)
    with modes()[kind]() as mode:
        y = call(leaf, *arrays[1:])
    assert any(HEART[name] in seen.lower().replace("logsigmoid", "log_sigmoid") for seen in mode.seen), mode.seen
    assert same(target, y.detach(), call(*arrays))


@pytest.mark.host
def test_a_default_device_is_no_mode_that_watches(target):
    """It replaces nothing but where new tensors go: the ways and the checks stay as they are."""
    import torch

    from axisoft._backends.torch import watch

    with torch.device("cpu"):
        assert not watch.is_watched()
        with pytest.raises(IndexError, match="holds class 5"):
            ax.cross_entropy(torch.zeros(1, 3), torch.tensor([5]))
    with modes()["function"]():
        assert watch.is_watched()
    assert not watch.is_watched()


@pytest.mark.parametrize("name", CASES)
def test_make_fx(target, name):
    from torch.fx.experimental.proxy_tensor import make_fx

    arrays, call = calls(target, name)
    recorded = make_fx(call)(*arrays)
    assert same(target, recorded(*others(arrays)), call(*others(arrays)))


def test_what_is_recorded_has_not_been_checked(target):
    """Classes that were read when it was recorded say nothing of those that it is run with."""
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx

    x = torch.zeros(2, 3)
    recorded = make_fx(lambda x, t: ax.cross_entropy(x, t, reduction="none"))(x, torch.tensor([0, 1]))
    assert np.array_equal(np.isnan(recorded(x, torch.tensor([2, -1])).numpy()), [False, True])


@pytest.mark.host
@pytest.mark.parametrize("kind", ["dispatch", "function", "profiler"])
def test_what_can_be_read_is_checked_unseen(target, kind):
    import torch

    x, t = torch.zeros(2, 3), torch.tensor([0, 5])
    mode = modes()[kind]()
    with mode, pytest.raises(IndexError, match=r"holds class 5 at \(1,\)"):
        ax.cross_entropy(x, t)
    # The profiler sees below Python; and a function mode what Python asks of a tensor itself.
    assert kind == "profiler" or not [seen for seen in mode.seen if not seen.startswith("__")]


@pytest.mark.host
def test_classes_under_derivatives_of_torch_func_are_checked(target):
    """Targets that are an argument of what is differentiated."""
    import torch

    x, t = torch.zeros(2, 3), torch.tensor([0, 5])
    for transform in (torch.func.grad, torch.func.jacrev, torch.func.grad_and_value):
        with pytest.raises(IndexError, match=r"holds class 5 at \(1,\)"):
            transform(ax.cross_entropy)(x, t)
    assert torch.isfinite(torch.func.grad(ax.cross_entropy)(x, t - t)).all()


@pytest.mark.parametrize("name", HEART)
def test_functionalize(target, name):
    import torch

    arrays, call = calls(target, name)
    assert same(target, torch.func.functionalize(call)(*arrays), call(*arrays))
    functional = tuple(map(torch._to_functional_tensor, arrays))
    assert same(target, torch._from_functional_tensor(call(*functional)), call(*arrays))


def test_fake_tensors_give_shapes(target):
    import torch
    from torch._subclasses import FakeTensorMode

    with FakeTensorMode() as mode:
        x, t = mode.from_tensor(torch.zeros(4, 3)), mode.from_tensor(torch.zeros(4, dtype=torch.int64))
        assert ax.softmax(x).shape == (4, 3)
        assert ax.cross_entropy(x, t, reduction="none").shape == (4,)


def subclasses():
    import torch

    class Image(torch.Tensor):
        pass

    class Mask(torch.Tensor):
        pass

    return Image, Mask


@pytest.mark.host
def test_targets_of_a_subclass_are_read(target):
    """A segmentation mask that is a Tensor by another name; also as labels of the binary loss."""
    import torch

    image, mask = subclasses()
    for wrap in (mask, image, torch.Tensor):
        for x in (torch.zeros(2, 3), torch.zeros(2, 3).as_subclass(image)):
            with pytest.raises(IndexError, match=r"holds class 5 at \(1,\), but there are 3 classes"):
                ax.cross_entropy(x, torch.tensor([0, 5]).as_subclass(wrap))
            with pytest.raises(IndexError, match="holds class -1"):
                ax.nll_loss(x, torch.tensor([0, -1]).as_subclass(wrap))
            labels = torch.tensor([[0, 1, 255]] * 2).as_subclass(wrap)
            with pytest.raises(ValueError, match="holds label 255"):
                ax.binary_cross_entropy_with_logits(x, labels)


@pytest.mark.parametrize("name", CASES)
def test_unrelated_subclasses_in_one_call(target, name):
    """The result is of the subclass of the first array, as it is beside plain tensors."""
    import torch

    image, mask = subclasses()
    (x, *rest), call = calls(target, name)
    plain = call(x, *rest)
    beside = call(x.as_subclass(image), *rest)
    both = call(x.as_subclass(image), *(a.as_subclass(mask) for a in rest))
    assert type(both) is type(beside) is image
    assert same(target, both.as_subclass(torch.Tensor), plain)
    assert type(call(x, *(a.as_subclass(mask) for a in rest))) is torch.Tensor
    leaf = copy.deepcopy(x).requires_grad_()
    call(leaf.as_subclass(image), *(a.as_subclass(mask) for a in rest)).sum().backward()
    assert leaf.grad is not None
