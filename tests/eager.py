"""NumPy in the place of a device's library: its arrays, its namespace, and the executor over that namespace."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import array_api_compat.numpy as compat
import numpy as np

from axisoft import _backends
from axisoft._backends import plain, queued


class Array(np.ndarray):
    """An ndarray with no axes stays an array, as a device's does; and nothing asks what is in one, which would wait for
    the device, or what shape follows from that."""

    def waits(self, *args):
        raise AssertionError("this waits for the device")

    __bool__ = __int__ = __float__ = __index__ = __iter__ = item = tolist = nonzero = waits


def exp_below(x, shift):
    assert x.dtype == shift.dtype  # one T stands for both
    return np.exp(np.subtract(x, shift))


def product(c, t):
    assert c.dtype == t.dtype
    return np.where(c == 0, c.dtype.type(0), c * t).view(Array)


def kernel_sum(x, axis, keepdims=False):
    """In the order of CuPy's kernels: the slice's threads take turns and add in sequence, then what they have is added.

    Along memory as CUB does it, 256 threads in warps of 32, which add in pairs, and the warps in sequence; in any other
    order as CuPy's own kernel does for slices that lie side by side, 16 threads and all in pairs.
    """
    if not isinstance(axis, int) or not x.shape[axis]:
        return np.add.reduce(x, axis=axis, keepdims=keepdims)
    threads, warp = (256, 32) if x.strides[axis] == x.itemsize else (16, 16)
    v = np.moveaxis(x, axis, 0)
    turns = -(-len(v) // threads)
    v = np.concatenate([v, np.zeros((turns * threads - len(v), *v.shape[1:]), v.dtype)])
    v = in_sequence(v.reshape(turns, threads, *v.shape[1:]))
    v = v.reshape(threads // warp, warp, *v.shape[1:])
    while v.shape[1] > 1:
        half = v.shape[1] // 2
        v = v[:, :half] + v[:, half:]
    y = in_sequence(v[:, 0])
    return (np.expand_dims(y, axis) if keepdims else y).view(Array)


def in_sequence(v):
    y = v[0].copy()
    for more in v[1:]:
        y += more
    return y


# The standard's functions, but for the sum and for looking at one's arrays.
LIBRARY = SimpleNamespace(**{**vars(compat), "sum": kernel_sum})
XP = queued.Namespace(LIBRARY, exp_below, product)


def _as(kind, arrays):
    return [None if a is None else np.asarray(a).view(kind) for a in arrays]


class Executor:
    """As axisoft/_backends/cupy.py runs calls."""

    def evaluate(self, op, arrays, *, xp, **static):
        with np.errstate(all="ignore"):
            y = plain.evaluate(op, _as(Array, arrays), xp=XP, **static)
        return np.asarray(y)

    def pullback(self, op, arrays, wanted, *, xp, **static):
        with np.errstate(all="ignore"):
            y, pull = plain.pullback(op, _as(Array, arrays), wanted, xp=XP, **static)

        def quiet(g):
            with np.errstate(all="ignore"):
                return _as(np.ndarray, pull(*_as(Array, [g])))

        return np.asarray(y), quiet

    @staticmethod
    def values(x):
        """None: reading them would wait for the device."""
        return None


@contextlib.contextmanager
def installed():
    """In the place of the NumPy backend."""
    name = "array_api_compat.numpy"
    before = _backends.executor(compat)
    _backends.adopt(name, Executor())
    try:
        yield
    finally:
        _backends.adopt(name, before)
