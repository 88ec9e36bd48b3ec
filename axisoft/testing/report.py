"""All of a backend's golden cases, and how they fared."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import axisoft
from axisoft import _backends, _check
from axisoft._core import OPS
from axisoft.testing.cases import Case, cases
from axisoft.testing.judge import Verdict
from axisoft.testing.targets import Target, target, target_of

UNTRIED = Verdict(0.0, 1.0)


@dataclass
class Row:
    """One function on one backend: how many cases, the worst of them against its allowance, and what failed.

    of : "value" or "gradient".
    """

    function: str
    of: str
    promise: str
    cases: int = 0
    worst: Verdict = UNTRIED
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


def conformance(
    where: Any,
    functions: tuple[str, ...] | None = None,
    *,
    device: Any = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Run the golden cases on a backend, or on any namespace, and judge them.

    Parameters
    ----------
    where : a target or its name, such as "numpy", "torch" or "jax:cuda"; or a namespace that follows the array API
        standard, known to axisoft or not.
    functions : names of functions; all of them unless given.
    device : for a namespace, a device in its own terms.
    progress : called before the first case of a function and after each, with how many are done and how many there are:
        JAX compiles most of them.

    Returns
    -------
    Report : two rows per function, for its values and for its gradient. A case whose call raises is a failure like any
        other, with the error's text.

    Raises
    ------
    ValueError, Missing : as for :func:`target`; or no function has such a name.
    """
    if isinstance(where, str):
        where = target(where)
    elif not isinstance(where, Target):
        where = target_of(where, device)
    rows: list[Row] = []
    functions = _check.names("conformance", functions, tuple(OPS))
    with _each(where) as each:
        for function in functions:
            op = OPS[function]
            kinds = {"value": op.promises, "gradient": op.gradient_promises}
            own = {of: Row(function, of, "; ".join(map(str, promises))) for of, promises in kinds.items()}
            every = list(cases(function, where.backend.dtypes))
            verdicts = each(partial(_verdict, where), every)
            for done, case in enumerate(every):
                if progress is not None:
                    progress(done, len(every))
                verdict = next(verdicts)
                row = own["value" if case.cotangent is None else "gradient"]
                row.cases += 1
                row.worst = max(row.worst, verdict, key=lambda v: v.share)
                if verdict.wrong is not None:
                    row.failures.append(verdict.wrong)
            if progress is not None:
                progress(len(every), len(every))
            rows += own.values()
    return Report(where, rows)


@contextlib.contextmanager
def _each(where: Target) -> Iterator[Callable[..., Iterator[Verdict]]]:
    """``map``: in threads where a library compiles the cases, which takes a core each and nearly all the time."""
    if not getattr(_backends.executor(where.xp), "COMPILES", False):
        yield map
        return
    with ThreadPoolExecutor(axisoft.get_num_threads()) as pool:
        yield pool.map


def _verdict(where: Target, case: Case) -> Verdict:
    with where.session():
        try:
            return case.judge(case.run(where))
        except Exception as error:  # whatever a backend raises, the report goes on and says so
            return Verdict(math.inf, 1.0, f"{case.id}: {type(error).__name__}: {error}")
