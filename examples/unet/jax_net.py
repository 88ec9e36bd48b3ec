"""The same U-Net in JAX: functions of a dictionary of weights with PyTorch's names. And Adam, by PyTorch's formula."""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax
from jax.tree_util import tree_map
from scenes import interpolation


def convolve(weights, name, x):
    """A convolution with stride 1 that keeps height and width."""
    layout = ("NCHW", "OIHW", "NCHW")
    y = lax.conv_general_dilated(x, weights[f"{name}.weight"], (1, 1), "SAME", dimension_numbers=layout)
    return y + weights[f"{name}.bias"][:, None, None]


def double(weights, name, x):
    x = jnp.maximum(convolve(weights, f"{name}.0", x), 0)
    return jnp.maximum(convolve(weights, f"{name}.2", x), 0)


def pool(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")


def upsample(x):
    """Twice the height and width, bilinear with aligned corners. (``jax.image.resize`` aligns the pixels' edges.)"""
    height, width = x.shape[2:]
    rows, columns = interpolation(height, 2 * height), interpolation(width, 2 * width)
    return jnp.einsum("ih,nchw,jw->ncij", rows, x, columns, precision="highest")


def unet(weights, x):
    skip1 = double(weights, "down1", x)
    skip2 = double(weights, "down2", pool(skip1))
    skip3 = double(weights, "down3", pool(skip2))
    x = double(weights, "down4", pool(skip3))
    x = double(weights, "up3", jnp.concatenate([upsample(x), skip3], axis=1))
    x = double(weights, "up2", jnp.concatenate([upsample(x), skip2], axis=1))
    x = double(weights, "up1", jnp.concatenate([upsample(x), skip1], axis=1))
    return convolve(weights, "last", x)


def adam(weights, gradient, state, rate, first=0.9, second=0.999, eps=1e-8):
    """One step, as ``torch.optim.Adam`` makes it; ``state`` is (steps made, mean, mean of squares)."""
    steps, mean, square = state[0] + 1, state[1], state[2]
    mean = tree_map(lambda m, g: first * m + (1 - first) * g, mean, gradient)
    square = tree_map(lambda s, g: second * s + (1 - second) * g * g, square, gradient)
    size, scale = rate / (1 - first**steps), (1 - second**steps) ** 0.5
    weights = tree_map(lambda w, m, s: w - size * m / (jnp.sqrt(s) / scale + eps), weights, mean, square)
    return weights, (steps, mean, square)
