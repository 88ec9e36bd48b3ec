"""What several test files need: gradients in any framework, and one way to compare."""

from __future__ import annotations

import numpy as np


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
