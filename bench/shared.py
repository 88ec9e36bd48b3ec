"""``python -m bench.shared``: a step of PyTorch's DTensor, and the memory of Dask's workers.

The step is that of a cross-entropy whose classes four processes share, beside PyTorch's own under ``loss_parallel`` and
without. Dask's logits are made block by block, more than both workers may hold.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import axisoft
from bench.__main__ import machine, versions
from bench.measure import meter

STEP = {"samples": 1024, "classes": 32000, "processes": 4}
LOGITS = {"samples": 8192, "classes": 32000}
BLOCKS = {"the batch": (256, 32000), "the classes": (8192, 1000), "both": (2048, 4000)}
LIMIT = 500_000_000
ROUNDS = 11


def step(rank: int, world: int, folder: str) -> None:
    """The seconds of each way's steps, which the first process writes down."""
    import torch
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor
    from torch.distributed.tensor.parallel import loss_parallel
    from torch.nn import functional

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world)
    mesh = init_device_mesh("cpu", (world,))
    torch.manual_seed(0)
    n, classes = STEP["samples"], STEP["classes"]
    logits, targets = torch.randn(n, classes) * 3, torch.randint(0, classes, (n,))
    everywhere = distribute_tensor(targets, mesh, [Replicate()])

    def parallel(x: Any) -> None:
        with loss_parallel():
            functional.cross_entropy(x, targets).backward()

    ways = {
        "axisoft": lambda x: axisoft.cross_entropy(x, targets).backward(),
        "loss_parallel": parallel,
        "gathered": lambda x: functional.cross_entropy(x, everywhere).backward(),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(1 + ROUNDS):
        for name, way in ways.items():
            x = distribute_tensor(logits, mesh, [Shard(1)]).requires_grad_()
            dist.barrier()
            start = time.perf_counter()
            way(x)
            dist.barrier()
            found[name].append(time.perf_counter() - start)
    if rank == 0:
        Path(folder, "step.json").write_text(json.dumps({name: seconds[1:] for name, seconds in found.items()}))
    dist.destroy_process_group()


def steps() -> list[dict[str, Any]]:
    import torch.multiprocessing

    with tempfile.TemporaryDirectory() as folder:
        world = STEP["processes"]
        torch.multiprocessing.spawn(step, (world, folder), world)
        seconds = json.loads(Path(folder, "step.json").read_text())
    ours = seconds.pop("axisoft")
    return [
        {
            **STEP,
            "peer": name,
            "ours_s": statistics.median(ours),
            "peer_s": statistics.median(theirs),
            "ratio": statistics.median(a / b for a, b in zip(ours, theirs, strict=True)),
        }
        for name, theirs in seconds.items()
    ]


def made(block_info: Any = None) -> np.ndarray:
    place = block_info[None]
    return np.random.default_rng(list(place["chunk-location"])).standard_normal(place["chunk-shape"], dtype=np.float32)


def clear() -> int:
    return meter("numpy")[0]()


def peak() -> int:
    return meter("numpy")[1]()


def calls(x: Any, t: Any) -> dict[str, Any]:
    return {
        "cross_entropy": axisoft.cross_entropy(x, t),
        "its gradient": axisoft.value_and_grad(axisoft.cross_entropy)(x, t)[1][:, ::1000].sum(),
        "softmax": axisoft.softmax(x)[:, ::1000].sum(),
        "logsumexp": axisoft.logsumexp(x, axis=1).sum(),
    }


def workers() -> list[dict[str, Any]]:
    import dask
    import dask.array as da
    from distributed import Client, LocalCluster

    n, classes = LOGITS.values()
    t = np.random.default_rng(1).integers(0, classes, n)
    quiet = {"distributed.worker.memory.terminate": 0.98, "distributed.logging.distributed": "error"}
    two = {"n_workers": 2, "threads_per_worker": 1, "memory_limit": LIMIT, "dashboard_address": None}
    rows = []
    for axis, block in BLOCKS.items():
        chunks = tuple((part,) * (length // part) for length, part in zip((n, classes), block, strict=True))
        x = da.map_blocks(made, chunks=chunks, dtype=np.float32, meta=np.empty((0, 0), np.float32))
        for name, call in calls(x, da.from_array(t, chunks=block[0])).items():
            with (
                tempfile.TemporaryDirectory() as folder,
                dask.config.set(quiet),
                LocalCluster(local_directory=folder, **two) as cluster,
                Client(cluster) as client,
            ):
                client.run(lambda: axisoft.softmax(np.zeros(3)))
                before = max(client.run(clear).values())
                start = time.perf_counter()
                client.compute(call).result()
                seconds = time.perf_counter() - start
                used = max(client.run(peak).values())
            row = {"shared": axis, "block": block, "work": name, "seconds": seconds, "peak": used, "before": before}
            rows.append({**LOGITS, "limit": LIMIT, **row})
            print(row, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.shared", description=__doc__)
    parser.add_argument("--output", type=Path, help="JSON file")
    given = parser.parse_args()
    found = {"steps": steps(), "workers": workers()}
    for row in found["steps"]:
        print(row)
    if given.output:
        given.output.write_text(json.dumps({"machine": machine(), "versions": versions(), **found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
