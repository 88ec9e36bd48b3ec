"""What several test files need: calls of every function with every option, gradients in any framework."""

from __future__ import annotations

import numpy as np

import axisoft as ax

RNG = np.random.default_rng(5)
X = RNG.normal(size=(3, 4)) * 2
LABELS = np.asarray([0, 3, 1])
SOFT = RNG.dirichlet(np.ones(4), size=3)
WEIGHT = np.asarray([0.5, 1.0, 2.0, 3.0])
FACTOR = np.asarray([1.0, 0.25, 2.0])
MASK = np.asarray([[True, False, True, True], [True, True, True, True], [False, True, True, False]])
WEIGHTED = {"weight": WEIGHT, "sample_weight": FACTOR}
BOTH = {"label_smoothing": 0.2, "z_loss": 0.3}

# name: function, positional arrays, options. Every function is here, and what its options do to it.
CASES = {
    "sigmoid": (ax.sigmoid, (X,), {}),
    "sigmoid, cast": (ax.sigmoid, (X,), {"dtype": "float64"}),
    "log_sigmoid": (ax.log_sigmoid, (X,), {}),
    "log_sigmoid, cast": (ax.log_sigmoid, (X,), {"dtype": "float64"}),
    "softplus": (ax.softplus, (X,), {}),
    "softplus, cast": (ax.softplus, (X,), {"dtype": "float64"}),
    "softmax": (ax.softmax, (X,), {}),
    "softmax over two axes, masked": (ax.softmax, (X,), {"axis": (0, 1), "where": MASK}),
    "softmax2d": (ax.softmax2d, (X.reshape(3, 2, 2),), {}),
    "log_softmax": (ax.log_softmax, (X,), {"axis": 0}),
    "logsumexp": (ax.logsumexp, (X,), {}),
    "logsumexp, masked and kept": (ax.logsumexp, (X,), {"axis": 1, "where": MASK, "keepdims": True}),
    "nll_loss": (ax.nll_loss, (X, LABELS), {**WEIGHTED, "ignore_index": 3}),
    "nll_loss, none": (ax.nll_loss, (X, LABELS), {**WEIGHTED, "reduction": "none"}),
    "cross_entropy, first axis": (ax.cross_entropy, (X.T, LABELS), {"axis": 0, **BOTH}),
    "binary": (
        ax.binary_cross_entropy_with_logits,
        (X, SOFT),
        {"pos_weight": WEIGHT, "sample_weight": FACTOR[:, None]},
    ),
    "binary, none": (ax.binary_cross_entropy_with_logits, (X, SOFT), {"pos_weight": WEIGHT, "reduction": "none"}),
    "binary of integer labels": (ax.binary_cross_entropy_with_logits, (X, (SOFT > 0.2).astype(int)), {}),
}
for _how in ("none", "sum", "mean"):
    for _name, _options in {"plain": {}, "smoothing": {"label_smoothing": 0.2}, "z-loss": {"z_loss": 0.3}}.items():
        _options = {**_options, "reduction": _how}
        CASES[f"indices, {_name}, {_how}"] = (
            ax.cross_entropy,
            (X, LABELS),
            {**WEIGHTED, "ignore_index": 3, **_options},
        )
        CASES[f"mask, {_name}, {_how}"] = (ax.cross_entropy, (X, LABELS), {"where": MASK, **_options})
        CASES[f"probabilities, {_name}, {_how}"] = (ax.cross_entropy, (X, SOFT), {**WEIGHTED, **_options})


def made(target, value, dtype="float64"):
    """A NumPy array as one of the backend, floats in the given dtype; anything else as it is."""
    if not isinstance(value, np.ndarray):
        return value
    return target.array(value, {"i": "int", "u": "int", "b": "bool"}.get(value.dtype.kind, dtype))


def differentiates(backend):
    """For the ``backends`` marker: those whose users call a gradient transformation of the library's own."""
    return backend.gradients != "-"


def gradient(target, fun, *arrays, index=0, cotangent=None):
    """The derivative of ``sum(fun(*arrays) * cotangent)`` along one of the arrays, by the framework, as float64."""
    if target.backend.name == "torch":
        leaf = arrays[index].detach().clone().requires_grad_()
        out = fun(*arrays[:index], leaf, *arrays[index + 1 :])
        out.backward(target.xp.ones_like(out) if cotangent is None else cotangent)
        return target.numpy(leaf.grad)
    import jax
    import jax.numpy as jnp

    out, pullback = jax.vjp(lambda leaf: fun(*arrays[:index], leaf, *arrays[index + 1 :]), arrays[index])
    return target.numpy(pullback(jnp.ones_like(out) if cotangent is None else cotangent)[0])


def forward_gradient(target, fun, x, tangent):
    """The derivative of ``fun`` at x along a tangent, in forward mode, as float64."""
    if target.backend.name == "torch":
        import torch

        return target.numpy(torch.func.jvp(fun, (x,), (tangent,))[1])
    import jax

    return target.numpy(jax.jvp(fun, (x,), (tangent,))[1])


def finite_differences(fun, x, step=1e-3):
    """The derivative of the sum of a NumPy function at each element of x: central differences of sixth order."""
    out = np.zeros_like(x)
    for i in np.ndindex(*x.shape):
        for k, weight in ((1, 45.0), (2, -9.0), (3, 1.0)):
            up, down = x.copy(), x.copy()
            up[i] += k * step
            down[i] -= k * step
            out[i] += weight * (np.sum(fun(up)) - np.sum(fun(down))) / (60 * step)
    return out
