"""How many threads the NumPy backend may use. The other libraries have settings of their own."""

from __future__ import annotations

import os

from axisoft import _backends, _check

_chosen: int | None = None


@_check.spelled
def get_num_threads() -> int:
    """The largest number of threads that a call on NumPy arrays may use.

    It is what :func:`set_num_threads` set; else the environment variable ``AXISOFT_NUM_THREADS``; else the number of
    processors that this process may use. Small arrays never use more than the calling thread.

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
    return _check.threads_in("get_num_threads", "AXISOFT_NUM_THREADS", text)


@_check.spelled
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
    _chosen = _check.threads("set_num_threads", "n", n)


_backends.thread_limit = get_num_threads
