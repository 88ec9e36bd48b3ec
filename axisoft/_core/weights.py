"""Which samples count and how much: targets, class weights, sample weights, ignored samples; and the reductions.

A loss is linear in its targets t, its class weights w and its sample weights f: with a value per class and sample,

    y = f * sum_c (t_c w_c by_target_c + w_c by_class_c),

so one pair of rules serves every loss, and the weights' own sum, which divides a mean. Dropped samples (ignored, or of
weight 0) are selected away in the value and in every coefficient of the derivatives: nothing in their rows counts. Only
along a weight that is 0 has such a sample a derivative: the loss that the weight would let in, if that is finite.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from axisoft._core.op import Op
from axisoft._core.stable import (
    along,
    classes,
    count,
    expand,
    extent,
    none,
    pick,
    product,
    spread,
    sum_to,
    total,
    visible,
)


class Samples(NamedTuple):
    """What targets and weights say of each sample. The class axis is kept; ``None`` stands for "all" or for "one"."""

    index: Any  # the class, made safe to look up; None for soft targets
    soft: Any  # t_c w_c; None for class indices
    class_weight: Any  # sum_c t_c w_c
    factor: Any  # sample_weight
    named: Any  # False for an ignored sample
    weighs: Any  # False for an ignored sample and for one whose class has weight 0
    kept: Any  # False for a dropped sample: one of those, or of sample weight 0
    bad: Any  # True for a class that does not exist


def read_samples(x, targets, weight, sample_weight, *, axis, ignore_index, xp, checked=False, drops=True):
    """``checked`` : whether it is known that each index that is not ignored is a class.

    ``drops`` : whether a sample weight of 0 drops its sample.
    """
    if xp.isdtype(targets.dtype, "real floating"):
        index = bad = named = None
        soft = times(lay(weight, x, axis, xp), targets)
        class_weight = total(soft, (axis,), xp)
        weighs = class_weight != 0
    else:
        soft = None
        index = xp.expand_dims(targets, axis=axis)
        named = weighs = None if ignore_index is None else index != ignore_index
        if checked:
            index, bad = index if named is None else xp.where(named, index, 0), None
        elif hasattr(xp, "within"):
            within = xp.within(index, extent(x, axis, xp))
            index, bad = within, index != within if named is None else (index != within) & named
        else:
            bad = (index < 0) | (index >= extent(x, axis, xp))
            index, bad = xp.where(bad, 0, index), bad if named is None else bad & named
        class_weight = None
        if weight is not None:
            class_weight = pick(lay(weight, x, axis, xp), index, axis, xp)
            weighs = both(weighs, class_weight != 0)
    kept, factor = weighs, per_sample(sample_weight, x, axis, xp)
    if factor is not None and drops:
        kept = both(kept, factor != 0)
    return Samples(index, soft, class_weight, factor, named, weighs, kept, bad)


def both(a, b):
    return b if a is None else a & b


def times(a, b):
    """The product of two factors either of which may be ``None``, for one."""
    return b if a is None else a if b is None else a * b


def lay(weight, x, axis, xp):
    """A weight per class, laid out to broadcast against x."""
    return None if weight is None else xp.reshape(weight, along(x, axis))


def per_sample(a, x, axis, xp):
    """An array that broadcasts against the per-sample losses, laid out to broadcast against x."""
    if a is None:
        return None
    lead = len(x.shape) - 1 - len(a.shape)
    return xp.expand_dims(expand(a, range(lead), xp), axis=axis)


def settle(y, samples, xp):
    """Dropped samples give 0, whatever their rows hold; classes that do not exist give NaN."""
    y = y if samples.kept is None or none(~samples.kept, xp) else visible(y, samples.kept, xp)
    return spoil(y, samples, xp)


def spoil(y, samples, xp):
    """Classes that do not exist give NaN."""
    return y if samples.bad is None or none(samples.bad, xp) else xp.where(samples.bad, math.nan, y)


def admit(y, samples, xp, known_by=None):
    """As ``settle``, for what a weight multiplies in a derivative: at a weight of 0 what is finite stays.

    Where y depends on a tangent, of which nothing may be asked, ``known_by`` tells what is finite.
    """
    if samples.kept is not None:
        y = xp.where(samples.kept | xp.isfinite(y if known_by is None else known_by), y, 0.0)
    return spoil(visible(y, samples.named, xp), samples, xp)


def as_floats(x, targets, known, axis, xp):
    """Targets as numbers per class. Only the derivatives along the weights, which few ask for, build them."""
    return xp.astype(classes(x, axis, xp) == known.index, x.dtype) if known.soft is None else targets


def _per_weight(t, terms, known, xp):
    """What multiplies w_c: ``t_c by_target_c + by_class_c``. A class of weight 0 drops the smoothing too."""
    by_target, by_class = terms
    y = t * by_target
    return admit(y if by_class is None else y + visible(by_class, known.weighs, xp), known, xp)


def _per_target(w, terms, known, xp):
    """What multiplies t_c: ``w_c by_target_c``."""
    return admit(times(w, terms[0]), known, xp)


def along_weights_vjp(g, terms, t, x, weight, wanted, known, axis, xp):
    """The cotangents of targets and weight from that of ``sum_c (t_c w_c by_target_c + w_c by_class_c)``.

    g may be ``None`` for one. What multiplies it is settled first: nothing of a dropped row reaches a product.
    """
    w = lay(weight, x, axis, xp)
    g_targets = g_weight = None
    if wanted[1]:
        g_targets = times(g, _per_target(w, terms, known, xp))
    if wanted[2]:
        along_weight = times(g, _per_weight(t, terms, known, xp))
        g_weight = xp.reshape(sum_to(along_weight, tuple(w.shape), xp), (-1,))
    return g_targets, g_weight


def loss_op(name, formula, gradient, pull, terms, inputs, promises=(), gradient_promises=(), weights=None):
    """An op of (x, targets, weight, sample_weight, ...) whose rules follow from what is particular to it.

    gradient(arrays, known, do, xp, **static) : the derivative of each sample's loss along its row, as large as x, and
        a function that tells where it is 0 because nothing there counts, and not because of a weight that is 0.
    pull(g, arrays, do, xp, **static) : that derivative times a cotangent for each sample; None for both if there
        is none.
    terms(t, arrays, do, xp, **static) : ``by_target`` and ``by_class`` of the module's formula; None for none.
    """

    def unweighted(arrays, known, do, xp, axis, static):
        x, targets, weight, _, *others = arrays
        y = do(op, x, targets, weight, None, *others, axis=axis, **static)
        return admit(xp.expand_dims(y, axis=axis), known, xp)

    def jvp(tangents, y, arrays, do, xp, *, axis, **static):
        x, targets, weight, sample_weight, *_ = arrays
        t_x, t_targets, t_weight, t_factor, *_ = tangents
        known = read_samples(x, targets, weight, sample_weight, axis=axis, ignore_index=static["ignore_index"], xp=xp)
        parts = []
        if t_x is not None and gradient is not None:
            rows, dead = gradient(arrays, known, do, xp, axis=axis, **static)
            parts.append(total(product(rows, t_x, xp, dead), (axis,), xp))
        if t_targets is not None or t_weight is not None:
            t = as_floats(x, targets, known, axis, xp)
            pair = terms(t, arrays, do, xp, axis=axis, **static)
            row = None
            if t_weight is not None:
                row = _per_weight(t, pair, known, xp) * lay(t_weight, x, axis, xp)
            if t_targets is not None:
                along_targets = _per_target(lay(weight, x, axis, xp), pair, known, xp) * t_targets
                row = along_targets if row is None else row + along_targets
            parts.append(times(known.factor, total(row, (axis,), xp)))
        if t_factor is not None:
            parts.append(per_sample(t_factor, x, axis, xp) * unweighted(arrays, known, do, xp, axis, static))
        if not parts:
            return xp.zeros_like(y)
        return xp.squeeze(sum(parts[1:], parts[0]), axis=axis)

    def vjp(g, y, arrays, wanted, do, xp, *, axis, **static):
        x, targets, weight, sample_weight, *_ = arrays
        out: list[Any] = [None] * len(arrays)
        if wanted[0]:
            out[0] = xp.zeros_like(x) if pull is None else pull(g, arrays, do, xp, axis=axis, **static)
        if not any(wanted[1:]):
            return tuple(out)
        known = read_samples(x, targets, weight, sample_weight, axis=axis, ignore_index=static["ignore_index"], xp=xp)
        g = xp.expand_dims(g, axis=axis)
        if wanted[1] or wanted[2]:
            t = as_floats(x, targets, known, axis, xp)
            pair = terms(t, arrays, do, xp, axis=axis, **static)
            out[1], out[2] = along_weights_vjp(times(known.factor, g), pair, t, x, weight, wanted, known, axis, xp)
        if wanted[3]:
            whole = xp.squeeze(g * unweighted(arrays, known, do, xp, axis, static), axis=axis)
            out[3] = sum_to(whole, tuple(sample_weight.shape), xp)
        return tuple(out)

    per = ("element", "slice", "class", "slice", "element")[: len(inputs)]
    op = Op(name, formula, jvp, vjp, inputs, promises, gradient_promises, weights, "slice", per)
    return op


def weights(x, targets, weight, sample_weight, *others, xp, axis, ignore_index, checked=False, **static):
    """What each sample weighs in a mean: ``f * sum_c t_c w_c``, 0 for an ignored sample."""
    read = {"axis": axis, "ignore_index": ignore_index, "checked": checked, "xp": xp}
    known = read_samples(x, targets, weight, sample_weight, **read)
    y = known.class_weight
    if y is None:
        y = xp.ones_like(known.index, dtype=x.dtype)
    return xp.squeeze(times(known.factor, settle(y, known, xp)), axis=axis)


def _weights_terms(t, arrays, do, xp, **static):
    return xp.ones_like(arrays[0]), None


WEIGHTS = loss_op("weights", weights, None, None, _weights_terms, ("x", "targets", "weight", "sample_weight", "where"))


def reduction(losses, weights, *, xp, mean):
    """Their sum; or their sum over that of the weights (one each if there are none), 0 where that is 0."""
    whole = everything(losses, xp)
    if not mean:
        return whole
    over, live = _divisor(losses, weights, xp)
    return whole / over if live is None else xp.where(live, whole / over, 0.0)


def everything(x, xp):
    return xp.reshape(total(x, tuple(range(len(x.shape))), xp), ())


def _divisor(losses, weights, xp):
    if weights is None:
        n = count(losses, xp)
        if n is not None:
            return float(max(n, 1)), None
        # Integers: a sum of floating ones may get stuck at 2**24.
        ones = xp.ones_like(losses, dtype=xp.int32)
        return xp.astype(xp.sum(ones, axis=tuple(range(len(losses.shape)))), losses.dtype), None
    over = everything(weights, xp)
    live = over != 0
    return xp.where(live, over, 1.0), live


def _reduction_jvp(tangents, y, arrays, do, xp, *, mean):
    losses, weights = arrays
    t = None if tangents[0] is None else everything(tangents[0], xp)
    if not mean:
        return t
    over, live = _divisor(losses, weights, xp)
    if tangents[1] is not None:
        t_over = -y * everything(tangents[1], xp)
        t = t_over if t is None else t + t_over
    return t / over if live is None else xp.where(live, t / over, 0.0)


def of_each(g, losses, weights, mean, xp):
    """The cotangent of each loss, from that of their sum or mean: the same for all."""
    if not mean:
        return g
    over, live = _divisor(losses, weights, xp)
    return g / over if live is None else xp.where(live, g / over, 0.0)


def _reduction_vjp(g, y, arrays, wanted, do, xp, *, mean):
    losses, weights = arrays
    g = of_each(g, losses, weights, mean, xp)
    g_losses = spread(g, losses, xp) if wanted[0] else None
    return g_losses, spread(-g * y, weights, xp) if wanted[1] else None


REDUCTION = Op(
    "reduction", reduction, _reduction_jvp, _reduction_vjp, ("losses", "weights"), reads=("losses", "weights", "y")
)
