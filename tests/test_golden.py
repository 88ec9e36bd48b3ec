"""The golden values on every backend, the slides' printed figures, and the judge itself."""

from __future__ import annotations

import types
import warnings
from dataclasses import replace

import numpy as np
import pytest

import axisoft
from axisoft import _backends, testing
from axisoft._core import OPS


def test_golden(target, case):
    with warnings.catch_warnings():
        if target.backend.executor is None:
            # These run NumPy underneath, out of reach of the executor that silences its warnings: cases with logits of
            # the dtype's largest number overflow to infinity, as they must.
            warnings.filterwarnings("ignore", "overflow encountered", RuntimeWarning)
        verdict = case.judge(case.run(target))
    assert verdict.ok, verdict.wrong


def by_torch_backward(fun, x, *args, **options):
    x.requires_grad_()
    y = fun(x, *args, **options)

    def pullback(g):
        y.backward(g)
        return (x.grad,)

    return y, pullback


def by_jax_under_jit(fun, x, *args, **options):
    import jax

    given = {name: value for name, value in options.items() if hasattr(value, "shape")}
    fixed = {name: value for name, value in options.items() if name not in given}
    call = jax.jit(lambda x, args, given: fun(x, *args, **given, **fixed))
    y = call(x, args, given)
    return y, jax.jit(lambda g: jax.vjp(lambda x: call(x, args, given), x)[1](g))


OWN = {"torch": by_torch_backward, "jax": by_jax_under_jit}


@pytest.mark.backends(fits=lambda backend: backend.name in OWN)
def test_golden_gradients_by_the_librarys_own(target):
    """The same rules by another way than ``axisoft.vjp``: ``backward()``, and ``jax.vjp`` under ``jit``."""
    cases = [c for c in testing.cases(dtypes=("float32",)) if c.cotangent is not None and c.cotangent.size < 100]
    assert len(cases) > 100
    for case in cases[:: 1 if target.backend.name == "torch" else 4]:  # JAX compiles each of them twice
        verdict = case.judge(case.run(target, OWN[target.backend.name]))
        assert verdict.ok, verdict.wrong


def test_there_are_well_over_500_cases_and_every_function_has_every_dtype():
    every = list(testing.cases())
    assert len(every) > 1000
    for name in OPS:
        dtypes = {case.dtype for case in every if case.function == name}
        assert {"float16", "bfloat16", "float32", "float64"} <= dtypes, name
        gradients = [case for case in every if case.function == name and case.cotangent is not None]
        assert {"float32", "float64"} == {case.dtype for case in gradients}, name
        assert len(gradients) >= 8, name


@pytest.mark.parametrize("table", testing.slides()["tables"], ids=lambda table: table["title"])
def test_slides(target, table):
    """The printed figures are roundings of ours, but for the misprint."""
    logits = np.asarray(testing.slides()["logits"][table["logits"]], dtype=np.float64)
    x = target.array(logits[None] if table["function"] == "softmax2d" else logits, "float64")
    options = {"axis": table["axis"]} if "axis" in table else {}
    y = target.numpy(getattr(axisoft, table["function"])(x, **options)).reshape(logits.shape)
    printed = np.asarray(table["printed"])
    for misprint in table.get("misprints", []):
        assert printed[tuple(misprint["index"])] != misprint["true"]
        printed[tuple(misprint["index"])] = misprint["true"]
    assert np.array_equal(np.round(y, table["decimals"]), printed)
    if "class_map" in table:
        assert np.argmax(y, axis=0).tolist() == table["class_map"]


def test_softmax_over_height_and_width_is_softmax_of_the_flattened_plane(target):
    logits = np.asarray(testing.slides()["logits"]["segmentation"], dtype=np.float64)
    y = target.numpy(axisoft.softmax(target.array(logits, "float64"), axis=(1, 2)))
    flat = target.numpy(axisoft.softmax(target.array(logits.reshape(4, 4), "float64"), axis=1))
    assert np.allclose(y.reshape(4, 4), flat, rtol=1e-15, atol=0)
    assert np.allclose(y.sum(axis=(1, 2)), 1, rtol=1e-15)


# The judge ------------------------------------------------------------------------------------------------------------


def case_named(function, name, dtype):
    """By its name; "gradient, ..." for the gradient of that case."""
    (case,) = [c for c in testing.cases(function) if c.id == f"{function}-{name}-{dtype}"]
    return case


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_ulp_is_the_spacing_of_the_dtype(dtype):
    values = np.asarray([1.0, 1.5, 2.0, 3.9, 1e-3, 60000.0, np.finfo(dtype).tiny, 0.0])
    assert np.array_equal(testing.ulp(values, dtype), np.spacing(values.astype(dtype)).astype(np.float64))


def test_ulp_of_bfloat16():
    assert np.array_equal(testing.ulp([1.0, 2.0, 255.0], "bfloat16"), [2.0**-7, 2.0**-6, 1.0])


def test_ulp_distance_counts_the_low_part():
    assert testing.ulp_distance(1.0, 1.0, 2.0**-54, dtype="float64") == 0.25


@pytest.mark.parametrize(
    ("function", "name", "spoil"),
    [
        ("sigmoid", "random", lambda y: y * (1 + 5e-7)),
        ("softmax", "spread 1.0", lambda y: y * (1 + 3e-6)),
        ("softmax", "some -inf", lambda y: np.where(y == 0, np.float32(1e-30), y)),
        ("softmax", "all -inf", lambda y: np.nan_to_num(y)),
        ("log_softmax", "one of two", lambda y: np.round(y, 15)),
        ("logsumexp", "+inf", lambda y: -y),
        ("cross_entropy", "confident by 20.0", lambda y: y + np.float32(1e-9)),
        ("cross_entropy", "plain, mean", lambda y: y * (1 + 1e-5)),
        ("softplus", "special", lambda y: np.where(np.isinf(y), np.float32(3e38), y)),
        ("softmax", "100000 with one far above", lambda y: y * (1 + 1e-5)),
        ("sigmoid", "gradient, wide", lambda y: y * (1 + 1e-6)),
        ("softmax", "gradient, dominant by 40.0", lambda y: np.where(np.abs(y) < 1e-6, 0, y)),
        ("softmax", "gradient, some -inf", lambda y: np.where(y == 0, np.float32(1e-30), y)),
        ("cross_entropy", "gradient, confident by 20.0", lambda y: np.where(y < 0, 0, y)),
        ("cross_entropy", "gradient, plain, mean", lambda y: y * (1 + 3e-6)),
        ("logsumexp", "gradient, 100000 with one far above", lambda y: y + np.float32(1e-12)),
    ],
)
def test_the_judge_turns_spoiled_results_away(function, name, spoil):
    case = case_named(function, name, "float32")
    result = case.run(testing.target("numpy"))
    assert case.judge(result).ok
    verdict = case.judge(np.asarray(spoil(result), dtype=np.float32))
    assert not verdict.ok
    assert case.id in verdict.wrong


@pytest.mark.parametrize(
    ("function", "name", "dtype", "other"),
    [
        ("sigmoid", "random", "float32", "float16"),
        ("softmax", "ties", "float64", "float32"),
        ("cross_entropy", "plain, none", "float16", "float16"),
        ("softmax", "integers", "int8", "float16"),
    ],
)
def test_the_judge_turns_a_wrong_dtype_away(function, name, dtype, other):
    case = case_named(function, name, dtype)
    result = case.run(testing.target("numpy"))
    assert case.judge(result).ok
    assert f"the result is {other}, not " in case.judge(result.astype(other)).wrong


def test_conformance_of_any_namespace(target):
    """By its namespace, and by one that no row knows."""
    report = testing.conformance(target.xp, ("sigmoid",), device=target.device)
    assert report.ok
    assert report.rows[0].cases > 20
    assert [row.of for row in report.rows] == ["value", "gradient"]
    assert report.rows[1].cases >= 8
    unknown = types.SimpleNamespace(**{n: getattr(target.xp, n) for n in dir(target.xp) if not n.startswith("__")})
    report = testing.conformance(unknown, ("softplus",), device=target.device)
    assert report.ok
    assert report.rows[0].cases > 20


def test_the_judge_turns_a_wrong_number_of_results_away():
    case = case_named("softmax", "ties", "float64")
    assert not case.judge(np.ones(3)).ok


def test_conformance_reports_what_raises(monkeypatch):
    def broken(x, /):
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(axisoft, "sigmoid", broken)
    report = testing.conformance("numpy", ("sigmoid", "softplus"))
    assert not report.ok
    assert "ZeroDivisionError: on purpose" in report.rows[0].failures[0]
    assert "FAILED" in str(report.rows[0])
    assert not report.rows[2].failures
    assert "ok" in str(report.rows[2])
    assert report.rows[2].function == "softplus"


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        ("nunpy", ValueError, "backend: 'nunpy' is not known; use one of numpy, torch, jax, cupy"),
        ("numpy:cuda", ValueError, "backend: numpy has no device 'cuda'; use one of cpu."),
    ],
)
def test_targets_that_make_no_sense(name, error, text):
    with pytest.raises(error) as caught:
        testing.target(name)
    assert str(caught.value).startswith(text)


def test_a_device_that_a_backend_cannot_find_is_missing(monkeypatch):
    """Never the default one under another's name."""
    row = replace(_backends.BY_NAME["numpy"], devices=("cpu", "gpu"))
    monkeypatch.setitem(_backends.BY_NAME, "numpy", row)
    assert testing.target("numpy").device is None
    with pytest.raises(testing.Missing, match=r"numpy:gpu needs a device that is not there .*no find_device of numpy"):
        testing.target("numpy:gpu")


def test_a_backend_that_is_not_installed_is_missing(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(testing.Missing, match="backend: dask is not installed; install it, or"):
        testing.target("dask")
    assert testing.installed() == []
