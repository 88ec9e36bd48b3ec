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

    monkeypatch.setattr(executor, "TILE", 4096)
    monkeypatch.setattr(executor, "SMALL", 0)
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
for n in (10, 100, 400):
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
