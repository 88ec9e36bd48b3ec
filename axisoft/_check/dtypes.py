"""Dtypes: what kind one is, and what becomes of it on the way to a result."""

from __future__ import annotations

from typing import Any


def kind_of(xp: Any, dtype: Any) -> str:
    """``"floating"``, ``"integer"``, ``"bool"``, ``"complex"`` or ``"other"``."""
    key = getattr(xp, "__name__", ""), dtype
    found = _KINDS.get(key)
    if found is None:
        found = _kind_of(xp, dtype)
        if len(_KINDS) < 256:
            _KINDS[key] = found
    return found


_KINDS: dict[tuple[str, Any], str] = {}


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
_DTYPES: dict[tuple[Any, ...], dict[str, Any]] = {}


def dtypes(function: str, xp: Any, x: Any, dtype: Any, *, loss: bool = False) -> dict[str, Any]:
    """``given``, to cast to first; ``dtype``, to compute in; ``out``, of the result. A loss stays as it is computed."""
    key = getattr(xp, "__name__", ""), x.dtype, loss
    found = _DTYPES.get(key) if dtype is None else None
    if found is None:
        found = _dtypes(function, xp, x, dtype, loss)
        # The default dtype of integers may change at any time.
        if dtype is None and kind_of(xp, x.dtype) == "floating" and len(_DTYPES) < 256:
            _DTYPES[key] = found
    return found


def _dtypes(function: str, xp: Any, x: Any, dtype: Any, loss: bool) -> dict[str, Any]:
    given = None
    if dtype is not None:
        given = getattr(xp, dtype, dtype) if isinstance(dtype, str) else dtype
        try:
            kind = kind_of(xp, given)
        except TypeError:  # not hashable, so no dtype of any library
            kind = "other"
        if kind != "floating":
            hint = "pass a real floating dtype of the same library as the array, for example float32, or None"
            said = dtype.__name__ if isinstance(dtype, type) else repr(dtype)
            raise TypeError(f"{function}: dtype is {said}, not a real floating dtype; {hint}.")
        given = xp.empty(0, dtype=given).dtype  # a class that stands for a dtype becomes the dtype
        start = given
    elif kind_of(xp, x.dtype) == "floating":
        start = x.dtype
    else:
        start = xp.__array_namespace_info__().default_dtypes()["real floating"]
    compute, out = _compute(xp, start)
    return {"given": given, "dtype": compute, "out": compute if loss else out}
