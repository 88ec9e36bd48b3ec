"""One case measured: the result validated, both contenders timed in turn, and their memory where it is asked for."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.definitions import AND_GRADIENT
from bench.libraries import Trial, arrays
from bench.works import Case

# A result that is off by more of its largest number is not the same work, but for the rounding of what a gradient is a
# difference of, by peers and by the definition. Far looser than axisoft's promises: tests/ is where these are held.
NEAR = {"float16": 4e-3, "bfloat16": 2e-2, "float32": 2e-3, "float64": 1e-9}
# A sample of a call lasts at least this long, so that the clock's own cost and resolution vanish.
SAMPLE = 0.002


def validate(case: Case, trial: Trial) -> None:
    """Both results against the definition in float64."""
    expected = trial.expected()
    for who, call in (("axisoft", trial.ours), (case.peer, trial.theirs)):
        found = trial.to_numpy(call())
        for y, right in zip(found, expected, strict=True):
            limit = NEAR[case.dtype] * np.max(np.abs(right)) + (1e-14 if case.dtype == "float64" else 1e-6)
            error = np.max(np.abs(y - right))
            if y.shape != right.shape or not error <= limit:
                raise ValueError(f"{who}'s {case.work} of {case.name} on {case.backend} is off by {error}")


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def timed(call: Callable[[], Any], repeats: int, clock: str = "wall") -> float:
    now = CLOCKS[clock]
    start = now()
    for _ in range(repeats):
        call()
    return (now() - start) / repeats


def ratios(trial: Trial, *, least: int, rounds: int, budget: float, clock: str = "wall") -> dict[str, Any]:
    """Medians over rounds of axisoft, peer and a plain copy in turn; the ratio is taken within each round."""
    calls = (trial.ours, trial.theirs, trial.copy)
    repeats = []
    for call in calls:
        timed(call, 1)
        repeats.append(max(1, min(2000, round(SAMPLE / timed(call, 1)))))
    rows: list[list[float]] = []
    start = time.perf_counter()
    while len(rows) < least or (len(rows) < rounds and time.perf_counter() - start < budget):
        rows.append([timed(call, n, clock) for call, n in zip(calls, repeats, strict=True)])
    ours, theirs, copy = (list(column) for column in zip(*rows, strict=True))
    low, middle, high = statistics.quantiles([a / b for a, b in zip(ours, theirs, strict=True)], n=4)
    return {
        "ratio": middle,
        "ratio_quartiles": [low, high],
        "ours_s": statistics.median(ours),
        "peer_s": statistics.median(theirs),
        "copy_s": statistics.median(copy),
        "rounds": len(rows),
    }


def bandwidth(case: Case, trial: Trial, row: dict[str, Any]) -> dict[str, float]:
    """GB/s of what has to be read and written at least, beside those of a plain copy; the result's size in inputs."""
    result = sum(a.nbytes for a in arrays(trial.ours()))
    return {
        "result_part": result / case.nbytes,
        "ours_GB_s": (case.nbytes + result) / row["ours_s"] / 1e9,
        "copy_GB_s": 2 * case.nbytes / row["copy_s"] / 1e9,
    }


def peak(case: Case, who: str) -> dict[str, float]:
    """The most memory that one call takes beside its input, and what of it is kept for a backward, as parts of the
    input. Call it in a process of its own."""
    trial = case.trial()
    call = trial.ours if who == "ours" else trial.theirs
    reset, read = meter(case.backend)
    small = Case(case.backend, case.work, case.peer, SMALL_SHAPE, 1, case.dtype).trial()
    (small.ours if who == "ours" else small.theirs)()  # what a first call keeps is not the call's
    before = reset()
    result = call()
    used = read() - before
    del result
    found = {f"{who}_peak": used / case.nbytes}
    if trial.kept is not None and case.work.endswith(AND_GRADIENT):
        found[f"{who}_kept"] = trial.kept(call) / case.nbytes
    return found


SMALL_SHAPE = (64, 64)


def meter(backend: str) -> tuple[Callable[[], int], Callable[[], int]]:
    """A function that resets the high-water mark and gives the bytes in use, and one that reads the mark."""
    name, _, device = backend.partition(":")
    if name == "cupy":
        raise NotImplementedError("CuPy's pool has no high-water mark")
    if device == "cuda":
        import torch

        def reset() -> int:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            return torch.cuda.memory_allocated()

        return reset, torch.cuda.max_memory_allocated

    def status(field: str) -> int:
        with open("/proc/self/status") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))

    def clear() -> int:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # resets VmHWM
        return status("VmRSS")

    return clear, lambda: status("VmHWM")
