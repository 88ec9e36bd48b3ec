"""Every golden value of float32, on arrays that are in parts: Dask's blocks, and what processes of PyTorch share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from axisoft import testing


@dataclass(frozen=True)
class Blocks(testing.Target):
    """Dask's arrays in two blocks along every axis."""

    def array(self, values: Any, dtype: str) -> Any:
        a = super().array(values, dtype)
        return a.rechunk(tuple(max(-(-n // 2), 1) for n in a.shape))


@dataclass(frozen=True)
class Shares(testing.Target):
    """PyTorch's tensors, of which each process has a part of the longest axis."""

    mesh: Any = None

    def array(self, values: Any, dtype: str) -> Any:
        from torch.distributed.tensor import Replicate, Shard, distribute_tensor

        a = super().array(values, dtype)
        longest = max(range(a.ndim), key=lambda i: a.shape[i], default=None)
        return distribute_tensor(a, self.mesh, [Replicate() if longest is None else Shard(longest)])


def in_processes(rank, world):
    from torch.distributed.device_mesh import init_device_mesh

    plain = testing.target("torch")
    return wrong(Shares(plain.backend, "cpu", mesh=init_device_mesh("cpu", (world,))))


def wrong(target):
    """How many cases there are, and what is wrong with which."""
    every = testing.cases(dtypes=("float32",))
    count, found = 0, []
    for case in every:
        try:
            y = case.run(target)
            verdict = case.judge(y.full_tensor() if hasattr(y, "full_tensor") else y)
            found += [] if verdict.ok else [verdict.wrong]
        except Exception as error:
            found.append(f"{case.id}: {error!r}")
        count += 1
    return count, found
