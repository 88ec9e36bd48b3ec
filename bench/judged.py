"""``python -m bench.judged``: the golden values of axisoft run against the functions of SciPy, PyTorch, JAX and Optax.

In float32 and float64, by ``axisoft.testing.conformance``. What a peer has no word for (a mask, several axes) is not
tried, and neither is what it means differently by design (PyTorch's mean over weights with label smoothing).
"""

from __future__ import annotations

import argparse
import json
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from axisoft import testing
from bench.__main__ import versions

Functions = dict[str, Callable[..., Any]]


def of_scipy() -> Functions:
    from scipy import special

    return {
        "softmax": special.softmax,
        "log_softmax": special.log_softmax,
        "logsumexp": special.logsumexp,
        "sigmoid": special.expit,
        "log_sigmoid": special.log_expit,
    }


def of_torch() -> Functions:
    import torch
    from torch.nn import functional

    def over_one(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(x: Any, axis: Any) -> Any:
            if not isinstance(axis, int):
                raise NotImplementedError
            return function(x, axis)

        return call

    def logsumexp(x: Any, axis: Any, keepdims: bool = False) -> Any:
        axes = tuple(range(x.ndim)) if axis is None else axis
        return torch.logsumexp(x, axes, keepdims)

    def cross_entropy(
        x: Any, t: Any, axis: int, reduction: str, weight: Any = None, ignore_index: Any = None,
        label_smoothing: float = 0.0,
    ) -> Any:  # fmt: skip
        if axis % x.ndim != min(1, x.ndim - 1) or (weight is not None and (label_smoothing or t.is_floating_point())):
            raise NotImplementedError
        more = {} if ignore_index is None else {"ignore_index": ignore_index}
        smooth = label_smoothing
        return functional.cross_entropy(x, t, weight, reduction=reduction, label_smoothing=smooth, **more)

    return {
        "softmax": over_one(torch.softmax),
        "log_softmax": over_one(torch.log_softmax),
        "logsumexp": logsumexp,
        "sigmoid": torch.sigmoid,
        "log_sigmoid": functional.logsigmoid,
        "softplus": functional.softplus,
        "cross_entropy": cross_entropy,
    }


def of_jax() -> Functions:
    import jax

    return {
        "softmax": jax.nn.softmax,
        "log_softmax": jax.nn.log_softmax,
        "logsumexp": jax.nn.logsumexp,
        "sigmoid": jax.nn.sigmoid,
        "log_sigmoid": jax.nn.log_sigmoid,
        "softplus": jax.nn.softplus,
    }


def of_optax() -> Functions:
    import optax

    def cross_entropy(x: Any, t: Any, axis: int, reduction: str) -> Any:
        if t.ndim == x.ndim:
            y = optax.softmax_cross_entropy(x, t, axis=axis)
        else:
            y = optax.softmax_cross_entropy_with_integer_labels(x, t, axis=axis)
        return {"none": lambda: y, "sum": y.sum, "mean": y.mean}[reduction]()

    return {"cross_entropy": cross_entropy}


# Whose functions, and on which backend.
PEERS = {
    "SciPy": ("numpy", of_scipy),
    "PyTorch": ("torch", of_torch),
    "JAX": ("jax", of_jax),
    "Optax": ("jax", of_optax),
}


def rows(peer: str) -> list[dict[str, Any]]:
    backend, functions = PEERS[peer]
    found = testing.conformance(backend, implementation=functions(), dtypes=("float32", "float64")).rows
    return [
        {
            "peer": peer, "function": row.function, "of": row.of, "cases": row.cases, "failed": len(row.failures),
            "untried": row.untried, "worst_ulp": row.worst.ulp if math.isfinite(row.worst.ulp) else None,
            "failures": row.failures,
        }
        for row in found
        if row.cases
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.judged", description=__doc__)
    parser.add_argument("--peer", nargs="+", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--output", type=Path, help="JSON file")
    given = parser.parse_args()
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for peer in given.peer:
            for row in rows(peer):
                found.append(row)
                print(
                    f"{peer:8} {row['function']:14} {row['of']:9} {row['failed']:4} of {row['cases']} fail", flush=True
                )
    if given.output:
        given.output.write_text(json.dumps({"versions": versions(), "rows": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
