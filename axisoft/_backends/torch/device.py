"""Where no value may be looked at without waiting, and what costs is traffic: PyTorch's kernels, and an unconditional
repair of one number a slice.

What no function here is for is done by the formulas, which find in the namespace ``memory`` what they need: positions
instead of masks, PyTorch's softmax for exponentials, and functions that write over what nobody needs any more.
"""

from __future__ import annotations

import torch

from axisoft._backends.torch.limits import HALF, LOG_HALF, STEADY_ACROSS, STEADY_IN_LOG_ON_DEVICE, STEADY_ON_DEVICE
from axisoft._backends.torch.namespace import memory
from axisoft._backends.torch.rows import is_steady as is_steady_along_memory
from axisoft._core.stable import balanced, dominant


def is_steady(x, axis, most=STEADY_IN_LOG_ON_DEVICE):
    """Whether the sums in PyTorch's kernels do not drift along an axis. ``most`` : on a device, of so many classes."""
    if x.shape[axis] <= STEADY_ACROSS:
        return True
    if axis != x.ndim - 1 or not x.is_contiguous():
        return False
    return is_steady_along_memory(x) if x.is_cpu else x.shape[axis] <= most


def softmax(x, axis):
    p = torch.softmax(x, axis)
    return p if x.dtype in HALF or is_steady(x, axis, STEADY_ON_DEVICE) else p.div_(memory.sum(p, axis, keepdims=True))


def log_softmax(x, axis):
    """The largest element is minus log1p of the sum of the others."""
    p = torch.softmax(x, axis, dtype=torch.float32 if x.dtype in HALF else None)
    at = torch.argmax(x, axis, keepdim=True)
    top = torch.gather(p, axis, at)
    rest = memory.sum(p.scatter_(axis, at, top - top), axis, keepdims=True).div_(top).log1p_()  # NaN stays
    if x.dtype in HALF:
        return torch.log_softmax(x, axis, dtype=torch.float32).scatter_(axis, at, rest.neg_()).to(x.dtype)
    if is_steady(x, axis):
        return torch.log_softmax(x, axis).scatter_(axis, at, rest.neg_())
    return torch.sub(x, torch.gather(x, axis, at)).sub_(rest)


def softmax_gradient(g, y, axis):
    """``y (g - sum g y)``, in which a result of 0 makes 0 of any g."""
    g = memory.alive(g, y)
    if is_steady(y, axis):
        v = torch._softmax_backward_data(g, y, axis, y.dtype)
    else:
        v = g.mul_(y)
        v.addcmul_(y, memory.sum(v, axis, keepdims=True), value=-1.0)
    return balanced(v, dominant(y, (axis,), memory), (axis,), memory)


def log_softmax_gradient(g, y, axis):
    at = torch.argmax(y, axis, keepdim=True)
    if is_steady(y, axis):
        v = torch._log_softmax_backward_data(g, y, axis, y.dtype)
    else:
        v = torch.exp(y).mul_(memory.sum(g, axis, keepdims=True)).neg_().add_(g)
    return balanced(v, (at, torch.gather(y, axis, at) > LOG_HALF), (axis,), memory)
