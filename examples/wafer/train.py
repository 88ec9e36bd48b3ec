"""Overlapping defects on wafer bin maps: sigmoid with binary cross-entropy, and beside it softmax over the channels.

    pip install . matplotlib torch
    python examples/wafer/train.py

A die may lie in a line, a circle, an edge and a zone defect at once, and each is to be found. One small network is
trained three times, on the same maps, in the same order and from the same weights; the last layer and the loss differ:

* sigmoid: four channels, ``axisoft.binary_cross_entropy_with_logits``; each defect is a yes or no of its own.
* softmax: five channels, the last for "none", ``axisoft.cross_entropy`` with one class per die: where defects
  overlap, the one that is rarest by dies.
* softmax, shared: the same with class probabilities for targets, a half each where two defects overlap.

Each is scored by its own decision (sigmoid over 0.5, the largest softmax) and by the best threshold per defect on its
probabilities, chosen on maps that are used for nothing else.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import figures
import maps
import numpy as np
import torch
from torch import nn

import axisoft

BATCH, RATE, POSITIVE, SEED = 16, 2e-2, 3.0, 0
FULL = {"steps": 800, "train": 6000, "choose": 400, "test": 1000, "enough": 0.82, "apart": 0.1}
QUICK = {"steps": 120, "train": 1500, "choose": 150, "test": 200, "enough": 0.6, "apart": 0.05}
GRID = np.arange(0.05, 0.96, 0.025)

# A wafer bin map of 2 x 2 dies as the slides print it: the logits of line, circle, edge and zone, and their sigmoid.
LOGITS = [[[-2, -1], [0, 2]], [[-4, -3], [-1, -3]], [[5, 5], [3, -3]], [[2, 1], [0, 2]]]
PRINTED = [
    [[0.12, 0.27], [0.50, 0.88]],
    [[0.02, 0.05], [0.27, 0.05]],
    [[0.99, 0.99], [0.95, 0.05]],  # the slide has 0.04 for the last, but sigmoid(-3) is 0.0474
    [[0.88, 0.73], [0.50, 0.88]],
]
FOUND = {(0, 0): ["edge", "zone"], (0, 1): ["edge", "zone"], (1, 0): ["edge"], (1, 1): ["line", "zone"]}


def decide(probabilities, thresholds=0.5):
    """Yes or no for each defect: probabilities of (..., 4 or 5, H, W) over one threshold, or one per defect."""
    return probabilities[..., : len(maps.NAMES), :, :] > np.reshape(thresholds, (-1, 1, 1))


def largest(probabilities):
    """The one class with the largest of five probabilities, as yes or no for each defect."""
    return probabilities.argmax(axis=1)[:, None] == np.arange(len(maps.NAMES))[:, None, None]


def check_printed_map():
    """The slides' map: the probabilities as printed, and each die's defects as read from them."""
    p = by_sigmoid(torch.tensor([LOGITS], dtype=torch.float32))[0]
    if np.abs(p - PRINTED).max() > 0.005:
        sys.exit(f"the slides' map: sigmoid gives {p.round(4).tolist()}, printed is {PRINTED}")
    yes = decide(p)
    found = {at: [maps.NAMES[k] for k in np.flatnonzero(yes[:, *at])] for at in FOUND}
    if found != FOUND:
        sys.exit(f"the slides' map: found {found}, printed is {FOUND}")
    print("the slides' map, as printed: " + ", ".join(f"{at} {' and '.join(names)}" for at, names in found.items()))


class Network(nn.Module):
    """A small stack of convolutions that sees the whole wafer; no sigmoid and no softmax in it: the loss carries them.

    It works on blocks of 2 x 2 dies, a quarter of the work, and gives each die of a block its own channels at the end.
    """

    def __init__(self, channels, width=32):
        super().__init__()
        blocks = [Block(width, reach) for reach in (1, 2, 4, 8, 1)]
        first = nn.Conv2d(8, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        self.body = nn.Sequential(nn.PixelUnshuffle(2), *first, *blocks)
        self.last = nn.Conv2d(width, 4 * channels, 1)  # made last: all before it starts the same, whatever the channels
        self.spread = nn.PixelShuffle(2)
        with torch.no_grad():  # defects start as rare as they are; the fifth channel of softmax, "none", starts at 0
            self.last.bias.view(channels, 4)[: len(maps.NAMES)] = -3.0
            self.last.bias.view(channels, 4)[len(maps.NAMES) :] = 0.0

    def forward(self, x):
        return self.spread(self.last(self.body(x)))


class Block(nn.Module):
    def __init__(self, width, reach):
        super().__init__()
        self.convolution = nn.Conv2d(width, width, 3, padding=reach, dilation=reach, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x):
        return x + torch.relu(self.norm(self.convolution(x)))


def by_sigmoid(logits):
    return axisoft.sigmoid(logits).numpy()


def by_softmax(logits):
    return axisoft.softmax(logits, axis=1).numpy()


def sigmoid_loss(logits, targets, inside):
    """Mean over the dies of the wafer, in nats; what lies outside it has weight 0."""
    more = torch.full((len(maps.NAMES), 1, 1), POSITIVE)
    return axisoft.binary_cross_entropy_with_logits(logits, targets, pos_weight=more, sample_weight=inside[:, None])


def softmax_loss(logits, targets, inside):
    """The same for five classes, of which the defects weigh as much more as they do for sigmoid."""
    weight = torch.tensor([POSITIVE] * len(maps.NAMES) + [1.0])
    return axisoft.cross_entropy(logits, targets, axis=1, weight=weight, sample_weight=inside)


def seen(wafers):
    """What the network sees: which dies fail, and which are on the wafer."""
    return torch.tensor(np.stack([wafers.maps == maps.FAIL, wafers.inside], axis=1), dtype=torch.float32)


def train(name, channels, loss_of, targets, images, steps):
    """A trained network, and the loss of each step."""
    torch.manual_seed(SEED)
    network = Network(channels)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    rng, losses, start = np.random.default_rng(SEED), [], time.perf_counter()
    for step in range(steps):
        batch = torch.tensor(rng.integers(0, len(images), BATCH))
        loss = loss_of(network(images[batch]), targets[batch], images[batch, 1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if (step + 1) % (steps // 5) == 0:
            took = time.perf_counter() - start
            print(f"  {name:<16} step {step + 1:>5}, loss {np.mean(losses[-50:]):.4f}, {took:.0f} s", flush=True)
    return network.eval(), losses


@torch.no_grad()
def probabilities(network, activation, images):
    return np.concatenate([activation(network(part)) for part in images.split(100)])


def f1(yes, truth, dies):
    """F1 of each defect, 2 TP / (2 TP + FP + FN), over those dies of (N, H, W) that count."""
    dies = dies[:, None]
    hit, said, there = ((a & dies).sum(axis=(0, 2, 3)) for a in (yes & truth, yes, truth))
    return 2 * hit / np.maximum(said + there, 1)


def best_thresholds(p, wafers):
    """For each defect the threshold with the largest F1."""
    return GRID[np.argmax([f1(decide(p, t), wafers.defects, wafers.inside) for t in GRID], axis=0)]


def table(title, decisions, truth, dies):
    """Print the F1 of each way to decide, per defect and as their mean, and return the means."""
    print(f"\nF1 {title}")
    print(f"  {'':<32}" + "".join(f"{name:>8}" for name in (*maps.NAMES, "mean")))
    means = {}
    for name, yes in decisions.items():
        scores = f1(yes, truth, dies)
        means[name] = scores.mean()
        print(f"  {name:<32}" + "".join(f"{score:>8.3f}" for score in (*scores, means[name])))
    return means


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer maps and steps, and lower bars")
    parser.add_argument("--output", type=Path, default=Path("build/wafer"), help="where the figures go (build/wafer)")
    options = parser.parse_args()
    size, start = (QUICK if options.quick else FULL), time.perf_counter()

    check_printed_map()
    train_on, choose_on, test_on = (
        maps.make(size[part], seed) for seed, part in enumerate(("train", "choose", "test"))
    )
    share = train_on.defects.sum(axis=(0, 2, 3)) / train_on.inside.sum()
    order = np.argsort(share)
    print("{train} maps to train on, {choose} to choose thresholds, {test} to test".format(**size))
    print("dies in a defect: " + ", ".join(f"{maps.NAMES[k]} {share[k]:.1%}" for k in order), end="; ")
    print(f"in two or more {train_on.overlaps.sum() / train_on.defects.any(axis=1).sum():.1%} of these")

    one, shared = maps.one_label(train_on.defects, order), maps.shared_label(train_on.defects)
    ways = {
        "sigmoid": (4, sigmoid_loss, train_on.defects.astype(np.float32), by_sigmoid, ("over 0.5", decide)),
        "softmax": (5, softmax_loss, one, by_softmax, ("the largest", largest)),
        "softmax, shared": (5, softmax_loss, shared, by_softmax, ("the largest", largest)),
    }
    losses, p, decisions, own = {}, {}, {}, []
    for name, (channels, loss_of, targets, activation, (rule, decided)) in ways.items():
        network, losses[name] = train(name, channels, loss_of, torch.tensor(targets), seen(train_on), size["steps"])
        thresholds = best_thresholds(probabilities(network, activation, seen(choose_on)), choose_on)
        p[name] = probabilities(network, activation, seen(test_on))
        own.append(decided(p[name]))
        decisions[f"{name}: {rule}"] = own[-1]
        decisions[f"{name}: best thresholds"] = decide(p[name], thresholds)
        print(f"  {name:<16} best thresholds " + ", ".join(f"{t:.3f}" for t in thresholds))
    perfect = maps.one_label(test_on.defects, order)[:, None] == np.arange(len(maps.NAMES))[:, None, None]
    decisions["one class per die, never wrong"] = perfect

    truth, several = test_on.defects, (test_on.carried > 1)[:, None, None]
    table("on all maps", decisions, truth, test_on.inside)
    on_several = table("on maps with two or more defects", decisions, truth, test_on.inside & several)
    in_overlaps = table("in the overlaps", decisions, truth, test_on.overlaps)
    print("\ndies of the overlaps with every defect found and none besides")
    for name, yes in decisions.items():
        print(f"  {name:<32}{(yes == truth).all(axis=1)[test_on.overlaps].mean():>8.1%}")

    options.output.mkdir(parents=True, exist_ok=True)
    figures.maps_and_defects(options.output / "maps.png", test_on)
    figures.found(options.output / "probabilities.png", test_on, p, own)
    figures.curves(options.output / "losses.png", losses)
    print(f"\nfigures in {options.output}; {(time.perf_counter() - start) / 60:.1f} minutes")

    ours = "sigmoid: over 0.5"
    theirs = max(score for name, score in in_overlaps.items() if name.startswith("softmax"))
    if on_several[ours] < size["enough"]:
        sys.exit(f"sigmoid has not learnt enough: F1 of {on_several[ours]:.3f}, at least {size['enough']} is asked for")
    if in_overlaps[ours] - theirs < size["apart"]:
        sys.exit(f"in the overlaps softmax does as well as sigmoid: F1 of {theirs:.3f} and {in_overlaps[ours]:.3f}")


if __name__ == "__main__":
    main()
