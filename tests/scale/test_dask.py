"""Dask: blocks of whole slices, of parts of them, and of both; and logits larger than the memory of the workers."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import pytest
from dask.callbacks import Callback

import axisoft as ax

RNG = np.random.default_rng(14)
N, CLASSES = 37, 1000
X, T = RNG.normal(size=(N, CLASSES)) * 3, RNG.integers(0, CLASSES, N)
X[::3, 5] += 40  # confident slices
T[::3] = 5
MASK = RNG.random((N, CLASSES)) < 0.8
MASK[np.arange(N), T] = True
W, F, Q = RNG.uniform(0.5, 2, CLASSES), RNG.uniform(0, 2, N), RNG.dirichlet(np.ones(CLASSES), N)
F[4] = 0
ODD = X.copy()
ODD[2] = -np.inf
ODD[4, 7] = np.nan
ODD[6, 8], ODD[7, 8], ODD[7, 900] = np.inf, np.inf, np.nan
ODD[8, :500] = -np.inf
HIDDEN = MASK.copy()
HIDDEN[10] = False
HIDDEN[11, :700] = False

BLOCKS = {
    "whole slices": (10, CLASSES),
    "parts": (N, 150),
    "both": (10, 300),
    "uneven": (7, (1, 999)),
    "small": (19, 63),
}
EACH = {"reduction": "none"}
BOTH = {"label_smoothing": 0.1, "z_loss": 0.01}

# name: function, positional arrays, options.
CASES = {
    "softmax": (ax.softmax, (ODD,), {}),
    "log_softmax": (ax.log_softmax, (ODD,), {}),
    "logsumexp": (ax.logsumexp, (ODD,), {"axis": 1}),
    "logsumexp, kept": (ax.logsumexp, (ODD,), {"axis": 1, "keepdims": True}),
    "logsumexp of all": (ax.logsumexp, (X,), {}),
    "softmax over both axes": (ax.softmax, (X,), {"axis": (0, 1)}),
    "softmax over the batch": (ax.softmax, (X,), {"axis": 0}),
    "masked softmax": (ax.softmax, (ODD,), {"where": HIDDEN}),
    "cross_entropy": (ax.cross_entropy, (X, T), {}),
    "each": (ax.cross_entropy, (ODD, T), EACH),
    "smoothed": (ax.cross_entropy, (ODD, T), BOTH | EACH),
    "weights": (ax.cross_entropy, (X, T), {"weight": W, "sample_weight": F}),
    "ignored": (ax.cross_entropy, (ODD, T), {"ignore_index": 5} | EACH),
    "probabilities": (ax.cross_entropy, (X, Q), {"weight": W} | BOTH),
    "mask": (ax.cross_entropy, (ODD, T), {"where": HIDDEN, "label_smoothing": 0.1} | EACH),
    "nll_loss": (ax.nll_loss, (X, T), {"weight": W}),
    "sigmoid": (ax.sigmoid, (ODD,), {}),
    "binary": (ax.binary_cross_entropy_with_logits, (X, Q), {"pos_weight": W, "sample_weight": F[:, None]}),
}


def lazy(a, blocks):
    if not isinstance(a, np.ndarray):
        return a
    chunks = {(N, CLASSES): blocks, (N,): blocks[:1], (CLASSES,): blocks[1:], (N, 1): (blocks[0], 1)}[a.shape]
    return da.from_array(a, chunks=chunks)


def close(got, want):
    got = np.asarray(got)
    assert got.shape == want.shape
    np.testing.assert_allclose(
        got, want, rtol=1e-12, atol=1e-13 * np.max(np.abs(want), where=np.isfinite(want), initial=0)
    )


@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("name", CASES)
def test_blocks_give_what_one_array_gives(name, blocks):
    """Value and gradients. Nothing is computed before it is asked for."""
    fun, arrays, options = CASES[name]
    with dask.config.set(scheduler=forbidden):
        given = [lazy(a, BLOCKS[blocks]) for a in arrays]
        more = {key: lazy(a, BLOCKS[blocks]) for key, a in options.items()}
        y, pull = ax.vjp(fun, *given, **more)
    want, pull_all = ax.vjp(fun, *arrays, **options)
    g = np.cos(np.arange(want.size)).reshape(want.shape)
    with dask.config.set(scheduler=forbidden):
        found = pull(da.from_array(g, chunks=-1))
    with dask.config.set(scheduler="sync"):
        close(y, want)
        for a, b in zip(found, pull_all(g), strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                close(a, b)


def forbidden(*args, **kwargs):
    raise AssertionError("a graph was computed")


def graph(a):
    return dict(dask.optimize(a)[0].__dask_graph__())


# Tasks a block of logits, at most, with the one that makes the block.
TASKS = {
    "whole slices": {"softmax": 2, "log_softmax": 2, "logsumexp": 2, "sigmoid": 2, "each": 4, "cross_entropy": 6,
                     "weights": 11},
    "both": {"softmax": 6, "log_softmax": 6, "logsumexp": 5, "sigmoid": 2, "each": 5, "cross_entropy": 6, "weights": 9},
}  # fmt: skip


@pytest.mark.parametrize(("blocks", "name"), [(blocks, name) for blocks, names in TASKS.items() for name in names])
def test_a_block_is_few_tasks(blocks, name):
    fun, arrays, options = CASES[name]
    x, *others = (lazy(a, BLOCKS[blocks]) for a in arrays)
    y = fun(x, *others, **{key: lazy(a, BLOCKS[blocks]) for key, a in options.items()})
    tasks = graph(y)
    assert len(tasks) / x.npartitions <= TASKS[blocks][name]
    if name != "weights":  # whose class weights are looked up in one vector
        assert not any("rechunk" in str(key) for key in tasks)


@pytest.mark.parametrize(("name", "most"), [("cross_entropy", 10), ("softmax", 18), ("log_softmax", 18)])
def test_a_gradient_is_few_tasks_a_block(name, most):
    """With those that make the blocks of logits and of the cotangent."""
    x, t = lazy(X, BLOCKS["both"]), lazy(T, BLOCKS["both"])
    if name == "cross_entropy":
        gradient = ax.value_and_grad(ax.cross_entropy)(x, t)[1]
    else:
        gradient = ax.vjp(getattr(ax, name), x)[1](lazy(X, BLOCKS["both"]) + 1.0)[0]
    assert len(graph(gradient)) / x.npartitions <= most


def test_a_loss_reads_each_logit_once_and_its_gradient_twice():
    count = []

    def read(a):
        count.append(a.size)
        return a

    x, t = lazy(X, BLOCKS["both"]).map_blocks(read, dtype=X.dtype, meta=X[:0, :0]), lazy(T, BLOCKS["both"])
    value, gradient = ax.value_and_grad(ax.cross_entropy)(x, t)
    with dask.config.set(scheduler="sync"):
        value.compute()
        assert sum(count) == X.size
        count.clear()
        gradient.compute()
    assert sum(count) == 2 * X.size


class Held(Callback):
    """The most bytes that a graph's results hold at once."""

    most = 0

    def _posttask(self, key, result, dsk, state, worker_id):
        held = [a for a in state["cache"].values() if isinstance(a, np.ndarray)]
        spread = [[n for n, stride in zip(a.shape, a.strides, strict=True) if stride] for a in held]  # 0 takes nothing
        self.most = max(self.most, sum(a.itemsize * math.prod(n) for a, n in zip(held, spread, strict=True)))


@pytest.mark.parametrize("blocks", [(10, 100), (10, 800)], ids=["parts", "whole slices"])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "cross_entropy", "weights", "probabilities"])
def test_a_value_with_its_gradient_holds_few_blocks(name, blocks):
    """In one graph: a rule whose cotangent has to wait for all blocks reads them anew."""
    rng = np.random.default_rng(0)

    def made(shape):
        return da.random.default_rng(rng).normal(size=shape, chunks=blocks)

    x, labels = made((400, 800)), da.from_array(rng.integers(0, 800, 400), chunks=10)
    if name in ("softmax", "log_softmax"):
        y, pull = ax.vjp(getattr(ax, name), x)
        y, slope = y.sum(), pull(made(x.shape))[0]
    elif name == "logsumexp":  # whose cotangent comes of all blocks
        y, pull = ax.vjp(ax.logsumexp, x, axis=1)
        slope = pull(y - y.mean())[0]
    else:
        targets = abs(made(x.shape)) / 800 if name == "probabilities" else labels
        weight = None if name == "cross_entropy" else da.from_array(rng.uniform(size=800), chunks=-1)
        y, slope = ax.value_and_grad(ax.cross_entropy)(x, targets, weight=weight)
    with Held() as held, dask.config.set(scheduler="sync"):
        dask.compute(y, abs(slope).sum())
    assert held.most < 0.12 * x.nbytes


def test_blocks_of_no_samples():
    """As ``compute_chunk_sizes`` leaves them."""
    x = da.concatenate([da.from_array(a, chunks=(2, 300)) for a in (X[:2], X[:0], X[2:4])])
    with dask.config.set(scheduler="sync"):
        close(ax.softmax(x), ax.softmax(X[:4]))
        close(ax.logsumexp(x, axis=1), ax.logsumexp(X[:4], axis=1))
        t = da.concatenate([da.from_array(a, chunks=2) for a in (T[:2], T[:0], T[2:4])])
        value, gradient = ax.value_and_grad(ax.cross_entropy)(x, t)
        want, expected = ax.value_and_grad(ax.cross_entropy)(X[:4], T[:4])
        close(value, want)
        close(gradient, expected)


@pytest.mark.parametrize("blocks", ["whole slices", "both"])
def test_a_linear_layer(blocks):
    rows, classes = BLOCKS[blocks]
    x, w, b = RNG.normal(size=(N, 4)), RNG.normal(size=(CLASSES, 4)), RNG.normal(size=CLASSES)
    given = [
        da.from_array(x, chunks=(rows, 2)),
        da.from_array(w, chunks=(classes, -1)),
        da.from_array(T, chunks=rows),
        da.from_array(b, chunks=classes),
    ]
    options = {"soft_cap": 3.0, "ignore_index": 5, "label_smoothing": 0.1}
    with dask.config.set(scheduler=forbidden):
        value, found = ax.value_and_grad(ax.linear_cross_entropy, argnums=(0, 1, 3))(*given, **options)
    want, expected = ax.value_and_grad(ax.linear_cross_entropy, argnums=(0, 1, 3))(x, w, T, b, **options)
    with dask.config.set(scheduler="sync"):
        close(value, want)
        for a, c in zip(found, expected, strict=True):
            close(a, c)


@pytest.mark.parametrize("wrong", [-1, CLASSES])
@pytest.mark.parametrize("blocks", BLOCKS)
def test_classes_that_do_not_exist_are_said_when_the_graph_runs(blocks, wrong):
    t = T.copy()
    t[23] = wrong
    x, t = da.from_array(X, chunks=BLOCKS[blocks]), da.from_array(t, chunks=BLOCKS[blocks][0])
    w = da.from_array(np.ones((CLASSES, CLASSES)), chunks=500)
    with dask.config.set(scheduler=forbidden):
        losses = [ax.cross_entropy(x, t), ax.nll_loss(x, t), ax.linear_cross_entropy(x, w, t)]
        losses += [ax.value_and_grad(ax.cross_entropy)(x, t)[1], ax.cross_entropy(x, t, ignore_index=5)]
        ignored = ax.cross_entropy(x, t, ignore_index=wrong)
    with dask.config.set(scheduler="sync"):
        for y in losses:
            with pytest.raises(
                IndexError, match=rf"targets holds class {wrong} at \(23,\), but there are 1000 classes"
            ):
                y.compute()
        assert math.isfinite(ignored.compute())


# Larger than memory ---------------------------------------------------------------------------------------------------

LARGE = {"samples": 4096, "classes": 32000, "block": (4096, 1000)}  # 524 MB, of blocks of 16
LIMIT = 300 << 20


def made(block_info=None):
    place = block_info[None]["chunk-location"]
    return np.random.default_rng(list(place)).standard_normal(block_info[None]["chunk-shape"], dtype=np.float32)


def clear():
    Path("/proc/self/clear_refs").write_text("5")  # The peak starts anew.


def peak():
    return next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith("VmHWM"))


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the system does not tell a peak of memory")
def test_logits_larger_than_the_memory_of_the_workers(tmp_path):
    """Shared out along the classes: no worker holds more than a few blocks, in value and gradient."""
    import cloudpickle
    from distributed import Client, LocalCluster

    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # The workers cannot import the tests.
    n, classes, block = LARGE.values()
    t = np.random.default_rng(1).integers(0, classes, n)
    chunks = tuple((part,) * (length // part) for length, part in zip((n, classes), block, strict=True))
    settings = {"distributed.worker.memory.terminate": 0.98, "distributed.logging.distributed": "error"}
    two = {"n_workers": 2, "threads_per_worker": 1, "memory_limit": LIMIT, "dashboard_address": None}
    with (
        dask.config.set(settings),
        LocalCluster(local_directory=tmp_path, **two) as cluster,
        Client(cluster) as client,
    ):
        x = da.map_blocks(made, chunks=chunks, dtype=np.float32, meta=np.empty((0, 0), np.float32))
        value, gradient = ax.value_and_grad(ax.cross_entropy)(x, da.from_array(t, chunks=n))
        client.run(lambda: ax.softmax(np.zeros(3)))
        client.run(clear)
        before = max(client.run(peak).values())
        value, some = client.compute(value).result(240), client.compute(gradient[:, ::1000]).result(240)
        assert max(client.run(peak).values()) - before <= n * classes * 4 // 2
    sums, own = np.zeros(n), np.zeros(n)
    for i in range(classes // block[1]):
        part = np.random.default_rng([0, i]).standard_normal(block, dtype=np.float32).astype(np.float64)
        sums += np.exp(part).sum(1)
        here = t // block[1] == i
        own[here] = part[here, t[here] % block[1]]
    assert value == pytest.approx(np.mean(np.log(sums) - own), rel=1e-6)
    first = np.random.default_rng([0, 0]).standard_normal(block, dtype=np.float32)[:, 0].astype(np.float64)
    want = (np.exp(first) / sums - (t == 0)) / n
    assert np.max(np.abs(some[:, 0] - want)) <= 2e-6 * np.max(np.abs(want))
    assert math.isfinite(value)
