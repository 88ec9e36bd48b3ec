"""The options: numbers, flags, reductions, threads."""

from __future__ import annotations

import math
import numbers
import operator
from typing import Any

from axisoft._check.text import a as _a

REDUCTIONS = ("none", "sum", "mean")


def reduction(function: str, value: Any) -> None:
    if not isinstance(value, str) or value not in REDUCTIONS:
        raise ValueError(f'{function}: reduction is {value!r}; use "none", "sum" or "mean".')


def number(function: str, name: str, value: Any, *, below: float = math.inf) -> float:
    """A number from 0 to below ``below``. No array: an option is fixed when a call is compiled."""
    if type(value) is float and 0.0 <= value < below:
        return value
    bounds = f"[0, {below:g})"
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        said = repr(value) if isinstance(value, (str, bytes, bool)) or value is None else _a(type(value).__name__)
        raise TypeError(f"{function}: {name} is {said}, not a number; use a Python number in {bounds}.")
    try:
        result = float(value)
    except OverflowError:  # an int beyond every float
        result = math.inf
    if not 0 <= result < below:
        said = str(value) if math.isfinite(result) else str(result)
        raise ValueError(f"{function}: {name} is {said}; use a number in {bounds}.")
    return result


def flag(function: str, name: str, value: Any) -> bool:
    if not (isinstance(value, bool) or type(value).__name__ in ("bool", "bool_")):
        raise TypeError(f"{function}: {name} is {value!r}, not a boolean; use True or False.")
    return bool(value)


def integer(function: str, name: str, value: Any, hint: str = "use an int or None") -> int | None:
    if value is None:
        return None
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{function}: {name} is {value!r}, not an integer; {hint}.") from None


def threads(function: str, name: str, value: Any) -> int:
    hint = "use a whole number of at least 1"
    number = integer(function, name, value, hint)
    if number is None or number < 1:
        raise ValueError(f"{function}: {name} is {value}; {hint}.")
    return number


def threads_in(function: str, name: str, text: str) -> int:
    """A number of threads from an environment variable."""
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{function}: {name} is {text!r}; set it to a whole number of at least 1, or unset it.")
    return int(text)
