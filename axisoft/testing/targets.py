"""The backends to judge, each on one of its devices."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from importlib import import_module, util
from typing import Any

import numpy as np

from axisoft import _backends
from axisoft.testing.ulp import FORMATS, as_float64


class Missing(RuntimeError):
    """A backend or a device that was asked for and is not there."""


@dataclass(frozen=True)
class Target:
    """A backend on one of its devices: ``"numpy"``, ``"torch"``, ``"jax:cuda"``."""

    backend: _backends.Backend
    device_name: str
    _namespace: Any = None
    _device: Any = None

    @property
    def name(self) -> str:
        plain = self.device_name == self.backend.devices[0]
        return self.backend.name if plain else f"{self.backend.name}:{self.device_name}"

    @property
    def xp(self) -> Any:
        return import_module(self.backend.namespace) if self._namespace is None else self._namespace

    @property
    def version(self) -> str:
        return str(import_module(self.backend.package.split(".")[0]).__version__)

    @property
    def device(self) -> Any:
        """The device in the library's own terms; None for the one that it uses unless told otherwise."""
        if self._namespace is not None:
            return self._device
        executor = _backends.executor(self.xp)
        if hasattr(executor, "find_device"):
            return executor.find_device(self.device_name)
        if self.device_name != self.backend.devices[0]:
            raise RuntimeError(f"axisoft/_backends has no find_device of {self.backend.name}")
        return None

    def session(self) -> contextlib.AbstractContextManager[Any]:
        """Where every dtype of the golden values exists: JAX has float64 only while it is told to."""
        executor = _backends.executor(self.xp)
        return executor.every_dtype() if hasattr(executor, "every_dtype") else contextlib.nullcontext()

    def array(self, values: Any, dtype: str) -> Any:
        """An array of the backend on the device, of a dtype given by its name; "int" is the library's own."""
        plain = np.array(values).astype({"int": np.int64, "bfloat16": np.float32}.get(dtype, dtype))
        device, executor = self.device, _backends.executor(self.xp)
        if hasattr(executor, "put"):
            return executor.put(plain, dtype, device)
        x = self.xp.asarray(plain) if device is None else self.xp.asarray(plain, device=device)
        return self.xp.astype(x, self.xp.bfloat16) if dtype == "bfloat16" else x

    def numpy(self, x: Any) -> np.ndarray:
        return as_float64(x)


def target(name: str) -> Target:
    """The backend, and the device if one is named after a colon, that ``name`` stands for.

    Raises
    ------
    ValueError : no such backend, or it has no such device.
    Missing : the library is not installed, or the device is not there.
    """
    library, _, device = name.partition(":")
    backend = _backends.BY_NAME.get(library)
    if backend is None:
        raise ValueError(f"backend: {library!r} is not known; use one of {', '.join(_backends.BY_NAME)}.")
    if device and device not in backend.devices:
        known = ", ".join(backend.devices)
        raise ValueError(f"backend: {library} has no device {device!r}; use one of {known}.")
    if not _is_installed(backend):
        raise Missing(f"backend: {library} is not installed; install it, or choose another backend.")
    found = Target(backend, device or backend.devices[0])
    try:
        found.device  # noqa: B018 - the look-up is the check
    except RuntimeError as error:
        raise Missing(f"backend: {found.name} needs a device that is not there ({error}); choose another.") from error
    return found


def target_of(xp: Any, device: Any) -> Target:
    """A namespace as a target: what it is made of is asked of it rather than read from a row."""
    name = getattr(xp, "__name__", type(xp).__name__)
    dtypes = tuple(dtype for dtype in FORMATS if hasattr(xp, dtype))
    row = _backends.Backend(name, name.split(".")[0], name, None, dtypes, (str(device or "default"),), "-", "")
    return Target(_backends.of(xp) or row, str(device or row.devices[0]), xp, device)


def _is_installed(backend: _backends.Backend) -> bool:
    try:
        return util.find_spec(backend.package) is not None
    except ModuleNotFoundError:
        return False


def installed() -> list[Target]:
    """Every backend that is installed and has the device it uses unless told otherwise."""
    found = []
    for backend in _backends.BACKENDS:
        with contextlib.suppress(Missing):
            found.append(target(backend.name))
    return found
