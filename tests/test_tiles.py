"""NumPy's tiles and threads: the same results however an array is cut, and no error in a thread is lost."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import tracemalloc

import numpy as np
import pytest

import axisoft as ax
from axisoft import _backends

pytestmark = pytest.mark.backends(fits=lambda backend: backend.name == "numpy")

RNG = np.random.default_rng(3)
# Each way a tile can be laid out, with tiles of 512 elements: as it is, a short axis first, a long one last.
SHAPES = [
    ((40, 30), (1,)),
    ((30, 40), (0,)),
    ((500, 8), (0,)),
    ((6, 700), (1,)),
    ((3, 7, 11, 13), (1,)),
    ((3, 7, 11, 13), (0, 2)),
    ((3, 7, 11, 13), (3,)),
    ((1300,), (0,)),
    ((1, 1300, 1), (1,)),
    ((5, 300), ()),
    ((4, 3, 100), (0, 1, 2)),
]
LAYOUTS = {
    "C": lambda x: x,
    "Fortran": np.asfortranarray,
    "reversed": lambda x: x[::-1],
    "strided": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "swapped": lambda x: x.astype(x.dtype.newbyteorder()),
    "one row for all": lambda x: np.broadcast_to(x[:1], x.shape),
}


@pytest.fixture
def executor(target, monkeypatch):
    """The executor with small tiles, in two threads."""
    from axisoft._backends import numpy as executor
    from axisoft._backends import tiles

    monkeypatch.setattr(tiles, "TILE", 4096)
    monkeypatch.setattr(executor, "SMALL", 0)
    monkeypatch.setattr(executor, "LEAST", 1)
    monkeypatch.setattr(_backends, "thread_limit", lambda: 2)
    return executor


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("shape", "axes"), SHAPES, ids=str)
def test_tiles_change_nothing(target, executor, monkeypatch, shape, axes, layout):
    """But the last bits of a sum, which may run along memory in one layout and not in the other."""
    for dtype, masked in itertools.product((np.float16, np.float32, np.float64), (False, True)):
        x = LAYOUTS[layout]((RNG.normal(size=shape) * 4).astype(dtype))
        options = {"axis": axes}
        if masked:
            options["where"] = RNG.random(shape[-1:]) < 0.7
        calls = [(ax.softmax, options), (ax.log_softmax, options), (ax.logsumexp, options)]
        calls += [(ax.logsumexp, {**options, "keepdims": True, "dtype": np.float64})]
        calls += [(fun, {}) for fun in (ax.sigmoid, ax.softplus)]
        for fun, given in calls:
            tiled = fun(x, **given)
            with monkeypatch.context() as whole:
                whole.setattr(executor, "SMALL", x.size)
                expected = fun(x, **given)
            assert type(tiled) is np.ndarray
            assert (tiled.shape, tiled.dtype) == (expected.shape, expected.dtype)
            near = {"float16": 1e-3, "float32": 2e-6}.get(tiled.dtype.name, 1e-14)
            assert np.allclose(tiled, expected, rtol=near, atol=near, equal_nan=True), fun


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(("shape", "axes"), [s for s in SHAPES if len(s[1]) == 1], ids=str)
def test_tiles_change_no_loss_and_no_gradient(target, executor, monkeypatch, shape, axes, soft, layout):
    """With every array there is, each of its own shape; and along each of them."""
    (axis,) = axes
    samples = tuple(n for i, n in enumerate(shape) if i != axis)
    for dtype in (np.float16, np.float32, np.float64):
        x = LAYOUTS[layout]((RNG.normal(size=shape) * 4).astype(dtype))
        targets = RNG.random(shape) if soft else RNG.integers(0, shape[axis], size=samples)
        options = {"axis": axis, "weight": RNG.random(shape[axis]), "label_smoothing": 0.1, "z_loss": 0.01}
        options |= {"sample_weight": RNG.random(samples[-1:]), "where": RNG.random(shape[-1:]) < 0.9}
        options |= {} if soft else {"ignore_index": 0}
        calls = [(ax.cross_entropy, (x, targets), {**options, "reduction": how}) for how in ("none", "sum", "mean")]
        calls.append((ax.cross_entropy, (x, targets), {"axis": axis}))
        labels, factors = RNG.random(shape[-1:]) < 0.5, RNG.random(shape[-1:])
        for how in ("none", "sum", "mean"):
            more = {"reduction": how, "sample_weight": factors, "pos_weight": factors}
            calls.append((ax.binary_cross_entropy_with_logits, (x, np.broadcast_to(labels, shape)), more))
        if not soft:
            calls.append((ax.nll_loss, (x, targets), {"axis": axis, "weight": options["weight"]}))
        for fun, args, given in calls:
            both = lambda fun=fun, args=args, given=given: (fun(*args, **given), *gradients(fun, args, given))
            tiled = both()
            with monkeypatch.context() as whole:
                whole.setattr(executor, "SMALL", x.size)
                expected = both()
            near = {"float16": 1e-3, "float32": 1e-5}.get(np.dtype(dtype).name, 1e-13)
            for found, right in zip(tiled, expected, strict=True):
                assert type(found) is np.ndarray
                assert (found.shape, found.dtype) == (right.shape, right.dtype)
                assert np.allclose(found, right, rtol=near, atol=near, equal_nan=True), (fun, given)


def gradients(fun, args, given):
    """The value and the cotangents that there are, of ones."""
    value, pull = ax.vjp(fun, *args, **given)
    return value, *(g for g in pull(np.ones_like(value)) if g is not None)


@pytest.mark.parametrize(("shape", "axes"), SHAPES, ids=str)
def test_tiles_change_no_gradient_of_the_softmax_family(target, executor, monkeypatch, shape, axes):
    x = RNG.normal(size=shape).astype(np.float32)
    for fun, given in [(ax.softmax, {}), (ax.log_softmax, {}), (ax.logsumexp, {}), (ax.logsumexp, {"keepdims": True})]:
        y, pull = ax.vjp(fun, x, axis=axes, **given)
        g = RNG.normal(size=y.shape).astype(np.float32)
        (tiled,) = pull(g)
        with monkeypatch.context() as whole:
            whole.setattr(executor, "SMALL", x.size)
            y, pull = ax.vjp(fun, x, axis=axes, **given)
            (expected,) = pull(g)
        assert np.allclose(tiled, expected, rtol=1e-5, atol=1e-6)


def test_integers_and_what_was_there_before(target, executor):
    x = RNG.integers(-5, 5, size=(40, 30))
    before = x.copy()
    assert np.allclose(ax.softmax(x), ax.softmax(x.astype(float)), rtol=1e-15)
    x.flags.writeable = False
    ax.log_softmax(x)
    assert np.array_equal(x, before)


def test_special_slices_stay_where_they_are(target, executor):
    x = RNG.normal(size=(64, 40))
    x[3], x[17, 5], x[40, 0], x[63] = np.nan, np.nan, np.inf, -np.inf
    bad = np.isin(np.arange(64), [3, 17, 40, 63])
    assert np.array_equal(np.isnan(ax.softmax(x)).all(axis=1), bad)
    assert np.array_equal(np.isnan(ax.softmax(x)).any(axis=1), bad)
    assert ax.logsumexp(x, axis=1)[63] == -np.inf


def test_no_warning_from_any_thread(target, executor):
    x = np.zeros((2000, 64))
    x[:, 0], x[:, 1] = 1.7e308, -1.7e308
    assert np.all(ax.softmax(x)[:, 0] == 1)


def test_the_room_of_a_tile_is_nobody_elses(target, executor, monkeypatch):
    """A formula that does not make its result in it leaves it to no later one."""
    x = np.full((64, 8), 0.5)
    y = ax.sigmoid(x)
    before = y.copy()
    monkeypatch.setattr(executor, "SMALL", x.size)
    ax.softmax(np.zeros((64, 8)))
    ax.softmax(np.zeros((32, 8)))
    assert np.array_equal(y, before)
    assert executor._room.y is None


def test_both_threads_work(target, executor, monkeypatch):
    """And no more than the limit."""
    seen = set()
    evaluate = executor._core.evaluate
    barrier = threading.Barrier(2, timeout=30)

    def watched(*args, **kwargs):
        if threading.get_ident() not in seen:
            seen.add(threading.get_ident())
            barrier.wait()
        return evaluate(*args, **kwargs)

    monkeypatch.setattr(executor._core, "evaluate", watched)
    ax.softmax(np.zeros((100, 512)))
    assert len(seen) == 2
    assert threading.get_ident() in seen


def test_small_arrays_and_a_limit_of_1_start_no_thread(target):
    code = """
import threading, numpy as np, axisoft as ax
ax.set_num_threads(2)
for n in (10, 100, 300):
    ax.softmax(np.zeros((n, n)))
ax.set_num_threads(1)
ax.softmax(np.zeros((2000, 2000)))
assert threading.active_count() == 1, threading.enumerate()
ax.set_num_threads(2)
ax.softmax(np.zeros((2000, 2000)))
assert threading.active_count() == 2, threading.enumerate()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["here", "there"])
def test_an_exception_in_a_tile_is_raised_and_stops_the_others(target, executor, monkeypatch, error, where):
    here, count = threading.get_ident(), itertools.count()
    evaluate = executor._core.evaluate
    started = threading.Event()

    def failing(*args, **kwargs):
        next(count)
        if (threading.get_ident() == here) == (where == "here"):
            started.set()
            raise error("on purpose")
        started.wait(30)
        return evaluate(*args, **kwargs)

    monkeypatch.setattr(executor._core, "evaluate", failing)
    with pytest.raises(error, match="on purpose"):
        ax.softmax(np.zeros((1000, 512)))
    assert next(count) < 100
    monkeypatch.setattr(executor._core, "evaluate", evaluate)
    assert np.all(ax.softmax(np.zeros((1000, 512))) == 1 / 512)


def test_from_many_threads_at_once(target, executor):
    arrays = [RNG.normal(size=(200, 64)) + i for i in range(8)]
    expected = [ax.log_softmax(x) for x in arrays]
    results: list[list[np.ndarray]] = [[] for _ in arrays]

    def call(i):
        results[i] += [ax.log_softmax(arrays[i]) for _ in range(20)]

    callers = [threading.Thread(target=call, args=(i,)) for i in range(len(arrays))]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    for found, right in zip(results, expected, strict=True):
        assert len(found) == 20
        assert all(np.array_equal(y, right) for y in found)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_after_fork_and_at_exit(target):
    """A child has none of its parent's threads; and a call may come when the interpreter has begun to exit."""
    code = """
import atexit, os, threading, numpy as np, axisoft as ax
ax.set_num_threads(2)
x = np.zeros((2000, 1000))
ax.softmax(x)
child = os.fork()
if child == 0:
    right = np.all(ax.softmax(x) == 1e-3)
    os._exit(0 if right and threading.active_count() == 2 else 1)
assert os.waitpid(child, 0)[1] == 0
atexit.register(lambda: print(float(ax.softmax(x).sum())))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert abs(float(done.stdout) - 2000.0) < 1e-6
    assert not done.stderr


def test_no_more_memory_than_the_result_and_a_tenth(target, monkeypatch):
    monkeypatch.setattr(_backends, "thread_limit", lambda: 2)
    x = RNG.normal(size=(64_000, 500))
    ax.softmax(x[:1000])
    for fun, limit in ((ax.softmax, 1.1), (ax.log_softmax, 1.1), (lambda x: ax.logsumexp(x, axis=-1), 0.1)):
        tracemalloc.start()
        fun(x)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak <= limit * x.nbytes + 2**20


@pytest.mark.parametrize("kind", ["float16", "float32"])
def test_no_loss_holds_an_array_of_the_size_of_the_logits(target, monkeypatch, kind):
    """And a gradient none but itself."""
    monkeypatch.setattr(_backends, "thread_limit", lambda: 2)
    x = RNG.normal(size=(64_000, 500)).astype(kind)
    targets, labels = RNG.integers(0, 500, size=64_000), RNG.random(500) < 0.5
    soft, grad = np.broadcast_to(labels / labels.sum(), x.shape), ax.value_and_grad(ax.cross_entropy)
    calls = [
        (lambda: ax.cross_entropy(x, targets, label_smoothing=0.1, ignore_index=3), 0.1),
        (lambda: ax.cross_entropy(x, targets, reduction="none"), 0.1),
        (lambda: ax.cross_entropy(x, soft), 0.1),
        (lambda: ax.binary_cross_entropy_with_logits(x, np.broadcast_to(labels, x.shape)), 0.1),
        (lambda: grad(x, targets), 1.1),
    ]
    for call, limit in calls:
        tracemalloc.start()
        call()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        # Tiles are cut by the dtype they are computed in, and there are some of them beside each other.
        assert peak <= limit * x.nbytes + 24 * 2**20
