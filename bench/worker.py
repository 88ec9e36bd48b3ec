"""What runs in a process of its own: one backend's cases, by the clock of the wall or of the processor, or one peak of
memory. Prints a line of JSON for each."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from bench import measure, works


def cases(backend: str, quick: bool, only: str) -> list[works.Case]:
    found = (case for case in works.CASES[backend]() if only in f"{case.work}, {case.name}, {case.peer}")
    return [case for case in found if not quick or works.is_quick(case)]


def by_the_wall(chosen: list[works.Case], how_long: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All that there is to say of each case but what the other ways of calling this say."""
    for case in chosen:
        trial = case.trial()
        measure.validate(case, trial)
        row = {**asdict(case), "name": case.name}
        row |= measure.ratios(trial, **how_long)
        row |= measure.bandwidth(case, trial, row)
        if case.memory and trial.temporary is not None:
            row["ours_peak"], row["peer_peak"] = (temporary / case.nbytes for temporary in trial.temporary())
            row["peak_is"] = "temporary"
        yield row
        del trial


def by_the_processor(chosen: list[works.Case], how_long: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Of each case with that clock, its place and the times of the one thread that there is (bench.__main__.ONE)."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for index, case in enumerate(chosen):
        if case.clock == "cpu":
            found = measure.ratios(case.trial(), **how_long, clock="cpu")
            yield {"index": index} | {f"cpu_{name}": value for name, value in found.items()}


def main(backend: str, quick: str, only: str, what: str, index: str = "") -> None:
    chosen = cases(backend, quick == "quick", only)
    if index:
        print(json.dumps(measure.peak(chosen[int(index)], what)))
        return
    ways = {"wall": by_the_wall, "cpu": by_the_processor}
    how_long = {"least": 3, "rounds": 3} if quick == "quick" else {"least": 7, "rounds": 15}
    for row in ways[what](chosen, how_long | {"budget": 1.5}):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
