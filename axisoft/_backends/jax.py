"""JAX: a ``custom_jvp`` per op and options, and one jitted program per call, so that an eager call is one dispatch."""

from __future__ import annotations

from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from axisoft import _core


@lru_cache(maxsize=1024)
def _differentiable(op, options):
    options = dict(options)

    @jax.custom_jvp
    def call(*arrays):
        return op.formula(*arrays, xp=jnp, **options)

    # A checkpoint: what a gradient keeps is then the rule's arguments, not what the rule makes of them on its way (for
    # softmax, eight arrays). Its barrier against common subexpressions would only get in the way of fusion.
    @partial(jax.checkpoint, prevent_cse=False)
    def along(tangents, y, primals):
        return op.jvp(tangents, y, primals, do, jnp, **options)

    @partial(call.defjvp, symbolic_zeros=True)
    def rule(primals, tangents):
        y = call(*primals)
        # What does not vary comes as a symbolic zero: nothing is computed for it.
        tangents = tuple(None if t is None or isinstance(t, SymbolicZero) else t for t in tangents)
        return y, along(tangents, y, primals)

    return call


def do(op, *arrays, **options):
    return _differentiable(op, tuple(options.items()))(*arrays)


@partial(jax.jit, static_argnames=("op", "static"))
def _program(op, arrays, static):
    return _core.evaluate(do, op, arrays, xp=jnp, **dict(static))


def evaluate(op, arrays, *, xp, **static):
    return _program(op, arrays, static=tuple(static.items()))


vjp = jax.vjp


def values(x):
    """A concrete array in the host's memory, all of it in this process, as NumPy: reading it is no part of a trace."""
    concrete = not isinstance(x, jax.core.Tracer) and x.is_fully_addressable
    if not concrete or any(device.platform != "cpu" for device in x.sharding.device_set):
        return None
    return np.asarray(x)


def device(x):
    """The one device that x was put on; None for a tracer, an array that JAX may still move, and one on several."""
    if isinstance(x, jax.core.Tracer) or not x.committed or len(x.sharding.device_set) != 1:
        return None
    (only,) = x.sharding.device_set
    return only


def find_device(name):
    return jax.devices(name)[0]


def every_dtype():
    """While it is open, JAX has float64."""
    return jax.enable_x64(True)
