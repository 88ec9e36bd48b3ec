"""What type checkers see of ``__init__.py``, which imports ``compat`` and ``testing`` only where they are used."""

from axisoft import compat as compat
from axisoft import testing as testing
from axisoft._autodiff import value_and_grad, vjp
from axisoft._diagnose import diagnose
from axisoft._linear import linear_cross_entropy
from axisoft._losses import binary_cross_entropy_with_logits, cross_entropy, nll_loss
from axisoft._sigmoid import log_sigmoid, sigmoid, softplus
from axisoft._softmax import log_softmax, logsumexp, softmax, softmax2d
from axisoft._threads import get_num_threads, set_num_threads
from axisoft._versions import show_versions

__version__: str

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
