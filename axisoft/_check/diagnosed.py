"""What ``diagnose`` is given: a loss by its name, the options that it has, arrays that hold values."""

from __future__ import annotations

import math
from typing import Any

from axisoft import _backends

# The losses by name, and the options of each.
LOSSES = {
    "cross_entropy": ("axis", "weight", "sample_weight", "where", "ignore_index", "label_smoothing"),
    "nll_loss": ("axis", "weight", "sample_weight", "ignore_index"),
    "binary_cross_entropy_with_logits": ("sample_weight",),
}


def loss(function: str, value: Any, **options: Any) -> None:
    """An error for a loss that is none, and for an option that it does not have. ``options`` : None if left out."""
    if not isinstance(value, str) or value not in LOSSES:
        *most, last = (f'"{name}"' for name in LOSSES)
        raise ValueError(f"{function}: loss is {value!r}; use {', '.join(most)} or {last}.")
    for name, given in options.items():
        if given is not None and name not in LOSSES[value]:
            raise ValueError(f"{function}: {name} is given, but {value} has no such option; leave it out.")


def readable(function: str, named: dict[str, Any], xp: Any) -> tuple[Any, dict[str, Any]]:
    """The arrays with values to read, and their namespace: in the host's memory if all are there, else as they are."""
    # Where a library records what becomes of an array, nothing of this is part of it.
    given = {name: getattr(a, "detach", lambda a=a: a)() for name, a in named.items() if a is not None}
    seen = {name: _backends.values(a, xp) for name, a in given.items()}
    if any(a is None for a in seen.values()):
        for name, a in given.items():
            if hasattr(a, "full_tensor"):
                hint = f"pass {name}.full_tensor()"
                raise TypeError(f"{function}: {name} is a tensor that several processes share; {hint}.")
            if seen[name] is None and not _has_values(a, xp):
                hint = f"compute it first, or call {function} outside of the transformation"
                what = "has no values that can be read here, as it is lazy, traced or without data"
                raise TypeError(f"{function}: {name} {what}; {hint}.")
        seen = given
    return _backends.namespace(next(iter(seen.values()))), {**named, **seen}


def _has_values(a: Any, xp: Any) -> bool:
    if _backends.executor(xp) is None:
        return _backends.values(a, xp) is not None
    try:
        # An element of its own dtype: what is compared is no longer traced by some transformations.
        float(a[(0,) * len(a.shape)] if math.prod(a.shape) else xp.any(a == a))
    except Exception:  # each library has errors of its own for this, and each transformation too
        return False
    return True
