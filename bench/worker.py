"""What runs in a process of its own: one backend's cases, or one peak of memory. Prints a line of JSON for each."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from bench import measure, works


def cases(backend: str, quick: bool, only: str) -> list[works.Case]:
    found = (case for case in works.CASES[backend]() if only in f"{case.work}, {case.name}, {case.peer}")
    return [case for case in found if not quick or works.is_quick(case)]


def main(backend: str, quick: str, only: str, index: str = "", who: str = "") -> None:
    chosen = cases(backend, quick == "quick", only)
    if who:
        print(json.dumps(measure.peak(chosen[int(index)], who)))
        return
    for case in chosen:
        trial = case.trial()
        measure.validate(case, trial)
        row = {**asdict(case), "name": case.name}
        row |= measure.ratios(trial, rounds=15, budget=1.0 if quick == "quick" else 1.5)
        row |= measure.bandwidth(case, trial, row)
        if case.memory and trial.temporary is not None:
            nbytes = case.elements * measure.np.dtype(case.dtype).itemsize
            row["ours_peak"], row["peer_peak"] = (temporary / nbytes for temporary in trial.temporary())
            row["peak_is"] = "temporary"
        print(json.dumps(row), flush=True)
        del trial


if __name__ == "__main__":
    main(*sys.argv[1:])
