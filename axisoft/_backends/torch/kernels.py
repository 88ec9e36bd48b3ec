"""PyTorch's softmax on the CPU, of slices that lie along memory, kept within the promises; and what it makes cheap.

Its kernel takes one pass with one fast exponential, and adds a slice in a few lanes, in sequence: 50 000 normally
distributed logits drift by 110 ulp in float32. But the sum of its own result tells how far, and costs a tenth of it; so
do the sum without the largest term, and the largest term, which is that of exp(0). A long array is taken a tile at a
time, so that what is looked at again is still in the cache, in memory that is used again.

All take tensors of two axes, contiguous; a value per slice comes with two axes too.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from axisoft._backends import numpy

# Elements of a tile.
REACH = 1 << 20
# Along memory softmax is faster than the formula on NumPy, from this many classes on, for this many elements.
MANY = 16
LARGE = 1 << 16
# Bytes of a slice up to which at most 16 terms meet in one lane (of 32 bytes, where there is no better): no drift then.
STEADY = 512
# From this many elements on PyTorch shares an operation out among its threads. Where it cuts shows in the last digits
# of a sum to one number, and of sigmoid, whose remainder at the end of a thread's part takes another exponential. Rows
# that lie along memory are one thread's each, and sums of them the same.
GRAIN = 1 << 15
# Elements of a block of sigmoid: a multiple of what its vectors take, below the grain.
BLOCK = GRAIN - 64
# Blocks up to which one thread is done before others are up.
FEW = 8
# A loss above this is accurate by PyTorch's kernel, too: log(s) with s > 1.6 loses no digits worth having.
UNSURE = 0.5
# Below this a probability may be 0, though its logarithm is far from -inf.
TINY = 1e-30


def flat(x):
    """A slice after another."""
    return x.view(-1, x.shape[-1])


def is_fast(x, axis):
    """Whether a large array lies so in memory that PyTorch's softmax beats the formula on NumPy."""
    return axis == x.ndim - 1 and x.numel() > LARGE and x.shape[axis] >= MANY and x.is_contiguous()


def is_steady(x):
    return x.shape[-1] * x.itemsize <= STEADY


def sum_of_rows(x):
    """``sum(x, 1)``, the same for a row that is alone: the threads would share it out."""
    alone = len(x) == 1 and x.shape[1] >= GRAIN
    return torch.sum(x.expand(2, -1), 1, keepdim=True)[:1] if alone else torch.sum(x, 1, keepdim=True)


def sigmoid(x):
    """PyTorch's, in blocks of one size, whatever the number of threads."""
    if x.numel() < GRAIN:
        return torch.sigmoid(x)
    x = x.detach()
    y = torch.empty_like(x)
    if y.stride() != x.stride():  # not dense
        x = x.contiguous()
        y = torch.empty_like(x)
    flat = (a.as_strided((a.numel(),), (1,), a.storage_offset()).split(BLOCK) for a in (x, y))
    blocks = list(zip(*flat, strict=True))

    def run(i):
        of_x, of_y = blocks[i]
        torch.sigmoid(of_x, out=of_y)

    threads = torch.get_num_threads() if len(blocks) > FEW else 1
    if threads > 1:
        numpy.spread(run, len(blocks), threads)
    else:
        for i in range(len(blocks)):
            run(i)
    return y


def softmax(x):
    result, s = torch.empty_like(x), x.new_empty((len(x), 1))
    for tile, p, s_tile in _tiles(x, result, s):
        torch.softmax(tile, 1, out=p)
        if not is_steady(x):
            s_tile.copy_(sum_of_rows(p))
    if not is_steady(x):
        is_far = torch.abs(s - 1.0) > 2 * torch.finfo(x.dtype).eps
        far = _where(is_far)
        if 4 * len(far) > len(s):  # to pick them out would cost more; the others by 1, which leaves them as they are
            result.div_(torch.where(is_far, s, 1.0))
        elif len(far):
            result[far] = result[far] / s[far]
    return result


def log_softmax(x):
    result, scratch = torch.empty_like(x), _scratch(x)
    for tile, y in _tiles(x, result):
        m, log_s = _largest_and_log_sum(tile, scratch)
        torch.sub(tile, m, out=y).sub_(log_s)
    return result


def logsumexp(x):
    result, scratch = x.new_empty((len(x), 1)), _scratch(x)
    for tile, y in _tiles(x, result):
        m, log_s = _largest_and_log_sum(tile, scratch)
        torch.where(torch.isfinite(m), m + log_s, m, out=y)
    return result


def _largest_and_log_sum(x, scratch):
    """m and ``log(sum(exp(x - m)))``; the largest probability p is that of exp(0) = 1 in the sum."""
    p = torch.softmax(x, 1, out=scratch[: len(x)])
    largest = torch.amax(p, 1, keepdim=True)
    rest = sum_of_rows(p).div_(largest).sub_(1.0)
    confident = rest < 0.9  # so that the largest is above 1/2, and none else
    if confident.any():
        confident = _where(confident)
        others = p[confident]
        others.sub_(functional.hardshrink(others, 0.5))  # a mask would take twice as long as the softmax
        rest[confident] = sum_of_rows(others) / largest[confident]
    return torch.amax(x, 1, keepdim=True), rest.log1p_()


def surprisal(x, index):
    """``-log softmax(x)[index]``."""
    if not is_steady(x):
        result, scratch = x.new_empty((len(x), 1)), _scratch(x)
        for tile, at, y in _tiles(x, index, result):
            y.copy_(_by_others(tile, at, scratch))
        return result
    result = functional.cross_entropy(x, index.squeeze(1), reduction="none").unsqueeze(1)
    unsure = _where(result < UNSURE)
    if len(unsure):
        result[unsure] = _by_others(x[unsure], index[unsure])
    return result


def _by_others(x, index, scratch=None):
    """``-log1p(-sum_{j != i} p_j)``, or ``-log p_i`` if these are the many."""
    p = torch.softmax(x, 1, out=None if scratch is None else scratch[: len(x)])
    p_index = torch.gather(p, 1, index)
    rest = sum_of_rows(p.scatter_(1, index, 0.0))
    s = p_index + rest
    y = torch.where(p_index < 0.5, torch.log(s / p_index), -torch.log1p(-rest / s))
    tiny = _where(p_index < TINY)  # then the largest element is another
    if len(tiny):
        d = torch.gather(x[tiny], 1, index[tiny]) - torch.amax(x[tiny], 1, keepdim=True)
        y[tiny] = torch.log(s[tiny] / torch.amax(p[tiny], 1, keepdim=True)) - d
    return y


def logit_gradient(x, index, factor):
    """``factor * (softmax - indicator)``, where the target's own difference is minus the sum of the others.

    0 where the factor is 0, whatever the slice holds.
    """
    result = torch.empty_like(x)
    for tile, p, at, by in _tiles(x, result, index, factor):
        p_at = torch.gather(torch.softmax(tile, 1, out=p), 1, at)
        if is_steady(x):
            own = p_at - 1.0
            sure = _where(p_at > 0.5)
            if len(sure):
                own[sure] = -p[sure].scatter_(1, at[sure], 0.0).sum(1, keepdim=True)
            p.scatter_(1, at, own).mul_(by)
        else:
            rest = sum_of_rows(p.scatter_(1, at, 0.0))
            p.scatter_(1, at, -rest).mul_(by / (p_at + rest))
    dropped = _where(factor == 0)
    if len(dropped):
        result[dropped] = 0.0
    return result


def _where(mask):
    """Which slices a mask holds for."""
    return torch.nonzero(mask.squeeze(1)).squeeze(1)


def _length(x):
    """How many slices are in a tile."""
    return max(REACH // x.shape[1], 1)


def _tiles(x, *others):
    return zip(*(a.split(_length(x)) for a in (x, *others)), strict=True)


def _scratch(x):
    return x.new_empty((min(_length(x), len(x)), x.shape[1]))
