"""What several peers have: numbers and lists beside arrays, dtypes that combine, broadcasting both ways, rounding."""

from __future__ import annotations

import contextlib
import math
from typing import Any

from axisoft import _backends, _check
from axisoft._check import facades

NUMBERS = (float, int, bool, complex)


def quiet(xp: Any) -> Any:
    """NumPy warns of the infinities that pass through a formula, other libraries do not."""
    return xp.errstate(all="ignore") if hasattr(xp, "errstate") else contextlib.nullcontext()


def finish(xp: Any, y: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """The result as an array: NumPy's arithmetic makes scalars of arrays without axes."""
    y = y if shape else xp.reshape(y, (1,))
    return xp.astype(xp.reshape(y, shape), dtype, copy=False)


def promoted(function: str, xp: Any, x: Any, dtype: Any = None) -> tuple[Any, Any]:
    """x in the dtype to compute in, and the dtype of the result: float16 and bfloat16 are computed in float32."""
    dtypes = _check.dtypes(function, xp, x, dtype)
    if dtypes["given"] is not None:
        x = xp.astype(x, dtypes["given"], copy=False)
    return xp.astype(x, dtypes["dtype"], copy=False), dtypes["out"]


def combined(xp: Any, *arrays: Any) -> Any:
    """The inexact dtype that arrays combine to by the library's own rules, as in SciPy.

    Where it has no rule for integers beside floats, they count as the default floating dtype.
    """
    dtypes = [a.dtype for a in arrays]
    first, *others = dtypes
    try:
        dtype = first if all(other == first for other in others) else xp.result_type(*dtypes)
    except TypeError:
        inexact = [dtype for dtype in dtypes if _check.kind_of(xp, dtype) in ("floating", "complex")]
        return xp.result_type(*inexact, _default(xp)) if inexact else _default(xp)
    return dtype if _check.kind_of(xp, dtype) in ("floating", "complex") else _default(xp)


def _default(xp: Any) -> Any:
    return xp.__array_namespace_info__().default_dtypes()["real floating"]


def single_under_autocast(function: str, xp: Any, x: Any) -> Any:
    """x in float32 where the library is told to compute this function so (PyTorch's autocast), else as it is."""
    autocast = getattr(_backends.executor(xp), "autocast", None)
    return x if autocast is None else autocast(function, x)


def is_array(a: Any) -> bool:
    try:
        _backends.namespace(a)
    except TypeError:
        return False
    return True


def is_complex(a: Any) -> bool:
    """Whether a is an array of complex numbers."""
    key = type(a), getattr(a, "dtype", None)
    found = _COMPLEX.get(key)
    if found is None:
        found = is_array(a) and _check.kind_of(_backends.namespace(a), a.dtype) == "complex"
        if len(_COMPLEX) < 256:
            _COMPLEX[key] = found
    return found


# By type and dtype: a microsecond of every call otherwise.
_COMPLEX: dict[tuple[type, Any], bool] = {}


def with_numbers(*given: Any, alike: bool = False) -> tuple[Any, ...]:
    """The arguments with numbers as arrays: of the library of the first array among them, else NumPy's.

    ``alike`` : a Python number takes the dtype of that array, if it is one of its kind, as in the arithmetic of the
    library. A NumPy scalar, which is an array for NumPy and for JAX, has its own.
    """
    for a in given:
        if _is_number(a):
            break
    else:
        return given
    like = next((a for a in given if not _is_number(a) and is_array(a)), None)
    if like is None:
        return tuple(_as_array(a, None, False) if type(a) in NUMBERS else a for a in given)
    return tuple(_as_array(a, like, alike) if _is_number(a) else a for a in given)


def _is_number(a: Any) -> bool:
    kind = type(a)
    return kind in NUMBERS or (kind.__name__ in _NUMPY_SCALARS and kind.__module__ == "numpy")


_NUMPY_SCALARS = frozenset(
    ["bool", "bool_", "float16", "float32", "float64", "complex64", "complex128"]
    + [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
)


def with_lists(*given: Any) -> tuple[Any, ...]:
    """As ``with_numbers``, with whatever NumPy makes an array of: lists and lists of lists."""
    given = with_numbers(*given, alike=True)
    like = next((a for a in given if is_array(a)), None)
    return tuple(a if a is None or is_array(a) else _as_array(a, like, False) for a in given)


def _as_array(a: Any, like: Any, alike: bool) -> Any:
    if like is None:
        import numpy

        return numpy.asarray(a)
    xp, device = _backends.namespace(like), _backends.device(like, _backends.namespace(like))
    if _is_number(a) and type(a) not in NUMBERS:
        known = _backends.name_of(xp) in ("numpy", "jax")
        return a if known else xp.asarray(a.item(), dtype=getattr(xp, a.dtype.name), device=device)
    made = xp.asarray(a, device=device)
    kind = _check.kind_of(xp, like.dtype) if alike else ""
    if kind == "complex" or (kind == "floating" and type(a) is not complex):
        return xp.astype(made, like.dtype)
    if kind == "floating":
        return xp.astype(made, xp.complex128 if like.dtype == xp.float64 else xp.complex64)
    return made


def axes_last(xp: Any, x: Any, axes: tuple[int, ...]) -> Any:
    """Some axes, in their order, as one last axis."""
    ndim = len(x.shape)
    if axes == (ndim - 1,):
        return x
    batch = tuple(a for a in range(ndim) if a not in axes)
    count = math.prod([x.shape[a] for a in axes])
    return xp.reshape(xp.permute_dims(x, batch + axes), (*(x.shape[a] for a in batch), count))


def axes_back(xp: Any, x: Any, shape: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    """What ``axes_last`` was given, of this shape."""
    order = (*(a for a in range(len(shape)) if a not in axes), *axes)
    whole = xp.reshape(x, tuple(shape[a] for a in order))
    return xp.permute_dims(whole, tuple(order.index(a) for a in range(len(shape))))


def common_shape(function: str, **shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that all broadcast to."""
    ndim = max(len(shape) for shape in shapes.values())
    padded = [(1,) * (ndim - len(shape)) + tuple(shape) for shape in shapes.values()]
    result = []
    for lengths in zip(*padded, strict=True):
        others = [n for n in lengths if n != 1]  # no set: a symbol for a length has no hash
        if any(n != others[0] for n in others[1:]):
            raise facades.one_shape(function, shapes)
        result.append(others[0] if others else 1)
    return tuple(result)
