"""The first call of a process at an odd moment: what is imported or started lazily needs no running interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import axisoft
from axisoft import _backends

MOMENTS = {
    "a thread outlives the main thread": """
def late():
    threading.main_thread().join()
    call()
threading.Thread(target=late).start()
""",
    "at exit": "atexit.register(call)",
    "a finalizer at exit": """
class Owner: pass
owner = Owner()
weakref.finalize(owner, call)
""",
    "a daemon thread": """
thread = threading.Thread(target=call, daemon=True)
thread.start()
thread.join()
""",
    "a finalizer in a cycle": """
class Owner:
    def __del__(self): call()
owner = Owner()
owner.owner = owner
del owner
gc.collect()
""",
}
CALLS = {
    "small": ((2, 3), "axisoft.softmax(x)"),
    "large": ((300, 1000), "axisoft.softmax(x)"),
    "a loss and its gradient": ((300, 1000), "axisoft.value_and_grad(axisoft.logsumexp)(x)[1]"),
}
START = """
import atexit, gc, os, sys, threading, weakref
import {module} as xp
import axisoft
axisoft.set_num_threads(3)
x = xp.zeros({shape})
def call():
    y = {call}
    assert y.shape == {shape}
    assert abs(float(y[1, 2]) - {value}) < 1e-6 * {value}
    print("right")
"""


# From 3.12 on, Python warns of a fork beside threads, which the pool has.
QUIET = "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n"


def said(code):
    """What a fresh interpreter prints, which must have nothing to complain of."""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    return result.stdout


def start(module, size="small"):
    shape, call = CALLS[size]
    count = shape[0] * shape[1] if "grad" in call else shape[1]
    return START.format(module=module, shape=shape, call=call, value=1 / count)


def can_be_late(backend):
    return backend.name != "dask"  # its own scheduler starts threads, and cannot any more


def can_be_forked(backend):
    return backend.name in ("numpy", "array_api_strict")  # the threads of JAX and PyTorch are lost, and waited for


@pytest.mark.parametrize("size", CALLS)
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.backends(fits=can_be_late)
@pytest.mark.host  # the process that it starts knows no target
def test_the_first_call(target, moment, size):
    module = {"jax": "jax.numpy"}.get(target.backend.package, target.backend.package)
    assert said(start(module, size) + MOMENTS[moment]) == "right\n"


@pytest.mark.parametrize("size", CALLS)
@pytest.mark.parametrize("before", ["", "call()\n"], ids=["first", "after one in the parent"])
@pytest.mark.backends(fits=can_be_forked)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_in_a_forked_child(target, before, size):
    fork = """
sys.stdout.flush()
child = os.fork()
if not child:
    call()
    sys.stdout.flush()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    assert said(start(target.backend.package, size) + QUIET + before + fork) == "right\n" * (2 if before else 1)


@pytest.mark.parametrize("size", CALLS)
def test_when_the_interpreter_takes_itself_apart(size):
    """Modules can be imported no longer, and a thread that is started then never says that it has."""
    last = """
class Owner:
    def __del__(self, call=call, sys=sys, more=axisoft.set_num_threads):
        assert sys.is_finalizing()
        more(3)
        call()
axisoft.set_num_threads(2)
call()
owner = Owner()
"""
    assert said(start("numpy", size) + last) == "right\nright\n"


@pytest.mark.parametrize("threads", [0, 1])
def test_where_no_more_threads_can_be_started(monkeypatch, threads):
    from axisoft._backends import numpy as executor

    pool, begun = executor._Pool(), threading.Thread.start

    def start(thread):
        if pool.threads == threads:
            raise RuntimeError("can't start new thread")
        begun(thread)

    x = np.random.default_rng(0).standard_normal((300, 2000))
    monkeypatch.setattr(_backends, "thread_limit", lambda: 1)
    alone = axisoft.softmax(x)
    monkeypatch.setattr(executor, "_pool", pool)
    monkeypatch.setattr(threading.Thread, "start", start)
    monkeypatch.setattr(_backends, "thread_limit", lambda: 4)
    assert np.array_equal(axisoft.softmax(x), alone)
    assert pool.threads == threads


def test_a_finalizer_may_call_amid_a_call(monkeypatch):
    """One that runs while the pool is handed work, in the same thread."""
    from axisoft._backends import numpy as executor

    pool, begun, inner = executor._Pool(), executor._Pool._start, []

    def start(self):
        if not inner:
            inner.append(None)
            inner.append(axisoft.softmax(x))
        return begun(self)

    monkeypatch.setattr(executor, "_pool", pool)
    monkeypatch.setattr(executor._Pool, "_start", start)
    monkeypatch.setattr(_backends, "thread_limit", lambda: 3)
    x = np.random.default_rng(0).standard_normal((600, 1000))
    y = axisoft.softmax(x)
    assert np.array_equal(inner[1], y)
