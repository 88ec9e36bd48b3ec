"""What may be read here and now, and whether PyTorch's own operations must run.

Tensors in the host's memory can take ways that PyTorch does not see. Whatever records, counts or replaces its
operations must see them all, so where any such thing is active those ways are closed. Each look takes some 50 ns.
"""

from __future__ import annotations

import torch
from torch._C import _functorch, _get_tracing_state, _len_torch_dispatch_stack, _len_torch_function_stack
from torch._C import _set_tracing_state as _set_tracing_state  # type: ignore[attr-defined]
from torch._C._autograd import _profiler_enabled
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack
from torch.autograd import forward_ad
from torch.utils._device import DeviceContext
from torch.utils._python_dispatch import _disable_current_modes


def is_traced():
    """Whether what runs becomes a program for other values: for torch.compile and torch.export, by Dynamo or without
    it, or for torch.jit.trace and the exporters on top of it, which know nothing of what a Function does."""
    return torch.compiler.is_compiling() or _get_tracing_state() is not None or _is_functionalized()


def _is_functionalized():
    """Whether torch.func.functionalize rewrites what runs: it takes no Function."""
    top = None if _functorch.maybe_current_level() is None else _functorch.peek_interpreter_stack()
    return top is not None and top.key() == _functorch.TransformType.Functionalize


def is_watched():
    """Whether something sees PyTorch's operations, in this thread: all of them must then be PyTorch's.

    Tracers have a state, dispatch modes (flop counters, make_fx, fake tensors) and function modes a stack each, the
    profiler a flag and the transforms of torch.func a level. A default device is a function mode too, but it replaces
    nothing but where new tensors go.
    """
    if torch.compiler.is_compiling() or _get_tracing_state() is not None or _len_torch_dispatch_stack():
        return True
    if _profiler_enabled() or _functorch.maybe_current_level() is not None:
        return True
    return _len_torch_function_stack() > 0 and _has_function_mode()


def _has_function_mode():
    modes = map(torch._C._get_function_stack_at, range(_len_torch_function_stack()))
    return any(type(mode) is not DeviceContext for mode in modes)


# Set by the test suite, which so runs the ways of a device on the host's memory: none of it may then be looked at.
as_device = False


def is_plain(x):
    """Whether a tensor is in the host's memory, and nobody watches what is done with it."""
    return not as_device and not is_watched() and type(x) is torch.Tensor and x.is_cpu and not is_wrapped(x)


def are_plain(arrays):
    """Whether each that is there is plain."""
    if as_device or is_watched():
        return False
    for a in arrays:  # noqa: SIM110 - a generator takes three times as long
        if a is not None and (type(a) is not torch.Tensor or not a.is_cpu or is_wrapped(a)):
            return False
    return True


def are_memory(arrays):
    """Whether each that is there is PyTorch's own tensor and stands for itself, on whatever device; what records or
    replaces PyTorch's operations sees them."""
    return _functorch.maybe_current_level() is None and all(
        a is None or (type(a) is torch.Tensor and not is_wrapped(a)) for a in arrays
    )


def is_wrapped(x):
    """Whether a transformation stands between a tensor and its values; the second kind is that of ``autograd.grad``."""
    if _functorch.is_functorch_wrapped_tensor(x) or _functorch.is_legacy_batchedtensor(x):
        return True
    return torch._is_functional_tensor(x)


def innermost(x):
    """The tensor that a transformation wraps, with all that it maps."""
    while _functorch.is_functorch_wrapped_tensor(x):
        x = _functorch.get_unwrapped(x)
    return x


def varies(arrays):
    """Whether anything may be differentiated along any of the arrays, or is being transformed."""
    if forward_ad._current_level >= 0:
        return True
    gradients = torch.is_grad_enabled()
    return any(a is not None and (is_wrapped(a) or (gradients and a.requires_grad)) for a in arrays)


def requires_gradient(arrays):
    for a in arrays:  # noqa: SIM110
        if a is not None and a.requires_grad:
            return True
    return False


def values(x):
    """What a tensor holds, as NumPy's array; None where it cannot be read, or where reading waits for a device.

    A subclass that is nothing but a tensor with another name can be read; one that has a ``__torch_dispatch__`` may
    hold anything anywhere. Nobody sees the reading.
    """
    return read(x)[0]


def read(x):
    """As ``values``; and whether that holds for every run of what runs now: not where it is recorded for other runs."""
    if is_plain(x):
        return _numpy(x), True
    if is_traced() or as_device:
        return None, False
    while _functorch.is_gradtrackingtensor(x):  # of torch.func.grad: it varies for it, and what it holds is there
        x = _functorch.get_unwrapped(x)
    if not x.is_cpu or is_wrapped(x) or _dispatches(x):
        return None, False
    with temporarily_clear_interpreter_stack(), torch._C.DisableTorchFunction(), _disable_current_modes():
        found = _numpy(x.as_subclass(torch.Tensor))
    return found, not (_len_torch_dispatch_stack() or _has_function_mode())


def _numpy(x):
    x = x.detach() if x.requires_grad else x
    return (x.float() if x.dtype is torch.bfloat16 else x).resolve_neg().numpy()


def lengths(x):
    """The shape of what torch.jit.trace was given; it has tensors for lengths, and warns of any look at them."""
    state = _get_tracing_state()
    _set_tracing_state(None)
    try:
        return tuple(x.shape)
    finally:
        _set_tracing_state(state)


def without_subclass(x):
    """A subclass that is nothing but a tensor with another name, as a plain tensor: PyTorch has no operation of two
    subclasses that are none of each other."""
    if type(x) is torch.Tensor or _dispatches(x):
        return x
    with torch._C.DisableTorchFunction():
        return x.as_subclass(torch.Tensor)


def _dispatches(x):
    return type(x) is not torch.Tensor and type(x).__torch_dispatch__ is not torch.Tensor.__torch_dispatch__
