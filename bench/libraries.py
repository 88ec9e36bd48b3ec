"""axisoft and its peers, each as a call on one library's arrays that returns when the work is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import axisoft
from bench.definitions import AND_GRADIENT, BINARY, CLASSES, ELEMENTWISE, LOSSES, STEP, expected

if TYPE_CHECKING:
    from bench.works import Case, Inputs

Call = Callable[[], Any]


@dataclass(frozen=True)
class Trial:
    """One case, ready to run. ``expected`` is by the definition, in float64 NumPy and by no library under test."""

    ours: Call
    theirs: Call
    copy: Call
    to_numpy: Callable[[Any], list[np.ndarray]]
    expected: Callable[[], list[np.ndarray]]
    temporary: Callable[[], tuple[int, int]] | None = None  # bytes beside input and output, where a compiler tells
    kept: Callable[[Call], int] | None = None  # bytes that a call keeps for its backward, beside the input


def trial(case: Case) -> Trial:
    name, _, device = case.backend.partition(":")
    return _LIBRARIES[name](case, case.inputs(), device or "cpu")


def _definition(case: Case, given: Inputs) -> Callable[[], list[np.ndarray]]:
    return lambda: expected(case.work, given.x, given.targets, given.cotangent, case.axis)


def _named(work: str, targets: Any, axis: int) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """axisoft's function, and what it takes beside the logits."""
    name = work.removesuffix(AND_GRADIENT)
    more = (targets,) if name in LOSSES else ()
    return getattr(axisoft, name), more, {} if name in (*ELEMENTWISE, BINARY) else {"axis": axis}


def _own(work: str, targets: Any, axis: int) -> Callable[[Any], Any]:
    """It as a function of the logits alone."""
    function, more, options = _named(work, targets, axis)
    return lambda x: function(x, *more, **options)


def arrays(result: Any) -> list[Any]:
    """The arrays of a result, without whatever PyTorch keeps to differentiate them."""
    found = result if isinstance(result, tuple) else (result,)
    return [a.detach() if hasattr(a, "detach") else a for a in found]


def _of_torch(result: Any) -> list[np.ndarray]:
    return [(a.float() if a.itemsize < 4 else a).cpu().numpy() for a in arrays(result)]


# NumPy ----------------------------------------------------------------------------------------------------------------


def _numpy(case: Case, given: Inputs, device: str) -> Trial:
    x, targets, cotangent = given
    if case.work.endswith(AND_GRADIENT):
        ours = _by_axisoft(*_named(case.work, targets, case.axis), x, cotangent)
    else:
        fun = _own(case.work, targets, case.axis)
        ours = lambda: fun(x)
    if case.peer == "torch":
        # PyTorch on the same memory: what a user of NumPy could do instead.
        import torch

        theirs = _in_torch(_torch_peer(case, torch.from_numpy(targets)), case, *map(torch.from_numpy, (x, cotangent)))
    else:
        import scipy.special

        theirs = _scipy_peer(case, scipy.special, np, x, targets)
    out = np.empty_like(x)
    to_numpy: Any = lambda result: [np.asarray(a) for a in arrays(result)]
    return Trial(ours, theirs, lambda: np.copyto(out, x), to_numpy, _definition(case, given))


def _by_axisoft(function: Any, more: tuple[Any, ...], options: dict[str, Any], x: Any, cotangent: Any) -> Call:
    """Value and gradient where the library has none."""
    if more:  # which vjp would differentiate along as well
        both = axisoft.value_and_grad(function)
        return lambda: both(x, *more, **options)

    def run() -> Any:
        y, pull = axisoft.vjp(function, x, **options)
        return y, pull(cotangent)[0]

    return run


def _scipy_peer(case: Case, special: Any, xp: Any, x: Any, targets: Any) -> Call:
    work, axis = case.work, case.axis
    if work == "cross_entropy":
        at = xp.expand_dims(targets, axis)
        return lambda: -xp.mean(xp.take_along_axis(special.log_softmax(x, axis=axis), at, axis=axis))
    if work == BINARY:
        return lambda: xp.mean(xp.logaddexp(x, 0) - x * targets)
    if work == "softplus":
        return lambda: xp.logaddexp(x, 0)
    if work in ELEMENTWISE:
        function = {"sigmoid": special.expit, "log_sigmoid": special.log_expit}[work]
        return lambda: function(x)
    function = getattr(special, work)
    return lambda: function(x, axis=axis)


# PyTorch --------------------------------------------------------------------------------------------------------------


def _torch(case: Case, given: Inputs, device: str) -> Trial:
    import torch

    if case.work == STEP:
        return _training_step(given, device)
    x, cotangent = (torch.from_numpy(a).to(device, getattr(torch, case.dtype)) for a in (given.x, given.cotangent))
    targets = torch.from_numpy(given.targets).to(device)
    targets = targets.to(x.dtype) if targets.is_floating_point() else targets
    ours = _in_torch(_own(case.work, targets, case.axis), case, x, cotangent)
    theirs = _in_torch(_torch_peer(case, targets), case, x, cotangent)
    out = torch.empty_like(x)
    if device == "cuda":
        ours, theirs = _synchronised(ours), _synchronised(theirs)
    copy = lambda: out.copy_(x)
    return Trial(ours, theirs, copy, _of_torch, _definition(case, given), kept=lambda call: _kept(call, x))


def _synchronised(call: Call) -> Call:
    import torch

    def run() -> Any:
        result = call()
        torch.cuda.synchronize()
        return result

    return run


def _in_torch(fun: Callable[[Any], Any], case: Case, x: Any, cotangent: Any) -> Call:
    """The value; and ``backward()`` with the cotangent, where the work has it."""
    if not case.work.endswith(AND_GRADIENT):
        return lambda: fun(x)
    leaf = x.detach().requires_grad_()

    def step() -> Any:
        leaf.grad = None
        y = fun(leaf)
        y.backward(cotangent.to(y.dtype))
        return y, leaf.grad

    return step


def _kept(call: Call, x: Any) -> int:
    """Bytes that are saved for the backward, x itself apart."""
    import torch

    found = {}

    def pack(a: Any) -> Any:
        found[a.untyped_storage().data_ptr()] = a.untyped_storage().nbytes()
        return a

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda a: a):
        call()
    found.pop(x.untyped_storage().data_ptr(), None)
    return sum(found.values())


def _torch_peer(case: Case, targets: Any) -> Callable[[Any], Any]:
    import torch
    from torch.nn import functional

    function, axis = case.work.removesuffix(AND_GRADIENT), case.axis
    if function == "cross_entropy":
        if case.peer == "torch in float32":
            return lambda x: functional.cross_entropy(x.float(), targets)
        return lambda x: functional.cross_entropy(x, targets)
    if function == BINARY:
        return lambda x: functional.binary_cross_entropy_with_logits(x, targets)
    named = {"sigmoid": torch.sigmoid, "log_sigmoid": functional.logsigmoid, "softplus": functional.softplus}
    if function in ELEMENTWISE:
        return named[function]
    over = getattr(torch, function)
    return lambda x: over(x, dim=axis)


HIDDEN, RATE = 256, 0.01


def _training_step(given: Inputs, device: str) -> Trial:
    """A network of one hidden layer, a loss, ``backward()`` and a step of SGD; the first loss and gradient count."""
    import torch

    x, targets, cotangent = given
    a, t = torch.from_numpy(x).to(device), torch.from_numpy(targets).to(device)
    sizes = (x.shape[1], HIDDEN, CLASSES)

    def layers() -> list[Any]:
        torch.manual_seed(0)
        return [torch.nn.Linear(*sizes[i : i + 2]) for i in range(2)]

    def network(loss: Callable[..., Any]) -> Call:
        first, last = layers()
        model = torch.nn.Sequential(first, torch.nn.ReLU(), last).to(device)
        optimizer = torch.optim.SGD(model.parameters(), lr=RATE)

        def step() -> Any:
            optimizer.zero_grad()
            value = loss(model(a), t)
            value.backward()
            optimizer.step()
            return value, last.bias.grad

        return _synchronised(step) if device == "cuda" else step

    def definition() -> list[np.ndarray]:
        of_layers = ([p.detach().double().numpy() for p in layer.parameters()] for layer in layers())
        (weight, bias), (last_weight, last_bias) = of_layers
        logits = np.maximum(x @ weight.T + bias, 0) @ last_weight.T + last_bias
        value, gradient = expected("cross_entropy" + AND_GRADIENT, logits, targets, cotangent, 1)
        return [value, gradient.sum(axis=0)]

    out = torch.empty_like(a)
    losses = (axisoft.cross_entropy, torch.nn.functional.cross_entropy)
    return Trial(*map(network, losses), lambda: out.copy_(a), _of_torch, definition)


# JAX ------------------------------------------------------------------------------------------------------------------


def _jax(case: Case, given: Inputs, device: str) -> Trial:
    import jax
    import jax.numpy as jnp

    if case.dtype == "float64":
        jax.config.update("jax_enable_x64", True)
    x, targets, cotangent = map(jnp.asarray, given)
    work, definition = case.work, _definition(case, given)
    makers = (lambda t: _own(work, t, case.axis), lambda t: _jax_peer(case, t))
    if case.elements <= 1000 and work == "softmax":  # eager
        funs = [make(targets) for make in makers]
        ours, theirs = (lambda fun=fun: jax.block_until_ready(fun(x)) for fun in funs)
    else:
        pair: Any = [lambda x, t, g, make=make: make(t)(x) for make in makers]
        if work.endswith(AND_GRADIENT):
            pair = [jax.value_and_grad(lambda x, t, g, fun=fun: jnp.sum(fun(x, t, g) * g)) for fun in pair]
        pair = [jax.jit(fun) for fun in pair]
        ours, theirs = (lambda fun=fun: jax.block_until_ready(fun(x, targets, cotangent)) for fun in pair)

    def weighted() -> list[np.ndarray]:
        y, *gradient = definition()
        return [np.sum(y * given.cotangent), *gradient] if gradient else [y]

    def temporary() -> tuple[int, int]:
        ours, theirs = (f.lower(x, targets, cotangent).compile().memory_analysis() for f in pair)
        return ours.temp_size_in_bytes, theirs.temp_size_in_bytes

    copied = jax.jit(jnp.copy)
    copy = lambda: jax.block_until_ready(copied(x))
    to_numpy: Any = lambda result: [np.asarray(a) for a in arrays(result)]
    return Trial(ours, theirs, copy, to_numpy, weighted, temporary)


def _jax_peer(case: Case, targets: Any) -> Callable[[Any], Any]:
    import jax

    function = case.work.removesuffix(AND_GRADIENT)
    if case.peer == "optax":
        import optax

        if function == BINARY:
            return lambda x: optax.sigmoid_binary_cross_entropy(x, targets).mean()
        loss = optax.softmax_cross_entropy_with_integer_labels
        return lambda x: loss(x, targets, axis=case.axis).mean()
    named = getattr(jax.nn, function)
    return named if function in ELEMENTWISE else lambda x: named(x, axis=case.axis)


# CuPy -----------------------------------------------------------------------------------------------------------------


def _cupy(case: Case, given: Inputs, device: str) -> Trial:
    import cupy
    import cupyx.scipy.special

    x, targets = cupy.asarray(given.x), cupy.asarray(given.targets)
    fun = _own(case.work, targets, case.axis)
    out = cupy.empty_like(x)

    def waits(call: Call) -> Call:
        def run() -> Any:
            result = call()
            cupy.cuda.get_current_stream().synchronize()
            return result

        return run

    return Trial(
        waits(lambda: fun(x)),
        waits(_scipy_peer(case, cupyx.scipy.special, cupy, x, targets)),
        waits(lambda: cupy.copyto(out, x)),
        lambda result: [cupy.asnumpy(a) for a in arrays(result)],
        _definition(case, given),
    )


_LIBRARIES = {"numpy": _numpy, "torch": _torch, "jax": _jax, "cupy": _cupy}
