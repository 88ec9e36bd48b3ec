"""``python -m bench.layer``: ``linear_cross_entropy`` and its gradients beside the loss of all logits.

Every library multiplies in the threads that it takes by itself. A ratio is the median over rounds of axisoft and its
peer in turn. Memory is what a call takes beside its input, in a process of its own; of JAX, the temporaries that the
compiled program asks for.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import axisoft
from bench.__main__ import HERE, PEAK, machine, versions
from bench.measure import meter, timed

# Samples, features and classes.
SHAPES = ((2048, 512, 32000), (4096, 512, 32000), (1024, 256, 128256))
SMALL = (64, 16, 256)
VALUE, STEP = "value", "value and gradients"
OURS = "axisoft"


def inputs(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A quarter of the samples are confident."""
    n, d, classes = shape
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(n, d)).astype(np.float32), rng.normal(size=(classes, d)).astype(np.float32)
    w *= np.float32(3 / d**0.5)
    t = rng.integers(0, classes, n)
    x[: n // 4] += w[t[: n // 4]] * np.float32(20 / 9)
    return x, w, t


def of_numpy() -> dict[str, dict[str, Callable[..., Any]]]:
    from scipy import special

    def by_hand(x, w, t):
        y = special.log_softmax(x @ w.T, axis=1)
        loss = -y[np.arange(len(t)), t].mean()
        p = np.exp(y, out=y)
        p[np.arange(len(t)), t] -= 1
        p /= len(t)
        return loss, p @ w, p.T @ x

    def all_logits(x, w, t):
        loss, g = axisoft.value_and_grad(axisoft.cross_entropy)(x @ w.T, t)
        return loss, g @ w, g.T @ x

    ours = axisoft.value_and_grad(axisoft.linear_cross_entropy, argnums=(0, 1))
    return {
        STEP: {
            OURS: lambda x, w, t: (lambda loss, g: (loss, *g))(*ours(x, w, t)),
            "SciPy by hand": by_hand,
            "axisoft of all logits": all_logits,
        },
        VALUE: {
            OURS: lambda x, w, t: (axisoft.linear_cross_entropy(x, w, t),),
            "axisoft of all logits": lambda x, w, t: (axisoft.cross_entropy(x @ w.T, t),),
        },
    }


def of_torch() -> dict[str, dict[str, Callable[..., Any]]]:
    from torch.nn import functional
    from torch.nn.modules.linear_cross_entropy_options import LinearCrossEntropyOptions

    def step(loss):
        def run(x, w, t):
            x, w = x.detach().requires_grad_(), w.detach().requires_grad_()
            y = loss(x, w, t)
            y.backward()
            return y.detach(), x.grad, w.grad

        return run

    all_logits = lambda x, w, t: functional.cross_entropy(functional.linear(x, w), t)
    chunked = lambda x, w, t: functional.linear_cross_entropy(x, w, t, options=LinearCrossEntropyOptions())
    ours = axisoft.linear_cross_entropy
    return {
        STEP: {OURS: step(ours), "PyTorch of all logits": step(all_logits), "PyTorch in chunks": step(chunked)},
        VALUE: {OURS: lambda *a: (ours(*a),), "PyTorch of all logits": lambda *a: (all_logits(*a),)},
    }


def of_jax() -> dict[str, dict[str, Callable[..., Any]]]:
    import jax
    import optax

    def all_logits(x, w, t):
        return optax.softmax_cross_entropy_with_integer_labels(x @ w.T, t).mean()

    def step(loss):
        def run(x, w, t):
            y, g = jax.value_and_grad(loss, (0, 1))(x, w, t)
            return y, *g

        return jax.jit(run)

    value = lambda loss: jax.jit(lambda *a: (loss(*a),))
    both = {OURS: axisoft.linear_cross_entropy, "Optax of all logits": all_logits}
    return {how: {who: make(loss) for who, loss in both.items()} for how, make in ((STEP, step), (VALUE, value))}


BACKENDS = {"numpy": of_numpy, "torch": of_torch, "jax": of_jax}


def put(backend: str, arrays: Any) -> list[Any]:
    if backend == "torch":
        import torch

        return [torch.from_numpy(a) for a in arrays]
    if backend == "jax":
        import jax

        return [jax.device_put(a.astype(np.int32) if a.dtype.kind == "i" else a) for a in arrays]
    return list(arrays)


def done(found: Any) -> Any:
    for a in found:
        getattr(a, "block_until_ready", lambda: None)()
    return found


def validated(contenders: dict[str, Callable[..., Any]], arrays: list[Any]) -> None:
    """All of them are within 1e-3 of each other."""
    first, *others = ([np.asarray(a) for a in done(call(*arrays))] for call in contenders.values())
    for other in others:
        for a, b in zip(first, other, strict=True):
            if not np.max(np.abs(a - b)) <= 1e-3 * np.max(np.abs(a)):
                raise ValueError("the results differ")


def times(backend: str, how: str, shape: tuple[int, ...], rounds: int) -> dict[str, list[float]]:
    contenders = BACKENDS[backend]()[how]
    arrays = put(backend, inputs(shape))
    validated(contenders, arrays)
    found: dict[str, list[float]] = {who: [] for who in contenders}
    for _ in range(rounds):
        for who, call in contenders.items():
            found[who].append(timed(lambda call=call: done(call(*arrays)), 1))  # type: ignore[misc]
    return found


def memory(backend: str, how: str, shape: tuple[int, ...], who: str) -> float:
    """Bytes beside the input."""
    call = BACKENDS[backend]()[how][who]
    arrays = put(backend, inputs(shape))
    if backend == "jax":
        return call.lower(*arrays).compile().memory_analysis().temp_size_in_bytes  # type: ignore[attr-defined,no-any-return]
    done(call(*put(backend, inputs(SMALL))))
    reset, read = meter(backend)
    before = reset()
    found = done(call(*arrays))
    used = read() - before
    del found
    return used


def rows(backend: str, quick: bool) -> list[dict[str, Any]]:
    found = []
    for shape in ((256, 64, 4000),) if quick else SHAPES:
        for how in (STEP, VALUE):
            seconds = times(backend, how, shape, 3)
            used = {}
            for who in seconds:
                command = [sys.executable, "-m", "bench.layer", "--peak", backend, how, "x".join(map(str, shape)), who]
                environment = {**PEAK, "PYTHONPATH": str(HERE.parent)}
                run = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | environment)
                used[who] = float(run.stdout)
            for who in list(seconds)[1:]:
                row = {"backend": backend, "work": how, "shape": shape, "peer": who}
                row |= {"ratio": statistics.median(a / b for a, b in zip(seconds[OURS], seconds[who], strict=True))}
                row |= {"ours_s": statistics.median(seconds[OURS]), "peer_s": statistics.median(seconds[who])}
                row |= {"ours_bytes": used[OURS], "peer_bytes": used[who]}
                found.append(row)
                print(line(row), flush=True)
    return found


def line(row: dict[str, Any]) -> str:
    memory = f"{row['ours_bytes'] / 2**20:.0f} MiB of {row['peer_bytes'] / 2**20:.0f}"
    shape = " x ".join(map(str, row["shape"]))
    return f"{row['backend']:6} {shape:20} {row['work']:20} {row['peer']:22} {row['ratio']:.2f} of the time, {memory}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.layer", description=__doc__)
    parser.add_argument("--backend", nargs="+", default=list(BACKENDS), choices=list(BACKENDS))
    parser.add_argument("--quick", action="store_true", help="one small shape")
    parser.add_argument("--output", type=Path, help="JSON file")
    parser.add_argument("--peak", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peak:
        backend, how, shape, who = given.peak
        print(memory(backend, how, tuple(map(int, shape.split("x"))), who))
        return
    found = [row for backend in given.backend for row in rows(backend, given.quick)]
    if given.output:
        result = {"machine": machine(), "versions": versions(), "quick": given.quick, "rows": found}
        given.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
