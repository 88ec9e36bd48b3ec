"""The only list of backends. A row makes a library known by name; a file beside this one makes it fast.

A library without a row works all the same: its arrays name their namespace, and the formulas need no more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import array_api_compat as compat

from axisoft._backends.kept import Kept, compiles


@dataclass(frozen=True)
class Backend:
    """One array library.

    name : what the user calls it.
    package : the module that shows whether it is installed.
    namespace : the module that its arrays give as their namespace.
    executor : imports the file here that runs ops on it; None where the formulas run as they are.
    dtypes : the floating dtypes it has, of those that axisoft's golden values come in.
    devices : the devices worth naming to it; the first is where its arrays live unless told otherwise.
    gradients : how its users differentiate by the library itself; "-" where only axisoft's own functions can.
    note : what a user should know before they choose it.
    """

    name: str
    package: str
    namespace: str
    executor: Callable[[], Any] | None
    dtypes: tuple[str, ...]
    devices: tuple[str, ...]
    gradients: str
    note: str


# Import statements, and no import by name: torch.compile can follow them where a first call is a compiled one.


def _numpy() -> Any:
    from axisoft._backends import numpy

    return numpy


def _torch() -> Any:
    from axisoft._backends import torch

    return torch


def _jax() -> Any:
    from axisoft._backends import jax

    return jax


def _cupy() -> Any:
    from axisoft._backends import cupy

    return cupy


def _dask() -> Any:
    from axisoft._backends import dask

    return dask


_ALL = ("float16", "bfloat16", "float32", "float64")

BACKENDS = (
    Backend("numpy", "numpy", "array_api_compat.numpy", _numpy, ("float16", "float32", "float64"), ("cpu",), "-",
            "read-only, strided, Fortran-ordered and byte-swapped arrays included"),
    Backend("torch", "torch", "array_api_compat.torch", _torch, _ALL, ("cpu", "cuda"), "`backward()`",
            "its own kernels, mended where they lose digits"),
    Backend("jax", "jax", "jax.numpy", _jax, _ALL, ("cpu", "cuda"), "`jax.grad`",
            "one jitted dispatch a call; float64 needs `jax_enable_x64`"),
    Backend("cupy", "cupy", "array_api_compat.cupy", _cupy, ("float16", "float32", "float64"), ("cuda",), "-",
            "needs a CUDA device; not part of the default test run"),
    Backend("array_api_strict", "array_api_strict", "array_api_strict", None, ("float32", "float64"), ("cpu",), "-",
            "the standard and nothing else: the proof for libraries that are not in this table"),
    Backend("dask", "dask.array", "array_api_compat.dask.array", _dask, ("float16", "float32", "float64"), ("cpu",),
            "-", "results stay lazy; a slice may be in several blocks"),
)  # fmt: skip

# How many threads an executor may use; axisoft._threads, which knows what the user wants, sets it.
thread_limit: Callable[[], int] = lambda: 1

BY_NAME = {backend.name: backend for backend in BACKENDS}
_BY_NAMESPACE = {backend.namespace: backend for backend in BACKENDS}
_NAMESPACES = Kept()
_EXECUTORS = Kept()


def of(xp: Any) -> Backend | None:
    """The row of a namespace, if it has one."""
    return _BY_NAMESPACE.get(getattr(xp, "__name__", ""))


def name_of(xp: Any) -> str:
    backend = of(xp)
    return getattr(xp, "__name__", repr(xp)) if backend is None else backend.name


def device(x: Any, xp: Any) -> Any:
    """The device that x is bound to; None where it is not known yet or where the library may still choose."""
    module = executor(xp)
    return compat.device(x) if module is None or not hasattr(module, "device") else module.device(x)


def on_one_device(x: Any, y: Any, xp: Any) -> bool:
    module = executor(xp)
    find = module.device if hasattr(module, "device") else compat.device
    return bool(find(x) == find(y))


def values(x: Any, xp: Any) -> Any:
    """x as an array that can be read here and now; None where that waits for a device or forces a lazy graph."""
    module = executor(xp)
    if module is not None:
        return module.values(x)
    return None if compat.is_lazy_array(x) else x


def read(x: Any, xp: Any) -> tuple[Any, bool]:
    """As ``values``; and whether that holds for every run of what runs now: not where it is recorded for other runs."""
    module = executor(xp)
    found = module.read(x) if hasattr(module, "read") else (values(x, xp), True)
    return found[0], found[0] is not None and found[1]


def looked_at(x: Any, check: Callable[..., None], more: tuple[Any, ...], xp: Any) -> Any:
    """x, with ``check(block, where it begins, *more)`` of each block once it is there, if its library can."""
    module = executor(xp)
    return module.looked_at(x, check, more) if hasattr(module, "looked_at") else x


def lengths(x: Any) -> tuple[int, ...]:
    """The shape in numbers, of an array whose library has arrays for lengths while it traces."""
    return tuple(executor(namespace(x)).lengths(x))


def together(arrays: list[Any], xp: Any) -> list[Any]:
    """The arrays of one call, as its library can compute with them together."""
    module = executor(xp)
    return list(module.together(arrays)) if hasattr(module, "together") else arrays


def namespace(x: Any) -> Any:
    """The namespace of an array; a TypeError for what is none.

    Kept by type: the look-up costs a microsecond of every call otherwise, and torch.compile warns of its cache.
    """
    found = _NAMESPACES.find(type(x))
    if found is None and compiles():
        found = _torch().namespace(x)
    return _NAMESPACES.keep(type(x), compat.array_namespace(x)) if found is None else found


def adopt(name: str, executor: Any) -> None:
    """Make an executor known, of a namespace with this name that is no library's."""
    _EXECUTORS.keep(name, executor)


def executor(xp: Any) -> Any:
    """The module that runs ops on this namespace's arrays; None where the formulas run as they are."""
    name = getattr(xp, "__name__", "")
    found = _EXECUTORS.find(name)
    if found is None:
        backend = of(xp)
        if backend is not None and backend.executor is not None:
            found = _EXECUTORS.keep(name, backend.executor())
    return found
