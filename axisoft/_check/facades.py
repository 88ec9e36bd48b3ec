"""What the facades of axisoft.compat say: their own texts, and their names in the texts of the functions beneath."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from axisoft._check.lengths import lengths
from axisoft._check.text import a as _a

# Words of the texts that are English nouns as well as names. They are names as the subject of a text and before "=".
_NOUNS = ("axis",)


def in_names_of(function: str, text: str, names: Mapping[str, str], given: Iterable[Any]) -> str:
    """The text of an error in a facade's words: its function and its names. What the caller ``given`` stays as it is.

    ``names`` : axisoft's names, and parts of texts that the facade has another way out for, to the facade's.
    """
    start = re.match(r"\w+: ", text)
    if start is None:
        return text
    said = text[start.end() :]
    if not names:
        return f"{function}: {said}"
    values = sorted({v for a in given for v in _as_said(a)}, key=len, reverse=True)
    parts = [*(rf"(?<!\w){re.escape(v)}(?!\w)" for v in values), _pattern(tuple(names))]
    found = re.compile("|".join(f"({part})" for part in parts))
    own = len(parts)  # the group of a name; those before it are values
    longest = sorted(names, key=len, reverse=True)

    def turned(match: re.Match[str]) -> str:
        whole = match[0]
        return whole if match.lastindex != own else names[next(name for name in longest if whole.startswith(name))]

    return f"{function}: " + found.sub(turned, said)


@lru_cache(maxsize=64)
def _pattern(names: tuple[str, ...]) -> str:
    found = []
    for name in sorted(names, key=len, reverse=True):
        if name in _NOUNS:
            found += [rf"^{name}\b", rf"\b{name}(?==)"]
        else:
            end = r"\w*" if name.endswith("=") else r"(?!\w)"  # with the value that is recommended
            found.append(rf"(?<!\w){re.escape(name)}{end}")
    return "|".join(found)


def _as_said(a: Any) -> Iterable[str]:
    """How a text may quote an argument: by its value, its type or its dtype; numbers and None hold no name."""
    if a is None or type(a) in (bool, int, float):
        return
    yield _a(type(a).__name__)
    with contextlib.suppress(Exception):  # what cannot be said is in no text
        yield str(a.dtype)
    with contextlib.suppress(Exception):
        yield repr(a)


def is_facade(fun: Any) -> bool:
    return hasattr(fun, "__axisoft_facade__")


def one_shape(function: str, shapes: Mapping[str, tuple[int, ...]]) -> ValueError:
    said = " and ".join(f"{name} with shape {tuple(shape)}" for name, shape in shapes.items())
    hint = "each of their axes, counted from the last, must be 1 or agree"
    return ValueError(f"{function}: {said} do not broadcast to one shape; {hint}.")


def probabilities_are_not_ignored(function: str, ignore_index: int) -> ValueError:
    hint = "leave ignore_index out, or give class indices"
    return ValueError(f"{function}: ignore_index is {ignore_index}, but target holds probabilities; {hint}.")


def more_labels(function: str, labels: Any, logits: Any) -> ValueError:
    what = f"labels with shape {lengths(labels)} has more classes than logits with shape {lengths(logits)}"
    return ValueError(f"{function}: {what}; give one label per class.")


def no_class_axis(function: str) -> ValueError:
    return ValueError(f"{function}: axis is None; use an int or a tuple of ints.")


def labels_are_no_classes(function: str, labels: Any) -> TypeError:
    hint = "class indices need an integer dtype, and softmax_cross_entropy takes probabilities"
    return TypeError(f"{function}: labels has dtype {labels.dtype}; {hint}.")


def beta(function: str, value: Any) -> None:
    if isinstance(value, bool) or (not isinstance(value, (int, float)) and not _is_real(value)):
        said = repr(value) if isinstance(value, (str, bytes, bool)) or value is None else _a(type(value).__name__)
        raise TypeError(f"{function}: beta is {said}, not a number; use a Python number other than 0.")
    if value == 0:
        raise ValueError(f"{function}: beta is 0; use another number.")


def _is_real(value: Any) -> bool:
    return hasattr(value, "__float__") and getattr(value, "shape", None) == ()


def one_result(function: str, name: str, out: Any) -> None:
    if isinstance(out, tuple):
        what = f"{name} gives {len(out)} arrays, and only one array has a cotangent"
        raise TypeError(f"{function}: {what}; leave return_sign out.")
