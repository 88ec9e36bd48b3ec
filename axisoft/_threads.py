"""How many threads the NumPy backend may use. The other libraries have settings of their own."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from functools import lru_cache

from axisoft import _backends, _check

_chosen: int | None = None
# A list, of a number for each level of nesting, is what OpenMP takes; what is none of these it ignores.
_LIST = re.compile(r"\s*\+?(\d+)\s*(?:,\s*\+?0*[1-9]\d*\s*)*", re.ASCII)
_OWN, _GROUPS = "/proc/self/cgroup", "/sys/fs/cgroup"


@_check.spelled
def get_num_threads() -> int:
    """The largest number of threads that a call on NumPy arrays may use.

    The first of these that says something: what :func:`set_num_threads` set; the environment variable
    ``AXISOFT_NUM_THREADS``; ``OMP_NUM_THREADS``, the first number of a list, nothing if OpenMP would not understand it;
    the number of processors that this process may use, or the quota of its control group, rounded up, if that is less.
    Small arrays never use more than the calling thread.

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
    if text:
        return _check.threads_in("get_num_threads", "AXISOFT_NUM_THREADS", text)
    return _of_openmp(os.environ.get("OMP_NUM_THREADS", "")) or min(_processors(), _quota())


def _of_openmp(text: str) -> int:
    """The threads of the outermost level; 0 where the text says nothing."""
    found = _LIST.fullmatch(text)
    number = int(found[1]) if found and len(found[1]) < 20 else 0
    return number if number < 1 << 31 else 0


def _processors() -> int:
    if hasattr(os, "process_cpu_count"):  # from Python 3.13 on; knows PYTHON_CPU_COUNT
        return os.process_cpu_count() or 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache(maxsize=1)
def _quota() -> int:
    """The processors that the control groups of this process allow, rounded up, read once; without limit, many."""
    limits = [-(-quota // period) for quota, period in _limits() if quota > 0 and period > 0]
    return max(1, min(limits, default=sys.maxsize))


def _limits() -> Iterator[tuple[int, int]]:
    """Quota and period, in microseconds, of each control group that this process is in, in either version."""
    for _, controllers, path in (line.split(":", 2) for line in _read(_OWN).splitlines() if line.count(":") > 1):
        if controllers and "cpu" not in controllers.split(","):
            continue
        parts = [part for part in path.split("/") if part]
        for depth in range(len(parts) + 1):  # a group's parents limit it too; of a container, some are out of sight
            for mount in (controllers, "cpu") if controllers else ("", "unified"):
                folder = os.path.join(_GROUPS, mount, *parts[:depth])
                names = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if controllers else ("cpu.max",)
                words = " ".join(_read(os.path.join(folder, name)) for name in names).split()
                if len(words) == 2 and all(word.isdecimal() for word in words):  # no limit: -1, max
                    yield int(words[0]), int(words[1])


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


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
