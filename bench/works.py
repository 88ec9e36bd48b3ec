"""What is measured: each case is a piece of work on one array, by axisoft and by a peer, and the bar it must meet."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from bench import libraries
from bench.definitions import AND_GRADIENT, BINARY, CLASSES, ELEMENTWISE, FAMILY, LOSSES, STEP

# The shapes and axes that the bars of the softmax family are about.
SHAPES = (
    ((4096, 1024), 1),
    ((65536, 10), 1),
    ((8, 21, 256, 256), 1),
    ((4, 19, 512, 1024), 1),
    ((64, 32768), 1),
    ((100_000, 8), 0),
)
SMALL = ((4, 10), 1)
GROWTH = tuple(((max(10**n // 1000, 1), min(10**n, 1000)), 1) for n in range(1, 9))
MIDDLE = GROWTH[2:6]
# Classes and elements of the grids, by processor time in one thread.
GRID = ((4, 32, 64, 128, 512, 4096), (1_000, 10_000, 30_000, 100_000, 1_000_000))
JAX_GRID = ((10, 128, 1024, 32768), (10_000, 100_000, 1_000_000, 4_000_000))
LOSS_GRID = ((10, 128, 1000, 32000), (1_000, 10_000, 100_000, 1_000_000, 4_000_000))
# Those that the bars of values with gradients are about, small and not.
FEW = ((4, 10), (64, 10))
MANY = ((1024, 64), (4096, 1024), (64, 32768))
ITEMS = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}


class Inputs(NamedTuple):
    """Values that the case's dtype has, in float32 if NumPy has no such dtype."""

    x: np.ndarray
    targets: np.ndarray  # classes, or labels for the binary cross-entropy
    cotangent: np.ndarray  # what a gradient is taken against; 1 for a loss


@dataclass(frozen=True)
class Case:
    """``work`` on an array of a shape, in one backend, beside one peer.

    kind : "shapes", "small", "training", "growth" or "grid"; the report has a table, a plot or a map of each.
    data : "normal" (with a spike in every slice of a few) or "confident" (one class 20 above the others, everywhere).
    bar : the largest ratio of axisoft's time to the peer's; None where it is only watched.
    clock : whose time the bar is about: that of the "wall", with as many threads as there are, or that of the "cpu", in
        one thread, which is measured beside the other.
    memory : whether the peak memory is measured too, in a process of its own.
    memory_bar : the most that axisoft may allocate beside its result, as a part of the input.
    """

    backend: str
    work: str
    peer: str
    shape: tuple[int, ...]
    axis: int
    dtype: str = "float32"
    kind: str = "shapes"
    data: str = "normal"
    bar: float | None = None
    clock: str = "wall"
    memory: bool = False
    memory_bar: float | None = None
    mean_bar: float | None = None

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.elements * ITEMS[self.dtype]

    @property
    def name(self) -> str:
        shape = " x ".join(map(str, self.shape))
        over = "" if self.axis == len(self.shape) - 1 else f" over axis {self.axis}"
        return f"{shape}{over}, {self.dtype}{'' if self.data == 'normal' else ', ' + self.data}"

    def inputs(self) -> Inputs:
        """Logits with spikes, since tame ones prove nothing, and what belongs to them."""
        rng = np.random.default_rng(self.elements)
        x = rng.standard_normal(self.shape, dtype="float64" if self.dtype == "float64" else "float32")
        if self.work == STEP:
            return Inputs(x, rng.integers(0, CLASSES, size=len(x)), np.ones((), x.dtype))
        x *= 3
        slices = np.moveaxis(x, self.axis, -1)  # a view
        if self.data == "confident":
            slices[..., 0] += 20
        else:
            slices[..., 0].flat[::7] = 40
        if slices.ndim > 1 and slices.shape[0] > 2:
            slices[1] += 1e4
        _round(x, self.dtype)
        function = self.work.removesuffix(AND_GRADIENT)
        if function == BINARY:
            targets = rng.integers(0, 5, size=self.shape).astype(x.dtype) / 4
        else:
            targets = rng.integers(0, self.shape[self.axis], size=slices.shape[:-1])
        if function in LOSSES:
            return Inputs(x, targets, np.ones((), x.dtype))
        shape = slices.shape[:-1] if function == "logsumexp" else self.shape
        return Inputs(x, targets, rng.integers(2, 7, size=shape).astype(x.dtype) / 4)

    def trial(self) -> libraries.Trial:
        return libraries.trial(self)


def _round(x: np.ndarray, dtype: str) -> None:
    """To numbers that the dtype has, in place."""
    if dtype == "float16":
        x[...] = x.astype(np.float16)
    elif dtype == "bfloat16":
        x.view(np.uint32)[...] &= 0xFFFF0000


def _family(backend: str, peer: str, bars: dict[str, tuple[float | None, float | None]]) -> Iterator[Case]:
    for work in FAMILY:
        bar, mean = bars.get(work, (None, None))
        for shape, axis in SHAPES:
            for dtype in ("float32", "float64"):
                if bar is None and dtype == "float64":
                    continue
                # A bar for a million elements and more, beside libraries that have fast kernels.
                binds = bar is not None and (peer == "scipy" or math.prod(shape) >= 1e6 or backend == "jax")
                memory = peer == "scipy" and (shape, dtype) == ((4, 19, 512, 1024), "float32")
                yield Case(
                    backend, work, peer, shape, axis, dtype, bar=bar if binds else None, mean_bar=mean,
                    memory=memory, memory_bar=0.1 if memory else None,
                )  # fmt: skip
        yield Case(backend, work, peer, (4096, 1024), 1, data="confident")


def _growth(backend: str, *peers: str) -> Iterator[Case]:
    for peer in peers:
        for shape, axis in GROWTH:
            yield Case(backend, "softmax", peer, shape, axis, kind="growth")


def _grid(
    backend: str,
    work: str,
    peer: str,
    sizes: tuple[tuple[int, ...], tuple[int, ...]],
    bar: Callable[[int], float],
    mean_bar: float,
    dtypes: Iterable[str] = ("float32",),
) -> Iterator[Case]:
    """Classes along memory by elements; ``bar`` is asked for that of a number of elements."""
    for dtype in dtypes:
        for classes in sizes[0]:
            for elements in sizes[1]:
                if elements >= classes:
                    shape, limit = (round(elements / classes), classes), bar(elements)
                    case = Case(backend, work, peer, shape, 1, dtype, "grid", bar=limit, mean_bar=mean_bar)
                    yield _timed(case)


def _middle(backend: str, peer: str, peer_of_losses: str) -> Iterator[Case]:
    for work, beside in (("softmax", peer), ("cross_entropy", peer_of_losses)):
        for shape, axis in MIDDLE:
            yield Case(backend, work + AND_GRADIENT, beside, shape, axis, kind="growth")


def _training(
    backend: str, peer: str, peer_of_losses: str, shapes: Iterable[tuple[int, ...]], bar: Callable[[str, int], Any]
) -> Iterator[Case]:
    """Value and gradient of every function; ``bar`` is asked for that of a function and a number of elements."""
    for function in (*FAMILY, *ELEMENTWISE, *LOSSES):
        beside = peer_of_losses if function in LOSSES else peer
        for shape in shapes:
            limit = bar(function, math.prod(shape))
            yield _timed(Case(backend, function + AND_GRADIENT, beside, shape, 1, kind="training", bar=limit))


def _timed(case: Case) -> Case:
    """By the processor's clock, which a device does not have, nor then the bar."""
    return replace(case, bar=None) if ":" in case.backend else replace(case, clock="cpu")


def _small(backend: str, peer: str, bars: dict[str, float]) -> Iterator[Case]:
    for work, bar in bars.items():
        yield Case(backend, work, peer, *SMALL, kind="small", bar=bar)


def numpy_cases() -> Iterator[Case]:
    yield from _small("numpy", "scipy", {"softmax": 1.3, "log_softmax": 1.2, "logsumexp": 0.35})
    yield from _family(
        "numpy", "scipy", dict.fromkeys(("softmax", "log_softmax"), (1.0, 0.5)) | {"logsumexp": (0.6, 0.25)}
    )
    for data in ("normal", "confident"):
        yield Case(
            "numpy", "cross_entropy", "scipy", (4096, 8000), 1, data=data,
            bar=0.5 if data == "normal" else None,
            memory=data == "normal", memory_bar=0.1 if data == "normal" else None,
        )  # fmt: skip
    for work in ELEMENTWISE:
        yield Case("numpy", work, "scipy", (4096, 1024), 1)
    yield from _family("numpy", "torch", {})
    for work in ("cross_entropy", "cross_entropy and gradient"):
        yield Case("numpy", work, "torch", (4096, 8000), 1)
        yield Case("numpy", work, "torch", (8, 21, 256, 256), 1)
    yield Case("numpy", BINARY, "scipy", (4096, 1024), 1)
    yield from _training("numpy", "torch", "torch", FEW + MANY, lambda function, elements: None)
    for work in ("softmax", "log_softmax"):
        cell = lambda elements: 1.35 if elements <= 1000 else 1.2
        yield from _grid("numpy", work, "scipy", GRID, cell, 0.7, ("float32", "float64"))
    yield from _grid("numpy", "logsumexp", "scipy", GRID, lambda elements: 0.6, 0.3, ("float32", "float64"))
    yield _timed(Case("numpy", "sigmoid", "scipy", (1000, 1000), 1, kind="training", bar=1.2))
    yield from _growth("numpy", "scipy", "torch")
    yield from _middle("numpy", "torch", "torch")


def torch_cases(backend: str = "torch") -> Iterator[Case]:
    yield from _small(backend, "torch", {"softmax": 3.0, "cross_entropy": 3.0})
    yield from _small(backend, "torch", dict.fromkeys(("log_softmax", "logsumexp")))
    yield from _family(backend, "torch", dict.fromkeys(FAMILY, (1.1, None)))
    bars = {"cross_entropy": (0.7, 1.2), "cross_entropy and gradient": (0.75, 1.15)}
    for work, (large, small) in bars.items():
        for shape, bar in (
            ((4096, 16000), large),
            ((512, 128256), large),
            ((8192, 1000), small),
            ((65536, 21), small),
        ):
            yield Case(backend, work, "torch", shape, 1, bar=bar, memory=bar == large)
        yield Case(backend, work, "torch", (8, 21, 256, 256), 1)
        yield Case(backend, work, "torch", (4096, 16000), 1, data="confident")
    for work in ("log_sigmoid", "softplus"):
        yield Case(backend, work, "torch", (4096, 1024), 1)
    yield from _training(backend, "torch", "torch", FEW + MANY, lambda function, n: 3.0 if n < 1000 else 2.0)
    for work in ("sigmoid", BINARY):
        for shape in FEW + MANY:
            bar = 3.0 if math.prod(shape) < 1000 else 2.0
            yield _timed(Case(backend, work, "torch", shape, 1, kind="training", bar=bar))
    yield from _half(backend)
    yield _timed(Case(backend, STEP, "torch", (32, 784), 1, kind="training", bar=1.15))
    yield from _growth(backend, "torch")
    yield from _middle(backend, "torch", "torch")


def _half(backend: str) -> Iterator[Case]:
    for shape, bar, bar_of_loss in (((2048, 4096), 2.5, 1.0), ((64, 10), 4.0, 4.0)):
        for dtype in ("bfloat16", "float16"):
            for work in (*FAMILY, *ELEMENTWISE):
                yield _timed(Case(backend, work, "torch", shape, 1, dtype, kind="training", bar=bar))
        for work in ("cross_entropy", "cross_entropy" + AND_GRADIENT):
            case = Case(backend, work, "torch in float32", shape, 1, "bfloat16", kind="training", bar=bar_of_loss)
            large = shape == (2048, 4096) and work.endswith(AND_GRADIENT)
            yield _timed(replace(case, memory=True, memory_bar=0.3) if large else case)


def jax_cases(backend: str = "jax") -> Iterator[Case]:
    yield Case(backend, "softmax", "jax", *SMALL, kind="small", bar=1.0)
    yield from _family(backend, "jax", dict.fromkeys(FAMILY, (1.3, None)))
    for shape in ((4096, 1000), (4096, 16000), (65536, 21)):
        yield Case(backend, "cross_entropy and gradient", "optax", shape, 1, bar=1.3, memory=True)
    for work in ELEMENTWISE:
        yield Case(backend, work, "jax", (4096, 1024), 1)
    bars = {"logsumexp": 1.6, "cross_entropy": 1.5} | dict.fromkeys(("sigmoid", BINARY), 1.4)
    bars |= dict.fromkeys(("softmax", "log_softmax"), 2.0)
    yield from _training(backend, "jax", "optax", MANY, lambda function, n: bars.get(function))
    for work in FAMILY:
        yield from _grid(backend, work, "jax", JAX_GRID, lambda elements: 1.5, 1.1)
    yield from _grid(backend, "cross_entropy" + AND_GRADIENT, "optax", LOSS_GRID, lambda elements: 1.5, 1.15)
    yield from _growth(backend, "jax")
    yield from _middle(backend, "jax", "optax")


def cupy_cases() -> Iterator[Case]:
    yield from _small("cupy", "cupyx", dict.fromkeys(FAMILY))
    yield from _family("cupy", "cupyx", {})
    yield Case("cupy", "cross_entropy", "cupyx", (4096, 8000), 1)
    for work in (*ELEMENTWISE, BINARY):
        yield Case("cupy", work, "cupyx", (4096, 1024), 1)
    yield from _growth("cupy", "cupyx")


CASES: dict[str, Callable[[], Iterator[Case]]] = {
    "numpy": numpy_cases,
    "torch": torch_cases,
    "jax": jax_cases,
    "cupy": cupy_cases,
    "torch:cuda": partial(torch_cases, "torch:cuda"),
    "jax:cuda": partial(jax_cases, "jax:cuda"),
}


def is_quick(case: Case) -> bool:
    """What the quick mode runs: everything small, and of each piece of work what takes milliseconds. Of values with
    gradients, which are measured by two clocks, what is small."""
    if case.memory and case.elements > 4e7:
        return False
    if case.kind == "training":
        return case.elements <= 1e5
    if case.kind == "grid":
        return case.elements <= 1e4 and case.dtype == "float32"
    return case.elements <= 5e6 or (case.bar is not None and case.dtype != "float64" and case.elements <= 4e7)


def find(backend: str, **wanted: Any) -> list[Case]:
    return [case for case in CASES[backend]() if all(getattr(case, k) == v for k, v in wanted.items())]
