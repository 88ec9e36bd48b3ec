"""What a report of a defect should say of the place where it was seen."""

from __future__ import annotations

import sys

import axisoft
from axisoft import _backends, _check
from axisoft._threads import get_num_threads

# Beside the backends themselves: what they run on, and what the tests compare with.
_BESIDE = ("array_api_compat", "jaxlib", "ml_dtypes", "scipy", "optax")


@_check.spelled
def show_versions() -> None:
    """Print the versions of axisoft, of Python and of every array library that it can run on, and the threads.

    No library is imported for it. One that is not installed has a dash.

    Returns
    -------
    None : it prints, a line for each.

    Raises
    ------
    ValueError : ``AXISOFT_NUM_THREADS`` is not a whole number of at least 1.

    Notes
    -----
    The versions are those of the installed distributions, whatever they are called: CuPy has one for each CUDA.

    Examples
    --------
    >>> show_versions()  # doctest: +ELLIPSIS
    axisoft           ...
    python            ...
    """
    import platform  # these two take a while, and no other call needs them
    from importlib import metadata

    found = metadata.packages_distributions()
    packages = [backend.package.partition(".")[0] for backend in _backends.BACKENDS]
    lines = {
        "axisoft": axisoft.__version__,
        "python": f"{platform.python_version()} ({sys.implementation.name}), {platform.platform(terse=True)}",
        "threads": str(get_num_threads()),
    }
    for package in dict.fromkeys((*packages, *_BESIDE)):
        there = []
        for name in dict.fromkeys(found.get(package, ())):
            called = "" if name.replace("-", "_").lower() == package else f" ({name})"
            there.append(metadata.version(name) + called)
        lines[package] = ", ".join(there) or "-"
    print("\n".join(f"{name:17} {text}" for name, text in lines.items()))
