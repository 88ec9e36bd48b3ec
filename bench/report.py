"""Lines, tables and plots from measured rows; nothing here measures."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def verdict(value: float, bar: float | None) -> str:
    return "" if bar is None else "met" if value <= bar else "NOT MET"


def seconds(value: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value * 1e6:.2g} us"


def judged(row: Row, what: str = "ratio") -> float:
    """A figure by the clock that the bar is about."""
    found: float = row.get(f"cpu_{what}", row[what])
    return found


def spread(row: Row, clock: str = "") -> str:
    low, high = row[f"{clock}ratio_quartiles"]
    return f"{row[f'{clock}ratio']:.2f} ({low:.2f} to {high:.2f})"


def line(row: Row) -> str:
    bar = "" if row["bar"] is None else f"  bar {row['bar']:g}: {verdict(judged(row), row['bar'])}"
    cpu = f"  in one thread {spread(row, 'cpu_')}" if "cpu_ratio" in row else ""
    return (
        f"{row['backend']:6} {row['work']:26} {row['name']:44} {seconds(row['ours_s']):>8} "
        f"{row['peer']:>6} {seconds(row['peer_s']):>8}  ratio {spread(row)}{cpu}{bar}"
    )


def memory_line(row: Row) -> str:
    return (
        f"{row['backend']:6} {row['work']:26} {row['name']:44} {row['peak_is']} memory, inputs: "
        f"{_memory(row, 'ours')}, {row['peer']} {_memory(row, 'peer')}{_memory_verdict(row)}"
    )


def _memory(row: Row, who: str) -> str:
    kept = f" ({row[f'{who}_kept']:.3f} kept)" if f"{who}_kept" in row else ""
    return f"{row[f'{who}_peak']:.3f}{kept}"


def _memory_verdict(row: Row) -> str:
    """Of what axisoft takes beside its result."""
    bar = row["memory_bar"]
    return "" if bar is None else f"  bar: result and {bar:g}, {verdict(row['ours_peak'] - row['result_part'], bar)}"


def groups(rows: Iterable[Row]) -> dict[tuple[str, str, str], list[Row]]:
    """Rows by backend, work and peer."""
    found: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row["backend"], row["work"], row["peer"]), []).append(row)
    return found


def geometric_mean(values: Iterable[float]) -> float:
    values = list(values)
    return math.exp(sum(map(math.log, values)) / len(values))


def means(rows: list[Row]) -> list[tuple[str, float, float | None]]:
    """The geometric mean of each piece of work over the shapes, and its bar."""
    found = []
    for (backend, work, peer), members in groups(rows).items():
        shapes = [row for row in members if row["kind"] == "shapes" and row["data"] == "normal"]
        if len(shapes) > 2:
            mean = geometric_mean(row["ratio"] for row in shapes)
            found.append((f"{backend} {work} beside {peer}", mean, shapes[0]["mean_bar"]))
        for dtype, cells in by_dtype(row for row in members if row["kind"] == "grid").items():
            mean = geometric_mean(map(judged, cells))
            name = f"{backend} {work} beside {peer}, {dtype}, one thread, the grid"
            found.append((name, mean, cells[0]["mean_bar"]))
    return found


def by_dtype(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["dtype"], []).append(row)
    return found


def summary(result: dict[str, Any]) -> str:
    lines = ["", "geometric means over the shapes"]
    for name, mean, bar in means(result["rows"]):
        lines.append(f"  {name:44} {mean:.2f}" + ("" if bar is None else f"  bar {bar:g}: {verdict(mean, bar)}"))
    missed = [row for row in result["rows"] if verdict(judged(row), row["bar"]) == "NOT MET"]
    bars = sum(row["bar"] is not None for row in result["rows"])
    lines.append(f"{bars - len(missed)} of {bars} bars met, in {result['seconds']} s")
    return "\n".join([*lines, *(line(row) for row in missed)])


# The page -------------------------------------------------------------------------------------------------------------


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *(list(row) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def page(result: dict[str, Any], stem: str) -> str:
    machine, versions = result["machine"], result["versions"]
    parts = [
        "# Measured speed",
        f"{machine['cpu']}, {machine['processors']} processors{', ' + machine['gpu'] if 'gpu' in machine else ''}; "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + ". Each ratio is axisoft's time over the peer's: the median of interleaved runs and, in brackets, its "
        "quartiles. Where one thread has a ratio, that is of the processor's time, and the bar is about it. GB/s are "
        "those of reading the input and writing the result once, beside a plain copy. Memory is what a call takes at "
        "its peak, result included, in sizes of the input, and what of it is kept for a backward; for JAX what XLA "
        "adds to the result.",
    ]
    rows = [
        (f"{name}", f"{mean:.2f}", "" if bar is None else f"{bar:g}", verdict(mean, bar))
        for name, mean, bar in means(result["rows"])
    ]
    if rows:
        parts += ["## Geometric means over the shapes", _table(("work", "ratio", "bar", ""), rows)]
    for backend in dict.fromkeys(row["backend"] for row in result["rows"]):
        parts.append(f"## {backend}")
        parts.append(_table(*_cells([row for row in result["rows"] if row["backend"] == backend])))
        for work in dict.fromkeys(row["work"] for row in _growing(result) if row["backend"] == backend):
            parts.append(f"![{work} of arrays of every size]({_picture(stem, backend, work)})")
        if any(row["backend"] == backend for row in _of_grid(result)):
            parts.append(f"![one thread, by classes and elements]({_picture(stem, backend, 'grid')})")
    return "\n\n".join(parts) + "\n"


def _cells(rows: list[Row]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    head = (
        "work", "array", "axisoft", "peer", "its time", "ratio", "in one thread", "bar", "", "GB/s", "copy", "memory",
        "peer's",
    )  # fmt: skip
    cells = []
    for row in rows:
        memory = [_memory(row, who) if f"{who}_peak" in row else "" for who in ("ours", "peer")]
        memory[0] += _memory_verdict(row).replace("  bar: ", "; ") if memory[0] else ""
        cells.append(
            (
                row["work"],
                row["name"],
                seconds(row["ours_s"]),
                row["peer"],
                seconds(row["peer_s"]),
                spread(row),
                spread(row, "cpu_") if "cpu_ratio" in row else "",
                "" if row["bar"] is None else f"{row['bar']:g}",
                verdict(judged(row), row["bar"]),
                f"{row['ours_GB_s']:.2g}",
                f"{row['copy_GB_s']:.2g}",
                *memory,
            )
        )
    return head, cells


def _growing(result: dict[str, Any]) -> list[Row]:
    return [row for row in result["rows"] if row["kind"] == "growth"]


def _of_grid(result: dict[str, Any]) -> list[Row]:
    return [row for row in result["rows"] if row["kind"] == "grid"]


def _picture(stem: str, backend: str, work: str) -> str:
    return "-".join((stem, backend.replace(":", "-"), *work.split())) + ".png"


def write(result: dict[str, Any], path: Path) -> None:
    """The page and the plots beside the JSON file."""
    path.with_suffix(".md").write_text(page(result, path.stem))
    growing = _growing(result)
    for backend, work in dict.fromkeys((row["backend"], row["work"]) for row in growing):
        rows = [row for row in growing if (row["backend"], row["work"]) == (backend, work)]
        _plot(backend, rows, path.with_name(_picture(path.stem, backend, work)))

    for backend in dict.fromkeys(row["backend"] for row in _of_grid(result)):
        rows = [row for row in _of_grid(result) if row["backend"] == backend]
        _map(backend, rows, path.with_name(_picture(path.stem, backend, "grid")))


def _map(backend: str, rows: list[Row], path: Path) -> None:
    """The ratio in one thread, classes down and elements across, in a colour that is white at 1."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import colors
    from matplotlib import pyplot as plt

    maps = [
        (f"{work} beside {peer}, {dtype}", cells)
        for (_, work, peer), members in groups(rows).items()
        for dtype, cells in by_dtype(members).items()
    ]
    across = min(len(maps), 2)
    down = -(-len(maps) // across)
    figure, panels = plt.subplots(down, across, figsize=(5 * across, 3.4 * down), layout="constrained", squeeze=False)
    for axes, (title, cells) in zip(panels.flat, maps, strict=False):
        classes = sorted({row["shape"][1] for row in cells})
        elements = sorted({_decade(row) for row in cells})
        grid = [[math.nan] * len(elements) for _ in classes]
        for row in cells:
            grid[classes.index(row["shape"][1])][elements.index(_decade(row))] = judged(row)
        image = axes.imshow(grid, norm=colors.LogNorm(1 / 4, 4), cmap="RdBu_r", aspect="auto")
        for i, j in ((i, j) for i in range(len(classes)) for j in range(len(elements)) if grid[i][j] == grid[i][j]):
            color = "white" if abs(math.log2(grid[i][j])) > 1.2 else "black"
            axes.text(j, i, f"{grid[i][j]:.2f}", ha="center", va="center", fontsize=8, color=color)
        axes.set_xticks(range(len(elements)), [f"{n:.0e}" for n in elements])
        axes.set_yticks(range(len(classes)), list(map(str, classes)))
        axes.set(xlabel="elements", ylabel="classes", title=title)
    for axes in panels.flat[len(maps) :]:
        axes.set_axis_off()
    bar = figure.colorbar(image, ax=panels, shrink=0.6)
    bar.set_ticks([1 / 4, 1 / 2, 1, 2, 4], labels=["0.25", "0.5", "1", "2", "4"])
    bar.ax.minorticks_off()
    bar.set_label("axisoft's time over the peer's")
    figure.suptitle(f"{backend}, processor time of one thread")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _decade(row: Row) -> float:
    """About the number of elements that was meant, of which whole rows are taken."""
    return min((1e3, 1e4, 3e4, 1e5, 1e6, 4e6), key=lambda n: abs(math.log(math.prod(row["shape"]) / n)))


def _plot(backend: str, rows: list[Row], path: Path) -> None:
    """Time against size on the left, the ratio to each peer on the right."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (times, ratio) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for (_, _, peer), members in groups(rows).items():
        sizes = [math.prod(row["shape"]) for row in members]
        times.plot(sizes, [row["peer_s"] for row in members], "o--", label=peer)
        drawn = ratio.plot(sizes, [row["ratio"] for row in members], "o-", label=f"beside {peer}")
        low, high = zip(*(row["ratio_quartiles"] for row in members), strict=True)
        ratio.fill_between(sizes, low, high, alpha=0.2, color=drawn[0].get_color())
    times.plot(sizes, [row["ours_s"] for row in members], "ko-", label="axisoft")
    times.plot(sizes, [row["copy_s"] for row in members], ":", color="grey", label="plain copy")
    times.set(
        xscale="log",
        yscale="log",
        xlabel="elements (float32)",
        ylabel="seconds",
        title=f"{rows[0]['work']} on {backend}",
    )
    ratio.axhline(1.0, color="grey", linewidth=0.8)
    ratio.set(xscale="log", yscale="log", xlabel="elements (float32)", title="axisoft's time over the peer's")
    ratio.set_yticks([0.1, 0.2, 0.5, 1, 2, 5], ["0.1", "0.2", "0.5", "1", "2", "5"])
    for axes in (times, ratio):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)
