"""How many threads the NumPy backend may use. The other libraries have settings of their own."""

from __future__ import annotations

import operator
import os

_chosen: int | None = None


def get_num_threads() -> int:
    """The largest number of threads that a call on NumPy arrays may use.

    It is what :func:`set_num_threads` set; else the environment variable ``AXISOFT_NUM_THREADS``; else the number of
    processors that this process may use. The NumPy backend runs in the calling thread so far, whatever the limit.

    Returns
    -------
    int : at least 1.

    Raises
    ------
    ValueError : ``AXISOFT_NUM_THREADS`` is not a whole number of at least 1.

    Examples
    --------
    >>> set_num_threads(2)
    >>> get_num_threads()
    2
    """
    if _chosen is not None:
        return _chosen
    text = os.environ.get("AXISOFT_NUM_THREADS", "")
    if not text:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not text.isdecimal() or int(text) < 1:
        hint = "set it to a whole number of at least 1, or unset it"
        raise ValueError(f"get_num_threads: AXISOFT_NUM_THREADS is {text!r}; {hint}.")
    return int(text)


def set_num_threads(n: int) -> None:
    """Set the largest number of threads that a call on NumPy arrays may use, for the whole process.

    Parameters
    ----------
    n : whole number of at least 1.

    Raises
    ------
    TypeError : n is not an integer.
    ValueError : n is below 1.

    Examples
    --------
    >>> set_num_threads(1)
    """
    global _chosen
    try:
        if isinstance(n, bool):
            raise TypeError
        value = operator.index(n)
    except TypeError:
        raise TypeError(f"set_num_threads: n is {n!r}, not an integer; use a whole number of at least 1.") from None
    if value < 1:
        raise ValueError(f"set_num_threads: n is {value}; use a whole number of at least 1.")
    _chosen = value
