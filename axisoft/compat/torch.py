"""The functions of ``torch.nn.functional``, and loss objects as in ``torch.nn``, over arrays of any library.

Arguments, defaults, class axis, reductions and dtypes of results are PyTorch's: float16 logits give a float16 loss,
which is computed in float32; under ``torch.autocast`` it is float32, as in PyTorch, and what autocast computes in
float32 is so here, on each kind of device. The objects are plain callables that hold their arguments.
"""

from __future__ import annotations

import warnings
from typing import Any, overload

import axisoft
from axisoft import _check
from axisoft._check import facades
from axisoft._typing import Array, ArrayT, FromNumPy
from axisoft.compat import _shared
from axisoft.compat._facade import facade
from axisoft.compat._torch_losses import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    legacy_reduction,
    nll_loss,
)

__all__ = [
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "LogSoftmax",
    "NLLLoss",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "log_softmax",
    "logsigmoid",
    "logsumexp",
    "nll_loss",
    "sigmoid",
    "softmax",
    "softmin",
    "softplus",
]

# axisoft's names, and a way out that PyTorch does not have, by the names and the way out here.
NAMES = {
    "x": "input",
    "axis": "dim",
    "keepdims": "keepdim",
    "the functions that take a mask": "axisoft's own functions",
}


@overload
def softmax(input: FromNumPy, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any: ...
@overload
def softmax(input: ArrayT, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> ArrayT: ...
@facade(NAMES)
def softmax(input: ArrayT, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> ArrayT:
    """``exp(x) / sum(exp(x))`` along an axis: :func:`axisoft.softmax`.

    Parameters
    ----------
    input : array of any shape and library. Integers are promoted.
    dim : the axis. None means 0 for arrays of 0, 1 or 3 axes, else 1, with a warning, as in PyTorch.
    dtype : floating dtype of input's library that it is cast to first.

    Returns
    -------
    array like input.
    """
    if dim is None:
        dim = _implicit_dim("softmax", input, _stacklevel)
    return _along(axisoft.softmax, "softmax", input, dim, dtype=dtype)  # type: ignore[no-any-return]


@overload
def softmin(input: FromNumPy, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any: ...
@overload
def softmin(input: ArrayT, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> ArrayT: ...
@facade(NAMES)
def softmin(input: ArrayT, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> ArrayT:
    """:func:`softmax` of ``-input``; integers are promoted before they change their sign."""
    if dim is None:
        dim = _implicit_dim("softmin", input, _stacklevel)
    xp, (x,) = _check.arrays("softmin", x=input)
    x = x if dtype is not None else _shared.single_under_autocast("softmin", xp, x)
    x, out = _shared.promoted("softmin", xp, x, dtype)
    return xp.astype(_along(axisoft.softmax, "softmin", -x, dim), out, copy=False)  # type: ignore[no-any-return]


@overload
def log_softmax(input: FromNumPy, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any: ...
@overload
def log_softmax(input: ArrayT, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> ArrayT: ...
@facade(NAMES)
def log_softmax(input: ArrayT, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> ArrayT:
    """The logarithm of :func:`softmax`, in nats: :func:`axisoft.log_softmax`."""
    if dim is None:
        dim = _implicit_dim("log_softmax", input, _stacklevel)
    return _along(axisoft.log_softmax, "log_softmax", input, dim, dtype=dtype)  # type: ignore[no-any-return]


@overload
def logsumexp(input: FromNumPy, dim: int | tuple[int, ...], keepdim: bool = False) -> Any: ...
@overload
def logsumexp(input: ArrayT, dim: int | tuple[int, ...], keepdim: bool = False) -> ArrayT: ...
@facade(NAMES)
def logsumexp(input: ArrayT, dim: int | tuple[int, ...], keepdim: bool = False) -> ArrayT:
    """``log(sum(exp(x)))`` over one axis or several, in nats: :func:`axisoft.logsumexp`."""
    keepdims = _check.flag("logsumexp", "keepdim", keepdim)
    return _along(axisoft.logsumexp, "logsumexp", input, dim, keepdims=keepdims)  # type: ignore[no-any-return]


@overload
def sigmoid(input: FromNumPy) -> Any: ...
@overload
def sigmoid(input: ArrayT) -> ArrayT: ...
@facade(NAMES)
def sigmoid(input: ArrayT) -> ArrayT:
    """The logistic function of each element: :func:`axisoft.sigmoid`."""
    return axisoft.sigmoid(input)


@overload
def logsigmoid(input: FromNumPy) -> Any: ...
@overload
def logsigmoid(input: ArrayT) -> ArrayT: ...
@facade(NAMES)
def logsigmoid(input: ArrayT) -> ArrayT:
    """The logarithm of :func:`sigmoid`, in nats: :func:`axisoft.log_sigmoid`."""
    return axisoft.log_sigmoid(input)


@overload
def softplus(input: FromNumPy, beta: float = 1, threshold: float = 20) -> Any: ...
@overload
def softplus(input: ArrayT, beta: float = 1, threshold: float = 20) -> ArrayT: ...
@facade(NAMES)
def softplus(input: ArrayT, beta: float = 1, threshold: float = 20) -> ArrayT:
    """``log(1 + exp(beta * x)) / beta`` of each element, by :func:`axisoft.softplus`.

    Parameters
    ----------
    input : array of any shape and library. Integers are promoted.
    beta : a number other than 0.
    threshold : taken and not used. PyTorch returns x itself where ``beta * x`` is larger, 1.25e-9 too little at 20.5;
        here the function is what it says everywhere.

    Returns
    -------
    array like input.
    """
    facades.beta("softplus", beta)
    xp, (x,) = _check.arrays("softplus", x=input)
    x = _shared.single_under_autocast("softplus", xp, x)
    if beta == 1:
        return axisoft.softplus(x)  # type: ignore[no-any-return]
    x, out = _shared.promoted("softplus", xp, x)
    # From 800 on, softplus(z) is z in every dtype, and the result x, even where beta * x is too large for a number.
    edge = min(800.0 / abs(beta), float(xp.finfo(x.dtype).max))
    beyond = x > edge if beta > 0 else x < -edge
    y = xp.where(beyond, x, axisoft.softplus(xp.clip(x, -edge, edge) * beta) / beta)
    return _shared.finish(xp, y, tuple(x.shape), out)  # type: ignore[no-any-return]


class _Held:
    """A callable that shows the arguments it holds."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"


class Softmax(_Held):
    """:func:`softmax` along ``dim``."""

    def __init__(self, dim: int | None = None) -> None:
        self.dim = dim

    @overload
    def __call__(self, input: FromNumPy) -> Any: ...
    @overload
    def __call__(self, input: ArrayT) -> ArrayT: ...
    def __call__(self, input: ArrayT) -> ArrayT:
        return softmax(input, self.dim, _stacklevel=4)


class LogSoftmax(_Held):
    """:func:`log_softmax` along ``dim``."""

    def __init__(self, dim: int | None = None) -> None:
        self.dim = dim

    @overload
    def __call__(self, input: FromNumPy) -> Any: ...
    @overload
    def __call__(self, input: ArrayT) -> ArrayT: ...
    def __call__(self, input: ArrayT) -> ArrayT:
        return log_softmax(input, self.dim, _stacklevel=4)


class Softmax2d(_Held):
    """:func:`axisoft.softmax2d`: over the channels of (C, H, W) or (N, C, H, W)."""

    @overload
    def __call__(self, input: FromNumPy) -> Any: ...
    @overload
    def __call__(self, input: ArrayT) -> ArrayT: ...
    def __call__(self, input: ArrayT) -> ArrayT:
        return _softmax2d(input)  # type: ignore[no-any-return]


class Sigmoid(_Held):
    """:func:`sigmoid`."""

    @overload
    def __call__(self, input: FromNumPy) -> Any: ...
    @overload
    def __call__(self, input: ArrayT) -> ArrayT: ...
    def __call__(self, input: ArrayT) -> ArrayT:
        return sigmoid(input)


class NLLLoss(_Held):
    """:func:`nll_loss` with the arguments held."""

    def __init__(
        self,
        weight: Array | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        self.weight = weight
        self.ignore_index = ignore_index
        self.reduction = legacy_reduction(size_average, reduce, reduction)

    @overload
    def __call__(self, input: FromNumPy, target: Array) -> Any: ...
    @overload
    def __call__(self, input: ArrayT, target: Array) -> ArrayT: ...
    def __call__(self, input: ArrayT, target: Array) -> ArrayT:
        return nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class CrossEntropyLoss(_Held):
    """:func:`cross_entropy` with the arguments held."""

    def __init__(
        self,
        weight: Array | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        self.weight = weight
        self.ignore_index = ignore_index
        self.reduction = legacy_reduction(size_average, reduce, reduction)
        self.label_smoothing = label_smoothing

    @overload
    def __call__(self, input: FromNumPy, target: Array) -> Any: ...
    @overload
    def __call__(self, input: ArrayT, target: Array) -> ArrayT: ...
    def __call__(self, input: ArrayT, target: Array) -> ArrayT:
        options: dict[str, Any] = {"ignore_index": self.ignore_index, "label_smoothing": self.label_smoothing}
        return cross_entropy(input, target, self.weight, reduction=self.reduction, **options)


class BCEWithLogitsLoss(_Held):
    """:func:`binary_cross_entropy_with_logits` with the arguments held."""

    def __init__(
        self,
        weight: Array | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: Array | None = None,
    ) -> None:
        self.weight = weight
        self.reduction = legacy_reduction(size_average, reduce, reduction)
        self.pos_weight = pos_weight

    @overload
    def __call__(self, input: FromNumPy, target: Array) -> Any: ...
    @overload
    def __call__(self, input: ArrayT, target: Array) -> ArrayT: ...
    def __call__(self, input: ArrayT, target: Array) -> ArrayT:
        options: dict[str, Any] = {"reduction": self.reduction, "pos_weight": self.pos_weight}
        return binary_cross_entropy_with_logits(input, target, self.weight, **options)


@facade(NAMES, "Softmax2d")
def _softmax2d(input: Any) -> Any:
    xp, (x,) = _check.arrays("Softmax2d", x=input)
    return axisoft.softmax2d(_shared.single_under_autocast("softmax", xp, x))


def _implicit_dim(name: str, input: Any, stacklevel: int) -> int:
    _check.arrays(name, x=input)
    text = f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument."
    warnings.warn(text, stacklevel=stacklevel + 1)  # the frame of a facade
    return 0 if len(input.shape) in (0, 1, 3) else 1


def _along(run: Any, function: str, input: Any, dim: Any, dtype: Any = None, **options: Any) -> Any:
    """PyTorch takes an array without axes for one element along axis 0."""
    xp, (x,) = _check.arrays(function, x=input)
    if dtype is None:
        x = _shared.single_under_autocast(function, xp, x)
    else:
        options["dtype"] = dtype
    if x.shape:
        return run(x, axis=dim, **options)
    y = run(xp.reshape(x, (1,)), axis=dim, **options)
    return xp.reshape(y, ())
