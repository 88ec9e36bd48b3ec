"""The command line, as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import axisoft
from axisoft import testing
from axisoft.__main__ import main
from axisoft._core import OPS


def test_show(capsys):
    assert main(["show"]) == 0
    text = capsys.readouterr().out
    assert "class map  Cat         Background" in text
    assert "class map  Person      Background" in text
    assert "  0.0009   0.0351   0.9965   0.2593   0.0025   0.0006   0.0001   0.7049" in text
    assert "edge defect" in text


@pytest.mark.host
@pytest.mark.backends(fits=lambda backend: backend.name != "jax")  # it compiles 800 cases, as test_golden has done
def test_check(capsys, target):
    assert main(["check", "--backend", target.name]) == 0
    text = capsys.readouterr().out
    assert f"{target.name} {target.version} on {target.device_name}" in text
    for name in OPS:
        assert f"\n  {name} " in text
    assert text.count("\n    its gradient ") == len(OPS)
    assert "8 + |x - max x| ulp" in text
    assert "8 + d ulp of each term" in text
    assert text.rstrip().endswith("every promise is kept.")


def seen_on_a_terminal(text):
    """Lines as they stand in the end: what follows a carriage return is written over what was there."""
    lines = []
    for line in text.split("\n"):
        shown = ""
        for part in line.split("\r"):
            shown = part + shown[len(part) :]
        lines.append(shown.rstrip())
    return "\n".join(lines)


def test_progress_on_a_terminal(capsys, monkeypatch):
    """A line counts the cases, and is gone in the end."""
    assert main(["check", "--backend", "numpy"]) == 0
    piped = capsys.readouterr().out
    assert "\r" not in piped
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert main(["check", "--backend", "numpy"]) == 0
    text = capsys.readouterr().out
    of = sum(1 for _ in testing.cases("softmax", testing.target("numpy").backend.dtypes))
    for done in (0, 1, of - 1):
        assert f"\r  softmax {done:31} of {of} " in text
    assert f"{of} of {of}" not in text
    assert seen_on_a_terminal(text) == piped
    assert main(["check", "--backend", "numpy", "--json"]) == 0
    assert "\r" not in capsys.readouterr().out


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
def test_cases_of_one_shape_share_a_program(target, monkeypatch):
    """JAX compiles each program once, two for a gradient, and neither arrays nor casts."""
    import jax

    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **more: compiled.append(more["fun_name"]) if "backend_compile" in event else None
    )
    jax.clear_caches()
    monkeypatch.setattr(axisoft, "get_num_threads", lambda: 2)
    try:
        assert testing.conformance(target, ("nll_loss",)).ok
    finally:
        jax.monitoring.clear_event_listeners()
    programs = [
        (case.cotangent is not None, str([(k, d, a.shape) for k, (d, a) in case.arrays.items()]), str(case.options))
        for case in testing.cases("nll_loss")
    ]
    assert 0 < compiled.count("jit(_program)") <= sum(1 + program[0] for program in set(programs))
    assert set(compiled) <= {"jit(_program)", "jit(convert_element_type)", "jit(broadcast_in_dim)"}
    assert len(compiled) - compiled.count("jit(_program)") <= 4  # two constants, once by each of two threads


def test_json(capsys):
    assert main(["check", "--backend", "numpy", "--json"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert out["ok"]
    (backend,) = out["backends"]
    assert backend["name"] == "numpy"
    assert backend["version"] == np.__version__
    assert [(row["function"], row["of"]) for row in backend["functions"]] == [
        (name, of) for name in OPS for of in ("value", "gradient")
    ]
    for of, least in (("value", 500), ("gradient", 250)):
        assert sum(row["cases"] for row in backend["functions"] if row["of"] == of) > least
    assert main(["--json", "show"]) == 0
    assert json.loads(capsys.readouterr().out)["slides"][1]["class_map"] == [
        ["Cat", "Background"],
        ["Person", "Background"],
    ]


def test_no_argument_does_both(capsys, monkeypatch):
    monkeypatch.setattr(testing, "installed", lambda: [testing.target("numpy")])
    assert main([]) == 0
    text = capsys.readouterr().out
    assert "class map" in text
    assert "golden values on numpy: every promise is kept." in text


def test_a_broken_promise_is_exit_status_1(capsys, monkeypatch):
    monkeypatch.setattr(axisoft, "softplus", lambda x, /: x)
    assert main(["check", "--backend", "numpy"]) == 1
    text = capsys.readouterr().out
    assert "FAILED" in text
    assert "SOME PROMISES ARE BROKEN" in text
    assert "softplus-slides-float32" in text


def test_a_missing_backend_is_exit_status_1(capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["check", "--backend", "torch"]) == 1
    assert "torch is not installed; install it, or choose another backend." in capsys.readouterr().err


@pytest.mark.parametrize("words", [["check", "--backend", "nunpy"], ["check", "--backend"], ["chekc"], ["--nonsense"]])
def test_bad_usage_is_exit_status_2(capsys, words):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "usage: axisoft" in capsys.readouterr().err


def test_as_a_module():
    result = subprocess.run([sys.executable, "-m", "axisoft", "show"], capture_output=True, text=True, check=True)
    assert "softmax over the channels" in result.stdout
    version = subprocess.run([sys.executable, "-m", "axisoft", "--version"], capture_output=True, text=True, check=True)
    assert version.stdout == f"axisoft {axisoft.__version__}\n"
