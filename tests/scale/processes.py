"""A function run by several processes at once, which know each other by gloo; what hangs is killed and has failed."""

from __future__ import annotations

import multiprocessing
import tempfile
import traceback
from pathlib import Path

LIMIT = 480  # seconds


def _one(function, rank, world, folder, pipe):
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world)
    try:
        pipe.send((function(rank, world), None))
    except BaseException:
        pipe.send((None, traceback.format_exc()))
    finally:
        dist.destroy_process_group()


def run(function, world):
    """What the first process returns; an error of any is one here."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        pipes = [context.Pipe() for _ in range(world)]
        every = [
            context.Process(target=_one, args=(function, rank, world, Path(folder), pipe))
            for rank, (_, pipe) in enumerate(pipes)
        ]
        for process in every:
            process.start()
        found = []
        try:
            for rank, (pipe, _) in enumerate(pipes):
                assert pipe.poll(LIMIT), f"process {rank} of {world} has not come back within {LIMIT} seconds"
                found.append(pipe.recv())
        finally:
            for process in every:
                process.join(10 if len(found) == world else 0)
                process.kill()
    for _, error in found:
        assert error is None, error
    return found[0][0]
