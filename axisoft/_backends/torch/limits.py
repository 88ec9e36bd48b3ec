"""Every size at which a way is chosen or an array cut, and the evidence for it. Elements, unless it says otherwise.

Measured on one thread of a server's processor (2 MB of second cache a core) with PyTorch 2.13, by ``python -m bench``
and by the calls named here.
"""

from __future__ import annotations

import math

import torch

# What is computed in float32 and rounded once.
HALF = (torch.float16, torch.bfloat16)

# Bytes of a slice along memory of which PyTorch's kernels add at most 16 terms in one lane (of 32 bytes, where there is
# no better one), in sequence: no drift then. 50 000 normally distributed logits drift by 110 ulp.
STEADY = 512
# The same of another axis, along which each slice has one lane.
STEADY_ACROSS = 16
# The same of CUDA's kernels along memory, where up to 1024 threads share a slice, by a model of them in the tests: the
# sum of equal terms, the worst, is off by 3 ulp at the first and by 7 at the second. A probability would show that, but
# neither a logarithm, whose ulp is larger where so many terms matter, nor a gradient, as large as two such sums.
STEADY_ON_DEVICE = 1 << 13
STEADY_IN_LOG_ON_DEVICE = 1 << 15

# From this many elements on PyTorch shares an operation out among its threads. Where it cuts shows in the last digits
# of a sum to one number, and of its sigmoid. Rows that lie along memory are one thread's each, and sums of them too.
GRAIN = 1 << 15

# What its kernels take at once, at most; and elements of which a sum or a function is one thread's, cut there.
VECTOR = 64
BLOCK = GRAIN - VECTOR
# Of what is computed element by element, a block is at most so many grains a thread: of 1, a binary cross-entropy of
# 4096 x 1024 takes 16.5 ms on two threads, of 4 to 16 it takes 13.5 to 14.
GRAINS = 4

# Bytes of a tile, whose rows the threads share: a cross-entropy of 512 x 128256 takes 150 ms on two threads with 2**19,
# which is one row, 63 with 2**20 and 53 with 2**22; on one thread 130, 130 and 91.
TILE = 1 << 22

# Elements up to which a logarithm is made by NumPy, whose calls take a third of the time of PyTorch's: all of it takes
# less than a look for the slices that a kernel of PyTorch's leaves to be mended.
FEW = 1 << 12

# Along memory softmax is faster than the formula on NumPy from this many classes on, where there are more elements.
MANY = 16
LARGE = 1 << 16

# A loss above this is accurate by PyTorch's log_softmax, too: log(s) with s > 1.6 loses no digits worth having.
UNSURE = 0.5
# Below this a probability may be 0, though its logarithm is far from -inf.
TINY = 1e-30
# The logarithm of 1/2, above which an element is dominant.
LOG_HALF = -math.log(2.0)


def wide(x):
    """In the dtype that is computed in."""
    return x.float() if x is not None and x.dtype in HALF else x
