"""The spacing of numbers, and what any backend's array holds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from axisoft import _backends

# Precision in bits, exponent of the smallest normal number, exponent past the largest.
FORMATS = {
    "float16": (11, -14, 16),
    "bfloat16": (8, -126, 128),
    "float32": (24, -126, 128),
    "float64": (53, -1022, 1024),
}


def ulp(value: Any, dtype: str) -> np.ndarray:
    """The spacing of a floating dtype, by its name, at ``value``; that of the smallest normal number below it."""
    bits, smallest, _ = FORMATS[dtype]
    size = np.maximum(np.abs(np.asarray(value, dtype=np.float64)), math.ldexp(1.0, smallest))
    return np.asarray(np.ldexp(1.0, np.frexp(size)[1] - bits))


def ulp_distance(result: Any, high: Any, low: Any = 0.0, *, dtype: str) -> np.ndarray:
    """``|result - (high + low)|`` in units of the dtype's spacing at the true value."""
    result, high, low = (np.asarray(a, dtype=np.float64) for a in (result, high, low))
    with np.errstate(all="ignore"):
        return np.asarray(np.abs((result - high) - low) / ulp(high, dtype))


def dtype_name(x: Any) -> str:
    return str(x.dtype).rsplit(".", 1)[-1]


def as_float64(x: Any) -> np.ndarray:
    """Any backend's array as float64, without a warning and from any device."""
    import array_api_compat as compat

    if isinstance(x, np.ndarray):
        return x.astype(np.float64)
    xp = compat.array_namespace(x)
    if dtype_name(x) == "bfloat16" and not compat.is_jax_array(x):  # which NumPy reads, and a cast of which is compiled
        x = xp.astype(x, xp.float32)
    x = x.detach() if hasattr(x, "detach") else x
    if not compat.is_dask_array(x) and _backends.name_of(xp) != "array_api_strict":
        x = compat.to_device(x, "cpu") if not compat.is_jax_array(x) else x
    return np.asarray(x).astype(np.float64)
