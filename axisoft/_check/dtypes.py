"""Dtypes: what kind one is, and what becomes of it on the way to a result."""

from __future__ import annotations

from typing import Any

from axisoft._backends.kept import Kept
from axisoft._check.foreign import dtypes_of
from axisoft._check.text import nearest


def kind_of(xp: Any, dtype: Any) -> str:
    """``"floating"``, ``"integer"``, ``"bool"``, ``"complex"`` or ``"other"``."""
    key = getattr(xp, "__name__", ""), dtype
    found: str | None = _KINDS.find(key)
    return _KINDS.keep(key, _kind_of(xp, dtype)) if found is None else found


_KINDS = Kept()


def _kind_of(xp: Any, dtype: Any) -> str:
    try:
        for kind in ("real floating", "integral", "bool"):
            if xp.isdtype(dtype, kind):
                return {"real floating": "floating", "integral": "integer", "bool": "bool"}[kind]
        return "complex" if xp.isdtype(dtype, "complex floating") else "other"
    except (TypeError, AttributeError):
        # No dtype at all; or one that another package adds to NumPy, which knows nothing of it.
        return "floating" if getattr(dtype, "__name__", str(dtype)) == "bfloat16" else "other"


def _compute(xp: Any, dtype: Any) -> tuple[Any, Any]:
    """The dtype a floating dtype is computed in, and the dtype itself in the machine's byte order."""
    native = dtype.newbyteorder("=") if hasattr(dtype, "newbyteorder") else dtype
    return (xp.float32 if str(dtype) == "bfloat16" or xp.finfo(dtype).bits < 32 else native), native


# What becomes of a floating dtype, by namespace, dtype and kind of function: reading a dtype's name takes 3 us.
_DTYPES = Kept()


def dtypes(function: str, xp: Any, x: Any, dtype: Any, *, loss: bool = False) -> dict[str, Any]:
    """``given``, to cast to first; ``dtype``, to compute in; ``out``, of the result. A loss stays as it is computed."""
    key = getattr(xp, "__name__", ""), x.dtype, loss
    found: dict[str, Any] | None = _DTYPES.find(key) if dtype is None else None
    if found is None:
        found = _dtypes(function, xp, x, dtype, loss)
        # The default dtype of integers may change at any time.
        if dtype is None and kind_of(xp, x.dtype) == "floating":
            _DTYPES.keep(key, found)
    return found


def _dtypes(function: str, xp: Any, x: Any, dtype: Any, loss: bool) -> dict[str, Any]:
    given = None
    if dtype is not None:
        given = start = _given(function, xp, dtype)
    elif kind_of(xp, x.dtype) == "floating":
        start = x.dtype
    else:
        start = xp.__array_namespace_info__().default_dtypes()["real floating"]
    compute, out = _compute(xp, start)
    return {"given": given, "dtype": compute, "out": compute if loss else out}


def _given(function: str, xp: Any, dtype: Any) -> Any:
    """The dtype that is asked for, by itself, by its name or by a class that stands for it."""
    given = getattr(xp, dtype, dtype) if isinstance(dtype, str) else dtype
    try:
        if kind_of(xp, given) == "floating":
            return xp.empty(0, dtype=given).dtype
    except (TypeError, ValueError):  # not hashable, so no dtype of any library; or a bfloat16 of another library
        pass
    library = dtypes_of(xp)
    hint = f"pass {library}.{_nearest(xp, dtype)} or None"
    raise TypeError(f"{function}: dtype is {_said(dtype)}, not a real floating dtype of {library}; {hint}.")


# What floating dtypes are called by Python, by NumPy's letters and by other libraries.
_ALIASES = {"float": "float64", "f2": "float16", "e": "float16", "f4": "float32", "f": "float32", "single": "float32"}
_ALIASES |= {"f8": "float64", "d": "float64", "double": "float64", "half": "float16", "longdouble": "float64"}


def _nearest(xp: Any, dtype: Any) -> str:
    """The floating dtype that was meant, or float32."""
    has = [kind for kind in ("float16", "bfloat16", "float32", "float64") if hasattr(xp, kind)]
    name = _ALIASES.get(_name(dtype), _name(dtype))
    if name in has or name in _ALIASES.values() or not isinstance(dtype, str):
        return name if name in has else "float32"
    near = nearest(name, has)
    return near if near and near[-2:] == name[-2:] else "float32"


def _name(dtype: Any) -> str:
    """A dtype's name without its library."""
    name = dtype if isinstance(dtype, str) else getattr(dtype, "__name__", None) or getattr(dtype, "name", None)
    return str(name or dtype).rpartition(".")[2].lstrip("<>=|")


def _said(dtype: Any) -> str:
    if not isinstance(dtype, type):
        return repr(dtype)
    return dtype.__name__ if dtype.__module__ == "builtins" else f"{dtype.__module__}.{dtype.__name__}"
