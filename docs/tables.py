"""Make the tables in README.md and docs/ from the code; a test compares them.

python docs/tables.py            write them
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

import axisoft
from axisoft import testing
from axisoft._backends import BACKENDS
from axisoft._core import OPS
from axisoft._diagnose.report import KINDS

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from bench import report  # noqa: E402 - it lies beside this folder, and in no wheel

PAGES = ("index", "backends", "special-values", "numerics", "diagnose", "performance", "scale", "judging")
FILES = (HERE.parent / "README.md", *(HERE / f"{name}.md" for name in PAGES))


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *(list(row) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def backends() -> str:
    head = ("backend", "runs on", "dtypes", "gradients", "golden values", "good to know")
    golden = {b.name: str(sum(1 for _ in testing.cases(dtypes=b.dtypes))) for b in BACKENDS}
    own = {b.name: "" if b.gradients == "-" else f"{b.gradients}, " for b in BACKENDS}
    rows = (
        (
            f"`{b.name}`",
            ", ".join(b.devices),
            ", ".join(b.dtypes),
            f"{own[b.name]}`axisoft.vjp`",
            golden[b.name],
            b.note,
        )
        for b in BACKENDS
    )
    return table(head, rows)


def promises() -> str:
    said = lambda promises: ", and ".join(str(promise) for promise in promises)
    rows = ((f"`{name}`", said(op.promises), said(op.gradient_promises)) for name, op in OPS.items())
    return table(("function", "largest error", "of its gradient"), rows)


def said(value: object) -> str:
    """A result as the tables show it: one number if all are the same."""
    numbers = [f"{v:.4g}".replace("nan", "NaN") for v in np.atleast_1d(np.asarray(value, dtype=np.float64)).reshape(-1)]
    return numbers[0] if len(set(numbers)) == 1 else "[" + ", ".join(numbers) + "]"


def special_values() -> str:
    inf, nan = np.inf, np.nan
    slices = {
        "contains NaN": ([0.0, nan, 1.0], None),
        "contains +inf": ([0.0, inf, -inf], None),
        "all -inf": ([-inf, -inf, -inf], None),
        "some -inf": ([2.0, -inf, 2.0], None),
        "`where` hides all": ([0.0, nan, 1.0], [False] * 3),
        "`where` hides NaN": ([2.0, nan, 2.0], [True, False, True]),
        "one element": ([3.0], None),
    }
    rows = []
    for name, (x, mask) in slices.items():
        options = {} if mask is None else {"where": np.asarray(mask)}
        a = np.asarray(x)
        results = [function(a, **options) for function in (axisoft.softmax, axisoft.log_softmax, axisoft.logsumexp)]
        loss = axisoft.cross_entropy(a, np.asarray(0), **options)
        rows.append((name, f"`{x}`".replace("nan", "NaN"), *(said(y) for y in results), said(loss)))
    head = ("slice", "for example", "softmax", "log_softmax", "logsumexp", "cross_entropy, class 0")
    return table(head, rows)


def elementwise() -> str:
    points = [-np.inf, -1000.0, 0.0, 1000.0, np.inf, np.nan]
    rows = []
    for name in (name for name, op in OPS.items() if op.inputs == ("x",)):
        rows.append((f"`{name}`", *(said(getattr(axisoft, name)(np.asarray(x))) for x in points)))
    for label in (0.0, 1.0):
        losses = (axisoft.binary_cross_entropy_with_logits(np.asarray(x), np.asarray(label)) for x in points)
        rows.append((f"binary cross-entropy, label {label:g}", *(said(loss) for loss in losses)))
    return table(("function", *(f"{x:g}".replace("nan", "NaN") for x in points)), rows)


def measured() -> list[report.Row]:
    rows: list[report.Row] = json.loads((HERE.parent / "bench" / "results" / "cpu.json").read_text())["rows"]
    return rows


def means() -> str:
    rows = ((name, f"{mean:.2f}", "" if bar is None else f"{bar:g}") for name, mean, bar in report.means(measured()))
    return table(("work", "ratio", "bar"), rows)


def training() -> str:
    """Of values with their gradients, the ratio by array."""
    rows = [row for row in measured() if row["kind"] == "training" and row["dtype"] == "float32" and row["axis"] == 1]
    groups = {key: {tuple(row["shape"]): row for row in found} for key, found in report.groups(rows).items()}
    groups = {key: found for key, found in groups.items() if len(found) >= 5}
    shapes = sorted({shape for found in groups.values() for shape in found}, key=math.prod)
    shapes = [shape for shape in shapes if sum(shape in found for found in groups.values()) > 3]
    ratios = lambda found: (f"{report.judged(found[shape]):.2f}" if shape in found else "" for shape in shapes)
    lines = ((f"`{backend}`", work, peer, *ratios(found)) for (backend, work, peer), found in groups.items())
    return table(("backend", "work", "beside", *(" x ".join(map(str, shape)) for shape in shapes)), lines)


def slowest() -> str:
    """Of each piece of work beside each peer, the array with the largest ratio, wherever that is above 1: by the clock
    that its bar is about."""
    rows, judged = measured(), report.judged
    worst = [max(members, key=judged) for members in report.groups(rows).values()]
    worst = sorted((row for row in worst if judged(row) > 1), key=lambda row: -judged(row))
    head = ("backend", "work", "beside", "array", "axisoft", "peer", "ratio")
    times = lambda row: (*(report.seconds(judged(row, f"{who}_s")) for who in ("ours", "peer")), f"{judged(row):.2f}")
    return table(head, ((f"`{r['backend']}`", r["work"], r["peer"], r["name"], *times(r)) for r in worst))


def layer() -> str:
    """``linear_cross_entropy`` with its gradients: time, and memory beside the input."""
    rows = json.loads((HERE.parent / "bench" / "results" / "layer.json").read_text())["rows"]
    mebibytes = lambda n: f"{n / 2**20:.0f} MiB"
    return table(
        ("samples x features x classes", "backend", "work", "beside", "time", "ratio", "memory", "of the peer's"),
        (
            (
                " x ".join(map(str, row["shape"])),
                f"`{row['backend']}`",
                row["work"],
                row["peer"],
                report.seconds(row["ours_s"]),
                f"{row['ratio']:.2f}",
                mebibytes(row["ours_bytes"]),
                f"{row['ours_bytes'] / row['peer_bytes']:.2f}",
            )
            for row in rows
        ),
    )


def shared() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = json.loads((HERE.parent / "bench" / "results" / "shared.json").read_text())
    return found


def steps() -> str:
    rows = (
        (row["peer"], report.seconds(row["ours_s"]), report.seconds(row["peer_s"]), f"{row['ratio']:.2f}")
        for row in shared()["steps"]
    )
    return table(("beside", "axisoft", "peer", "ratio"), rows)


def workers() -> str:
    rows = shared()["workers"]
    mebibytes = lambda n: f"{n / 2**20:.0f} MiB"
    head = ("shared out", "blocks", "work", "time", "peak of a worker", "before")
    lines = (
        (
            row["shared"],
            " x ".join(map(str, row["block"])),
            row["work"],
            f"{row['seconds']:.1f} s",
            mebibytes(row["peak"]),
            mebibytes(row["before"]),
        )
        for row in rows
    )
    return table(head, lines)


def judged() -> str:
    """What the golden values say of the peers."""
    rows = json.loads((HERE.parent / "bench" / "results" / "judged.json").read_text())["rows"]
    cells = ((row["peer"], row["function"], row["of"], row["cases"], row["failed"], row["untried"]) for row in rows)
    head = ("whose", "function", "of", "cases", "not kept", "not tried")
    return table(head, (tuple(map(str, row)) for row in cells))


# The front page and the README: which call for which task.
TASKS = {
    "one class of several, for each sample": "`cross_entropy(logits, labels)`",
    "one class for each pixel, logits (N, C, H, W)": "`cross_entropy(logits, labels, axis=1)`",
    "pixels that nobody labelled": "`cross_entropy(logits, labels, axis=1, ignore_index=255)`",
    "classes that may overlap, or one yes and no": "`binary_cross_entropy_with_logits(logits, labels)`",
    "a language model's last layer": "`linear_cross_entropy(features, matrix, labels)`",
    "probabilities of the classes": "`softmax(logits, axis=1)`, their logarithms by `log_softmax`",
    "probabilities of classes that may overlap": "`sigmoid(logits)`",
    "attention with a mask": "`softmax(scores, where=mask)`",
    "a gradient without a framework": "`value_and_grad(cross_entropy)(logits, labels)`",
}


def tasks() -> str:
    return table(("the task", "the call"), TASKS.items())


def claims() -> str:
    """What the README claims, out of the files that measured it."""
    results = HERE.parent / "bench" / "results"
    judged = json.loads((results / "judged.json").read_text())["rows"]
    missed = {(row["peer"], row["function"]): row for row in judged if row["of"] == "value"}
    mean = {name: value for name, value, _ in report.means(measured())}
    kept = ", ".join(
        f"{backend.name} {sum(1 for _ in testing.cases(dtypes=backend.dtypes))}"
        for backend in BACKENDS
        if "cpu" in backend.devices
    )
    said = lambda peer, name: f"{peer}'s {name} {missed[peer, name]['failed']} of {missed[peer, name]['cases']}"
    others = (
        ("SciPy", "log_softmax"),
        ("JAX", "log_softmax"),
        ("PyTorch", "cross_entropy"),
        ("Optax", "cross_entropy"),
    )
    grid = ", float32, one thread, the grid"
    times = (
        ("NumPy softmax beside SciPy", f"numpy softmax beside scipy{grid}"),
        ("JAX softmax beside `jax.nn`", f"jax softmax beside jax{grid}"),
        ("JAX cross-entropy and gradient beside Optax", f"jax cross_entropy and gradient beside optax{grid}"),
    )
    wall = mean["torch cross_entropy and gradient beside torch"]
    rows = [
        ("golden values that each backend is held to", kept, "`python -m axisoft check`"),
        (
            "of those that a framework's own function can be called with, in float32 and float64, not kept",
            ", ".join(said(*other) for other in others),
            "`python -m bench.judged`",
        ),
        (
            "axisoft's time over the peer's, below 1 is faster: float32, one thread, mean over a grid of sizes",
            ", ".join(f"{name} {mean[key]:.2f}" for name, key in times),
            "`nox -s bench`",
        ),
        (
            "the same of PyTorch, by the clock, mean over its shapes",
            f"cross-entropy and gradient beside PyTorch {wall:.2f}",
            "`nox -s bench`",
        ),
    ]
    return table(("what", "found", "by"), rows)


def findings() -> str:
    return table(("code", "what is so"), ((f"`{code}`", said) for code, said in KINDS.items()))


TABLES: dict[str, Callable[[], str]] = {
    "backends": backends,
    "promises": promises,
    "special values": special_values,
    "elementwise": elementwise,
    "means": means,
    "training": training,
    "slowest": slowest,
    "layer": layer,
    "steps": steps,
    "workers": workers,
    "judged": judged,
    "findings": findings,
    "tasks": tasks,
    "claims": claims,
}


def filled(text: str) -> str:
    """The text with every table between its two markers made anew."""
    for name, make in TABLES.items():
        between = re.compile(f"(<!-- table: {name} -->).*?(<!-- end: {name} -->)", re.DOTALL)
        text = between.sub(lambda found, make=make: f"{found[1]}\n\n{make()}\n\n{found[2]}", text)
    return text


if __name__ == "__main__":
    for path in FILES:
        path.write_text(filled(path.read_text()))
