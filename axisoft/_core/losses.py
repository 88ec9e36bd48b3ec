"""Cross-entropy and negative log-likelihood, per sample and in nats.

With h_c = -log p_c >= 0, K classes, targets t (the indicator of the class for indices, which is never built), class
weights w, sample weight f and the smoothing s, a sample's loss is

    f * ( (1 - s) sum_c t_c w_c h_c  +  s/K sum_c w_c h_c  +  z_loss * lse^2 * sum_c t_c w_c ).

With m the largest logit, L = lse - m >= 0 and d = x - m <= 0, every h_c = L - d_c is a sum of two numbers of one sign,
so no digit of a small loss is lost.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from axisoft._core.op import Op, Promise
from axisoft._core.softmax import LOG_SOFTMAX, LOGSUMEXP, PER_TERM, SOFTMAX
from axisoft._core.stable import (
    Exponentials,
    balanced,
    below,
    deviation,
    divisor,
    exponentials,
    hide,
    is_empty,
    length,
    majority,
    none,
    others,
    over,
    pick,
    powers,
    product,
    put,
    spread,
    sum_to,
    total,
    visible,
)
from axisoft._core.weights import (
    WEIGHTS,
    admit,
    along_weights_vjp,
    as_floats,
    lay,
    loss_op,
    per_sample,
    read_samples,
    settle,
    spoil,
    times,
)


class _Slices(NamedTuple):
    """What the logits say of each sample; the class axis is kept."""

    x: Any  # -inf where hidden
    of: Exponentials
    rest: Any  # the sum of exp(d) without its largest term
    e: Any
    log: Any  # L = log(1 + rest)

    def lse(self):
        return self.of.shift + self.log

    def distance(self, index, axis, xp):
        """d of a class, which need not be made for the others; of the logit itself, where another part may have it."""
        if self.of.d is not None and not hasattr(xp, "lengths"):
            return pick(self.of.d, index, axis, xp)
        return below(pick(self.x, index, axis, xp), self.of.shift, xp)


def _slices(x, where, *, axis, xp, distances=False, again=False):
    """``distances`` : whether d is wanted. ``again`` : whether e is."""
    x = hide(x, where, xp)
    of = exponentials(x, (axis,), xp, distances=distances)
    rest, e = others(of, (axis,), xp, again=again)
    return _Slices(x, of, rest, e, xp.log1p(rest))


def _smoothing(x, weight, where, *, axis, label_smoothing, xp):
    """The smoothing's weight ``s/K w_c`` of each visible class, laid out to broadcast against x, and its sum over c."""
    w = lay(weight, x, axis, xp)
    classes = length(x, axis, xp)
    if where is None and classes is not None:
        each = label_smoothing / classes
        return (each, label_smoothing) if w is None else (each * w, each * total(w, (axis,), xp))
    seen = xp.ones_like(x) if where is None else xp.astype(spread(where, x, xp), x.dtype)
    each = label_smoothing / xp.maximum(total(seen, (axis,), xp), 1.0) * seen
    each = times(w, each)
    return each, total(each, (axis,), xp)


def cross_entropy(
    x, targets, weight, sample_weight, where, *, xp, axis, ignore_index, label_smoothing, z_loss, checked=False
):
    if is_empty(x, xp):
        return xp.sum(x, axis=axis)
    read = {"axis": axis, "ignore_index": ignore_index, "checked": checked, "xp": xp}
    known = read_samples(x, targets, weight, sample_weight, **read)
    plain = known.soft is None and where is None and not label_smoothing and not z_loss
    surprisal = xp.surprisal(x, known.index, axis) if plain and hasattr(xp, "surprisal") else None
    if surprisal is not None:
        loss = times(known.class_weight, settle(surprisal, known, xp))
        return xp.squeeze(times(known.factor, settle(loss, known, xp)), axis=axis)
    of = _slices(x, where, axis=axis, xp=xp, distances=known.soft is not None or label_smoothing)
    if known.soft is None:
        loss = times(known.class_weight, of.log - of.distance(known.index, axis, xp))
    else:
        loss = known.class_weight * of.log - _dot(known.soft, of.of.d, axis, xp)
    if label_smoothing:
        each, every = _smoothing(x, weight, where, axis=axis, label_smoothing=label_smoothing, xp=xp)
        loss = (1.0 - label_smoothing) * loss + (every * of.log - _dot(each, of.of.d, axis, xp))
    if z_loss:
        lse = of.lse()
        loss = loss + times(known.class_weight, z_loss * lse * lse)
    if where is not None:
        loss = xp.where(xp.any(spread(where, x, xp), axis=axis, keepdims=True), loss, math.inf)
    return xp.squeeze(times(known.factor, settle(loss, known, xp)), axis=axis)


def _dot(weights, d, axis, xp):
    """``sum_c weights_c d_c`` where a weight of 0 makes 0 even of an infinite d."""
    if isinstance(weights, float):
        return weights * total(d, (axis,), xp)
    return total(product(weights, d, xp), (axis,), xp)


def _logit_gradient(
    x,
    targets,
    weight,
    sample_weight,
    where,
    *,
    xp,
    axis,
    ignore_index,
    label_smoothing,
    z_loss,
    checked=False,
    drops=True,
):
    """The derivative of each sample's loss along its row, as large as the logits.

    With u_c the total weight of class c in the loss, A their sum and z that of 2 z_loss lse, it is
    ``(A + z) p_c - u_c``. A target's is ``p_c (A - u_c + z) - u_c (1 - p_c)``, where 1 - p is the sum of the others.
    With probabilities every class is a target; there ``A p - u``, which sums to 0, is balanced.
    """
    if is_empty(x, xp):
        return xp.zeros_like(x)
    read = {"axis": axis, "ignore_index": ignore_index, "checked": checked, "drops": drops, "xp": xp}
    known = read_samples(x, targets, weight, sample_weight, **read)
    x, f = hide(x, where, xp), known.factor
    each, every, z = 0.0, 0.0, 0.0
    if label_smoothing:
        each, every = _smoothing(x, weight, where, axis=axis, label_smoothing=label_smoothing, xp=xp)
    if known.soft is None and not z_loss and hasattr(xp, "put_over"):
        e = powers(x, (axis,), xp)
        e_target = pick(e, known.index, axis, xp)
        e = put(e, known.index, xp.zeros_like(e_target), axis, xp)
        rest = total(e, (axis,), xp)
        s = e_target + rest
    else:  # the sums of the value, which a compiler makes once for both
        of = _slices(x, None, axis=axis, xp=xp, again=True)
        e, s, z = of.e, divisor(of.of, of.rest), times(known.class_weight, 2.0 * z_loss * of.lse()) if z_loss else 0.0
        if known.soft is None:
            d = of.distance(known.index, axis, xp)
            e_target = xp.exp(d)
            rest = xp.where(d == 0, of.rest, 1.0 + of.rest - e_target)
            e_target, rest = times(of.of.factor, e_target), times(of.of.factor, rest)
    if known.soft is None:
        s = spoil(s, known, xp)
        each_target = each if isinstance(each, float) else pick(each, known.index, axis, xp)
        u = 1.0 - label_smoothing if known.class_weight is None else (1.0 - label_smoothing) * known.class_weight
        f_over_s = 1.0 / s if f is None else f / s
        at_target = (u + each_target) * -rest
        if label_smoothing or z_loss:
            at_target = at_target + e_target * (every - each_target + z)
        whole = u + every + z
        y = over("multiply", xp, e, f_over_s if isinstance(whole, float) and whole == 1.0 else whole * f_over_s)
        if label_smoothing:
            y = over("subtract", xp, y, times(f, each))
        y = put(y, known.index, f_over_s * at_target, axis, xp)
    else:
        u = (1.0 - label_smoothing) * known.soft + each
        whole = times(f, (1.0 - label_smoothing) * known.class_weight + every)
        large = (of.of.at, of.rest < 1.0) if of.of.at is not None else (None, majority(e, s, xp))
        z = z if isinstance(z, float) else e * (times(f, z) / s)
        y = balanced(over("subtract", xp, over("multiply", xp, e, whole / s), times(f, u)), large, (axis,), xp)
        y = y if isinstance(z, float) else y + z
    if known.kept is not None and not none(~known.kept, xp):
        y = visible(y, known.kept if known.bad is None else known.kept | known.bad, xp)
    return y if where is None else xp.where(_shown(where, known), y, 0.0)


def _shown(where, known):
    """Where a gradient may be other than 0: what the mask shows, and the whole row of a class that does not exist."""
    return where if known.bad is None else where | known.bad


def _curvature(t, arrays, do, xp, *, axis, ignore_index, label_smoothing, z_loss, **_):
    """The second derivative of each sample's loss along its row, times t: a symmetric matrix, so both directions."""
    x, targets, weight, sample_weight, where = arrays
    known = read_samples(x, targets, weight, sample_weight, axis=axis, ignore_index=ignore_index, xp=xp)
    p = do(SOFTMAX, x, where, axis=(axis,))
    spread = deviation(t, p, (axis,), xp)
    whole = 1.0 if known.class_weight is None else known.class_weight
    y = (1.0 - label_smoothing) * whole * spread
    if z_loss:
        lse = do(LOGSUMEXP, x, where, axis=(axis,), keepdims=True)
        y = y + 2.0 * z_loss * whole * (lse * spread + p * total(product(p, t, xp), (axis,), xp))
    if label_smoothing:
        _, every = _smoothing(x, weight, where, axis=axis, label_smoothing=label_smoothing, xp=xp)
        y = y + visible(every * spread, known.weighs, xp)
    return visible(times(known.factor, admit(y, known, xp, p)), where, xp)


def _logit_gradient_terms(g, arrays, do, xp, *, axis, label_smoothing, z_loss, **_):
    """What multiplies ``t_c w_c`` and ``w_c`` in ``sum_c g_c gradient_c``: the gradient is linear in them."""
    x, _, _, _, where = arrays
    p = do(SOFTMAX, x, where, axis=(axis,))
    away = visible(total(p * g, (axis,), xp) - g, where, xp)
    by_target = (1.0 - label_smoothing) * away
    if z_loss:
        lse = do(LOGSUMEXP, x, where, axis=(axis,), keepdims=True)
        by_target = by_target + 2.0 * z_loss * lse * total(p * g, (axis,), xp)
    by_class = None
    if label_smoothing:
        by_class = _smoothing(x, None, where, axis=axis, label_smoothing=label_smoothing, xp=xp)[0] * away
    return by_target, by_class


def _logit_gradient_jvp(tangents, y, arrays, do, xp, *, axis, **static):
    x, targets, weight, sample_weight, where = arrays
    t_x, t_targets, t_weight, t_factor, _ = tangents
    known = read_samples(x, targets, weight, sample_weight, axis=axis, ignore_index=static["ignore_index"], xp=xp)
    parts = []
    if t_x is not None:
        parts.append(_curvature(t_x, arrays, do, xp, axis=axis, **static))
    if t_targets is not None or t_weight is not None:
        t = as_floats(x, targets, known, axis, xp)
        # Linear in t_c w_c and in w_c: the transpose of what _logit_gradient_terms says, applied to their tangents.
        p = do(SOFTMAX, x, where, axis=(axis,))
        t_weight = lay(t_weight, x, axis, xp)
        row = None if t_weight is None else t * t_weight
        if t_targets is not None:
            along_targets = times(lay(weight, x, axis, xp), t_targets)
            row = along_targets if row is None else row + along_targets
        over = total(row, (axis,), xp)
        part = (1.0 - static["label_smoothing"]) * (p * over - row)
        if static["z_loss"]:
            lse = do(LOGSUMEXP, x, where, axis=(axis,), keepdims=True)
            part = part + 2.0 * static["z_loss"] * lse * p * over
        if static["label_smoothing"] and t_weight is not None:
            smoothing = static["label_smoothing"]
            each, _ = _smoothing(x, None, where, axis=axis, label_smoothing=smoothing, xp=xp)
            each = each * t_weight
            part = part + visible(p * total(each, (axis,), xp) - each, known.weighs, xp)
        parts.append(visible(times(known.factor, admit(part, known, xp, p)), where, xp))
    if t_factor is not None:
        parts.append(per_sample(t_factor, x, axis, xp) * _unweighted_gradient(arrays, known, do, xp, axis, static))
    return sum(parts[1:], parts[0])


def _logit_gradient_vjp(g, y, arrays, wanted, do, xp, *, axis, **static):
    x, targets, weight, sample_weight, where = arrays
    known = read_samples(x, targets, weight, sample_weight, axis=axis, ignore_index=static["ignore_index"], xp=xp)
    g = visible(g, where, xp)
    out: list[Any] = [None] * len(arrays)
    if wanted[0]:
        out[0] = _curvature(g, arrays, do, xp, axis=axis, **static)
    if wanted[1] or wanted[2]:
        t = as_floats(x, targets, known, axis, xp)
        terms = _logit_gradient_terms(g, arrays, do, xp, axis=axis, **static)
        out[1], out[2] = along_weights_vjp(known.factor, terms, t, x, weight, wanted, known, axis, xp)
    if wanted[3]:
        whole = total(g * _unweighted_gradient(arrays, known, do, xp, axis, static), (axis,), xp)
        out[3] = sum_to(xp.squeeze(whole, axis=axis), tuple(sample_weight.shape), xp)
    return tuple(out)


def _unweighted_gradient(arrays, known, do, xp, axis, static):
    x, targets, weight, _, where = arrays
    return admit(do(LOGIT_GRADIENT, x, targets, weight, None, where, axis=axis, **static), known, xp)


def _class_terms(t, arrays, do, xp, *, axis, label_smoothing, z_loss, **_):
    """What multiplies ``t_c w_c`` and ``w_c`` in a sample's loss. A target of 0 adds 0 where h is infinite, too."""
    x, _, _, _, where = arrays
    h = -do(LOG_SOFTMAX, x, where, axis=(axis,))
    by_target = (1.0 - label_smoothing) * h
    if z_loss:
        lse = do(LOGSUMEXP, x, where, axis=(axis,), keepdims=True)
        by_target = by_target + z_loss * lse * lse
    by_target = xp.where((t == 0) & xp.isinf(h), 0.0, by_target)
    if not label_smoothing:
        return by_target, None
    each, _ = _smoothing(x, None, where, axis=axis, label_smoothing=label_smoothing, xp=xp)
    return by_target, each * visible(h, where, xp)


def _cross_entropy_gradient(arrays, known, do, xp, **static):
    x, _, _, _, where = arrays
    rows = do(LOGIT_GRADIENT, *arrays, **static)

    def dead():
        found = ~xp.isfinite(x)
        for shown in (where, known.named):
            found = found if shown is None else found | ~shown
        return found & (rows == 0)

    return rows, dead


def _cross_entropy_pull(g, arrays, do, xp, **static):
    """A cotangent of the loss is one more weight of the sample. An infinite one does nothing to a dropped sample."""
    x, targets, weight, sample_weight, where = arrays
    if sample_weight is None:
        return do(LOGIT_GRADIENT, x, targets, weight, g, where, drops=False, **static)
    g = product(sample_weight, g, xp, lambda: (sample_weight == 0) & ~xp.isfinite(g))
    return do(LOGIT_GRADIENT, x, targets, weight, g, where, **static)


LOGITS = ("logits", "targets", "weight", "sample_weight", "where")
LOGIT_GRADIENT = Op("logit_gradient", _logit_gradient, _logit_gradient_jvp, _logit_gradient_vjp, LOGITS)
CROSS_ENTROPY = loss_op(
    "cross_entropy",
    cross_entropy,
    _cross_entropy_gradient,
    _cross_entropy_pull,
    _class_terms,
    LOGITS,
    (Promise(8, "gap"),),
    PER_TERM,
    WEIGHTS,
)


def nll_loss(log_probs, targets, weight, sample_weight, *, xp, axis, ignore_index, checked=False):
    read = {"axis": axis, "ignore_index": ignore_index, "checked": checked, "xp": xp}
    known = read_samples(log_probs, targets, weight, sample_weight, **read)
    y = times(known.class_weight, settle(-pick(log_probs, known.index, axis, xp), known, xp))
    return xp.squeeze(times(known.factor, settle(y, known, xp)), axis=axis)


def _nll_gradient(arrays, known, do, xp, *, axis, **_):
    log_probs, targets, *_ = arrays
    indicator = as_floats(log_probs, targets, known, axis, xp)
    rows = times(known.factor, admit(times(known.class_weight, -indicator), known, xp))
    return rows, lambda: admit(indicator, known, xp) == 0


def _nll_pull(g, arrays, do, xp, *, axis, ignore_index, **_):
    x, *others = arrays
    known = read_samples(x, *others[:3], axis=axis, ignore_index=ignore_index, xp=xp)
    own = -visible(xp.expand_dims(g, axis=axis), known.named, xp)
    own = spoil(times(known.factor, times(known.class_weight, own)), known, xp)
    return put(xp.zeros_like(x), known.index, own, axis, xp)


def _nll_terms(t, arrays, do, xp, **_):
    return xp.where(t == 0, 0.0, -arrays[0]), None


NLL_LOSS = loss_op(
    "nll_loss",
    nll_loss,
    _nll_gradient,
    _nll_pull,
    _nll_terms,
    ("log_probs",) + LOGITS[1:4],
    (Promise(4),),
    (Promise(4),),
    WEIGHTS,
)
