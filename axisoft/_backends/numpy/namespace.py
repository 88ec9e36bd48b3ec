"""NumPy's functions, and what of the formulas can be done better with them than the standard tells."""

from __future__ import annotations

import threading
from typing import Any

import array_api_compat.numpy as compat
import numpy as np

# Elements of which slices are not picked out.
FEW = 1 << 12
# Elements up to which a sum takes no more time than einsum, of a slice at once or in parts, and terms along memory from
# which on that takes less; and bytes of as many as einsum may add by itself: 16 lanes of float32 or 8 of float64, in
# sequence. Of equal terms, the worst, it is then off by 4 ulp, as a sum in pairs is.
SUMMED = 1 << 11
SUMMED_IN_PARTS = 1 << 14
LANES = 16
SPAN = 1 << 10

# The part of a result that this thread is making.
room = threading.local()


class _Namespace:
    """array_api_compat.numpy, and which of the formulas' precautions NumPy can do without."""

    rounds = quiet = sized = True

    def __init__(self):
        self.__dict__.update({name: f for name, f in vars(compat).items() if not hasattr(type(self), name)})

    # The methods, since NumPy's functions of these names look for subclasses first: 1.2 us a call.
    @staticmethod
    def max(x, axis, keepdims):
        return np.maximum.reduce(x, axis=axis, keepdims=keepdims)

    @staticmethod
    def sum(x, axis, keepdims=False):
        """Of slices along memory by einsum, in half the time; it adds in some lanes, each in sequence."""
        lines, span = None if x.size <= SUMMED else _lines(x, axis), SPAN // x.itemsize
        if lines is None or (n := lines.shape[1]) < LANES or (n > span and x.size <= SUMMED_IN_PARTS):
            return np.add.reduce(x, axis=axis, keepdims=keepdims)
        if n <= span:
            y = np.einsum("ij->i", lines)
        else:
            whole = n // span * span
            parts = lines[:, :whole].reshape(len(lines), -1, span)
            y = np.add.reduce(np.einsum("ijk->ij", parts), axis=1)
            if whole < n:
                y += np.einsum("ij->i", lines[:, whole:])
        return y.reshape(_slices(x, axis, keepdims))

    @staticmethod
    def position(x, axes):
        """Of slices along memory, where it takes a third of the time that the largest itself takes.

        A place in all of the slices, in one axis: an index of that form takes half the time of one with two parts.
        """
        lines = _lines(x, axes[0]) if len(axes) == 1 else None
        return None if lines is None else _starts(lines) + lines.argmax(1)

    @staticmethod
    def expand_dims(x, axis):
        return x.reshape(x.shape[:axis] + (1,) + x.shape[axis:])

    @staticmethod
    def take_along_axis(x, index, axis):
        if index.ndim == 1 and axis == x.ndim - 1 and x.flags.c_contiguous:  # a place in memory
            return x.reshape(-1)[index].reshape(_slices(x, axis, True))
        lines = _lines(x, axis)
        if lines is None:
            return np.take_along_axis(x, _spread(index, x, axis), axis)
        return lines.reshape(-1)[_places(index, lines)].reshape(_slices(x, axis, True))

    @staticmethod
    def subtract(x, y):
        """Into the room of this thread's tile, if it fits: what becomes of a difference then needs no copy."""
        out, room.y = getattr(room, "y", None), None
        if out is None or out.shape != x.shape or out.dtype != x.dtype:
            return np.subtract(x, y)
        return np.subtract(x, y, out=out)

    @staticmethod
    def over(name, a, *others):
        return _UFUNCS[name](a, *others, out=a if isinstance(a, np.ndarray) else None)  # no scalar

    @staticmethod
    def sums_in_pairs(x, axis):
        """Along memory; in sequence along other axes."""
        return x.strides[axis] == x.itemsize

    @staticmethod
    def none(mask):
        return not np.count_nonzero(mask)  # which takes an eighth of the time of any

    @staticmethod
    def is_free_of_nan(x):
        return not np.isnan(np.max(x, initial=0.0))

    @staticmethod
    def put_over(x, index, value, axis):
        lines = _lines(x, axis)
        if lines is None:
            np.put_along_axis(x, _spread(index, x, axis), value, axis)
        else:
            lines.reshape(-1)[_places(index, lines)] = value.reshape(-1)
        return x

    @staticmethod
    def add_over(x, index, number, axis):
        if index.ndim == 1 and axis == x.ndim - 1 and x.flags.c_contiguous:
            x.reshape(-1)[index] += number
            return x
        lines = _lines(x, axis)
        if lines is None:
            index = _spread(index, x, axis)
            np.put_along_axis(x, index, np.take_along_axis(x, index, axis) + number, axis)
        else:
            lines.reshape(-1)[_places(index, lines)] += number
        return x

    @staticmethod
    def where_true(mask, function, y, x, axes):
        """Slices that are picked out lie in memory as they did, so that their sums are the same to the last bit."""
        count = np.count_nonzero(mask)
        if not count:
            return y
        along_memory = axes and x.strides[axes[-1]] == x.itemsize
        # To pick many out would cost more, or any out of few: 15 us, where the function takes 3.
        if x.size <= FEW or len(axes) > 1 or count > mask.size * (0.75 if along_memory else 0.03):
            return np.where(mask, function(x, axes), y)
        mask, view, x = (np.moveaxis(a, axes[0], -1) for a in (mask, y, x))
        at = np.nonzero(mask[..., 0])
        if along_memory:
            view[at] = function(x[at], (1,))
            return y
        if count == 1:  # a column by itself would lie along memory
            at = tuple(np.repeat(i, 2) for i in at)
        view[at] = function(np.ascontiguousarray(x[at].T), (0,)).T
        return y


_UFUNCS: dict[str, Any] = {
    name: getattr(np, name)
    for name in ("add", "divide", "exp", "log1p", "multiply", "negative", "reciprocal", "subtract")
}


def _lines(x, axis):
    """The slices along an axis, one after another, where they lie so in memory; None where they do not."""
    if not x.size:
        return None
    if axis == x.ndim - 1:
        if not x.flags.c_contiguous or axis < 0:
            return None
        return x if axis == 1 else x.reshape(-1, x.shape[-1])
    if not isinstance(axis, int) or x.strides[axis] != x.itemsize:
        return None
    x = np.moveaxis(x, axis, -1)
    return x.reshape(-1, x.shape[-1]) if x.flags.c_contiguous else None


def _places(index, lines):
    """Where an index along the axis, with the axis kept, is in all of the lines. A place is that already, and so is an
    index of one line, which cannot be told from it."""
    return index if index.ndim == 1 else _starts(lines) + index.reshape(-1).astype(np.intp, copy=False)


def _starts(lines):
    return np.arange(0, lines.size, lines.shape[1])


def _spread(index, x, axis):
    """An index along the axis, or a place, with the axis kept."""
    return (index % x.shape[axis]).reshape(_slices(x, axis, True)) if index.ndim == 1 < x.ndim else index


def _slices(x, axis, keepdims):
    return x.shape[:axis] + (1,) * keepdims + x.shape[axis + 1 :]


xp = _Namespace()
