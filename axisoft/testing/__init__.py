"""Golden values and their judge: the proof that a backend keeps axisoft's promises.

    report = axisoft.testing.conformance("torch:cuda")
    report.ok, [str(row) for row in report.rows]

The reference values come with the package (``axisoft/golden``), computed from the definitions with 400 digits. A result
is judged in the spacing of its own dtype against the promise of its function, the one that ``axisoft._core.OPS`` holds.
"""

from axisoft.testing.cases import Case, cases, slides
from axisoft.testing.judge import Verdict
from axisoft.testing.report import Report, Row, conformance
from axisoft.testing.targets import Missing, Target, installed, target
from axisoft.testing.ulp import ulp, ulp_distance

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
