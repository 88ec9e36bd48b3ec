"""An array that counts what is read and written of it, and of all that becomes of it."""

from __future__ import annotations

import math

import numpy as np

# Bytes moved since the count was set to 0.
moved = 0


def move(*arrays):
    """Count each as read, or written, once: its elements that are elements in memory, since those of a broadcast
    array are not."""
    global moved
    for a in arrays:
        if isinstance(a, np.ndarray):
            moved += a.itemsize * math.prod(n for n, step in zip(a.shape, a.strides, strict=True) if step)


def plain(value):
    """The same memory, uncounted."""
    if isinstance(value, Counted):
        return value.view(np.ndarray)
    if isinstance(value, (tuple, list)):
        return type(value)(map(plain, value))
    return {k: plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def counted(value):
    if isinstance(value, tuple):
        return tuple(map(counted, value))
    return value if value is NotImplemented else np.asarray(value).view(Counted)


def kernel(function):
    """A function of arrays as one operation."""

    def run(*arrays):
        y = function(*map(plain, arrays))
        move(*arrays, y)
        return counted(y)

    return run


# Functions that show memory in another shape and touch none of it, and those that come to others, which are counted.
VIEWS = ("broadcast_arrays", "broadcast_to", "empty_like", "expand_dims", "moveaxis", "reshape", "squeeze")
MADE_OF_OTHERS = ("take_along_axis", "put_along_axis", "sum", "max", "any", "zeros_like", "ones_like", "full_like")


class Counted(np.ndarray):
    """Its operations are counted: each array that goes in is read once, what comes out is written once, also where
    that is an array that went in."""

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        if out is not None:
            options["out"] = plain(out)
        y = getattr(ufunc, method)(*plain(inputs), **plain(options))
        move(*inputs, options.get("where"), *(y if isinstance(y, tuple) else (y,)))
        return counted(y) if out is None else out[0]

    def __array_function__(self, function, types, args, options):
        name = function.__name__
        if name in MADE_OF_OTHERS:
            return super().__array_function__(function, types, args, options)
        y = function(*plain(args), **plain(options))
        if name not in VIEWS:
            move(*args, *options.values(), *([] if y is None else [y]))
        return None if y is None else counted(y)

    def argmax(self, *args, **options):
        return np.argmax(self, *args, **options)

    def astype(self, dtype, **options):
        y = plain(self).astype(dtype, **options)
        if not np.may_share_memory(y, plain(self)):
            move(self, y)
        return counted(y)

    def __getitem__(self, key):
        y = plain(self)[plain(key)]
        if not np.may_share_memory(y, plain(self)):  # picked by index
            move(*(key if isinstance(key, tuple) else (key,)), y, y)
        return counted(y)

    def __setitem__(self, key, value):
        plain(self)[plain(key)] = plain(value)
        part = plain(self)[plain(key)]
        move(*(key if isinstance(key, tuple) else (key,)), value, part)
