"""PyTorch's softmax kernels on the CPU, of slices that lie along memory, kept within the promises.

Its kernels take one pass with one fast exponential. What they lack: they add a slice in a few lanes, in sequence, which
drifts where the slice is long; they lose the digits of a dominant element, in value and gradient; and 0 times what is
not finite spoils a gradient. So a tile at a time, while it is in the cache, the sum of the result is looked at, the
slices with a dominant element are found by their largest, and that element alone is mended: it is made of the others.

All take tensors of two axes, contiguous; a value per slice comes with two axes too, but in the losses. Half precision
is computed tile by tile in float32 and rounded once. A slice's bits do not depend on the others: where some are
computed in another way, it is by their own values.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional

from axisoft._backends.torch.limits import FAR, GRAIN, HALF, LIKELY, LOG_HALF, STEADY, TILE, TINY, UNSURE, wide


def flat(x):
    """A slice after another."""
    return x.reshape(-1, x.shape[-1])


def is_steady(x):
    """Whether PyTorch's sum of a slice does not drift, in the dtype that it is computed in."""
    return x.shape[-1] * max(x.itemsize, 4) <= STEADY


def sum_of_rows(x):
    """``sum(x, 1)``, the same for a row that is alone: the threads would share it out."""
    count, length = x.shape
    if count == 1 and length >= GRAIN:
        return torch.sum(x.expand(2, -1), 1, keepdim=True)[:1]
    return torch.sum(x, 1, keepdim=True)


def _tiles(x, *others):
    """One after another; and the whole, where it is one."""
    if x.numel() * 8 <= TILE:
        return ((x, *others),)
    length = max(TILE // max(x.itemsize, 4) // x.shape[1], 1)
    return zip(*(a.split(length) for a in (x, *others)), strict=True)


def _has_nan(x):
    return math.isnan(np.max(x.numpy()))


# Values --------------------------------------------------------------------------------------------------------------


def softmax(x):
    """PyTorch's kernel takes half precision in float32 and rounds once; the drift is far below what is rounded off."""
    if is_steady(x) or x.dtype in HALF:
        return torch.softmax(x, 1)
    result, eps = torch.empty_like(x), torch.finfo(x.dtype).eps
    for tile, p in _tiles(x, result):
        s = sum_of_rows(torch.softmax(tile, 1, out=p)).numpy()
        is_far = np.abs(s - 1.0) > 2 * eps
        if is_far.any():  # by 1 where it is not, which leaves it as it is
            p.div_(torch.from_numpy(np.where(is_far, s, s.dtype.type(1.0))))
    return result


def log_softmax(x):
    if not is_steady(x) and x.dtype not in HALF:
        return _log_softmax_of_many(x)
    result = torch.empty_like(x)
    for tile, room in _tiles(x, result):
        # PyTorch's kernel rounds the sum of a slice to half precision: 100 000 equal entries have none in float16.
        y = torch.log_softmax(wide(tile), 1, out=None if x.dtype in HALF else room)
        top = torch.amax(y, 1).numpy()
        if not top.max() < -UNSURE:
            unsure = np.nonzero(~(top < -UNSURE))[0]
            values = y.numpy()
            at = np.argmax(values[unsure], 1)
            e = torch.softmax(wide(tile[torch.from_numpy(unsure)]), 1)
            own, rest, *_ = _without(e, torch.from_numpy(at))
            # NaN stays: it is what the sum of the others is not.
            values[unsure, at] = 0.0 - np.log1p(rest / own)
        if x.dtype in HALF:
            room.copy_(y)
    return result


def _log_softmax_of_many(x):
    result = torch.empty_like(x)
    for tile, y in _tiles(x, result):
        m, log_s = (torch.from_numpy(a)[:, None] for a in _largest_and_log_sum(tile))
        torch.sub(tile, m, out=y).sub_(log_s)
    return result


def logsumexp(x):
    """A value a slice, in one axis."""
    found = []
    for (tile,) in _tiles(x):
        m, log_s = _largest_and_log_sum(wide(tile))
        found.append(torch.from_numpy(np.where(np.isfinite(m), m + log_s, m)))
    return (found[0] if len(found) == 1 else torch.cat(found)).to(x.dtype)


def _largest_and_log_sum(x):
    """m and ``log(sum(exp(x - m)))``; the largest probability p is that of exp(0) = 1 in the sum."""
    p = torch.softmax(x, 1)
    largest = torch.amax(p, 1).numpy()
    rest = sum_of_rows(p).numpy()[:, 0] / largest - 1.0
    confident = np.nonzero(rest < 0.9)[0]  # so that the largest is above 1/2, and none else
    if len(confident):
        some = p[torch.from_numpy(confident)]
        own, others, *_ = _without(some, torch.from_numpy(np.argmax(some.numpy(), 1)))
        rest[confident] = others / own
    return torch.amax(x, 1).numpy(), np.log1p(rest)


def surprisal(x, index):
    """``-log softmax(x)[index]``, in float32 of half precision; index and result have one axis."""
    found = [_surprisal(wide(tile), at) for tile, at in _tiles(x, index)]
    return found[0] if len(found) == 1 else torch.cat(found)


def _surprisal(x, index):
    if not is_steady(x):
        return _by_others(x, index)
    loss = functional.cross_entropy(x, index, reduction="none")
    values = loss.numpy()
    if not values.min() > UNSURE:
        unsure = np.nonzero(~(values > UNSURE))[0]
        some = torch.from_numpy(unsure)
        values[unsure] = _by_others(x[some], index[some]).numpy()
    return loss


def _without(p, index):
    """The elements of one position a slice, taken out of p, and the sum of what is left: NumPy's arrays.

    NumPy takes and puts one number a slice in a third of the time that PyTorch's gather and scatter take to begin.
    """
    values, at = p.numpy(), index.numpy()
    place = np.arange(at.shape[0]), at
    own = values[place]
    values[place] = 0.0
    return own, sum_of_rows(p).numpy()[:, 0], values, place


def _by_others(x, index):
    """``-log1p(-sum_{j != i} p_j)``, or ``-log p_i`` if these are the many."""
    p = torch.softmax(x, 1)
    p_index, rest, values, _ = _without(p, index)
    with np.errstate(all="ignore"):
        s = p_index + rest
        y = np.where(p_index < 0.5, np.log(s / p_index), -np.log1p(-rest / s))
        tiny = np.nonzero(p_index < TINY)[0]  # then the largest element is another
        if len(tiny):
            at, logits = index.numpy()[tiny], x.numpy()[tiny]
            d = logits[np.arange(len(tiny)), at] - logits.max(1)
            y[tiny] = np.log(s[tiny] / values[tiny].max(1)) - d
    return torch.from_numpy(y)


# Gradients -----------------------------------------------------------------------------------------------------------


def _balance(v, key, least):
    """v, whose slices sum to 0, with an element whose key is above ``least`` as minus the sum of the others.

    One of a slice can be. Found by NumPy, whose argmax of rows takes a seventh of PyTorch's time.
    """
    if np.max(key.numpy()) <= least:  # not so where one is NaN
        return
    at = np.argmax(key.numpy(), 1)
    rows = np.arange(len(at))
    is_large = key.numpy()[rows, at] > least
    values = v.numpy()
    own = values[rows, at]
    values[rows, at] = 0.0
    values[rows, at] = np.where(is_large, -sum_of_rows(v).numpy()[:, 0], own)


def softmax_gradient(g, y):
    """``y (g - sum g y)``."""
    result = torch.empty_like(y)
    for of_y, of_g, v in _tiles(y, g, result):
        _deviation(of_g, of_y, v)
        if _has_nan(v):  # 0 times what is not finite
            _deviation(torch.where(of_y == 0, 0.0, of_g), of_y, v)
            v.masked_fill_(of_y == 0, 0.0)
        _balance(v, of_y, 0.5)
    return result


def _deviation(g, y, v):
    if is_steady(y):
        torch._softmax_backward_data(g, y, 1, y.dtype, grad_input=v)
    else:
        v.addcmul_(y, sum_of_rows(torch.mul(g, y, out=v)), value=-1.0)


def log_softmax_gradient(g, y):
    """``g - p sum g``."""
    result = torch.empty_like(y)
    for of_y, of_g, v in _tiles(y, g, result):
        if is_steady(y):
            torch._log_softmax_backward_data(of_g, of_y, 1, y.dtype, out=v)
        else:
            torch.exp(of_y, out=v).mul_(-sum_of_rows(of_g)).add_(of_g)
        _balance(v, of_y, LOG_HALF)
    return result


def of_half(gradient, value):
    """A gradient made of the result, for logits of half precision: the result is made again, and not rounded."""

    def run(g, x):
        result = torch.empty_like(x)
        for tile, of_g, v in _tiles(x, g, result):
            v.copy_(gradient(of_g.float(), value(tile.float())))
        return result

    return run


def logsumexp_gradient(g, x):
    """``p g``; 0 where all of a slice is -inf."""
    result = torch.empty_like(x)
    for tile, of_g, v in _tiles(x, g, result):
        tile = wide(tile)
        p = torch.softmax(tile, 1)
        of_g = of_g if is_steady(x) else of_g / sum_of_rows(p)
        y = p * of_g
        if _has_nan(y):
            p = torch.where(torch.isneginf(torch.amax(tile, 1, keepdim=True)), 0.0, p)
            y = p * torch.where(p == 0, 0.0, of_g)
        v.copy_(y)
    return result


def logit_gradient(x, index, factor):
    """``factor * (softmax - indicator)``, where the target's own difference is minus the sum of the others.

    Of few elements, slices whose values show that PyTorch's own derivative is as accurate have that, to the bit: where
    all of them have, it is PyTorch's graph that makes it.
    """
    result = torch.empty_like(x)
    for tile, room, at, by in _tiles(x, result, index, factor):
        p = torch.softmax(wide(tile), 1, out=None if x.dtype in HALF else room)
        own, rest, values, place = _without(p, at)
        scale = by.numpy() / (own + rest)
        p.mul_(torch.from_numpy(scale)[:, None])
        values[place] = -rest * scale
        if has_own_graph(x):
            log_p = torch.log_softmax(tile, 1)
            sure = is_sure(log_p.numpy(), -log_p.numpy()[place])
            if sure.any():
                g = torch.zeros_like(p)
                g.numpy()[place] = -by.numpy()
                values[sure] = torch._log_softmax_backward_data(g, log_p, 1, p.dtype).numpy()[sure]
        if x.dtype in HALF:
            room.copy_(p)
    return result


def has_own_graph(x):
    """Whether PyTorch's own graph may be what a gradient comes from."""
    return x.numel() <= GRAIN and x.dtype not in HALF and is_steady(x)


def is_sure(log_p, loss):
    """By slice, whether PyTorch's own derivatives of a loss are accurate.

    The target is not likely; no class is certain, of which a second derivative is made; none is so far away that its
    exponential is off.
    """
    least, largest = log_p.min(-1), log_p.max(-1)
    return (loss > UNSURE) & (largest < math.log(LIKELY)) & (least > -FAR)
