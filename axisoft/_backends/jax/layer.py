"""A linear layer's cross-entropy: a scan over tiles of samples, which makes the gradient of a sum or mean with it.

A tile takes its share of the samples of every device, so that none has to send any: (n) is (shares, tiles, samples).
Where one device has all, the gradient of the matrix is summed a part of the classes after another, in place.
"""

from __future__ import annotations

import math
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from axisoft._backends import linear
from axisoft._core.linear import losses, step
from axisoft._core.stable import total

# Classes of a gradient that are summed at a time.
PART = 1 << 12


class How(linear.How):
    """``xp`` : a namespace that can run an op, too; ``of_all`` : the same for all samples at once."""

    def __init__(self, xp, of_all=None):
        super().__init__(xp)
        self.of_all = of_all

    @property
    def weighing(self):
        return self if self.of_all is None else How(self.of_all)

    def run(self, op, arrays, options):
        return self.xp.do(op, *arrays, **options)

    def both(self, op, g, arrays, wanted, options):
        y = self.run(op, arrays, options)
        return y, op.vjp(g, y, arrays, wanted, self.xp.do, self.xp, **options)

    def entry(self, given, dtype):
        """Half precision is multiplied as it is, and summed in float32."""
        return given if jnp.issubdtype(given, jnp.floating) and jnp.finfo(given).bits < 32 else dtype

    def matmul(self, a, b, like=None):
        """``like`` : what the result is laid out as, where types say how and what is summed is shared."""
        wide = jnp.promote_types(a.dtype, jnp.float32)
        out = None if like is None or not _is_typed(like) else jax.typeof(like).sharding
        return jnp.matmul(a, b, preferred_element_type=wide, **({} if out is None else {"out_sharding": out}))

    def nothing(self, shape, dtype, like):
        return jnp.zeros(shape, dtype)


def _is_typed(a):
    """Whether the type of an array says which devices have what."""
    mesh = getattr(jax.typeof(a).sharding, "mesh", None) if hasattr(jax, "typeof") else None
    return mesh is not None and not mesh.empty and bool(mesh.explicit_axes)


def evaluate(arrays, xp, of_all, *, reduction, **options):
    """``of_all`` : where xp is for a part of the class axis of a tile, that for all samples at once."""
    how = How(xp, of_all)
    # Inside of shard_map that keeps count of what varies; the transposes of sums over devices are JAX's own.
    is_part = of_all is not None or any(map(_varies, arrays))
    layer = linear.Layer.of(how, arrays, reduction=reduction, **options)
    x, matrix, targets, bias, weight, sample_weight, where = layer.arrays
    if layer.given is not None:
        x = how.cast(x, layer.given)
    x = how.cast(x, layer.entry)
    split, kept = _Split(layer.n, layer.chunk), layer.kept
    if split.fill and kept is None:
        kept = jnp.ones(layer.n, dtype=bool)
    of_each = layer.tiled[6]
    others = (targets, sample_weight, where if of_each else None, kept)
    tiled = [split(x, jnp.nan), *[None if a is None else split(a) for a in others]]
    whole = [matrix, bias, weight, None if of_each else where]
    rules = _rules(xp, tuple(layer.options.items()))
    if reduction == "none" or is_part:
        again = jax.checkpoint(rules.losses)
        y = lax.map(lambda tile: again(tile, whole), tiled) if is_part else rules.each(tiled, whole)
        return linear.reduced(layer, split.joined(y), reduction)
    return layer.share(rules.sum(tiled, whole), reduction == "mean")


def _varies(a):
    """Whether the type of an array says that it need not be the same on all devices of shard_map."""
    if a is None or not hasattr(jax, "typeof"):
        return False
    kind = jax.typeof(a)
    return bool(getattr(kind, "vma", None) or getattr(getattr(kind, "manual_axis_type", None), "varying", None))


class _Split:
    """Samples as tiles of each device's share."""

    def __init__(self, n, chunk):
        self.shares = math.gcd(n, jax.device_count()) if n else 1
        self.here = n // self.shares
        tiles = max(-(-self.here // max(chunk // self.shares, 1)), 1)
        self.each = max(-(-self.here // tiles), 1)
        self.tiles = -(-self.here // self.each)
        self.fill = self.tiles * self.each - self.here

    def __call__(self, a, value=0):
        """``value`` : for what the last tile has no sample for."""
        rest = a.shape[1:]
        a = a.reshape(self.shares, self.here, *rest)
        if self.fill:
            a = jnp.pad(a, [(0, 0), (0, self.fill), *[(0, 0)] * len(rest)], constant_values=value)
        return jnp.moveaxis(a.reshape(self.shares, self.tiles, self.each, *rest), 1, 0)

    def joined(self, a):
        rest = a.shape[3:]
        a = jnp.moveaxis(a, 0, 1).reshape(self.shares, self.tiles * self.each, *rest)
        return a[:, : self.here].reshape(self.shares * self.here, *rest)


class _Rules:
    """``losses`` of a tile; ``sum`` of those of all tiles, whose gradient is made with it; ``each`` of them.

    They take what is tiled (features, targets, sample_weight, where and which samples count) and what is not (matrix,
    bias, weight, where).
    """

    def __init__(self, how, options):
        self.how, self.options = how, options | {"axis": 2}
        self.sum, self.each = jax.custom_vjp(self._sum), jax.custom_vjp(self._each)
        self.sum.defvjp(self._sum_forward, self._sum_backward, symbolic_zeros=True)
        self.each.defvjp(self._each_forward, self._each_backward, symbolic_zeros=True)

    def _read(self, tile, whole):
        """The arrays of a tile, and which samples take part: what is dropped does where it is finite, since what its
        weight multiplies is the gradient of that weight. What fills a tile is NaN."""
        x, targets, sample_weight, where, kept = tile
        matrix, bias, weight, where_of_all = whole
        if kept is not None:
            kept = kept | jnp.all(jnp.isfinite(x), axis=-1)
            x = jnp.where(kept[..., None], x, 0)
        return (x, matrix, targets, bias, weight, sample_weight, where_of_all if where is None else where), kept

    def losses(self, tile, whole):
        arrays, kept = self._read(tile, whole)
        y = losses(arrays, self.how, **self.options)
        return y if kept is None else jnp.where(kept, y, 0.0)

    def _each(self, tiled, whole):
        return lax.map(lambda tile: self.losses(tile, whole), tiled)

    def _sum(self, tiled, whole):
        return self._total(self._each(tiled, whole))

    def _total(self, y):
        return jnp.squeeze(total(y, (0, 1, 2), self.how.xp))

    def _sweep(self, tiled, whole, wanted, g=None):
        """The losses, and the cotangents of what is wanted, None for all else."""
        (of_x, of_targets, of_sample_weight, *_), (of_matrix, of_bias, of_weight, _) = wanted
        matrix, bias, weight, _ = whole
        sums = [
            jnp.zeros_like(a, dtype=jnp.promote_types(a.dtype, jnp.float32)) if want else None
            for a, want in zip((matrix, bias, weight), (of_matrix, of_bias, of_weight), strict=True)
        ]

        def tile(sums, given):
            (here, g), (dw, db, d_weight) = given, sums
            arrays, kept = self._read(here, whole)
            x = arrays[0]
            if g is None:
                g = jnp.ones_like(x, shape=x.shape[:-1], dtype=jnp.promote_types(x.dtype, jnp.float32))
            if kept is not None:
                g = jnp.where(kept, g, 0.0)
            y, gz, (dt, part, df) = step(g, arrays, self.how, (of_targets, of_weight, of_sample_weight), **self.options)
            if of_bias:
                db = db + jnp.sum(gz, axis=(0, 1))
            if of_weight:
                d_weight = d_weight + part
            gz = gz.astype(x.dtype)
            dx = None
            if of_x:
                dx = self.how.matmul(gz, matrix, x)
                dx = (dx if kept is None else jnp.where(kept[..., None], dx, 0)).astype(x.dtype)
            if of_matrix:
                dw = _add(dw, gz, x)
            return [dw, db, d_weight], (y if kept is None else jnp.where(kept, y, 0.0), dx, dt, df)

        sums, (y, dx, dt, df) = lax.scan(tile, sums, (tiled, g))
        return y, ([dx, dt, df, None, None], [*sums, None])

    def _sum_forward(self, tiled, whole):
        (tiled, whole), wanted = _values((tiled, whole)), _wanted((tiled, whole))
        y, found = self._sweep(tiled, whole, wanted)
        return self._total(y), (found, tiled, whole)

    def _sum_backward(self, kept, g):
        found, tiled, whole = kept
        g = _number(g)
        return jax.tree.map(
            lambda c, a: c if c is None else (c * g).astype(a.dtype), found, (tiled, whole), is_leaf=_is_none
        )

    def _each_forward(self, tiled, whole):
        (tiled, whole), wanted = _values((tiled, whole)), _wanted((tiled, whole))
        return self._each(tiled, whole), (tiled, whole, _Static(wanted))

    def _each_backward(self, kept, g):
        tiled, whole, wanted = kept
        found = self._sweep(tiled, whole, wanted.value, _number(g))[1]
        return jax.tree.map(lambda c, a: c if c is None else c.astype(a.dtype), found, (tiled, whole), is_leaf=_is_none)


@jax.tree_util.register_static
class _Static:
    """What a backward pass has to know that is no array."""

    def __init__(self, value):
        self.value = value

    def __hash__(self):
        return hash(str(self.value))

    def __eq__(self, other):
        return self.value == other.value


def _is_none(a):
    return a is None


def _values(given):
    return jax.tree.map(lambda a: a.value, given)


def _wanted(given):
    return jax.tree.map(lambda a: False if a is None else a.perturbed, given, is_leaf=_is_none)


def _number(g):
    return jnp.zeros(g.shape, g.dtype) if isinstance(g, SymbolicZero) else g


@lru_cache(maxsize=256)
def _rules(xp, options):
    return _Rules(How(xp), dict(options))


def _add(whole, gz, x):
    """``whole + gz^T x``. XLA makes the whole product before it adds, so a part of the classes after another, unless
    devices share them."""
    add = partial(jnp.tensordot, axes=([0, 1], [0, 1]), preferred_element_type=whole.dtype)
    classes = whole.shape[0]
    if jax.device_count() > 1 or classes <= PART:
        return whole + (add(gz, x, out_sharding=jax.typeof(whole).sharding) if _is_typed(whole) else add(gz, x))

    def one(i, whole):
        at = jnp.minimum(i * PART, classes - PART)  # the last part begins earlier; what has been added is 0 there
        part = lax.dynamic_slice_in_dim(gz, at, PART, 2)
        part = jnp.where(at + jnp.arange(PART) >= i * PART, part, 0)
        there = lax.dynamic_slice_in_dim(whole, at, PART, 0) + add(part, x)
        return lax.dynamic_update_slice_in_dim(whole, there, at, 0)

    return lax.fori_loop(0, -(-classes // PART), one, whole)
