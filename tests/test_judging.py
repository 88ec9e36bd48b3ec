"""Somebody else's function under the golden values: how it is called, what is not tried, and what is red."""

from __future__ import annotations

import json

import numpy as np
import pytest

import axisoft
from axisoft import testing
from axisoft.__main__ import main

pytestmark = pytest.mark.backends(fits=lambda backend: backend.name == "numpy")

LIBRARIES = pytest.mark.backends(fits=lambda backend: backend.name in ("torch", "jax"))


def plain(x, axis):
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def judged(implementation, function="softmax", where="numpy", **options):
    options = {"dtypes": ("float64",)} | options
    return testing.conformance(where, (function,), implementation=implementation, **options)


def wrapped(name):
    """axisoft's function as somebody else's: it knows no more than what it is told."""

    def call(*arrays, **options):
        assert "axis" in options or name in ("sigmoid", "log_sigmoid", "softplus", "binary_cross_entropy_with_logits")
        return getattr(axisoft, name)(*arrays, **options)

    return call


@pytest.mark.parametrize("name", axisoft._core.OPS)
def test_axisofts_own_keep_every_promise_that_is_tried(name):
    report = judged(wrapped(name), name)
    assert report.ok, report.rows[0].failures
    assert report.rows[0].cases == sum(c.cotangent is None for c in testing.cases(name, ("float64",)))
    assert report.rows[0].untried == report.rows[1].cases == 0  # NumPy does not differentiate
    assert report.rows[1].untried > 0


@pytest.mark.parametrize("name", ["softmax", "sigmoid", "cross_entropy"])
@LIBRARIES
def test_a_gradient_is_the_librarys_own(target, name):
    report = judged(wrapped(name), name, where=target)
    assert report.ok, [row.failures for row in report.rows]
    assert report.rows[1].untried == 0
    assert report.rows[1].cases >= 4


@LIBRARIES
def test_a_wrong_gradient_is_red(target):
    """Half of the slope: the value is right."""
    report = judged(lambda x: _halved(target, x), "sigmoid", where=target)
    assert not report.rows[0].failures
    assert report.rows[1].failures


def _halved(target, x):
    """sigmoid(x), half of which is a constant to the library."""
    y = axisoft.sigmoid(x)
    half = 0.5 * y
    if target.backend.name == "torch":
        return y + (half.detach() - half)
    import jax

    return y + (jax.lax.stop_gradient(half) - half)


def test_a_function_that_loses_digits_is_red():
    """log(softmax): -inf and 0 for the rest of a confident slice."""
    with np.errstate(all="ignore"):
        report = judged(lambda x, axis: np.log(plain(x, axis)), "log_softmax")
    assert not report.ok
    assert any("dominant by 80.0" in failure for failure in report.rows[0].failures)
    assert "FAILED" in str(report.rows[0])


def test_what_it_does_not_take_is_not_tried():
    """A mask, several axes: cases of their own, counted."""

    def over_one(x, axis):
        if not isinstance(axis, int) or x.size == 0 or x.dtype.kind != "f":
            raise NotImplementedError
        return axisoft.softmax(x, axis=axis)

    report = judged(over_one)
    every = [c for c in testing.cases("softmax", ("float64",)) if c.cotangent is None]
    tried = [
        c
        for c in every
        if "where" not in c.arrays and isinstance(c.options.get("axis", -1), int) and c.arrays["x"][1].size
    ]
    assert report.ok
    assert report.rows[0].cases == sum(c.arrays["x"][0] == "float64" for c in tried)
    assert report.rows[0].cases + report.rows[0].untried == len(every)
    assert f"; {report.rows[0].untried} untried" in str(report.rows[0])
    assert " - " in str(report.rows[1])


def test_a_default_axis_of_its_own_does_not_matter():
    """SciPy's is None; a function without an axis is for the cases along the last one."""
    report = judged(lambda x, axis=None, **options: axisoft.softmax(x, axis=axis, **options))
    assert report.ok
    report = judged(lambda x: axisoft.softmax(x))
    assert report.ok
    assert 0 < report.rows[0].cases < report.rows[0].untried + report.rows[0].cases


@pytest.mark.parametrize(
    ("implementation", "options", "kind", "text"),
    [
        (plain, {"functions": None}, ValueError, "implementation is one function and functions is None; name the one"),
        (plain, {"functions": ("softmax", "sigmoid")}, ValueError, "implementation is one function and functions is"),
        ({"softmax": plain}, {"functions": ("sigmoid",)}, ValueError, "implementation has nothing for 'sigmoid'; "),
        ({"softmx": plain}, {"functions": None}, ValueError, "functions holds 'softmx', which has no golden values; "),
        (3, {}, TypeError, "implementation for softmax is 3, which cannot be called; pass a function of arrays."),
        (plain, {"dtypes": ("float8",)}, ValueError, "dtypes holds 'float8', which has no golden values; use some of "),
        (lambda x, **o: _none(), {}, ValueError, "implementation for softmax takes none of the golden cases; it is "),
    ],
)
def test_what_cannot_be_judged(implementation, options, kind, text):
    with pytest.raises(kind) as caught:
        testing.conformance("numpy", **({"functions": ("softmax",), "implementation": implementation} | options))
    assert str(caught.value).startswith(f"conformance: {text}")


def _none():
    raise NotImplementedError


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "import axisoft\n\n\ndef right(x, axis):\n    return axisoft.softmax(x, axis=axis)\n\n\n"
        "class Kernels:\n    wrong = staticmethod(lambda x, axis: right(x, axis) + 1)\n"
    )
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("module")
def test_on_the_command_line(capsys, monkeypatch):
    monkeypatch.setattr("sys.path", ["elsewhere", *__import__("sys").path])
    command = ["check", "--function", "softmax", "--dtype", "float32", "--implementation"]
    assert main([*command, "mine:right"]) == 0
    assert "every promise is kept" in capsys.readouterr().out
    assert main([*command, "mine:Kernels.wrong", "--json"]) == 1
    out = json.loads(capsys.readouterr().out)
    assert [backend["name"] for backend in out["backends"]] == ["numpy"]
    value, gradient = out["backends"][0]["functions"]
    assert (value["function"], value["of"]) == ("softmax", "value")
    assert len(value["failures"]) > 10
    assert value["untried"] == 7  # those with a mask
    assert gradient["cases"] == 0


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(
    ("given", "text"),
    [
        (["--function", "softmax"], "--implementation and --function go together"),
        (["--implementation", "mine:right"], "--implementation and --function go together"),
        (["--implementation", "mine", "--function", "softmax"], "'mine'; name a function as package.module:function."),
        (["--implementation", "none.of:it", "--function", "softmax"], "none.of cannot be imported"),
        (["--implementation", "mine:left", "--function", "softmax"], "mine has no left; name a function of it."),
        (["--implementation", "mine:right", "--function", "softmx"], "functions holds 'softmx', which has no golden"),
        (["--implementation", "mine:__name__", "--function", "softmax"], "softmax is 'mine', which cannot be called"),
        (["--dtype", "float8"], "dtypes holds 'float8', which has no golden values"),
    ],
)
def test_commands_that_make_no_sense(given, text, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["check", "--backend", "numpy", *given])
    assert caught.value.code == 2
    assert text in capsys.readouterr().err
