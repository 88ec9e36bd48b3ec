"""JAX: a ``custom_jvp`` per op and options, and one jitted program per call, so that an eager call is one dispatch."""

from __future__ import annotations

import math
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import experimental, lax
from jax.custom_derivatives import SymbolicZero

from axisoft import _core
from axisoft._backends.jax import layer
from axisoft._backends.parts import Part
from axisoft._core.stable import classes, count, length, total

# How many terms XLA's CPU compiler takes in one run of straight code; from 32 on it makes a loop, five times as slow.
RUN = 24
# By bytes of an element: how many terms are best summed in one run, of those that divide a longer axis.
PART = {4: 8, 8: 16}
# XLA's own sums of 100 000 terms are 5 ulp off in 0.7 to 0.10.1, and 134 over a first axis in 0.9.1 and 0.9.2; here, 2.
TRUSTED = jax.__version_info__ >= (0, 10, 2)
COMPILES = True


def _whole(*arrays, axis):
    """One reduction, of tuples if need be, which reads what the arrays are made of once and keeps none of them."""
    if len(arrays) == 1:
        return (jnp.sum(*arrays, axis=axis, keepdims=True),)
    zero = jnp.zeros((), arrays[0].dtype)
    y = lax.reduce(arrays, (zero,) * len(arrays), lambda a, b: tuple(map(lax.add, a, b)), (axis,))
    return tuple(jnp.expand_dims(a, axis) for a in y)


def _in_runs(*arrays, axis):
    """As XLA's CPU compiler does it best: several arrays by one reduction, cut into runs, and a single one in pairs.

    Of a short axis that is up to five times as fast as a sum of one array.
    """
    if len(arrays) == 1:
        return (total(*arrays, (axis,), _Host),)
    shape = arrays[0].shape
    n = shape[axis]
    if n <= RUN:
        return _whole(*arrays, axis=axis)
    best = PART[arrays[0].dtype.itemsize]
    part = min((k for k in range(4, RUN + 1) if n % k == 0), key=lambda k: abs(k - best), default=None)
    if part is None:
        whole = n - n % best
        ends = (lax.slice_in_dim(a, whole, n, axis=axis) for a in arrays)
        starts = (lax.slice_in_dim(a, 0, whole, axis=axis) for a in arrays)
        return tuple(map(lax.add, _in_runs(*starts, axis=axis), _in_runs(*ends, axis=axis)))
    cut = (*shape[:axis], n // part, part, *shape[axis + 1 :])
    inner = _whole(*(a.reshape(cut) for a in arrays), axis=axis + 1)
    return tuple(total(jnp.squeeze(a, axis + 1), (axis,), _Host) for a in inner)


def _one_by_one(*arrays, axis):
    """Where what is summed is kept for the result: XLA then reads it faster array by array."""
    if arrays[0].shape[axis] <= RUN:
        return _in_runs(*arrays, axis=axis)
    return tuple(total(a, (axis,), _Host) for a in arrays)


class _Host:
    """jax.numpy on the CPU, for the sum of one array."""

    sum = staticmethod(jnp.sum)

    @staticmethod
    def sums_in_pairs(x, axis):
        """XLA makes a tree of a sum, but on the CPU only of one over at least 4096 elements."""
        n = count(x, jnp)
        return TRUSTED and n is not None and n >= 4096


class _Namespace:
    """jax.numpy, and how XLA sums: two arrays for the price of one, on the CPU as ``host`` does it."""

    quiet = True

    def __init__(self, host):
        self.host = host

    def do(self, op, *arrays, **options):
        return _differentiable(op, tuple(options.items()), self)(*arrays)

    def __getattr__(self, name):
        return getattr(jnp, name)

    @staticmethod
    def take_along_axis(x, index, axis):
        """Where the type says that devices share the axis, each looks at its own part."""
        spec = jax.typeof(x).sharding.spec if hasattr(jax, "typeof") else ()
        if axis < len(spec) and spec[axis] is not None:
            return jnp.sum(jnp.where(classes(x, axis, jnp) == index, x, 0), axis=axis, keepdims=True)
        return jnp.take_along_axis(x, index, axis)

    def sums(self, arrays, axes):
        """First of what each device holds, where devices share the axes evenly, which a program need not be able to
        see: an axis that is cut across what a device holds is one that moves."""
        arrays, after = tuple(arrays), 0
        lengths = [(axis, length(arrays[0], axis, jnp)) for axis in sorted(axes)]
        shared = [(axis, 1 if n is None else math.gcd(n, jax.device_count())) for axis, n in lengths]
        for axis, pieces in shared:
            axis, after = axis + after, after + (pieces > 1)
            if pieces > 1:
                shape = arrays[0].shape
                cut = (*shape[:axis], pieces, shape[axis] // pieces, *shape[axis + 1 :])
                arrays = self._sums(tuple(a.reshape(cut) for a in arrays), axis + 1)
            else:
                arrays = self._sums(arrays, axis)
        for axis, pieces in reversed(shared):
            if pieces > 1:
                after -= 1
                arrays = tuple(jnp.squeeze(jnp.sum(a, axis + after, keepdims=True), axis + after + 1) for a in arrays)
        return arrays

    def _sums(self, arrays, axis):
        whole, host = (partial(f, axis=axis) for f in (_whole, self.host))
        if length(arrays[0], axis, jnp) is None or (len(arrays) == 1 and _Host.sums_in_pairs(arrays[0], axis)):
            return whole(*arrays)
        return lax.platform_dependent(*arrays, cpu=host, default=whole)


_xp, _kept = _Namespace(_in_runs), _Namespace(_one_by_one)
# Of a value by itself, where that is not the first. Of float32 XLA has fast sums for one array each.
_VALUES = {(name, jnp.dtype("float32")): _kept for name in ("log_softmax", "logsumexp")}


class _World:
    """Devices inside of ``jax.shard_map``, by the names of mesh axes; each holds as much of a slice as any other."""

    def __init__(self, names):
        self.names = names

    def count(self, n):
        return n * lax.axis_size(self.names)

    def first(self, n):
        return n * lax.axis_index(self.names)

    def max(self, a):
        return lax.pmax(a, self.names)

    def sum(self, arrays):
        return lax.psum(tuple(arrays), self.names)


class _Part(Part):
    def do(self, op, *arrays, **options):
        return _differentiable(op, tuple(options.items()), _xp if op is _core.REDUCTION else self)(*arrays)


@lru_cache(maxsize=256)
def _part(axes, ndim, names):
    return _Part(_xp, axes, ndim, _World(names))


def parts(names):
    """How many devices share a slice; or what is wrong with the names, and the way out."""
    hint = "give the name of a mesh axis, or a tuple of names"
    every = names if isinstance(names, tuple) else (names,)
    if not names or not all(isinstance(name, str) for name in every) or len(set(every)) < len(every):
        return TypeError, "which names no axes of a mesh", hint
    try:
        return lax.axis_size(names)
    except NameError:
        return ValueError, "which no axis has that is mapped here", "call it inside of jax.shard_map over such an axis"


@lru_cache(maxsize=1024)
def _differentiable(op, options, xp):
    options = dict(options)
    along_axis = "axis" in options
    # JAX itself knows the transpose of a sum over devices, which depends on how shard_map was told to keep count.
    sums = (along_axis or op.result != "element") and not isinstance(xp, Part)
    # XLA makes one kernel of the sums of a softmax, or its logarithm, and of all that is made of them.
    rules = xp if isinstance(xp, Part) else _kept if along_axis and op.result == "element" else _xp

    @jax.custom_jvp
    def call(*arrays):
        return op.formula(*arrays, xp=xp, **options)

    # A checkpoint: what a gradient keeps is then the rule's arguments, not what the rule makes of them on its way (for
    # softmax, eight arrays). Its barrier against common subexpressions would only get in the way of fusion.
    @partial(jax.checkpoint, prevent_cse=False, static_argnums=0)
    def along(wanted, given, y, primals):
        def forward(given):
            given = iter(given)
            tangents = tuple(next(given) if want else None for want in wanted)
            return op.jvp(tangents, y, primals, rules.do, rules, **options)

        def backward(g):
            return [c for c in op.vjp(g, y, primals, wanted, rules.do, rules, **options) if c is not None]

        return _linear(forward, backward, given, y) if sums else forward(given)

    @partial(call.defjvp, symbolic_zeros=True)
    def rule(primals, tangents):
        y = rules.do(op, *primals, **options)
        # What does not vary comes as a symbolic zero: nothing is computed for it.
        wanted = tuple(not (t is None or isinstance(t, SymbolicZero)) for t in tangents)
        return y, along(wanted, [t for t, want in zip(tangents, wanted, strict=True) if want], y, primals)

    return call


def _linear(forward, backward, t, y):
    """``forward(t)``, linear in the list t and of the shape of y; and ``backward``, its transpose.

    The transpose that JAX would make adds up what each step of a sum was given. It takes ours for a map that solves
    equations: ``u = t``, ``v - forward(u) = 0``. All of the right-hand side has to vary where any of t does, and each
    equation where y does: hence the 0 and the 1.
    """
    zero, one = sum(map(_nothing, t)), 1.0 + _nothing(y)

    def equations(uv):
        u, v = uv
        return [one * a for a in u], one * v - forward(u)

    def solve(_, b):
        u, v = b
        return u, v + forward(u)

    def solve_back(_, b):
        u, v = b
        return [a + c for a, c in zip(u, backward(v), strict=True)], v

    b = [a + zero for a in t], jnp.zeros_like(y) + zero
    return lax.custom_linear_solve(equations, b, solve, solve_back)[1]


def _nothing(a):
    """A 0 that varies with a. XLA drops it."""
    return jnp.where(False, jnp.sum(a), 0.0)


@partial(jax.jit, static_argnames=("op", "static", "across"))
def _program(op, arrays, static, across=None):
    options = dict(static)
    if across is None:
        xp = _VALUES.get((op.name, options["dtype"]), _xp)
    else:
        axis, ndim = options["axis"], arrays[0].ndim
        if op is _core.LINEAR_CROSS_ENTROPY:  # of tiles
            axis, ndim = 2, 3
        xp = _part((axis,) if isinstance(axis, int) else axis, ndim, across)
    if op is _core.LINEAR_CROSS_ENTROPY:
        of_all = None if across is None else _part((1,), 2, across)
        return layer.evaluate(arrays, xp, of_all, **options)
    return _core.evaluate(xp.do, op, arrays, xp=xp, **options)


def evaluate(op, arrays, *, xp, across=None, **static):
    return _program(op, arrays, static=tuple(static.items()), across=across)


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
