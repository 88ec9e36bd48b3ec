"""CuPy: the formulas, on the device of the arrays, one kernel after another, in as few passes as they need."""

from __future__ import annotations

import array_api_compat.cupy as compat
import cupy

from axisoft._backends import plain, queued

# What two or three operations would do in as many passes again. They are compiled by their first call.
EXP_BELOW = cupy.ElementwiseKernel("T x, T shift", "T y", "y = exp(x - shift)", "axisoft_exp_below")
PRODUCT = cupy.ElementwiseKernel("T c, T t", "T y", "y = c == T(0) ? T(0) : T(c * t)", "axisoft_product")

_xp = queued.Namespace(compat, EXP_BELOW, PRODUCT)


def evaluate(op, arrays, *, xp, **static):
    with arrays[0].device:
        return plain.evaluate(op, arrays, xp=_xp, **static)


def pullback(op, arrays, wanted, *, xp, **static):
    device = arrays[0].device
    with device:
        y, pull = plain.pullback(op, arrays, wanted, xp=_xp, **static)

    def there(g):
        with device:
            return pull(g)

    return y, there


def values(x):
    """None: reading them would wait for the device."""
    return None


def find_device(name):
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise RuntimeError("cupy finds no CUDA device") from error
    return None  # the current one
