"""A U-Net that names each pixel's digit: trained in PyTorch, carried into JAX, and trained on there with the same loss.

    pip install . scikit-learn matplotlib torch jax
    python examples/unet/train.py

The loss of both networks is the one line ``axisoft.cross_entropy(logits, classes, axis=1, ...)``. After training in
PyTorch, the weights and the optimiser's state go to JAX; logits, loss and gradients are compared there; then both go on
with the same batches, and their losses are compared step by step. Fails if anything differs by more than it may.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import scenes
import torch
from jax_net import adam, unet
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch_net import UNet

import axisoft

BASE = 16  # channels of the first layer: a quarter of the paper's 64, and so in every layer
BATCH, RATE, WARM_UP = 16, 2e-3, 40
SMOOTHING = 0.01  # keeps the scores below some 25; without it they pass 100, where one float32 is 8e-6 from the next
FULL = {"steps": 600, "more": 40, "held_out": 200, "side": 64}
QUICK = {"steps": 50, "more": 5, "held_out": 32, "side": 48}
ENOUGH = 0.6  # mean intersection over union of the full run
SAME_LOGITS, SAME_LOSS, SAME_GRADIENT, SAME_STEP, SAME_RUN = 1e-4, 1e-6, 1e-5, 1e-5, 5e-3


def digits():
    """(images, labels) to train with and (images, labels) held out; the images are 8 x 8, in [0, 1]."""
    data = load_digits()
    images = (data.images / 16).astype(np.float32)
    a, b, c, d = train_test_split(images, data.target, test_size=0.25, random_state=0, stratify=data.target)
    return (a, c), (b, d)


def loss_of(logits, classes, weight):
    """The loss, whatever the framework of its arrays. The classes are axis 1, and the softmax over them is in here."""
    return axisoft.cross_entropy(
        logits, classes, axis=1, weight=weight, ignore_index=scenes.IGNORE, label_smoothing=SMOOTHING
    )


def rate_at(step, steps):
    """Up over the first steps, then down to a tenth, linearly."""
    return RATE * min((step + 1) / WARM_UP, 1.0) * (1 - 0.9 * step / steps)


def torch_step(net, optimiser, rate, images, classes, weight):
    optimiser.param_groups[0]["lr"] = rate
    optimiser.zero_grad()
    loss = loss_of(net(torch.tensor(images)), torch.tensor(classes), torch.tensor(weight))
    loss.backward()
    optimiser.step()
    return loss.item()


def jax_loss(weights, images, classes, weight):
    return loss_of(unet(weights, images), classes, weight)


jax_gradient = jax.jit(jax.value_and_grad(jax_loss))
jax_adam = jax.jit(adam)


def jax_step(weights, state, rate, images, classes, weight):
    loss, gradient = jax_gradient(weights, images, classes, weight)
    return *jax_adam(weights, gradient, state, rate), float(loss)


def to_jax(named):
    """A dictionary of PyTorch's tensors as JAX arrays. Copied: PyTorch goes on to change its own in place."""
    return {name: jnp.asarray(tensor.detach().numpy().copy()) for name, tensor in named.items()}


def carry(net, optimiser):
    """The weights and Adam's state, for JAX."""
    named = dict(net.named_parameters())
    mean, square = (to_jax({n: optimiser.state[p][key] for n, p in named.items()}) for key in ("exp_avg", "exp_avg_sq"))
    steps = {int(optimiser.state[p]["step"]) for p in named.values()}
    return to_jax(named), (jnp.asarray(float(steps.pop())), mean, square)


def torch_logits(net, images):
    with torch.no_grad():
        return net(torch.tensor(images)).numpy()


jax_logits = jax.jit(unet)


def by_parts(logits_of, model, images, part=8):
    """The logits of many images, a few at a time."""
    return np.concatenate([np.asarray(logits_of(model, images[i : i + part])) for i in range(0, len(images), part)])


def by_name(numbers):
    return ", ".join(f"{name} {number:.2f}" for name, number in zip(scenes.NAMES, numbers, strict=True))


class Checks:
    """Prints each comparison and remembers those that failed."""

    def __init__(self):
        self.failed = []

    def __call__(self, what, value, bound, below=True):
        right = value <= bound if below else value >= bound
        bound = f"at {'most' if below else 'least'} {bound:.3g}"
        print(f"  {what:<66} {value:>9.3g}  {bound}{'' if right else ': WRONG'}", flush=True)
        if not right:
            self.failed.append(what)


def apart(*arrays):
    """The largest difference of the arrays from the first, as a part of the first's largest element."""
    first = np.asarray(arrays[0])
    return max(float(np.abs(np.asarray(a) - first).max()) for a in arrays[1:]) / float(np.abs(first).max())


def compare(check, net, weights, images, classes, weight):
    """Logits, loss and gradients of the two networks, and of NumPy where it has them."""
    logits, in_jax = by_parts(torch_logits, net, images), by_parts(jax_logits, weights, images)
    check("logits, PyTorch and JAX: difference", float(np.abs(in_jax - logits).max()), SAME_LOGITS)

    at = torch.tensor(logits, requires_grad=True)
    by_torch = loss_of(at, torch.tensor(classes), torch.tensor(weight))
    by_torch.backward()
    by_jax, along_jax = jax.value_and_grad(loss_of)(jnp.asarray(logits), jnp.asarray(classes), jnp.asarray(weight))
    by_numpy, along_numpy = axisoft.value_and_grad(axisoft.cross_entropy)(
        logits, classes, axis=1, weight=weight, ignore_index=scenes.IGNORE, label_smoothing=SMOOTHING
    )
    losses = by_torch.item(), float(by_jax), float(by_numpy)
    print("  loss of the same logits: PyTorch {:.8f}, JAX {:.8f}, NumPy {:.8f}".format(*losses))
    check("loss of the same logits, all three: difference", max(losses) - min(losses), SAME_LOSS)
    own = torch.nn.functional.cross_entropy(
        at.detach(), torch.tensor(classes), torch.tensor(weight), ignore_index=scenes.IGNORE, label_smoothing=SMOOTHING
    )
    check("the same by torch.nn.functional.cross_entropy: difference", abs(own.item() - losses[0]), SAME_LOSS)
    check(
        "gradient along the logits, all three: relative difference",
        apart(at.grad, along_jax, along_numpy),
        SAME_GRADIENT,
    )
    ignored = np.abs(along_numpy).max(axis=1)[classes == scenes.IGNORE].max()
    check("gradient at the pixels of the border", float(ignored), 0.0)

    net.zero_grad()
    loss_of(net(torch.tensor(images)), torch.tensor(classes), torch.tensor(weight)).backward()
    _, along = jax_gradient(weights, images, classes, weight)
    worst = max(apart(p.grad, along[name]) for name, p in net.named_parameters())
    check("gradient along each layer's weights: relative difference", worst, 1e-2)

    probabilities = axisoft.softmax(logits, axis=1)
    check(
        "softmax over axis 1: distance of a pixel's sum from 1",
        float(np.abs(probabilities.sum(axis=1) - 1).max()),
        1e-5,
    )
    moved = np.mean(probabilities.argmax(axis=1) != logits.argmax(axis=1))
    check("pixels whose class the softmax changes", float(moved), 0.0)


def draw_scenes(path, images, classes, maps):
    """A column per scene: the input, the true classes, and the class map of each network."""
    colours = [*matplotlib.colormaps["tab10"].colors, (0.1, 0.1, 0.1), (1.0, 1.0, 1.0)]
    shown = ListedColormap(colours)
    rows = {"input": None, "truth": np.where(classes == scenes.IGNORE, scenes.CLASSES, classes)}
    rows |= {f"class map, {name}": found for name, found in maps.items()}
    figure = Figure(figsize=(1.7 * len(images) + 1.6, 1.75 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), len(images))
    for row, (name, pixels) in zip(axes, rows.items(), strict=True):
        row[0].set_ylabel(name)
        for k, ax in enumerate(row):
            if pixels is None:
                ax.imshow(images[k].transpose(1, 2, 0))
            else:
                ax.imshow(pixels[k], cmap=shown, vmin=0, vmax=scenes.CLASSES, interpolation="nearest")
            ax.set(xticks=[], yticks=[])
    names = [*scenes.NAMES, "border (ignored)"]
    handles = [Patch(facecolor=c, edgecolor="grey", label=n) for c, n in zip(colours, names, strict=True)]
    figure.legend(handles=handles, loc="outside right center")
    figure.savefig(path, dpi=80)


def draw_losses(path, before, after):
    """The loss of each step, the same around the change of framework, and the distance of JAX from PyTorch."""
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    whole, near, difference = figure.subplots(1, 3)
    change, more = len(before), len(after["PyTorch"])
    styles = {
        "PyTorch": {"color": "tab:blue", "lw": 3.5, "alpha": 0.5},
        "JAX": {"color": "black", "lw": 1.0},
        "JAX, optimiser's state lost": {"color": "tab:red", "lw": 1.0, "ls": "--"},
    }
    whole.plot(before + after["PyTorch"], color="tab:blue", lw=0.8, label="PyTorch")
    whole.plot(range(change, change + more), after["JAX"], color="black", lw=0.8, label="JAX")
    whole.set(title="loss of every step", yscale="log", ylabel="cross-entropy (nats)")
    whole.set_yticks([0.1, 0.2, 0.5, 1, 2, 5], labels=["0.1", "0.2", "0.5", "1", "2", "5"])
    whole.minorticks_off()
    whole.set_ylim(0.8 * min(before + after["PyTorch"]), 1.2 * max(before))
    first = max(0, change - more)
    near.plot(range(first, change + 1), [*before[first:], after["PyTorch"][0]], **styles["PyTorch"])
    for name, losses in after.items():
        near.plot(range(change, change + more), losses, label=name, **styles[name])
    low, high = near.get_ylim()
    near.set(title="around the change of framework", ylim=(low, high + 0.4 * (high - low)))  # room for the legend
    for name in list(after)[1:]:
        apart = np.abs(np.subtract(after[name], after["PyTorch"]))
        difference.plot(range(change, change + more), apart.clip(1e-8), label=name, **styles[name])
    difference.set(title="|loss - PyTorch's loss|, same batches", yscale="log")
    for ax in (whole, near):
        ax.axvline(change - 0.5, color="grey", lw=0.8, ls=":", label="weights go to JAX")
    for ax in (whole, near, difference):
        ax.set_xlabel("step")
        ax.legend(fontsize=8, loc="upper center" if ax is near else "best")
    figure.savefig(path, dpi=80)


def learn(net, optimiser, schedule, batch_of, weight):
    """Trains in PyTorch; returns the loss of each step."""
    losses, began = [], time.perf_counter()
    for step, rate in enumerate(schedule):
        losses.append(torch_step(net, optimiser, rate, *batch_of(step), weight))
        if step % (len(schedule) // 10) == 0 or step == len(schedule) - 1:
            print(f"  step {step:>4}  loss {losses[-1]:.4f}  {time.perf_counter() - began:4.0f} s", flush=True)
    return losses


def go_on(net, optimiser, weights, state, schedule, batch_of, weight):
    """Trains in PyTorch, in JAX, and in JAX without what Adam knew; returns the losses of each and JAX's weights."""
    forgetful = weights, (jnp.zeros(()), *jax.tree.map(jnp.zeros_like, state[1:]))
    losses = {"PyTorch": [], "JAX": [], "JAX, optimiser's state lost": []}
    for step, rate in enumerate(schedule):
        now = batch_of(step)
        in_torch = torch_step(net, optimiser, rate, *now, weight)
        weights, state, in_jax = jax_step(weights, state, rate, *now, weight)
        *forgetful, worse = jax_step(*forgetful, rate, *now, weight)
        for name, loss in zip(losses, (in_torch, in_jax, worse), strict=True):
            losses[name].append(loss)
        if step % (len(schedule) // 5) == 0 or step == len(schedule) - 1:
            print(f"  step +{step:<3}  loss: PyTorch {in_torch:.7f}, JAX {in_jax:.7f}", flush=True)
    return losses, weights


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few steps, the same checks, a lower bar for the score")
    parser.add_argument("--output", type=Path, default=Path("build/unet"), help="folder for the figures (build/unet)")
    options = parser.parse_args()
    steps, more, held_out, side = (QUICK if options.quick else FULL).values()
    torch.set_num_threads(1)  # sums of one order, whatever the machine
    torch.manual_seed(0)
    began = time.perf_counter()

    known, unknown = digits()
    weight = scenes.class_weights(scenes.batch((1, 0), 100, *known, side)[1])
    test, truth = scenes.batch((2, 0), held_out, *unknown, side)
    schedule = [rate_at(step, steps + more) for step in range(steps + more)]
    print(f"scenes of {len(known[0])} digits to train with; {held_out} scenes of {len(unknown[0])} others to score")
    print("class weights: " + by_name(weight))

    net = UNet(scenes.CLASSES, BASE).to(memory_format=torch.channels_last)  # 1.5 times as fast on a CPU
    optimiser = torch.optim.Adam(net.parameters())
    count = sum(p.numel() for p in net.parameters())
    print(f"{steps} steps in PyTorch, {BATCH} scenes of {side} x {side} pixels each; {count} weights")
    before = learn(net, optimiser, schedule[:steps], lambda k: scenes.batch((0, k), BATCH, *known, side), weight)
    trained = time.perf_counter() - began

    check = Checks()
    scores = scenes.intersection_over_union(truth, by_parts(torch_logits, net, test).argmax(axis=1))
    print("held-out intersection over union, border left out: " + by_name(scores))
    all_background = scenes.intersection_over_union(truth, np.full_like(truth, scenes.BACKGROUND)).mean()
    check("mean intersection over union", scores.mean(), all_background if options.quick else ENOUGH, below=False)

    print("the weights go to JAX")
    weights, state = carry(net, optimiser)
    compare(check, net, weights, test[:BATCH], truth[:BATCH], weight)

    print(f"{more} steps more, of the same scenes in both")
    rest = lambda k: scenes.batch((0, steps + k), BATCH, *known, side)
    after, weights = go_on(net, optimiser, weights, state, schedule[steps:], rest, weight)
    differences = np.abs(np.subtract(after["JAX"], after["PyTorch"]))
    lost = np.abs(np.subtract(after["JAX, optimiser's state lost"], after["PyTorch"]))
    check("loss of the first step after the change: difference", differences[0], SAME_STEP)
    check("loss of every step after the change: largest difference", differences.max(), SAME_RUN)
    check("the same if the optimiser's state is lost", lost.max(), SAME_RUN, below=False)

    maps = {
        "PyTorch": by_parts(torch_logits, net, test).argmax(axis=1),
        "JAX": by_parts(jax_logits, weights, test).argmax(axis=1),
    }
    for name, found in maps.items():
        score = scenes.intersection_over_union(truth, found).mean()
        print(f"mean intersection over union at the end, {name}: {score:.3f}")
    print(f"pixels that both name alike: {np.mean(maps['PyTorch'] == maps['JAX']):.2%}")

    options.output.mkdir(parents=True, exist_ok=True)
    draw_scenes(options.output / "scenes.png", test[:6], truth[:6], {name: found[:6] for name, found in maps.items()})
    draw_losses(options.output / "loss.png", before, after)
    print(f"figures are in {options.output}")
    print(f"{trained / 60:.1f} minutes of training in PyTorch, {(time.perf_counter() - began) / 60:.1f} in all")
    if check.failed:
        sys.exit("not as it should be: " + "; ".join(check.failed))


if __name__ == "__main__":
    main()
