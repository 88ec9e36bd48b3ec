"""Golden values and their judge: the proof that a backend keeps axisoft's promises.

    report = axisoft.testing.conformance("torch:cuda")
    report.ok, [str(row) for row in report.rows]

The reference values come with the package (``axisoft/golden``), computed from the definitions with 400 digits. A result
is judged in the spacing of its own dtype against the promise of its function, the one that ``axisoft._core.OPS`` holds.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib import import_module, resources, util
from typing import Any

import numpy as np

import axisoft
from axisoft import _backends
from axisoft._core import OPS, Promise

__all__ = [
    "Case",
    "Missing",
    "Report",
    "Row",
    "Target",
    "Verdict",
    "cases",
    "conformance",
    "installed",
    "slides",
    "target",
    "ulp",
    "ulp_distance",
]

# Precision in bits, exponent of the smallest normal number, exponent past the largest.
_FORMATS = {
    "float16": (11, -14, 16),
    "bfloat16": (8, -126, 128),
    "float32": (24, -126, 128),
    "float64": (53, -1022, 1024),
}
# What a sum or a mean over the samples may add to the error of a loss: the promise of the sum itself.
_REDUCTION_ULP = 4


def ulp(value: Any, dtype: str) -> np.ndarray:
    """The spacing of a floating dtype, by its name, at ``value``; that of the smallest normal number below it."""
    bits, smallest, _ = _FORMATS[dtype]
    size = np.maximum(np.abs(np.asarray(value, dtype=np.float64)), math.ldexp(1.0, smallest))
    return np.asarray(np.ldexp(1.0, np.frexp(size)[1] - bits))


def ulp_distance(result: Any, high: Any, low: Any = 0.0, *, dtype: str) -> np.ndarray:
    """``|result - (high + low)|`` in units of the dtype's spacing at the true value."""
    result, high, low = (np.asarray(a, dtype=np.float64) for a in (result, high, low))
    with np.errstate(all="ignore"):
        return np.asarray(np.abs((result - high) - low) / ulp(high, dtype))


@dataclass(frozen=True)
class Verdict:
    """How a result fared: the worst error in ulp, what was allowed there, and what is wrong with it, if anything."""

    ulp: float
    allowed: float
    wrong: str | None = None

    @property
    def ok(self) -> bool:
        return self.wrong is None

    @property
    def share(self) -> float:
        return self.ulp / self.allowed if self.allowed else 0.0


@dataclass(frozen=True, eq=False)
class Case:
    """One call with its true result, or with its true derivative along its first array.

    arrays : name to (dtype name, NumPy array); floats are held in float64, which is exact for every dtype here.
    pick : positions along the flat result that are judged; None for all of them.
    high, low : the true result as an unevaluated sum of two float64 arrays.
    cotangent : what the derivative is taken against, flat; None for a case of the function's own value.
    scale, slack : of a derivative, the sum of the sizes of its terms, and how far below the largest of a slice the
        elements lie that they are made of.
    """

    function: str
    name: str
    dtype: str
    arrays: dict[str, tuple[str, np.ndarray]]
    options: dict[str, Any]
    pick: tuple[int, ...] | None
    high: np.ndarray
    low: np.ndarray
    cotangent: np.ndarray | None = None
    scale: np.ndarray | None = None
    slack: np.ndarray | None = None

    @property
    def id(self) -> str:
        kind = "" if self.cotangent is None else "gradient, "
        return f"{self.function}-{kind}{self.name}-{self.dtype}"

    @property
    def promises(self) -> tuple[Promise, ...]:
        op = OPS[self.function]
        return op.promises if self.cotangent is None else op.gradient_promises

    @property
    def result_dtypes(self) -> tuple[str, ...]:
        """What the result may be: the dtype of x; float32 for a loss of half precision; a default for integers."""
        if self.dtype not in _FORMATS:
            return "float32", "float64"
        loss = "targets" in self.arrays and self.cotangent is None
        return ("float32",) if loss and self.dtype in ("float16", "bfloat16") else (self.dtype,)

    def run(self, where: Target, vjp: Any = None) -> Any:
        """The result on a backend. ``vjp``: who takes derivatives, in place of ``axisoft.vjp``."""
        arrays = {name: where.array(values, dtype) for name, (dtype, values) in self.arrays.items()}
        positional = [arrays.pop(name) for name in OPS[self.function].inputs[:2] if name in arrays and name != "where"]
        fun = getattr(axisoft, self.function)
        if self.cotangent is None:
            return fun(*positional, **arrays, **self.options)
        y, pullback = (vjp or axisoft.vjp)(fun, *positional, **arrays, **self.options)
        return pullback(where.array(self.cotangent.reshape(tuple(y.shape)), self.dtype))[0]

    def judge(self, result: Any) -> Verdict:
        """The result, as NumPy or of any backend, against the true value and the function's promises."""
        values, dtype = _as_float64(result), _dtype_name(result)
        wanted = self.result_dtypes
        if dtype not in wanted:
            return Verdict(math.inf, 0.0, f"{self.id}: the result is {dtype}, not {' or '.join(wanted)}")
        values = values.reshape(-1) if self.pick is None else values.reshape(-1)[list(self.pick)]
        if values.shape != self.high.shape:
            return Verdict(math.inf, 0.0, f"{values.size} results, not {self.high.size}")
        verdicts = [_judge(values, dtype, self, promise) for promise in self.promises]
        wrong = [verdict for verdict in verdicts if not verdict.ok]
        return wrong[0] if wrong else max(verdicts, key=lambda verdict: verdict.share)


def _judge(values: np.ndarray, dtype: str, case: Case, promise: Promise) -> Verdict:
    bits, smallest, largest = _FORMATS[dtype]
    high, low = case.high, case.low
    # From half a spacing above the largest number on, the nearest number is infinity.
    over = np.abs(high) / 2 >= math.ldexp(1.0 - math.ldexp(1.0, -bits - 1), largest - 1)
    high = np.where(over, np.copysign(np.inf, high), high)
    exact = ~np.isfinite(high) | (high == 0)
    same = (values == high) | (np.isnan(values) & np.isnan(high))
    scale, allowed = _allowance(case, promise)
    # Below the normal numbers a library may flush to 0: there the promise is the smallest normal number itself. So it
    # may do with an entry of the Jacobian, before a cotangent multiplies it.
    flushed = 0.0 if case.cotangent is None else math.ldexp(float(np.sum(np.abs(case.cotangent))), smallest)
    with np.errstate(all="ignore"):
        error = np.abs((values - high) - low)
        error = np.maximum(error - flushed, 0.0) / ulp(np.maximum(np.abs(high), scale), dtype)
    below = np.abs(high) < math.ldexp(1.0, smallest)
    error = np.where(below & (np.abs(values) <= math.ldexp(1.0, smallest)), 0.0, error)
    error = np.where(exact, np.where(same, 0.0, np.inf), error)
    error = np.where(np.isnan(error), np.inf, error)
    if not error.size:
        return Verdict(0.0, float(promise.base))
    allowed = np.broadcast_to(allowed, error.shape)
    worst = int(np.argmax(error / allowed))
    verdict = Verdict(float(error[worst]), float(allowed[worst]))
    if verdict.ulp <= verdict.allowed:
        return verdict
    off = f"{verdict.ulp:.3g} ulp off" if math.isfinite(verdict.ulp) else "wrong"
    where = f"element {worst}: {values[worst]!r} instead of {high[worst]!r}, {off}, {verdict.allowed:.3g} allowed"
    return Verdict(verdict.ulp, verdict.allowed, f"{case.id}, {where} ({promise})")


def _allowance(case: Case, promise: Promise) -> tuple[np.ndarray, np.ndarray]:
    """The promise's scale beside the result itself, and its ulps, for each judged element."""
    reduced = case.options.get("reduction", "mean" if "targets" in case.arrays else "none") != "none"
    more = _REDUCTION_ULP if reduced else 0
    if case.scale is not None and case.slack is not None:
        return case.scale, np.asarray(promise.base + more + (case.slack if promise.slack else 0.0))
    first = OPS[case.function].inputs[0]
    x = case.arrays[first][1].astype(np.float64)
    if "where" in case.arrays:
        x = np.where(case.arrays["where"][1], x, -np.inf)
    axis: Any = case.options.get("axis", None if case.function == "logsumexp" else -1)
    axis = tuple(axis) if isinstance(axis, list) else axis
    keep = case.function in ("softmax", "log_softmax")  # one result per element, rather than per slice
    slack: Any = 0.0
    scale: Any = 1.0 if "1" in promise.scale else 0.0
    with np.errstate(all="ignore"):
        if promise.slack == "distance" and x.size:
            slack = _finite(np.max(x, axis=axis, keepdims=True) - x)
        if promise.slack == "gap" and x.size:
            slack = np.broadcast_to(_gap(x, axis), x.shape) if keep else np.squeeze(_gap(x, axis), axis=axis)
        if "x" in promise.scale and x.size:
            scale = np.maximum(scale, _finite(np.abs(np.max(x, axis=axis))))
    slack, scale = (np.asarray(a, dtype=np.float64).reshape(-1) for a in (slack, scale))
    if keep and case.pick is not None and slack.size > 1:
        slack = slack[list(case.pick)]
    if reduced:
        slack = np.max(slack, initial=0.0) + more
    return scale, np.asarray(promise.base + slack)


def _gap(x: np.ndarray, axis: Any) -> np.ndarray:
    """From the largest to the second largest of each slice; 0 where there is no second."""
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(a % x.ndim for a in axes)
    rest = tuple(a for a in range(x.ndim) if a not in axes)
    rows = np.transpose(x, (*rest, *axes)).reshape(*(x.shape[a] for a in rest), -1)
    if rows.shape[-1] < 2:
        gap = np.zeros(rows.shape[:-1])
    else:
        top = np.partition(rows, rows.shape[-1] - 2, axis=-1)[..., -2:]
        gap = _finite(top[..., 1] - top[..., 0])
    return np.asarray(gap.reshape(tuple(1 if a in axes else n for a, n in enumerate(x.shape))))


def _finite(a: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(a), a, 0.0)


def _dtype_name(x: Any) -> str:
    return str(x.dtype).rsplit(".", 1)[-1]


def _as_float64(x: Any) -> np.ndarray:
    """Any backend's array as float64, without a warning and from any device."""
    import array_api_compat as compat

    if isinstance(x, np.ndarray):
        return x.astype(np.float64)
    xp = compat.array_namespace(x)
    if _dtype_name(x) == "bfloat16":
        x = xp.astype(x, xp.float32)
    x = x.detach() if hasattr(x, "detach") else x
    if not compat.is_dask_array(x) and _backends.name_of(xp) != "array_api_strict":
        x = compat.to_device(x, "cpu") if not compat.is_jax_array(x) else x
    return np.asarray(x).astype(np.float64)


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
        return executor.find_device(self.device_name) if hasattr(executor, "find_device") else None

    def session(self) -> contextlib.AbstractContextManager[Any]:
        """Where every dtype of the golden values exists: JAX has float64 only while it is told to."""
        executor = _backends.executor(self.xp)
        return executor.every_dtype() if hasattr(executor, "every_dtype") else contextlib.nullcontext()

    def array(self, values: Any, dtype: str) -> Any:
        """An array of the backend on the device, of a dtype given by its name; "int" is the library's own."""
        values = np.array(values)
        if dtype == "int":
            return self._asarray(values.astype(np.int64))
        if dtype == "bfloat16":
            return self.xp.astype(self._asarray(values.astype(np.float32)), self.xp.bfloat16)
        return self._asarray(values.astype(dtype))

    def _asarray(self, values: np.ndarray) -> Any:
        device = self.device
        return self.xp.asarray(values) if device is None else self.xp.asarray(values, device=device)

    def numpy(self, x: Any) -> np.ndarray:
        return _as_float64(x)


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


def _target_of(xp: Any, device: Any) -> Target:
    """A namespace as a target: what it is made of is asked of it rather than read from a row."""
    name = getattr(xp, "__name__", type(xp).__name__)
    dtypes = tuple(dtype for dtype in _FORMATS if hasattr(xp, dtype))
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


def slides() -> dict[str, Any]:
    """The figures of the slide deck on sigmoid and softmax in segmentation: logits, classes and printed tables."""
    return dict(_load("slides"))


@lru_cache(maxsize=None)
def _load(name: str) -> Any:
    return json.loads(resources.files("axisoft").joinpath("golden", f"{name}.json").read_text())


def cases(function: str | None = None, dtypes: tuple[str, ...] | None = None) -> Iterator[Case]:
    """The golden cases, of one function and of some floating dtypes if these are given.

    Cases on integers and booleans come with every selection: there is no library without them.
    """
    for name in OPS if function is None else (function,):
        for case in _cases(name):
            if dtypes is None or case.dtype not in _FORMATS or case.dtype in dtypes:
                yield case


@lru_cache(maxsize=None)
def _cases(function: str) -> tuple[Case, ...]:
    return tuple(_read(function, raw) for raw in _load(function)["cases"])


def _read(function: str, raw: dict[str, Any]) -> Case:
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in raw["options"].items()}
    arrays = {name: (a["dtype"], _read_array(a)) for name, a in raw["arrays"].items()}
    high, low = _read_floats(raw["high"]), _read_floats(raw["low"])
    pick = raw.get("pick")
    case = Case(function, raw["name"], raw["dtype"], arrays, options, pick and tuple(pick), high, low)
    if "cotangent" not in raw:
        return case
    cotangent = raw["cotangent"]
    g = _read_array({"shape": (-1,), **cotangent})
    return replace(case, cotangent=g, scale=_read_floats(raw["scale"]), slack=np.asarray(raw["slack"], np.float64))


def _read_floats(values: list[str]) -> np.ndarray:
    return np.asarray([float.fromhex(v) for v in values], dtype=np.float64)


def _read_array(a: dict[str, Any]) -> np.ndarray:
    if "tile" in a:
        tile = [float.fromhex(v) for v in a["tile"]]
        values = np.tile(np.asarray(tile), a["shape"][0] // len(tile))
        values[-1] = float.fromhex(a["last"])
        return values
    if a["dtype"] in _FORMATS:
        return _read_floats(a["values"]).reshape(a["shape"])
    kind = {"int": np.int64, "bool": np.bool_}.get(a["dtype"], a["dtype"])
    return np.asarray(a["values"], dtype=kind).reshape(a["shape"])


@dataclass
class Row:
    """One function on one backend: how many cases, the worst of them against its allowance, and what failed.

    of : "value" or "gradient".
    """

    function: str
    of: str
    promise: str
    cases: int = 0
    worst: Verdict = Verdict(0.0, 1.0)
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        state = "ok" if not self.failures else f"{len(self.failures)} FAILED"
        worst = f"{self.worst.ulp:.2f} of {self.worst.allowed:.3g}"
        name = self.function if self.of == "value" else "  its gradient"
        return f"{name:33} {self.cases:5}  {worst:>15}  {state:9} {self.promise}"


@dataclass
class Report:
    """The rows of one backend."""

    target: Target
    rows: list[Row]

    @property
    def ok(self) -> bool:
        return not any(row.failures for row in self.rows)


def conformance(where: Any, functions: tuple[str, ...] | None = None, *, device: Any = None) -> Report:
    """Run the golden cases on a backend, or on any namespace, and judge them.

    Parameters
    ----------
    where : a target or its name, such as "numpy", "torch" or "jax:cuda"; or a namespace that follows the array API
        standard, known to axisoft or not.
    functions : names of functions; all of them unless given.
    device : for a namespace, a device in its own terms.

    Returns
    -------
    Report : two rows per function, for its values and for its gradient. A case whose call raises is a failure like any
        other, with the error's text.

    Raises
    ------
    ValueError, Missing : as for :func:`target`.
    """
    if isinstance(where, str):
        where = target(where)
    elif not isinstance(where, Target):
        where = _target_of(where, device)
    rows: list[Row] = []
    with where.session():
        for function in functions or tuple(OPS):
            op = OPS[function]
            kinds = {"value": op.promises, "gradient": op.gradient_promises}
            own = {of: Row(function, of, "; ".join(map(str, promises))) for of, promises in kinds.items()}
            for case in cases(function, where.backend.dtypes):
                row = own["value" if case.cotangent is None else "gradient"]
                try:
                    verdict = case.judge(case.run(where))
                except Exception as error:  # whatever a backend raises, the report goes on and says so
                    verdict = Verdict(math.inf, 1.0, f"{case.id}: {type(error).__name__}: {error}")
                row.cases += 1
                row.worst = max(row.worst, verdict, key=lambda v: v.share)
                if verdict.wrong is not None:
                    row.failures.append(verdict.wrong)
            rows += own.values()
    return Report(where, rows)
