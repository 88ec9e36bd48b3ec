"""Calls of plain arguments, whose checks find the same each time."""

from __future__ import annotations

from typing import Any

import array_api_compat as compat

from axisoft._backends.kept import Kept
from axisoft._check.dtypes import kind_of
from axisoft._check.foreign import ragged_axis

# The options that a call of plain arguments comes down to, by these: the checks find the same of two such calls.
PLAIN = Kept(1024)


def keep(key: tuple[Any, ...] | None, static: dict[str, Any], x: Any) -> None:
    """Lengths that depend on values, ragged axes, and the default dtype of integers are looked at in each call."""
    if key is None or compat.is_dask_array(x) or ragged_axis(x) is not None:
        return
    if kind_of(static["xp"], x.dtype) == "floating":
        PLAIN.keep(key, static)
