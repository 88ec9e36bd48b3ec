"""What the documents say: examples run, tables are what the code says, and what they point to is there."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import io
import re
import tomllib
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest

import axisoft
import axisoft.testing
from axisoft import _backends

HERE = Path(__file__).resolve().parent.parent
BUILT = {".venv", ".nox", ".git", "build", "dist", "node_modules", "_build", "api", "inventories"}
DOCUMENTS = sorted(path for path in HERE.rglob("*.md") if not BUILT & set(path.relative_to(HERE).parts))
# What the calls that documents quote in passing are made with.
QUOTED = {
    "logits": np.linspace(-3, 3, 72).reshape(2, 4, 3, 3),
    "classes": np.zeros((2, 3, 3), dtype=int),
    "labels": np.ones((2, 4, 3, 3)),
    "targets": np.zeros((2, 4, 3), dtype=int),
    "weight": np.ones(4),
    "more": np.full((4, 1, 1), 3.0),
    "inside": np.ones((2, 3, 3)),
}


def named(path):
    return path.relative_to(HERE).as_posix()


EXAMPLES = [
    (page, example)
    for page in ("README.md", "docs/index.md")
    for example in re.findall(r"```python\n(.*?)```", (HERE / page).read_text(), re.DOTALL)
]


def library(example):
    """The backend whose arrays an example uses; NumPy if it names no other."""
    words = set(re.findall(r"^import (\w+)", example, re.MULTILINE))
    return next((name for name in _backends.BY_NAME if name in words - {"numpy"}), "numpy")


def test_there_is_an_example_for_each_backend_with_an_executor():
    assert {library(e) for _, e in EXAMPLES} == {b.name for b in _backends.BACKENDS if b.executor}
    assert [library(e) for page, e in EXAMPLES if page == "docs/index.md"] == [
        b.name for b in _backends.BACKENDS if b.executor
    ]


def run(example, page, names):
    """Run an example, and compare what each of its lines prints with the comment behind it, if there is one."""
    for node in (tree := ast.parse(example)).body:
        said = example.splitlines()[node.end_lineno - 1].partition("  # ")[2]
        with redirect_stdout(io.StringIO()) as printed:
            exec(compile(ast.Module([node], tree.type_ignores), page, "exec"), names)
        told = re.match(r"(?:True|False|-?inf|nan|array\(|[-(\[]?[\d(\[])[^;:]*(?=$|[;:])", said)
        if printed.getvalue() and told:
            pattern = re.escape(" ".join(told[0].split())).replace(r"\.\.\.", ".*")
            assert re.fullmatch(pattern, " ".join(printed.getvalue().split())), (page, said, printed.getvalue())


def test_what_an_example_says_it_prints_is_compared():
    run("print(0.25)  # 0.2...", "here", {})
    run("print((2, 3))  # (2, 3): rows and columns", "here", {})
    with pytest.raises(AssertionError):
        run("print(0.25)  # 0.26; or so", "here", {})


def test_examples_run(target):
    """Each example of the README and of the front page, on the backend it is for and the device it chooses."""
    for page, example in EXAMPLES:
        if library(example) == target.backend.name:
            run(example, page, {"__name__": "example"})


@pytest.mark.backends(fits=lambda backend: backend.name in ("numpy", "torch", "jax"))
def test_the_calls_of_the_pages_of_the_api(target):
    """A call of each function in each library; NumPy gives the same numbers, and the same gradients."""
    calls = module_of("calls")
    without = {"show_versions", "get_num_threads", "set_num_threads"}  # these take no arrays
    every = [*calls.CALLS, *calls.ALIKE]
    assert set(every) == set(axisoft.__all__) - without
    for name in every:
        names, _ = calls.run(calls.source(name, target.backend.name))
        want, _ = calls.run(calls.source(name, "numpy"))
        for key in ("y", "loss", "gradient"):
            assert (key in names) == (key in want)
            for got, true in zip(flat(names.get(key)), flat(want.get(key)), strict=True):
                np.testing.assert_allclose(got, true, rtol=2e-6, err_msg=name)


def flat(value):
    """Arrays of any library as NumPy's: none, one or, of several gradients, the first."""
    if value is None:
        return []
    return [np.asarray(value.detach() if hasattr(value, "detach") else value)]


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_what_documents_quote_can_be_called(path):
    """Calls of axisoft in the text: its functions are called, anything else is there and takes such arguments."""
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    calls = re.findall(r"`(axisoft\.[\w.]+\([^`]*\))`", text) + re.findall(
        r"^    (axisoft\.\w+\(.*\))$", text, re.MULTILINE
    )
    if named(path) in ("examples/unet/README.md", "examples/wafer/README.md", "docs/how-it-works.md"):
        assert calls
    for call in calls:
        tree = ast.parse(" ".join(call.split()), mode="eval")
        if call.startswith("axisoft.testing."):
            function = eval(ast.unparse(tree.body.func), {"axisoft": axisoft})
            inspect.signature(function).bind(*tree.body.args, **{k.arg: k.value for k in tree.body.keywords})
        else:
            eval(compile(tree, str(path), "eval"), {"axisoft": axisoft, **QUOTED})


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_python_in_any_document_runs(path):
    """Those of the README and of the front page run on their own backends, those of docs/porting.md in
    test_compat_docs.py, those of docs/scale.md in tests/scale."""
    if path.name not in ("README.md", "index.md", "porting.md", "scale.md") or path.parent.parent == HERE / "examples":
        names = {}
        for example in re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL):
            run(example, str(path), names)


def test_how_documents_and_examples_install_it():
    """It is on no registry: in a clone, `pip install .`, with an extra or two."""
    sources = [*DOCUMENTS, *(HERE / "examples").rglob("*.py"), *(HERE / "axisoft").rglob("*.py")]
    for path in sources:
        assert not re.search(r"pip install (?:[^`&|;\n]* )?[\"']?axisoft\b", path.read_text()), path


def module_of(name):
    """A script of docs as a module."""
    spec = importlib.util.spec_from_file_location(name, HERE / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tables():
    return module_of("tables")


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


def test_every_document_is_read():
    names = {named(path) for path in DOCUMENTS}
    assert {"README.md", "docs/backends.md", "examples/unet/README.md", "examples/wafer/README.md"} < names
    assert "bench/results/cpu.md" in names


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_what_documents_point_to_is_there(path):
    text = path.read_text()
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert link.startswith("https://") or (path.parent / link).exists(), link
    for name in re.findall(r"`((?:axisoft|tests|docs|examples)/[\w./-]+)`", text):
        assert (HERE / name).exists(), name
    for name in re.findall(r"(?:`|python |nox.* )((?:[\w.-]+/)*\w+\.py)\b", text):
        assert any((folder / name).exists() for folder in (HERE, path.parent, *HERE.glob("axisoft/**/"))), name
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
