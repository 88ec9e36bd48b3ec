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

from axisoft._backends.torch.limits import BLOCK, FEW, GRAIN, HALF, LOG_HALF, STEADY, TILE, TINY, UNSURE, wide


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


def sum_of_all(x):
    """Of a tensor; the threads share out rows that do not depend on their number."""
    x = x.reshape(-1)
    if x.shape[0] < GRAIN:
        return torch.sum(x)
    count = x.shape[0] // BLOCK
    whole = sum_of_all(torch.sum(x[: count * BLOCK].view(count, BLOCK), 1))
    return whole + torch.sum(x[count * BLOCK :])


def _tiles(x, *others):
    """One after another; and the whole, where it is one."""
    if x.numel() * 8 <= TILE:
        return ((x, *others),)
    length = max(TILE // max(x.itemsize, 4) // x.shape[1], 1)
    return zip(*(a.split(length) for a in (x, *others)), strict=True)


def _rooms(x):
    """Room for a tile in the dtype that is computed in, and for half precision to become it, to be used for one tile
    after another: an allocator that has just been given such pieces back may make new ones between what is kept."""
    first = next(iter(_tiles(x)))[0]
    p = torch.empty(first.shape, dtype=wide(first[:0]).dtype)
    return p, torch.empty_like(p) if x.dtype in HALF else None


def _widened(tile, room):
    """The tile in the dtype that is computed in."""
    return tile if room is None else room[: len(tile)].copy_(tile)


def _has_nan(x):
    return math.isnan(np.maximum.reduce(x.numpy(), None))  # np.max is a call more


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
        tile = wide(tile)
        y = torch.log_softmax(tile, 1, out=None if x.dtype in HALF else room)
        top = torch.amax(y, 1).numpy()
        if not top.max() < -UNSURE:
            unsure = np.nonzero(~(top < -UNSURE))[0]
            some = tile if len(unsure) == len(tile) else tile[torch.from_numpy(unsure)]
            p = torch.softmax(some, 1).numpy()
            own, rest, place = _without(p, np.argmax(p, 1))
            y.numpy()[unsure, place[1]] = 0.0 - np.log1p(rest / own)  # NaN stays
        if x.dtype in HALF:
            room.copy_(y)
    return result


def _others(x):
    """Of NumPy's rows: ``x - m``, its exponential without its largest element, where that is, and the sum; NaN in a row
    with NaN or infinities."""
    at = np.argmax(x, 1)
    place = np.arange(len(at)), at
    with np.errstate(all="ignore"):
        d = x - x[place][:, None]
        e = np.exp(d)
    e[place] -= 1.0
    return d, e, place, sum_of_rows(torch.from_numpy(e)).numpy()[:, 0]


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
        some = p.numpy()[confident]
        own, others, _ = _without(some, np.argmax(some, 1))
        rest[confident] = others / own
    return torch.amax(x, 1).numpy(), np.log1p(rest)


def surprisal(x, index, shared=None):
    """``-log softmax(x)[index]``, in float32 of half precision; index and result have one axis.

    shared : of few elements it gets the gradient, as a function of the factors.
    """
    if x.numel() <= FEW:
        d, *parts = _others(wide(x).numpy())
        e, place, rest = parts
        target = place[0], index.numpy()
        if shared is not None:
            shared.append(lambda factor: _gradient_of_few(e, place, target, factor.numpy(), x.dtype))
        return torch.from_numpy(np.log1p(rest) - d[target])
    p, room = _rooms(x)
    found = [_surprisal(_widened(tile, room), at, p) for tile, at in _tiles(x, index)]
    return found[0] if len(found) == 1 else torch.cat(found)


def _surprisal(x, index, p):
    if not is_steady(x):
        return torch.from_numpy(_by_others(x, index.numpy(), p))
    loss = functional.cross_entropy(x, index, reduction="none")
    values = loss.numpy()
    if not values.min() > UNSURE:
        unsure = np.nonzero(~(values > UNSURE))[0]
        values[unsure] = _by_others(x[torch.from_numpy(unsure)], index.numpy()[unsure], p)
    return loss


def _without(p, index):
    """The elements of one position a slice, taken out of p, the sum of what is left, and the positions.

    NumPy takes and puts one number a slice in a third of the time that PyTorch's gather and scatter take to begin.
    """
    place = np.arange(index.shape[0]), index
    own = p[place]
    p[place] = 0.0
    return own, sum_of_rows(torch.from_numpy(p)).numpy()[:, 0], place


def _by_others(x, index, room):
    """``-log1p(-sum_{j != i} p_j)``, or ``-log p_i`` if these are the many."""
    p = torch.softmax(x, 1, out=room[: len(x)]).numpy()
    p_index, rest, _ = _without(p, index)
    return _loss(p, p_index, rest, x, index)


def _loss(p, p_index, rest, x, index):
    with np.errstate(all="ignore"):
        s = p_index + rest
        y = np.where(p_index < 0.5, np.log(s / p_index), -np.log1p(-rest / s))
        if not p_index.min() >= TINY:  # nor where one is NaN
            tiny = np.nonzero(p_index < TINY)[0]  # then the largest element is another
            at, logits = index[tiny], x.numpy()[tiny]
            d = logits[np.arange(len(tiny)), at] - logits.max(1)
            y[tiny] = np.log(s[tiny] / p[tiny].max(1)) - d
    return y


# Gradients -----------------------------------------------------------------------------------------------------------


def _balance(v, key, least):
    """v, whose slices sum to 0, with an element whose key is above ``least`` as minus the sum of the others.

    One of a slice can be.
    """
    keys, values = key.numpy(), v.numpy()
    if keys.size > FEW:
        if np.max(keys) <= least:  # not so where one is NaN
            return
        largest = np.argmax(keys, 1)
        row = np.nonzero(keys[np.arange(len(keys)), largest] > least)[0]
        column = largest[row]
    else:
        row, column = np.nonzero(keys > least)  # which takes three times as long where there are many
    if len(row):
        values[row, column] = 0.0
        values[row, column] = -sum_of_rows(v).numpy()[row, 0]


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
    for tile, of_g, room in _tiles(x, g, result):
        y = torch.softmax(wide(tile), 1, out=None if x.dtype in HALF else room)
        y.mul_(of_g if is_steady(x) else of_g / sum_of_rows(y))
        if _has_nan(y):
            p = torch.softmax(wide(tile), 1)
            p = torch.where(torch.isneginf(torch.amax(wide(tile), 1, keepdim=True)), 0.0, p)
            y.copy_(p * torch.where(p == 0, 0.0, of_g if is_steady(x) else of_g / sum_of_rows(p)))
        if x.dtype in HALF:
            room.copy_(y)
    return result


def logit_gradient(x, index, factor):
    """``factor * (softmax - indicator)``, where the target's own difference is minus the sum of the others."""
    if x.numel() <= FEW:
        _, e, place, _ = _others(wide(x).numpy())
        return _gradient_of_few(e, place, (place[0], index.numpy()), factor.numpy(), x.dtype)
    result = torch.empty_like(x)
    other, wider = _rooms(x) if x.dtype in HALF else (None, None)
    for tile, room, at, by in _tiles(x, result, index, factor):
        p = torch.softmax(_widened(tile, wider), 1, out=room if other is None else other[: len(tile)])
        own, rest, place = _without(p.numpy(), at.numpy())
        _logit_gradient(p.numpy(), rest, own + rest, place, by.numpy(), p)
        if x.dtype in HALF:
            room.copy_(p)
    return result


def loss_and_gradient(x, index, factor):
    """``surprisal``, and ``logit_gradient`` written over x: one softmax for both."""
    room, found = _rooms(x)[0], []
    for tile, at, by in _tiles(x, index, factor):
        p = torch.softmax(tile, 1, out=room[: len(tile)]).numpy()
        own, rest, place = _without(p, at.numpy())
        found.append(torch.from_numpy(_loss(p, own, rest, tile, at.numpy())))
        _logit_gradient(p, rest, own + rest, place, by.numpy(), tile)
    return found[0] if len(found) == 1 else torch.cat(found), x


def _gradient_of_few(e, largest, target, factor, dtype):
    p = e.copy()
    p[largest] += 1.0
    own, others, _ = _without(p, target[1])
    return torch.from_numpy(_logit_gradient(p, others, own + others, target, factor)).to(dtype)


def _logit_gradient(p, rest, s, place, factor, out=None):
    """Of p without the targets' own, and the sum of that and of all."""
    scale = factor / s
    v = torch.mul(torch.from_numpy(p), torch.from_numpy(scale)[:, None], out=out).numpy()
    v[place] = -rest * scale
    return v
