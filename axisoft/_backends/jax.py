"""JAX: a ``custom_jvp`` per op and options, and one jitted program per call, so that an eager call is one dispatch."""

from __future__ import annotations

from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import experimental, lax
from jax.custom_derivatives import SymbolicZero

from axisoft import _core
from axisoft._core.stable import count, length, total

# How many terms XLA's CPU compiler takes in one run of straight code; from 32 on it makes a loop, five times as slow.
RUN = 24
# By bytes of an element: how many terms are best summed in one run, of those that divide a longer axis.
PART = {4: 8, 8: 16}
# XLA's own sums of 100 000 terms are 5 ulp off in 0.7 to 0.10.1, and 134 over a first axis in 0.9.1 and 0.9.2; here, 2.
TRUSTED = jax.__version_info__ >= (0, 10, 2)
COMPILES = True


class _Namespace:
    """jax.numpy, and how XLA sums two arrays for the price of one."""

    quiet = True

    def __getattr__(self, name):
        return getattr(jnp, name)

    @staticmethod
    def sums_in_pairs(x, axis):
        """XLA makes a tree of a sum, but on the CPU only of one over at least 4096 elements."""
        n = count(x, jnp)
        return TRUSTED and n is not None and n >= 4096

    def sums(self, arrays, axis):
        """By one reduction of tuples, which reads what the arrays are made of once and keeps none of them.

        Of a short axis that is up to five times as fast as a sum of one array.
        """
        arrays = tuple(arrays)
        shape = arrays[0].shape
        n = length(arrays[0], axis, jnp)
        if n is None or n <= RUN:
            zero = jnp.zeros((), arrays[0].dtype)
            y = lax.reduce(arrays, (zero,) * len(arrays), lambda a, b: tuple(map(lax.add, a, b)), (axis,))
            return tuple(jnp.expand_dims(a, axis) for a in y)
        best = PART[arrays[0].dtype.itemsize]
        part = min((k for k in range(4, RUN + 1) if n % k == 0), key=lambda k: abs(k - best), default=None)
        if part is None:
            whole = n - n % best
            ends = (lax.slice_in_dim(a, whole, n, axis=axis) for a in arrays)
            starts = (lax.slice_in_dim(a, 0, whole, axis=axis) for a in arrays)
            return tuple(map(lax.add, self.sums(starts, axis), self.sums(ends, axis)))
        cut = (*shape[:axis], n // part, part, *shape[axis + 1 :])
        inner = self.sums((a.reshape(cut) for a in arrays), axis + 1)
        return tuple(total(jnp.squeeze(a, axis + 1), (axis,), self) for a in inner)


class _Kept(_Namespace):
    """For derivatives, which are made of what is summed: XLA keeps that then, and reads it faster array by array."""

    def sums(self, arrays, axis):
        arrays = tuple(arrays)
        n = length(arrays[0], axis, jnp)
        if n is not None and n <= RUN:
            return super().sums(arrays, axis)
        return tuple(total(a, (axis,), self) for a in arrays)


_xp, _kept = _Namespace(), _Kept()


@lru_cache(maxsize=1024)
def _differentiable(op, options, xp):
    options = dict(options)

    @jax.custom_jvp
    def call(*arrays):
        return op.formula(*arrays, xp=xp, **options)

    # A checkpoint: what a gradient keeps is then the rule's arguments, not what the rule makes of them on its way (for
    # softmax, eight arrays). Its barrier against common subexpressions would only get in the way of fusion.
    @partial(jax.checkpoint, prevent_cse=False)
    def along(tangents, y, primals):
        return op.jvp(tangents, y, primals, _do_kept, _kept, **options)

    @partial(call.defjvp, symbolic_zeros=True)
    def rule(primals, tangents):
        y = _do_kept(op, *primals, **options)
        # What does not vary comes as a symbolic zero: nothing is computed for it.
        tangents = tuple(None if t is None or isinstance(t, SymbolicZero) else t for t in tangents)
        return y, along(tangents, y, primals)

    return call


def _do(op, *arrays, **options):
    return _differentiable(op, tuple(options.items()), _xp)(*arrays)


def _do_kept(op, *arrays, **options):
    return _differentiable(op, tuple(options.items()), _kept)(*arrays)


@partial(jax.jit, static_argnames=("op", "static"))
def _program(op, arrays, static):
    return _core.evaluate(_do, op, arrays, xp=_xp, **dict(static))


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


def put(values, dtype, device):
    """A NumPy array on a device. jnp.asarray compiles two programs for each new shape."""
    return jax.device_put(values.astype(jnp.bfloat16) if dtype == "bfloat16" else values, device)


def every_dtype():
    """While it is open, JAX has float64."""
    return (jax if hasattr(jax, "enable_x64") else experimental).enable_x64(True)  # from 0.8 on
