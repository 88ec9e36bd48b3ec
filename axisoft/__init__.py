"""Numerically stable softmax, log-softmax, log-sum-exp, sigmoid and cross-entropy for any array library.

Each function is written once, against the Python Array API standard. Arrays go in, arrays of the same library come out,
on the same device; the library's own transformations (autograd, jit) go through. Importing axisoft imports no library.
"""

from axisoft._autodiff import value_and_grad, vjp
from axisoft._diagnose import diagnose
from axisoft._linear import linear_cross_entropy
from axisoft._losses import binary_cross_entropy_with_logits, cross_entropy, nll_loss
from axisoft._sigmoid import log_sigmoid, sigmoid, softplus
from axisoft._softmax import log_softmax, logsumexp, softmax, softmax2d
from axisoft._threads import get_num_threads, set_num_threads
from axisoft._versions import show_versions

__version__ = "0.1.0.dev0"

__all__ = [
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "diagnose",
    "get_num_threads",
    "linear_cross_entropy",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "nll_loss",
    "set_num_threads",
    "show_versions",
    "sigmoid",
    "softmax",
    "softmax2d",
    "softplus",
    "value_and_grad",
    "vjp",
]


def __getattr__(name: str) -> object:
    """The packages beside the functions, where they are first used: ``axisoft.testing`` imports NumPy."""
    if name not in ("compat", "testing"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), "compat", "testing"})
