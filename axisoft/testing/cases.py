"""The golden cases: calls with their true results, as the package ships them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np

import axisoft
from axisoft import _check
from axisoft._core import OPS, Promise
from axisoft.testing.judge import Verdict, judge
from axisoft.testing.targets import Target
from axisoft.testing.ulp import FORMATS, as_float64, dtype_name


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
        if self.dtype not in FORMATS:
            return "float32", "float64"
        loss = "targets" in self.arrays and self.cotangent is None
        return ("float32",) if loss and self.dtype in ("float16", "bfloat16") else (self.dtype,)

    def run(self, where: Target, vjp: Any = None, fun: Any = None) -> Any:
        """The result on a backend. ``vjp``: who takes derivatives, in place of ``axisoft.vjp``; ``fun``: of what, in
        place of axisoft's function."""
        arrays = {name: where.array(values, dtype) for name, (dtype, values) in self.arrays.items()}
        positional = [arrays.pop(name) for name in OPS[self.function].inputs[:2] if name in arrays and name != "where"]
        fun = fun or getattr(axisoft, self.function)
        if self.cotangent is None:
            return fun(*positional, **arrays, **self.options)
        y, pullback = (vjp or axisoft.vjp)(fun, *positional, **arrays, **self.options)
        return pullback(where.array(self.cotangent.reshape(tuple(y.shape)), self.dtype))[0]

    def judge(self, result: Any) -> Verdict:
        """The result, as NumPy or of any backend, against the true value and the function's promises."""
        values, dtype = as_float64(result), dtype_name(result)
        wanted = self.result_dtypes
        if dtype not in wanted:
            return Verdict(math.inf, 0.0, f"{self.id}: the result is {dtype}, not {' or '.join(wanted)}")
        values = values.reshape(-1) if self.pick is None else values.reshape(-1)[list(self.pick)]
        if values.shape != self.high.shape:
            return Verdict(math.inf, 0.0, f"{values.size} results, not {self.high.size}")
        verdicts = [judge(values, dtype, self, promise) for promise in self.promises]
        wrong = [verdict for verdict in verdicts if not verdict.ok]
        return wrong[0] if wrong else max(verdicts, key=lambda verdict: verdict.share)


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
    for name in _check.names("cases", function and (function,), tuple(OPS)):
        for case in _cases(name):
            if dtypes is None or case.dtype not in FORMATS or case.dtype in dtypes:
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
    if a["dtype"] in FORMATS:
        return _read_floats(a["values"]).reshape(a["shape"])
    kind = {"int": np.int64, "bool": np.bool_}.get(a["dtype"], a["dtype"])
    return np.asarray(a["values"], dtype=kind).reshape(a["shape"])
