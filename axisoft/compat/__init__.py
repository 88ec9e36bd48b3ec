"""The calls of SciPy, PyTorch, JAX and Optax, with their signatures and meanings, over arrays of any library.

    from axisoft.compat import torch as F
    loss = F.cross_entropy(input, target, ignore_index=0)  # NumPy, JAX, PyTorch, CuPy arrays

Thin over axisoft's own functions; none of the four needs to be installed, and importing this imports none of them.
What differs from each peer is in docs/porting.md.
"""

from axisoft.compat import jax, optax, scipy, torch

__all__ = ["jax", "optax", "scipy", "torch"]
