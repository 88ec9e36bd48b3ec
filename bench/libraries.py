"""axisoft and its peers, each as a call on one library's arrays that returns when the work is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import axisoft


@dataclass(frozen=True)
class Trial:
    """One case, ready to run. ``expected`` is by the definition, in float64 NumPy and by no library under test."""

    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    copy: Callable[[], Any]
    to_numpy: Callable[[Any], list[np.ndarray]]
    expected: Callable[[], list[np.ndarray]]
    temporary: Callable[[], tuple[int, int]] | None = None  # bytes beside input and output, where a compiler tells


def trial(backend: str, work: str, peer: str, x: np.ndarray, targets: np.ndarray, axis: int) -> Trial:
    name, _, device = backend.partition(":")
    return _LIBRARIES[name](work, peer, x, targets, axis, device or "cpu")


def _expected(work: str, x: np.ndarray, targets: np.ndarray, axis: int) -> list[np.ndarray]:
    x = x.astype(np.float64)
    if work in ("sigmoid", "log_sigmoid", "softplus"):
        e = np.exp(-np.abs(x))
        tail = np.log1p(e)
        found = {"sigmoid": np.where(x < 0, e, 1) / (1 + e), "softplus": np.maximum(x, 0) + tail}
        return [found.get(work, np.minimum(x, 0) - tail)]
    m = x.max(axis=axis, keepdims=True)
    x -= m
    e = np.exp(x)
    s = e.sum(axis=axis, keepdims=True)
    if work == "softmax":
        return [e / s]
    if work == "log_softmax":
        return [x - np.log(s)]
    if work == "logsumexp":
        return [np.squeeze(m + np.log(s), axis=axis)]
    at = np.expand_dims(targets, axis)
    value = np.mean(np.log(s) - np.take_along_axis(x, at, axis=axis))
    if work == "cross_entropy":
        return [value]
    e /= s
    np.put_along_axis(e, at, np.take_along_axis(e, at, axis=axis) - 1, axis=axis)
    return [value, e / targets.size]


def _own(work: str, x: Any, targets: Any, axis: int) -> Callable[[], Any]:
    if work == "cross_entropy":
        return lambda: axisoft.cross_entropy(x, targets, axis=axis)
    if work == "cross_entropy and gradient":
        both = axisoft.value_and_grad(axisoft.cross_entropy)
        return lambda: both(x, targets, axis=axis)
    function = getattr(axisoft, work)
    return (lambda: function(x)) if work in ("sigmoid", "log_sigmoid", "softplus") else lambda: function(x, axis=axis)


def _arrays(result: Any) -> list[Any]:
    """The arrays of a result, without whatever PyTorch keeps to differentiate them."""
    found = result if isinstance(result, tuple) else (result,)
    return [a.detach().cpu() if hasattr(a, "detach") else a for a in found]


def _numpy(work: str, peer: str, x: np.ndarray, targets: np.ndarray, axis: int, device: str) -> Trial:
    if peer == "torch":
        # PyTorch on the same memory: what a user of NumPy could do instead.
        import torch

        theirs = _torch_peer(work, torch.from_numpy(x), torch.from_numpy(targets), axis)
    else:
        import scipy.special

        theirs = _scipy_peer(work, scipy.special, np, x, targets, axis)
    out = np.empty_like(x)
    return Trial(
        _own(work, x, targets, axis),
        theirs,
        lambda: np.copyto(out, x),
        lambda result: [np.asarray(a) for a in _arrays(result)],
        lambda: _expected(work, x, targets, axis),
    )


def _scipy_peer(work: str, special: Any, xp: Any, x: Any, targets: Any, axis: int) -> Callable[[], Any]:
    if work == "cross_entropy":
        at = xp.expand_dims(targets, axis)
        return lambda: -xp.mean(xp.take_along_axis(special.log_softmax(x, axis=axis), at, axis=axis))
    if work == "softplus":
        return lambda: xp.logaddexp(x, 0)
    if work in ("sigmoid", "log_sigmoid"):
        function = {"sigmoid": special.expit, "log_sigmoid": special.log_expit}[work]
        return lambda: function(x)
    function = getattr(special, work)
    return lambda: function(x, axis=axis)


def _torch(work: str, peer: str, x: np.ndarray, targets: np.ndarray, axis: int, device: str) -> Trial:
    import torch

    tensor, classes = torch.from_numpy(x).to(device), torch.from_numpy(targets).to(device)
    if work == "cross_entropy and gradient":
        leaf = tensor.clone().requires_grad_()
        ours = _training(leaf, lambda: axisoft.cross_entropy(leaf, classes, axis=axis))
    else:
        ours = _own(work, tensor, classes, axis)
    out = torch.empty_like(tensor)
    theirs = _torch_peer(work, tensor, classes, axis)
    if device == "cuda":
        ours, theirs = _synchronised(ours, torch), _synchronised(theirs, torch)
    return Trial(
        ours,
        theirs,
        lambda: out.copy_(tensor),
        lambda result: [a.numpy() for a in _arrays(result)],
        lambda: _expected(work, x, targets, axis),
    )


def _synchronised(call: Callable[[], Any], torch: Any) -> Callable[[], Any]:
    def run() -> Any:
        result = call()
        torch.cuda.synchronize()
        return result

    return run


def _training(leaf: Any, loss: Callable[[], Any]) -> Callable[[], Any]:
    def step() -> Any:
        leaf.grad = None
        value = loss()
        value.backward()
        return value, leaf.grad

    return step


def _torch_peer(work: str, x: Any, targets: Any, axis: int) -> Callable[[], Any]:
    import torch
    from torch.nn import functional

    if work == "cross_entropy and gradient":
        leaf = x.clone().requires_grad_()
        return _training(leaf, lambda: functional.cross_entropy(leaf, targets))
    if work == "cross_entropy":
        return lambda: functional.cross_entropy(x, targets)
    if work == "log_sigmoid":
        return lambda: functional.logsigmoid(x)
    if work in ("sigmoid", "softplus"):
        function = {"sigmoid": torch.sigmoid, "softplus": functional.softplus}[work]
        return lambda: function(x)
    function = getattr(torch, work)
    return lambda: function(x, dim=axis)


def _jax(work: str, peer: str, x: np.ndarray, targets: np.ndarray, axis: int, device: str) -> Trial:
    import jax
    import jax.numpy as jnp

    if x.dtype == np.float64:
        jax.config.update("jax_enable_x64", True)
    a, t = jnp.asarray(x), jnp.asarray(targets)
    eager = x.size <= 1000 and work == "softmax"
    temporary = None
    if work == "cross_entropy and gradient":
        import optax

        ours = jax.jit(jax.value_and_grad(lambda a: axisoft.cross_entropy(a, t, axis=axis)))
        loss = optax.softmax_cross_entropy_with_integer_labels
        theirs = jax.jit(jax.value_and_grad(lambda a: loss(a, t, axis=axis).mean()))
        temporary = lambda: tuple(
            f.lower(a).compile().memory_analysis().temp_size_in_bytes for f in (ours, theirs)
        )  # fmt: skip
    else:
        options = {} if work in ("sigmoid", "log_sigmoid", "softplus") else {"axis": axis}
        ours = lambda a: getattr(axisoft, work)(a, **options)
        theirs = lambda a: getattr(jax.nn, work)(a, **options)
        if not eager:
            ours, theirs = jax.jit(ours), jax.jit(theirs)
    copy = jax.jit(jnp.copy)
    return Trial(
        lambda: jax.block_until_ready(ours(a)),
        lambda: jax.block_until_ready(theirs(a)),
        lambda: jax.block_until_ready(copy(a)),
        lambda result: [np.asarray(a) for a in _arrays(result)],
        lambda: _expected(work, x, targets, axis),
        temporary,
    )


def _cupy(work: str, peer: str, x: np.ndarray, targets: np.ndarray, axis: int, device: str) -> Trial:
    import cupy
    import cupyx.scipy.special

    a, t = cupy.asarray(x), cupy.asarray(targets)
    out = cupy.empty_like(a)

    def waits(call: Callable[[], Any]) -> Callable[[], Any]:
        def run() -> Any:
            result = call()
            cupy.cuda.get_current_stream().synchronize()
            return result

        return run

    return Trial(
        waits(_own(work, a, t, axis)),
        waits(_scipy_peer(work, cupyx.scipy.special, cupy, a, t, axis)),
        waits(lambda: cupy.copyto(out, a)),
        lambda result: [cupy.asnumpy(a) for a in _arrays(result)],
        lambda: _expected(work, x, targets, axis),
    )


_LIBRARIES = {"numpy": _numpy, "torch": _torch, "jax": _jax, "cupy": _cupy}
