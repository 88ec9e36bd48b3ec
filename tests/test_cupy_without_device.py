"""What can be told of CuPy on a machine without a CUDA device. Collected only where CuPy is installed."""

from __future__ import annotations

import subprocess
import sys

import array_api_compat
import array_api_compat.cupy as cupy_namespace
import array_api_compat.numpy as numpy_namespace
import cupy
import numpy as np
import pytest

import axisoft
from axisoft import _backends, _check, testing
from axisoft._core import by_formula, pullback
from axisoft._run import plan


def on_no_device(shape, dtype="float32"):
    """A CuPy array whose memory is nowhere: it has a shape and a dtype, and any kernel on it would fail."""
    memory = cupy.cuda.UnownedMemory(1 << 20, 1 << 10, None, device_id=0)
    return cupy.ndarray(shape, dtype=dtype, memptr=cupy.cuda.MemoryPointer(memory, 0))


def test_cupy_arrays_are_recognised():
    x = on_no_device((2, 3))
    assert array_api_compat.is_cupy_array(x)
    xp, _ = _check.arrays("softmax", x=x)
    assert xp is cupy_namespace
    assert _backends.of(xp).name == "cupy"
    assert _backends.executor(xp).__name__ == "axisoft._backends.cupy"


def test_class_indices_are_not_read_from_a_device():
    assert _backends.values(on_no_device((2,), "int64"), cupy_namespace) is None


def test_checks_need_no_device():
    x, t = on_no_device((2, 3)), on_no_device((2,), "int64")
    with pytest.raises(ValueError, match=r"softmax: axis 2 is out of bounds for x with shape \(2, 3\)"):
        axisoft.softmax(x, axis=2)
    with pytest.raises(
        ValueError, match=r"targets with shape \(2,\) do not fit logits with shape \(2, 3\) and class axis 0"
    ):
        axisoft.cross_entropy(x, t, axis=0)
    with pytest.raises(TypeError, match="logits is a cupy array and targets a numpy array"):
        axisoft.cross_entropy(x, np.zeros(2, dtype=int))


def test_nothing_touches_a_device_at_import():
    """Every call to the CUDA runtime that a device would answer is made an error first."""
    code = """
import cupy.cuda.runtime as runtime
def forbidden(*args): raise AssertionError("a device was touched")
for name in ("getDevice", "getDeviceCount", "setDevice", "malloc", "memGetInfo", "streamCreate", "deviceSynchronize"):
    setattr(runtime, name, forbidden)
import axisoft, axisoft.testing, axisoft._backends.cupy
"""
    subprocess.run([sys.executable, "-c", code], check=True)


class Recorder:
    """NumPy's namespace, keeping the names of what is asked of it."""

    def __init__(self):
        self.names = set()

    def __getattr__(self, name):
        found = getattr(numpy_namespace, name)
        self.names.add(name)
        return found


def test_cupy_has_every_function_that_formulas_and_rules_call():
    recorder = Recorder()
    numpy = testing.target("numpy")

    def run(fun, *args, **options):
        """As a backend without an executor would run it, and with the recorder in place of the namespace."""
        call = plan(fun, args, options)
        wanted = [a is not None and a.dtype.kind == "f" for a in call.arrays]
        static = {**call.static, "xp": recorder}
        with np.errstate(all="ignore"):
            y, pull = pullback(by_formula(recorder), call.op, call.arrays, wanted, **static)
            return y, lambda g: pull(np.asarray(g))

    cases = [case for case in testing.cases(dtypes=("float64",)) if case.cotangent is not None]
    assert len(cases) > 100
    for case in cases:
        assert case.judge(np.asarray(case.run(numpy, run))).ok
    assert {"exp", "log1p", "max", "where", "take_along_axis"} <= recorder.names
    missing = {name for name in recorder.names if not hasattr(cupy_namespace, name)}
    assert not missing


def test_a_missing_device_is_said_clearly():
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError:
        with pytest.raises(testing.Missing, match="cupy needs a device that is not there"):
            testing.target("cupy")
    else:
        assert testing.target("cupy").name == "cupy"
