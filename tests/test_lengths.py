"""Lengths that are not numbers yet: symbols of ``jax.export``, ``torch.export`` and ``torch.compile``, and ``None``."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import unknown_lengths
from helpers import CASES, differentiates

import axisoft as ax

RNG = np.random.default_rng(8)

# Of logits, labels, probabilities and a weight per row, whose lengths are N and C: every function, with its options.
CALLS = {
    "sigmoid": lambda x, t, p, f: ax.sigmoid(x),
    "log_sigmoid": lambda x, t, p, f: ax.log_sigmoid(x),
    "softplus": lambda x, t, p, f: ax.softplus(x),
    "softmax": lambda x, t, p, f: ax.softmax(x),
    "softmax over the batch": lambda x, t, p, f: ax.softmax(x, axis=0),
    "softmax, masked": lambda x, t, p, f: ax.softmax(x, where=p > 0.01),
    "softmax2d": lambda x, t, p, f: ax.softmax2d(x[None, :, :]),
    "log_softmax": lambda x, t, p, f: ax.log_softmax(x),
    "log_softmax over both": lambda x, t, p, f: ax.log_softmax(x, axis=(0, 1)),
    "logsumexp": lambda x, t, p, f: ax.logsumexp(x, axis=-1),
    "logsumexp over all": lambda x, t, p, f: ax.logsumexp(x, keepdims=True),
    "nll_loss": lambda x, t, p, f: ax.nll_loss(x, t),
    "cross_entropy": lambda x, t, p, f: ax.cross_entropy(x, t),
    "cross_entropy, per sample": lambda x, t, p, f: ax.cross_entropy(x, t, reduction="none"),
    "cross_entropy, smoothing": lambda x, t, p, f: ax.cross_entropy(x, t, label_smoothing=0.1, z_loss=0.1),
    "cross_entropy, weighted": lambda x, t, p, f: ax.cross_entropy(
        x, t, weight=p[0, :], sample_weight=f, ignore_index=1
    ),
    "cross_entropy, masked": lambda x, t, p, f: ax.cross_entropy(x, t, where=p > -1, label_smoothing=0.1),
    "cross_entropy of probabilities": lambda x, t, p, f: ax.cross_entropy(x, p, label_smoothing=0.1),
    "cross_entropy over the first axis": lambda x, t, p, f: ax.cross_entropy(x.T, t, axis=0),
    "binary": lambda x, t, p, f: ax.binary_cross_entropy_with_logits(x, p),
    "binary, weighted": lambda x, t, p, f: ax.binary_cross_entropy_with_logits(x, p, pos_weight=p[0, :]),
}
SIZES = [(5, 6), (3, 4), (40, 33), (12, 12)]


def arguments(target, n, c):
    x, p = RNG.normal(size=(n, c)), RNG.dirichlet(np.ones(c), size=n)
    arrays = (x, "float32"), (RNG.integers(0, c, size=n), "int"), (p, "float32"), (RNG.random(n) + 0.5, "float32")
    return tuple(target.array(a, dtype) for a, dtype in arrays)


def close(a, b):
    return np.allclose(a, b, rtol=2e-5, atol=1e-6)


def test_every_function_is_here():
    names = {name.split()[0].rstrip(",") for name in CALLS}
    assert names == {fun.__name__.replace("binary_cross_entropy_with_logits", "binary") for fun, *_ in CASES.values()}


# torch.compile warns of the caches of array_api_compat; what it traces asks each tensor for its gradient.
ignored = [
    "ignore:<class 'torch.autograd.function.Function'> should not be:DeprecationWarning",
    "ignore:Dynamo detected a call to a:UserWarning",
]
in_torch = pytest.mark.backends(fits=lambda backend: backend.name == "torch")


@in_torch
@pytest.mark.filterwarnings(*ignored)
@pytest.mark.parametrize("name", CALLS)
def test_torch_compile_makes_one_graph_for_all_sizes(target, name):
    import torch

    graphs = []

    def count(graph, example):
        graphs.append(graph)
        return graph.forward

    torch.compiler.reset()
    call = CALLS[name]
    compiled = torch.compile(call, dynamic=True, fullgraph=True, backend=count)
    for size in SIZES:
        given = arguments(target, *size)
        assert close(target.numpy(compiled(*given)), target.numpy(call(*given)))
    assert len(graphs) == 1


@in_torch
@pytest.mark.filterwarnings(*ignored)
@pytest.mark.parametrize("name", [name for name in CALLS if "over" not in name])
def test_torch_compile_differentiates_all_sizes_by_one_graph(target, name):
    import torch

    graphs = []

    def count(graph, example):
        graphs.append(graph)
        from torch._dynamo.backends.debugging import aot_eager

        return aot_eager(graph, example)

    torch.compiler.reset()
    # A weight that is no constant: the sum of a softmax has gradient 0.
    call = lambda x, t, p, f: (CALLS[name](x, t, p, f) * f.mean()).square().mean()
    compiled = torch.compile(call, dynamic=True, fullgraph=True, backend=count)
    first = 0
    for size in SIZES:
        found = []
        x, *others = arguments(target, *size)
        for fun in (compiled, call):
            leaf = x.clone().requires_grad_()
            fun(leaf, *others).backward()
            found.append(target.numpy(leaf.grad))
        assert np.allclose(*found, rtol=1e-4, atol=1e-5 * np.abs(found[0]).max() + 1e-6)
        first = first or len(graphs)  # PyTorch may start again within its first compilation
    assert len(graphs) == first


@in_torch
@pytest.mark.filterwarnings(*ignored)
@pytest.mark.parametrize("strict", [False, True], ids=["by running", "by reading"])
@pytest.mark.parametrize("name", CALLS)
def test_torch_export(target, name, strict):
    import torch

    class Module(torch.nn.Module):
        def forward(self, x, t, p, f):
            return CALLS[name](x, t, p, f)

    n, c = torch.export.Dim("n", min=2), torch.export.Dim("c", min=2)
    lengths = ({0: n, 1: c}, {0: n}, {0: n, 1: c}, {0: n})
    exported = torch.export.export(Module(), arguments(target, 5, 6), dynamic_shapes=lengths, strict=strict).module()
    for size in SIZES:
        given = arguments(target, *size)
        assert close(target.numpy(exported(*given)), target.numpy(CALLS[name](*given)))


@in_torch
@pytest.mark.filterwarnings(*ignored)
@pytest.mark.parametrize("strict", [False, True], ids=["by running", "by reading"])
def test_torch_export_of_facades(target, strict):
    import torch

    from axisoft.compat import optax
    from axisoft.compat import torch as functional

    class Module(torch.nn.Module):
        def forward(self, x, t, p, f):
            binary = functional.binary_cross_entropy_with_logits(x, p)
            soft = functional.cross_entropy(x, p) + optax.softmax_cross_entropy(x, p).sum()
            return binary + soft + functional.cross_entropy(x, t, ignore_index=1) + functional.nll_loss(x, t)

    n = torch.export.Dim("n", min=2)
    lengths = ({0: n}, {0: n}, {0: n}, {0: n})
    exported = torch.export.export(Module(), arguments(target, 5, 6), dynamic_shapes=lengths, strict=strict).module()
    given = arguments(target, 9, 6)
    assert close(target.numpy(exported(*given)), target.numpy(Module()(*given)))


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
@pytest.mark.parametrize("of", ["value", "gradient"])
@pytest.mark.parametrize("name", CALLS)
def test_jax_export(target, name, of):
    """With a symbolic batch, a symbolic class axis, and both at once."""
    import jax
    from jax import export

    fun = CALLS[name]
    if of == "gradient":
        fun = jax.grad(lambda *given: (CALLS[name](*given) * given[3].mean()).mean())
    for spec, sizes in (("n, 6", [(5, 6), (12, 6)]), ("n, c", SIZES[:3])):
        n, c = export.symbolic_shape(spec)
        shape = functools.partial(jax.ShapeDtypeStruct, dtype=np.float32)
        given = arguments(target, 5, 6)
        described = (shape((n, c)), jax.ShapeDtypeStruct((n,), given[1].dtype), shape((n, c)), shape((n,)))
        exported = export.export(jax.jit(fun))(*described)
        for size in sizes:
            given = arguments(target, *size)
            assert np.allclose(target.numpy(exported.call(*given)), target.numpy(fun(*given)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("known", [(), (0,), (1,)], ids=["nothing", "the batch", "the classes"])
@pytest.mark.parametrize("name", CASES)
def test_shapes_that_do_not_tell(name, known, monkeypatch):
    """Values and gradients in a namespace whose shapes hold None."""
    monkeypatch.setattr(unknown_lengths.Array, "known", known)
    fun, args, options = CASES[name]
    hidden = lambda value: unknown_lengths.Array(value) if isinstance(value, np.ndarray) else value
    given = [hidden(a) for a in args], {key: hidden(value) for key, value in options.items()}
    expected, pullback = ax.vjp(fun, *args, **options)
    y = fun(*given[0], **given[1])
    assert type(y) is unknown_lengths.Array
    assert y.a.shape == expected.shape
    assert np.allclose(y.a, expected, rtol=1e-13)
    y, pull = ax.vjp(fun, *given[0], **given[1])
    for got, true in zip(pull(hidden(np.ones_like(expected))), pullback(np.ones_like(expected)), strict=True):
        assert (got is None) == (true is None)
        assert got is None or np.allclose(got.a, true, rtol=1e-12)


def test_that_proof_can_fail():
    x = unknown_lengths.Array(np.zeros((2, 3)))
    assert x.shape == (None, None)
    with pytest.raises(TypeError, match="not known yet"):
        bool(x == 0)
    with pytest.raises(AssertionError, match="not known"):
        unknown_lengths.namespace.reshape(x, x.shape)


@pytest.mark.backends(fits=differentiates)
def test_lengths_of_1_are_known(target):
    """(N, 1) logits and a loss of one sample, whose lengths a compiler takes for numbers."""
    x, t = target.array([[3.0]], "float32"), target.array([0], "int")
    assert target.numpy(ax.softmax(x)) == 1.0
    assert target.numpy(ax.cross_entropy(x, t)) == 0.0
