"""Cross-entropy of a linear layer where one tile of samples can run after another, and arrays be written to."""

from __future__ import annotations

import math
from typing import Any

from axisoft import _core
from axisoft._core.linear import losses, samples_of_a_tile, step, weigh
from axisoft._core.stable import sum_to
from axisoft._core.weights import of_each


class How:
    """A namespace, the formulas in it, and what a backend can do better.

    reads : whether it may be looked at which samples are dropped; these are then left out of every product.
    """

    reads = False

    def __init__(self, xp: Any) -> None:
        self.xp = xp
        self._do = _core.by_formula(xp)

    def run(self, op: Any, arrays: Any, options: Any) -> Any:
        return self._do(op, *arrays, **options)

    def both(self, op: Any, g: Any, arrays: Any, wanted: Any, options: Any) -> Any:
        y = self.run(op, arrays, options)
        return y, op.vjp(g, y, arrays, wanted, self._do, self.xp, **options)

    def matmul(self, a: Any, b: Any) -> Any:
        return self.xp.matmul(a, b)

    def add_product(self, whole: Any, a: Any, b: Any) -> Any:
        """``whole + a^T b``, in the memory of whole where that can be."""
        return whole + self.matmul(self.xp.matrix_transpose(a), b)

    def nothing(self, shape: Any, dtype: Any, like: Any) -> Any:
        """Zeros beside an array."""
        return self.xp.zeros(shape, dtype=dtype, device=like.device)

    @property
    def weighing(self) -> How:
        """How the weights of the samples are found, of all of them at once."""
        return self

    def rows(self, matrix: Any) -> int:
        """How many rows of the matrix a tile is for: the same wherever there is a part of them."""
        return int(matrix.shape[0])

    def entry(self, given: Any, dtype: Any) -> Any:
        """The dtype of what enters a product."""
        return dtype

    def joined(self, dx: Any) -> Any:
        """The cotangent of features, where each process has a part of the classes: their sum."""
        return dx

    def losses(self, tile: Any, kept: Any, options: Any) -> Any:
        return losses(self.without(tile, kept), self, **options)

    def without(self, tile: Any, kept: Any) -> Any:
        """A tile with zeros for the samples that are dropped."""
        x, *others = tile
        return tile if kept is None else (self.xp.where(kept, x, 0.0), *others)

    def cast(self, a: Any, dtype: Any) -> Any:
        return a if a is None or a.dtype == dtype else self.xp.astype(a, dtype)


class Layer:
    """The arrays of one call, a sample after another, and what is made of them tile by tile.

    entry : the dtype of what enters the products. dtype : of logits and losses, and of sums over tiles.
    """

    def __init__(
        self,
        how: How,
        arrays: Any,
        given: Any,
        dtype: Any,
        chunk: int | None,
        options: dict[str, Any],
        of_targets: bool = False,
    ) -> None:
        self.how, self.given, self.dtype, self.options = how, given, dtype, options
        self.whole, xp = arrays, how.xp
        x, matrix, targets, bias, weight, sample_weight, where = arrays
        self.batch, classes = tuple(x.shape[:-1]), matrix.shape[0]
        self.n = n = math.prod(self.batch)
        soft = len(targets.shape) == len(x.shape)
        if sample_weight is not None:
            sample_weight = xp.reshape(xp.broadcast_to(sample_weight, self.batch), (n,))
        if where is not None:
            per_class = math.prod(where.shape) == where.shape[-1] if where.shape else True
            if per_class:
                where = xp.reshape(where, (1, -1))
                # Nor must the rows of what is hidden.
                hidden = xp.reshape(where, (-1, 1))
                matrix = xp.where(hidden, matrix, 0.0)
                bias = None if bias is None else xp.where(hidden[:, 0], bias, 0.0)
            else:
                where = xp.reshape(xp.broadcast_to(where, (*self.batch, classes)), (n, classes))
        targets = xp.reshape(targets, (n, classes) if soft else (n,))
        floats = [how.cast(a, dtype) for a in (targets if soft else None, weight, sample_weight)]
        self.entry = how.entry(x.dtype if given is None else given, dtype)
        self.arrays = (
            xp.reshape(x, (n, x.shape[-1])),
            how.cast(matrix, self.entry),
            floats[0] if soft else targets,
            bias,
            *floats[1:],
            where,
        )
        self.chunk = samples_of_a_tile(n, how.rows(matrix), xp.finfo(dtype).bits // 8, chunk)
        self.tiled = (True, False, True, False, False, True, where is not None and where.shape[0] != 1)
        # What is dropped must not meet a product: 0 times its NaN would be NaN.
        self.weights = self.kept = self.at = None
        if soft or weight is not None or sample_weight is not None or options["ignore_index"] is not None:
            self.weights = weigh(self.arrays, dtype, how.weighing, **options)
            self.kept = self.weights != 0
            if soft and of_targets:  # whose gradient is not 0 where all of them are
                self.kept = None if sample_weight is None else sample_weight != 0
            if how.reads and self.kept is not None:
                self._leave_out()

    @classmethod
    def of(
        cls,
        how: How,
        arrays: Any,
        of_targets: bool = False,
        *,
        given: Any,
        dtype: Any,
        chunk: Any,
        reduction: str,
        **options: Any,
    ) -> Layer:
        """``of_targets`` : whether these are differentiated along."""
        return cls(how, arrays, given, dtype, chunk, options, of_targets)

    def _leave_out(self) -> None:
        xp = self.how.xp
        if bool(xp.all(self.kept)):
            self.kept = None
            return
        (self.at,) = xp.nonzero(self.kept)
        self.kept, self.options = None, self.options | {"ignore_index": None}
        self.arrays = tuple(
            xp.take(a, self.at, axis=0) if tiled and a is not None else a
            for a, tiled in zip(self.arrays, self.tiled, strict=True)
        )

    def _tiles(self, least: int = 0) -> Any:
        """At least so many: the arrays of each tile, its place, and which of its samples count, None for all."""
        xp = self.how.xp
        n = self.arrays[0].shape[0]
        for i in range(0, max(n, least), self.chunk):
            place = slice(i, min(i + self.chunk, n))
            x, *others = (
                a[place, ...] if tiled and a is not None else a
                for a, tiled in zip(self.arrays, self.tiled, strict=True)
            )
            kept = None if self.kept is None else xp.expand_dims(self.kept[place], axis=1)
            if self.given is not None:
                x = self.how.cast(x, self.given)
            yield (self.how.cast(x, self.entry), *others), place, kept

    def _all(self, of_kept: Any, shape: Any) -> Any:
        """With zeros for the samples that were left out."""
        if self.at is None:
            return self.how.xp.reshape(of_kept, shape)
        whole = self.how.nothing((self.n, *of_kept.shape[1:]), of_kept.dtype, of_kept)
        whole[self.at] = of_kept
        return self.how.xp.reshape(whole, shape)

    def of_weights(self, g: Any) -> Any:
        """The cotangent of the targets from g, that of each sample's weight in a mean."""
        x = self.arrays[0]
        g = self.how.nothing(x.shape[:1], self.dtype, x) + g
        gt = weigh(self.arrays, self.dtype, self.how.weighing, g, **self.options)
        return self._all(gt, self.whole[2].shape)

    def losses(self) -> Any:
        found = [self.how.losses(tile, kept, self.options) for tile, _, kept in self._tiles(least=1)]
        return self._all(found[0] if len(found) == 1 else self.how.xp.concat(found), (self.n,))

    def share(self, g: Any, mean: bool) -> Any:
        """The cotangent of each loss, from that of their sum or mean; or a mean, from the sum."""
        x, xp = self.arrays[0], self.how.xp
        like = xp.broadcast_to(self.how.nothing((1,), self.dtype, x), (self.n,))
        return of_each(g, like, self.weights if mean else None, mean, xp)

    def sweep(self, wanted: Any, g: Any = None) -> tuple[Any, list[Any]]:
        """The losses; and the cotangents of features, matrix, targets and bias that are wanted, of losses that have the
        cotangents g, or all of them 1."""
        how, xp = self.how, self.how.xp
        x, matrix, targets, bias, *_ = self.arrays
        y = how.nothing(x.shape[:1], self.dtype, x)
        one = how.nothing((min(self.chunk, max(x.shape[0], 1)),), self.dtype, x) + 1.0
        if g is not None and self.at is not None:
            g = xp.take(g, self.at, axis=0)
        found = [
            how.nothing(a.shape, dtype, x) if want else None
            for a, dtype, want in zip(
                (x, matrix, targets, bias), (self.whole[0].dtype, *[self.dtype] * 3), wanted, strict=True
            )
        ]
        dx, dw, dt, db = found
        for tile, place, kept in self._tiles():
            tile = how.without(tile, kept)
            here = tile[0]
            ones_or_g = one[: here.shape[0]] if g is None else g[place]
            of_others = (dt is not None, False, False)
            y[place], gz, (gt, *_) = step(ones_or_g, tile, how, of_others, **self.options)
            if dt is not None:
                dt[place, ...] = gt
            if db is not None:
                db = db + sum_to(gz, (1, gz.shape[1]), xp)[0, :]
            gz = how.cast(gz, self.entry)
            if dx is not None:
                part = how.matmul(gz, matrix)
                dx[place, ...] = how.cast(part if kept is None else xp.where(kept, part, 0.0), dx.dtype)
            if dw is not None:
                dw = how.add_product(dw, gz, here)
            del gz  # before the next tile's logits
        if dx is not None:
            dx = how.joined(dx)
        tiled = (
            a if a is None else self._all(a, like.shape) for a, like in zip((dx, dt), self.whole[::2], strict=False)
        )
        dx, dt = tiled
        return self._all(y, (self.n,)), [dx, dw, dt, db]


def evaluate(how: How, arrays: Any, **options: Any) -> Any:
    layer = Layer.of(how, arrays, **options)
    return reduced(layer, layer.losses(), options["reduction"])


def reduced(layer: Layer, y: Any, reduction: str) -> Any:
    if reduction == "none":
        return layer.how.xp.reshape(y, layer.batch)
    weights = layer.weights if reduction == "mean" else None
    return layer.how.run(_core.REDUCTION, (y, weights), {"mean": reduction == "mean"})


def pullback(how: How, arrays: Any, wanted: Any, **options: Any) -> Any:
    """The value, and the function from its cotangent to those of features, matrix, targets and bias.

    The gradient of a sum or a mean is made with the value, that of losses by themselves from their cotangents.
    """
    layer, reduction = Layer.of(how, arrays, wanted[2], **options), options["reduction"]
    mean = reduction == "mean"
    kept: list[Any] = []
    if reduction == "none":
        y = layer.losses()
    else:
        y, kept = layer.sweep(wanted[:4])
    result, xp = reduced(layer, y, reduction), how.xp

    def pull(g: Any) -> list[Any]:
        g = xp.ones_like(result) if g is None else xp.astype(g, result.dtype, copy=False)
        if reduction == "none":
            found = layer.sweep(wanted[:4], xp.reshape(g, (layer.n,)))[1]
        else:
            share = layer.share(g, mean)
            found = [None if a is None else a * share for a in kept]
            if mean and found[2] is not None:
                found[2] = found[2] + xp.reshape(layer.of_weights(-share * result), found[2].shape)
        casts = (None if a is None else how.cast(a, like.dtype) for a, like in zip(found, arrays, strict=False))
        return [*casts, *[None] * 3]

    return result, pull
