"""What autocast computes in float32, for those who follow its lists."""

import torch

# On every device, and on all but the CPU: as in PyTorch's dispatcher.
SINGLE = frozenset({"nll_loss", "cross_entropy", "binary_cross_entropy_with_logits"})
SINGLE_ON_DEVICES = SINGLE | {"softmax", "softmin", "log_softmax", "logsumexp", "softplus"}


def autocast(function, x):
    """x in float32, if it is in half precision and autocast is on for a function that PyTorch computes so."""
    if x.dtype is not torch.float16 and x.dtype is not torch.bfloat16:
        return x
    kind = x.device.type
    if function not in (SINGLE if kind == "cpu" else SINGLE_ON_DEVICES):
        return x
    return x.float() if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind) else x
