"""``python -m bench``: validate, measure, write a JSON file, and from it a Markdown page and plots."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from bench import report, worker, works

HERE = Path(__file__).resolve().parent
PACKAGES = ("axisoft", "array-api-compat", "numpy", "scipy", "torch", "jax", "optax", "cupy-cuda13x")


def machine() -> dict[str, Any]:
    """What the figures depend on: the processor and what this process may use of it."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0] if names else cpu
    found = {"cpu": cpu, "processors": len(os.sched_getaffinity(0)), "system": platform.system()}
    if "torch" in sys.modules and sys.modules["torch"].cuda.is_available():
        found["gpu"] = sys.modules["torch"].cuda.get_device_name()
    return found


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


# One thread in every library. A worker that is told so keeps to one processor besides.
ONE = dict.fromkeys(("AXISOFT_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
ONE["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
# A peak of memory needs blocks that go back to the system as soon as they are freed.
PEAK = {"MALLOC_MMAP_THRESHOLD_": str(1 << 20)}


def run(settings: dict[str, str], *arguments: str) -> Iterator[Any]:
    """The lines of JSON that a worker prints; an error if it fails."""
    environment = os.environ | {"PYTHONPATH": str(HERE.parent)} | settings
    command = [sys.executable, "-m", "bench.worker", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        raise SystemExit(f"bench: {' '.join(command)} failed")


def measure(backend: str, quick: bool, only: str) -> list[dict[str, Any]]:
    given = (backend, "quick" if quick else "full", only)
    rows: list[dict[str, Any]] = []
    if any(case.clock == "cpu" for case in worker.cases(backend, quick, only)):
        cpu = {row.pop("index"): row for row in run(ONE, *given, "cpu")}
    else:
        cpu = {}
    for row in run({}, *given, "wall"):
        row |= cpu.get(len(rows), {})
        rows.append(row)
        print(report.line(row), flush=True)
    for index, row in enumerate(rows):
        if row["memory"] and "ours_peak" not in row:
            for who in ("ours", "peer"):
                (found,) = run(PEAK, *given, who, str(index))
                row |= found
            row["peak_is"] = "peak"
            print(report.memory_line(row), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--backend", nargs="+", default=["numpy", "torch", "jax"], choices=list(works.CASES))
    parser.add_argument("--quick", action="store_true", help="what fits in some minutes")
    parser.add_argument("--only", default="", help="cases whose work, shape, dtype or peer contains this")
    parser.add_argument("--output", type=Path, help="JSON file; a page and plots of the same name are made beside it")
    parser.add_argument("--keep", action="store_true", help="keep what that file has of the other backends")
    parser.add_argument("--report", type=Path, help="measure nothing: make the page and plots of this JSON file again")
    given = parser.parse_args()
    if given.report:
        report.write(json.loads(given.report.read_text()), given.report)
        return
    if not any(worker.cases(backend, given.quick, given.only) for backend in given.backend):
        parser.error(f"no case contains {given.only!r}")
    start = time.time()
    result: dict[str, Any] = {"machine": machine(), "versions": versions(), "quick": given.quick, "rows": []}
    if given.keep:
        if not (given.output and given.output.exists()):
            parser.error("--keep needs --output to name a file that is there")
        before = json.loads(given.output.read_text())
        for what in ("machine", "versions", "quick"):
            if before[what] != result[what]:
                parser.error(f"{given.output} has another {what}: {before[what]}")
        result["rows"] = [row for row in before["rows"] if row["backend"] not in given.backend]
    for backend in given.backend:
        result["rows"] += measure(backend, given.quick, given.only)
    result["seconds"] = round(time.time() - start)
    print(report.summary(result))
    if given.output:
        given.output.parent.mkdir(parents=True, exist_ok=True)
        given.output.write_text(json.dumps(result, indent=1) + "\n")
        report.write(result, given.output)


if __name__ == "__main__":
    main()
