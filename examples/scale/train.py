"""The last layer of a small language model, trained four ways to the same losses.

On one array, on a JAX mesh of 8 devices, by 4 processes of PyTorch that share the vocabulary, and by
``linear_cross_entropy``, whose logits are never all there. The text is this project's own pages. Features of a word's
place are the fixed random vectors of the three words before it; what is learned is a row for each word of the
vocabulary. The losses agree to 1e-5 at every step.

    python examples/scale/train.py --output scale
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from pathlib import Path

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"  # before JAX is imported

import numpy as np

import axisoft

ROOT = Path(__file__).resolve().parents[2]
BATCH, WIDTH, PARTS = 1024, 64, 8
RATE, MOMENTUM = 60.0, 0.9
CHUNK = 128


def data(steps):
    """Batches of features and of the words that follow, and the size of the vocabulary, a multiple of the devices."""
    pages = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
    words = re.findall(r"[a-z_]+|[^\w\s]", "\n".join(path.read_text() for path in pages).lower())
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys(words))}
    text = np.asarray([vocabulary[word] for word in words])
    size = -(-len(vocabulary) // PARTS) * PARTS
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3, size, WIDTH)).astype(np.float32) / np.sqrt(3 * WIDTH).astype(np.float32)
    features = sum(vectors[back, text[2 - back : len(text) - 1 - back]] for back in range(3))
    places = rng.integers(0, len(features), (steps, BATCH))
    return [(features[at], text[3:][at]) for at in places], size


def descend(batches, size, step):
    """The losses of all steps. ``step(matrix, features, targets)`` gives a loss and the gradient along the matrix."""
    matrix, velocity = np.zeros((size, WIDTH), np.float32), np.zeros((size, WIDTH), np.float32)
    losses = []
    for features, targets in batches:
        loss, gradient = step(matrix, features, targets)
        velocity = MOMENTUM * velocity + np.asarray(gradient)
        matrix = matrix - RATE * velocity
        losses.append(float(loss))
    return losses


def on_one_array(batches, size):
    step = axisoft.value_and_grad(axisoft.cross_entropy)

    def one(matrix, features, targets):
        loss, along_logits = step(features @ matrix.T, targets)
        return loss, along_logits.T @ features

    return descend(batches, size, one)


def by_linear_cross_entropy(batches, size):
    step = axisoft.value_and_grad(axisoft.linear_cross_entropy, argnums=1)
    return descend(batches, size, lambda matrix, features, targets: step(features, matrix, targets, chunk=CHUNK))


def on_a_mesh(batches, size):
    """The vocabulary over two devices, the samples over four."""
    import jax
    from jax.sharding import AxisType, NamedSharding
    from jax.sharding import PartitionSpec as P

    mesh = jax.make_mesh((4, 2), ("samples", "words"), axis_types=(AxisType.Auto,) * 2)
    place = lambda a, *axes: jax.device_put(a, NamedSharding(mesh, P(*axes)))

    @jax.jit
    @jax.value_and_grad
    def step(matrix, features, targets):
        return axisoft.cross_entropy(features @ matrix.T, targets)

    def shared(matrix, features, targets):
        return step(place(matrix, "words"), place(features, "samples"), place(targets, "samples"))

    return descend(batches, size, shared)


def _process(rank, world, folder, batches, size):
    import torch
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor, Shard

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world)
    mesh = init_device_mesh("cpu", (world,))

    def shared(matrix, features, targets):
        """Each process has a part of the rows, and so of the logits."""
        part = torch.from_numpy(matrix).chunk(world)[rank].clone().requires_grad_()
        logits = DTensor.from_local(torch.from_numpy(features) @ part.T, mesh, [Shard(1)], run_check=False)
        loss = axisoft.cross_entropy(logits, torch.from_numpy(targets))
        loss.backward()
        gradient = DTensor.from_local(part.grad, mesh, [Shard(0)], run_check=False)
        return loss.item(), gradient.full_tensor()

    losses = descend(batches, size, shared)
    if rank == 0:
        np.save(f"{folder}/losses.npy", losses)
    dist.destroy_process_group()


def by_processes(batches, size, world=4):
    import torch.multiprocessing

    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(_process, (world, folder, batches, size), world)
        return np.load(f"{folder}/losses.npy").tolist()


# name: how it trains, and the part of a step's logits that a device or a process has at a time.
WAYS = {
    "one array (NumPy)": (on_one_array, 1),
    "a mesh of 8 devices (JAX)": (on_a_mesh, 1 / 8),
    "4 processes (PyTorch)": (by_processes, 1 / 4),
    "linear_cross_entropy (NumPy)": (by_linear_cross_entropy, CHUNK / BATCH),
}


def draw(found, size, path):
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for i, (name, losses) in enumerate(found.items()):
        left.plot(losses, label=name, linewidth=7 - 2 * i, alpha=0.6, color=f"C{i}")
        right.barh(name, WAYS[name][1] * BATCH * size * 4 / 2**20, color=f"C{i}")
    left.set(xlabel="step", ylabel="cross-entropy (nats)", title="Four ways, one loss")
    left.legend(frameon=False)
    right.set(xlabel="MiB", title="Logits that one holder has at a time")
    right.invert_yaxis()
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--output", type=Path, help="a folder for the figure")
    given = parser.parse_args()
    batches, size = data(given.steps)
    print(f"{size} words, {BATCH} samples a step, {given.steps} steps")
    found = {name: way(batches, size) for name, (way, _) in WAYS.items()}
    first = np.asarray(found["one array (NumPy)"])
    for name, losses in found.items():
        apart = np.max(np.abs(np.asarray(losses) - first))
        print(f"{name:30} {losses[0]:.6f} to {losses[-1]:.6f}; {apart:.0e} from one array at most")
        assert apart <= 1e-5, name
    if given.output:
        given.output.mkdir(parents=True, exist_ok=True)
        draw(found, size, given.output / "scale.png")


if __name__ == "__main__":
    main()
