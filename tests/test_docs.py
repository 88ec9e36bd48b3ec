"""What the documents say: examples run, tables are what the code says, and what they point to is there."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

import axisoft
from axisoft import _backends

HERE = Path(__file__).resolve().parent.parent
DOCUMENTS = [HERE / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (HERE / "docs").glob("*.md")
)
EXAMPLES = re.findall(r"```python\n(.*?)```", (HERE / "README.md").read_text(), re.DOTALL)


def library(example):
    """The backend whose arrays an example uses; NumPy if it names no other."""
    words = set(re.findall(r"^import (\w+)", example, re.MULTILINE))
    return next((name for name in _backends.BY_NAME if name in words - {"numpy"}), "numpy")


def test_there_is_an_example_for_each_backend_with_an_executor():
    assert {library(e) for e in EXAMPLES} == {b.name for b in _backends.BACKENDS if b.executor}


def test_examples_run(target):
    """Each example of the README, on the backend it is for and the device it chooses."""
    for example in EXAMPLES:
        if library(example) == target.backend.name:
            exec(compile(example, "README.md", "exec"), {"__name__": "example"})


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("tables", HERE / "docs" / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_are_what_the_code_says(tables):
    for path in tables.FILES:
        text = path.read_text()
        assert "<!-- table: " in text, path
        assert tables.filled(text) == text, f"{path}: run `python docs/tables.py`"


def test_every_table_is_somewhere_and_a_spoiled_one_is_mended(tables):
    texts = "".join(path.read_text() for path in tables.FILES)
    for name in tables.TABLES:
        assert f"<!-- table: {name} -->" in texts
    text = (HERE / "docs" / "numerics.md").read_text()
    assert tables.filled(text.replace("8 + g", "9 + g")) != text.replace("8 + g", "9 + g")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_what_documents_point_to_is_there(path):
    text = path.read_text()
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert link.startswith("https://") or (path.parent / link).exists(), link
    for name in re.findall(r"`((?:axisoft|tests|docs|examples)/[\w./-]+)`", text):
        assert (HERE / name).exists(), name
    assert not re.search(r"(?<![\w.])/(?:home|root|tmp|work|usr)/", text)


def test_the_readme_names_every_function():
    text = (HERE / "README.md").read_text()
    for name in axisoft.__all__:
        assert f"`{name}`" in text, name


def test_the_two_commands_are_what_ci_runs():
    text = (HERE / "README.md").read_text()
    assert "    python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/python -m axisoft\n" in text
    assert "    .venv/bin/pip install nox && .venv/bin/nox\n" in text
    assert (HERE / ".ci" / "run").read_text().rstrip().endswith("\n.venv/bin/nox")


def test_ci_and_nox_have_the_same_sessions():
    source = (HERE / "noxfile.py").read_text()
    sessions = re.search(r"nox\.options\.sessions = \[(.*?)\]", source, re.DOTALL)[1]
    workflow = (HERE / ".github" / "workflows" / "ci.yml").read_text()
    matrix = re.search(r"session: \[(.*?)\]", workflow)[1]
    assert re.findall(r'"(\w+)"', sessions) == [name.strip() for name in matrix.split(",")]
    assert "cupy" not in re.findall(r'"(\w+)"', sessions)
    project = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    said = "Programming Language :: Python :: "
    pythons = [word.removeprefix(said) for word in project["classifiers"] if word.startswith(f"{said}3.")]
    assert pythons[0] == project["requires-python"].removeprefix(">=")
    asked = re.search(r"python-version: \|\n((?: +[\d.]+\n)+)", workflow)[1].split()
    assert asked[::-1] == pythons
    for session in ("jax", "torch"):
        assert re.findall(rf'session: {session}, python: "(.*?)"', workflow) == pythons[1:]
