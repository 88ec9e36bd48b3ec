"""What can be told of CuPy on a machine without a CUDA device. Collected only where CuPy is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import array_api_compat
import array_api_compat.cupy as cupy_namespace
import cupy
import eager
import numpy as np
import pytest
from cuda import pathfinder
from cupy._core import _carray, _kernel
from cupy.cuda import nvrtc

import axisoft
from axisoft import _backends, _check, testing
from axisoft._backends import cupy as of_cupy
from axisoft._backends import queued


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


NAMES = set()


class Recorder(queued.Namespace):
    """Keeps the names of what is asked of it, the class's own questions included."""

    def __getattribute__(self, name):
        NAMES.add(name)
        return super().__getattribute__(name)


def test_cupy_has_every_function_that_formulas_and_rules_call(monkeypatch):
    monkeypatch.setattr(eager, "XP", Recorder(eager.LIBRARY, eager.exp_below, eager.product))
    numpy = testing.target("numpy")
    cases = list(testing.cases(dtypes=("float64",)))
    with eager.installed():
        for case in cases:
            assert case.judge(np.asarray(case.run(numpy))).ok
        features, matrix, bias = np.ones((3, 2)), np.ones((4, 2)), np.ones(4)
        options = {"weight": np.ones(4), "sample_weight": np.ones(3), "ignore_index": 3, "soft_cap": 2.0}
        options |= {"label_smoothing": 0.1, "z_loss": 0.1}
        layer = axisoft.value_and_grad(axisoft.linear_cross_entropy, argnums=(0, 1, 3))
        layer(features, matrix, np.asarray([0, 1, 3]), bias, **options)
    assert sum(case.cotangent is not None for case in cases) > 100
    asked = {name for name in NAMES if not name.startswith("__")}
    assert {"exp", "log1p", "max", "argmax", "where", "take_along_axis", "reciprocal"} <= asked
    # What a namespace may offer and this one does not.
    offers = {"between", "exponentials", "is_free_of_nan", "is_number", "none", "sums", "surprisal", "where_true"}
    offers |= {"lengths", "within"}
    assert {name for name in asked if not hasattr(of_cupy._xp, name)} <= offers
    assert not any(hasattr(of_cupy._xp, name) for name in offers)


def source(kernel, dtype, contiguous):
    """What CuPy compiles for arrays of a dtype, which all have one layout."""
    layout = (1, True) if contiguous else (3, False)
    array = _kernel._ArgInfo(1, cupy.ndarray, dtype, *layout, True)
    index = _kernel._ArgInfo(2, _carray.Indexer, None, layout[0], True, True)
    types = _kernel._TypeMap((("T", dtype.type),))
    name, params = kernel.name, kernel.params
    code = _kernel._get_elementwise_kernel_code((array, array, array, index), types, params, kernel.operation, name, "")
    assert kernel.operation in code
    return "#include <cupy/complex.cuh>\n#include <cupy/carray.cuh>\n" + code


@pytest.mark.parametrize("contiguous", [True, False])
@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", ["EXP_BELOW", "PRODUCT"])
def test_kernels_compile(name, dtype, arch, contiguous):
    """NVRTC needs no device for it."""
    own = Path(cupy.__file__).parent / "_core" / "include"
    include = (own, *(own / "cupy" / "_cccl").iterdir(), pathfinder.find_nvidia_header_directory("cudart"))
    options = ("-std=c++17", f"-arch={arch}", "--device-as-default-execution-space", *(f"-I{path}" for path in include))
    program = nvrtc.createProgram(source(getattr(of_cupy, name), np.dtype(dtype), contiguous), "kernel.cu", (), ())
    try:
        nvrtc.compileProgram(program, options)
    except nvrtc.NVRTCError:
        pytest.fail(nvrtc.getProgramLog(program))
    assert nvrtc.getCUBIN(program).startswith(b"\x7fELF")


def test_a_missing_device_is_said_clearly():
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError:
        with pytest.raises(testing.Missing, match="cupy needs a device that is not there"):
            testing.target("cupy")
    else:
        assert testing.target("cupy").name == "cupy"
