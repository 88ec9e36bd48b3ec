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
from axisoft.testing.implementation import by_function, called_as, derivative
from axisoft.testing.judge import Verdict
from axisoft.testing.targets import Target, target, target_of
from axisoft.testing.ulp import FORMATS

UNTRIED = Verdict(0.0, 1.0)


@dataclass
class Row:
    """One function on one backend: how many cases, the worst of them against its allowance, and what failed.

    of : "value" or "gradient".
    untried : how many cases are for what an implementation does not take.
    """

    function: str
    of: str
    promise: str
    cases: int = 0
    worst: Verdict = UNTRIED
    failures: list[str] = field(default_factory=list)
    untried: int = 0

    def __str__(self) -> str:
        state = f"{len(self.failures)} FAILED" if self.failures else "ok" if self.cases or not self.untried else "-"
        worst = f"{self.worst.ulp:.2f} of {self.worst.allowed:.3g}"
        name = self.function if self.of == "value" else "  its gradient"
        untried = f"; {self.untried} untried" if self.untried else ""
        return f"{name:33} {self.cases:5}  {worst:>15}  {state:9} {self.promise}{untried}"


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
    implementation: Any = None,
    dtypes: tuple[str, ...] | None = None,
) -> Report:
    """Run the golden cases on a backend, or on any namespace, and judge them: axisoft's functions, or somebody else's.

    Parameters
    ----------
    where : a target or its name, such as "numpy", "torch" or "jax:cuda"; or a namespace that follows the array API
        standard, known to axisoft or not.
    functions : names of functions; all of them unless given.
    device : for a namespace, a device in its own terms.
    progress : called before the first case of a function and after each, with how many are done and how many there are:
        JAX compiles most of them.
    implementation : a function to be judged in the place of the one that ``functions`` names, or a mapping from names
        to functions. It is called as axisoft's is: the first array, and targets, by position, and by name the options
        that a case has; axis and reduction always, if it takes them. A case with an option that it does not take, or
        for which it raises ``NotImplementedError``, is not tried. Its gradient is the library's own (PyTorch, JAX).
    dtypes : floating dtypes of the cases; all that the backend has unless given.

    Returns
    -------
    Report : two rows per function, for its values and for its gradient. A case whose call raises is a failure like any
        other, with the error's text.

    Raises
    ------
    ValueError, Missing : as for :func:`target`; or no function has such a name; or an implementation is given without
        the name of what it implements, or takes none of the cases.
    TypeError : what is to be judged cannot be called.

    Examples
    --------
    >>> import numpy as np
    >>> def softmax(x, axis):
    ...     e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    ...     return e / np.sum(e, axis=axis, keepdims=True)
    >>> report = conformance("numpy", ("softmax",), implementation=softmax, dtypes=("float64",))
    >>> report.ok, report.rows[0].cases, report.rows[0].untried
    (False, 72, 10)
    """
    if isinstance(where, str):
        where = target(where)
    elif not isinstance(where, Target):
        where = target_of(where, device)
    rows: list[Row] = []
    judged = {} if implementation is None else by_function(implementation, functions)
    functions = tuple(judged) or _check.names("conformance", functions, tuple(OPS))
    dtypes = where.backend.dtypes if dtypes is None else _names_of(dtypes)
    vjp = derivative(where) if judged else None
    with _each(where) as each:
        for function in functions:
            op = OPS[function]
            kinds = {"value": op.promises, "gradient": op.gradient_promises}
            own = {of: Row(function, of, "; ".join(map(str, promises))) for of, promises in kinds.items()}
            every = list(cases(function, dtypes))
            fun = called_as(function, judged[function]) if judged else None
            verdicts = each(partial(_verdict, where, vjp, fun), every)
            for done, case in enumerate(every):
                if progress is not None:
                    progress(done, len(every))
                verdict = next(verdicts)
                row = own["value" if case.cotangent is None else "gradient"]
                if verdict is None:
                    row.untried += 1
                    continue
                row.cases += 1
                row.worst = max(row.worst, verdict, key=lambda v: v.share)
                if verdict.wrong is not None:
                    row.failures.append(verdict.wrong)
            if progress is not None:
                progress(len(every), len(every))
            if not own["value"].cases:
                hint = "it is called with the first array, and targets, by position, and axis and options by name"
                raise ValueError(f"conformance: implementation for {function} takes none of the golden cases; {hint}.")
            rows += own.values()
    return Report(where, rows)


def _names_of(dtypes: tuple[str, ...]) -> tuple[str, ...]:
    wrong = next((name for name in dtypes if name not in FORMATS), None)
    if wrong is not None:
        raise ValueError(
            f"conformance: dtypes holds {wrong!r}, which has no golden values; use some of {', '.join(FORMATS)}."
        )
    return dtypes


@contextlib.contextmanager
def _each(where: Target) -> Iterator[Callable[..., Iterator[Verdict | None]]]:
    """``map``: in threads where a library compiles the cases, which takes a core each and nearly all the time."""
    if not getattr(_backends.executor(where.xp), "COMPILES", False):
        yield map
        return
    with ThreadPoolExecutor(axisoft.get_num_threads()) as pool:
        yield pool.map


def _verdict(where: Target, vjp: Any, fun: Any, case: Case) -> Verdict | None:
    """None for a case that an implementation does not take."""
    with where.session():
        try:
            return case.judge(case.run(where, vjp, fun))
        except NotImplementedError as error:
            return None if fun else Verdict(math.inf, 1.0, f"{case.id}: {type(error).__name__}: {error}")
        except Exception as error:  # whatever a backend raises, the report goes on and says so
            return Verdict(math.inf, 1.0, f"{case.id}: {type(error).__name__}: {error}")
