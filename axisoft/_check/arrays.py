"""The arrays of a call: that they are arrays, of one library, on one device, and of real numbers."""

from __future__ import annotations

from typing import Any

import array_api_compat as compat

from axisoft import _backends
from axisoft._backends.kept import Kept
from axisoft._check import foreign
from axisoft._check.dtypes import kind_of
from axisoft._check.lengths import lengths
from axisoft._check.text import a as _a

# What the checks of an array found, by its type, its dtype and its form: its namespace. A microsecond otherwise.
_SOUND = Kept()
# By type, what tells forms apart that its dtype does not tell; most have none.
FORMS = Kept()


def arrays(function: str, **named: Any) -> tuple[Any, list[Any]]:
    """The namespace that all the arrays share, and the arrays in order; ``None`` stands for one left out."""
    first = next(iter(named))
    spaces = {}
    for name, a in named.items():
        if a is not None or name in (first, "targets", "cotangent"):
            form = FORMS.find(type(a))
            found = _SOUND.find((type(a), getattr(a, "dtype", None), form and form(a)))
            spaces[name] = _sound(function, name, a, named) if found is None else found
    xp = spaces[first]
    if len(spaces) > 1:
        if any(space is not xp for space in spaces.values()):
            named, xp = _one_library(function, named, spaces)
        _one_device(function, {name: _backends.device(named[name], xp) for name in spaces})
        return xp, _backends.together(list(named.values()), xp)
    return xp, list(named.values())


def _sound(function: str, name: str, a: Any, named: dict[str, Any]) -> Any:
    """The namespace of an array that axisoft can use."""
    try:
        xp = _backends.namespace(a)
    except TypeError:
        beside = {other: array for other, array in named.items() if other != name}
        raise TypeError(foreign.no_array(function, name, a, beside)) from None
    wrong = foreign.odd_array(function, name, a)
    if wrong is not None:
        raise TypeError(wrong)
    _real(function, name, a, xp)
    if any(n != n for n in lengths(a)):  # Dask's word for an axis whose length depends on values
        hint = f"find it first, for example with {name}.compute_chunk_sizes()"
        raise ValueError(f"{function}: {name} has shape {lengths(a)}, with an axis of unknown length; {hint}.")
    if not compat.is_dask_array(a) and foreign.ragged_axis(a) is None:
        form = None
        if _backends.name_of(xp) == "torch":
            form = FORMS.keep(type(a), foreign.form)(a)
        _SOUND.keep((type(a), a.dtype, form), xp)
    return xp


def _one_library(function: str, named: dict[str, Any], spaces: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """NumPy arrays beside JAX arrays become JAX arrays, as JAX itself has it; any other mixture is an error."""
    kinds = {name: _backends.name_of(xp) for name, xp in spaces.items()}
    if set(kinds.values()) == {"numpy", "jax"}:
        xp = next(xp for name, xp in spaces.items() if kinds[name] == "jax")
        adopted = {name: _adopt(function, name, named[name], xp) for name in kinds if kinds[name] == "numpy"}
        return {**named, **adopted}, xp
    (first, kind), *others = kinds.items()
    name, other = next((n, k) for n, k in others if spaces[n] is not spaces[first])
    raise TypeError(
        f"{function}: {first} is {_a(kind)} array and {name} {_a(other)} array; "
        "convert one of them, so that both come from the same library."
    )


def _adopt(function: str, name: str, a: Any, xp: Any) -> Any:
    """A NumPy array as one of another library; an error where integers would not survive."""
    dtype = getattr(a.dtype, "newbyteorder", lambda order: a.dtype)("=")
    adopted = xp.asarray(a.astype(dtype))
    if a.dtype.kind in "iu" and adopted.dtype != dtype and a.size:
        info = xp.iinfo(adopted.dtype)
        wrong = next((int(v) for v in (a.min(), a.max()) if not info.min <= int(v) <= info.max), None)
        if wrong is not None:
            hint = "enable the 64-bit types of JAX, jax_enable_x64, or give it smaller values"
            raise ValueError(f"{function}: {name} holds {wrong}, which does not fit {adopted.dtype}; {hint}.")
    return adopted


def _one_device(function: str, devices: dict[str, Any]) -> None:
    known = [(name, device) for name, device in devices.items() if device is not None]
    for name, device in known[1:]:
        if device != known[0][1]:
            raise ValueError(
                f"{function}: {known[0][0]} is on device {known[0][1]} and {name} on device {device}; "
                "move one of them, so that both are on the same device."
            )


def _real(function: str, name: str, a: Any, xp: Any) -> None:
    kind = kind_of(xp, a.dtype)
    if kind == "complex":
        hint = f"pass its real part, its imaginary part or abs({name})"
        raise TypeError(f"{function}: {name} has dtype {a.dtype}, and complex numbers have no order; {hint}.")
    if kind == "other":
        hint = "convert it to a floating, integer or boolean dtype"
        if getattr(a, "is_quantized", False):
            hint = f"pass {name}.dequantize()"
        raise TypeError(f"{function}: {name} has dtype {a.dtype}, which is not a real one; {hint}.")
