"""The package as a whole: what importing it costs, which way imports run, and that nothing is listed twice."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import json
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import axisoft
from axisoft import _backends, _typing
from axisoft._core import OPS

PACKAGE = Path(axisoft.__file__).parent
LIBRARIES = ("numpy", "scipy", "torch", "jax", "jaxlib", "optax", "cupy", "dask", "array_api_strict")
SETTINGS = {"get_num_threads", "set_num_threads", "show_versions"}
OTHERS = SETTINGS | {"diagnose", "linear_cross_entropy", "softmax2d", "value_and_grad", "vjp"}
MODULES = sorted(PACKAGE.rglob("*.py"))

REPORT = """
import json, sys, time
start = time.perf_counter()
{code}
seconds = time.perf_counter() - start
print(json.dumps([seconds, sorted({{name.split(".")[0] for name in sys.modules}})]))
"""


def loaded_after(code):
    """Seconds and top-level modules after running code in a fresh interpreter."""
    command = [sys.executable, "-c", REPORT.format(code=code)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_importing_axisoft_loads_no_array_library():
    _, modules = loaded_after("import axisoft")
    assert "axisoft" in modules
    assert not set(modules) & set(LIBRARIES)


@pytest.mark.parametrize("name", ["compat", "compat.scipy", "compat.torch", "compat.jax", "compat.optax"])
def test_importing_the_facades_loads_neither_their_peers_nor_any_other_library(name):
    _, modules = loaded_after(f"import axisoft.{name}")
    assert not set(modules) & set(LIBRARIES)


def test_calling_a_facade_loads_no_peer():
    _, modules = loaded_after(
        "import axisoft, numpy as np; from axisoft.compat import jax, optax, scipy, torch; x = np.zeros((2, 3)); "
        "torch.cross_entropy(x, np.zeros(2, dtype=int)); optax.softmax_cross_entropy(x, x); jax.softmax(x); "
        "scipy.logsumexp([1.0, 2.0], b=[1, -1])"
    )
    assert not set(modules) & (set(LIBRARIES) - {"numpy"})


def test_that_proof_can_fail():
    _, modules = loaded_after("import axisoft.testing")
    assert "numpy" in modules


def test_a_call_loads_no_library_but_the_callers():
    _, modules = loaded_after(
        "import axisoft, numpy; axisoft.cross_entropy(numpy.zeros((1, 2)), numpy.zeros(1, dtype=int))"
    )
    assert not set(modules) & (set(LIBRARIES) - {"numpy"})


def test_importing_axisoft_is_quick():
    """No limit on the clock, which a shared machine would break: what it loads is what it costs."""
    _, before = loaded_after("import array_api_compat, dataclasses, numbers, threading")
    _, after = loaded_after("import axisoft")
    assert set(after) - set(before) == {"axisoft"}


def imports_of(path):
    """Full names of what a module imports, wherever in it, but for what only a type checker reads."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            assert module_name(path) == "axisoft._typing", f"{path}: one module names libraries for type checkers"
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer(name):
    """How far from the public side a module is; imports may only go down."""
    for prefix, height in (
        ("axisoft._core", 0),
        ("axisoft._typing", 0),
        ("axisoft._backends", 1),
        ("axisoft._run", 2),
        ("axisoft._tape", 3),
        ("axisoft._check", 2),
        ("axisoft._threads", 3),
        ("axisoft._softmax", 3),
        ("axisoft._sigmoid", 3),
        ("axisoft._losses", 3),
        ("axisoft._autodiff", 3),
        ("axisoft._diagnose", 3),
        ("axisoft.compat", 5),
    ):
        if name == prefix or name.startswith(prefix + "."):
            return height
    return 4  # axisoft itself, testing, __main__: the public names, which compat is written in


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_run_one_way(path):
    here = module_name(path)
    for name in imports_of(path):
        if name == "axisoft" and layer(here) < 4:
            continue  # `from axisoft import _check`: the names after it are judged
        if name.startswith("axisoft"):
            assert layer(name) <= layer(here), f"{here} imports {name}"
        elif layer(here) == 0:
            assert name.split(".")[0] in sys.stdlib_module_names, f"{here} imports {name}"
        elif name.split(".")[0] in LIBRARIES:
            own = here.startswith("axisoft._backends.") or layer(here) >= 4
            assert own, f"{here} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_a_file_is_one_idea(path):
    """Above 400 lines newcomers get lost; a folder with a table of contents is better."""
    assert len(path.read_text().splitlines()) <= 400


def test_the_core_names_no_library():
    for path in (PACKAGE / "_core").glob("*.py"):
        found = re.search(rf"\b({'|'.join(LIBRARIES)}|pytorch)\b", path.read_text().lower())
        assert found is None, f"{path}: {found}"


def test_exports_are_what_is_public():
    public = {name for name in vars(axisoft) if not name.startswith("_")} - {"testing", "compat"}
    assert public == set(axisoft.__all__)
    assert sorted(axisoft.__all__) == axisoft.__all__
    assert set(OPS) == set(axisoft.__all__) - OTHERS
    for name in axisoft.__all__:
        assert getattr(axisoft, name).__name__ == name


@pytest.mark.parametrize("name", sorted(set(axisoft.__all__) - SETTINGS - {"diagnose", "value_and_grad", "vjp"}))
def test_overloads_have_the_parameters_and_the_defaults_of_the_function(name):
    """Type checkers read the overloads, ``help()`` and ``inspect.signature`` the function: neither may drift."""
    function = getattr(axisoft, name)
    overloads = typing.get_overloads(function)
    arrays, options = kinds_of(function)
    assert len(overloads) >= 4
    for overload in overloads:
        given, named = kinds_of(overload)
        if "options" in named:
            (record,) = re.fullmatch(r"Unpack\[(\w+)\[.*\]\]", named.pop("options").annotation).groups()
            named = getattr(_typing, record).__annotations__
        assert list(given) == list(arrays)
        assert list(named) == list(options)
    # What a call that leaves these out is taken for.
    defaults = {name: parameter.default for name, parameter in options.items()}
    assert defaults.get("dtype") is None
    assert defaults.get("reduction", "mean") in typing.get_args(_typing.Reduced)
    if name == "logsumexp":
        assert (defaults["axis"], defaults["keepdims"]) == (None, False)


@pytest.mark.parametrize("peer", ["jax", "optax", "scipy", "torch"])
def test_the_overloads_of_facades_have_the_signature_of_the_function(peer):
    """A facade without any promises no type."""
    module = importlib.import_module(f"axisoft.compat.{peer}")
    for name in module.__all__:
        function = getattr(module, name)
        function = function.__call__ if isinstance(function, type) else function
        shown, overloads = inspect.signature(function), typing.get_overloads(function)
        assert len(overloads) == 2 or (not overloads and shown.return_annotation == "Any"), name
        for overload in overloads:
            plain = [p.replace(annotation=p.empty) for p in inspect.signature(overload).parameters.values()]
            assert plain == [p.replace(annotation=p.empty) for p in shown.parameters.values()], name


def kinds_of(function):
    """The parameters that are positional, and those that are not."""
    found = inspect.signature(function).parameters
    arrays = {name: p for name, p in found.items() if p.kind is p.POSITIONAL_ONLY}
    return arrays, {name: p for name, p in found.items() if name not in arrays}


def test_show_versions(capsys, monkeypatch):
    """Of every backend, by whatever its distribution is called; and nothing is imported for it."""
    known = {"numpy": ["numpy"], "cupy": ["cupy-cuda13x"], "array_api_strict": ["array-api-strict"]}
    monkeypatch.setattr("importlib.metadata.packages_distributions", lambda: known)
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"9.{len(name)}")
    axisoft.show_versions()
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["axisoft"] == axisoft.__version__
    assert lines["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert lines["threads"] == str(axisoft.get_num_threads())
    assert {backend.package.split(".")[0] for backend in _backends.BACKENDS} < set(lines)
    assert (lines["numpy"], lines["cupy"], lines["torch"]) == ("9.5", "9.12 (cupy-cuda13x)", "-")
    assert lines["array_api_strict"] == "9.16"
    code = "import sys, axisoft; axisoft.show_versions(); sys.exit(bool({'torch', 'jax', 'dask'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0


@pytest.mark.parametrize("name", sorted(set(axisoft.__all__) - SETTINGS))
def test_docstrings_say_all_there_is_to_say(name):
    text = inspect.getdoc(getattr(axisoft, name))  # from 3.13 on, Python takes the indentation away itself
    for heading in ("Parameters", "Returns", "Raises", "Notes", "Examples"):
        assert f"\n{heading}\n{'-' * len(heading)}\n" in text, heading


@pytest.mark.parametrize(
    "module",
    [f"axisoft._{name}" for name in ("sigmoid", "softmax", "losses", "threads", "autodiff", "diagnose", "versions")],
)
def test_examples_in_docstrings(module, monkeypatch):
    monkeypatch.setattr("axisoft._threads._chosen", None)
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0
    assert result.failed == 0


def test_every_executor_has_a_row_and_every_row_its_executor():
    shared = {"__init__", "__pycache__", "kept", "linear", "parts", "plain", "queued", "tiles"}
    files = {path.stem for path in (PACKAGE / "_backends").iterdir()} - shared
    assert files == {backend.name for backend in _backends.BACKENDS if backend.executor}
    for backend in _backends.BACKENDS:
        assert backend.executor is None or backend.executor.__name__ == f"_{backend.name}"


def test_the_rows_tell_the_truth_about_dtypes(target):
    for dtype in ("float16", "bfloat16", "float32", "float64"):
        has = dtype in target.backend.dtypes
        try:
            x = target.array([1.0], dtype)
        except (AttributeError, TypeError):
            assert not has, dtype
        else:
            assert has, dtype
            assert str(x.dtype).rsplit(".", 1)[-1] == dtype


def test_a_library_without_a_row_works(monkeypatch, target):
    """Any namespace that follows the standard: here each of ours, unknown."""
    monkeypatch.setattr(_backends, "_BY_NAMESPACE", {})
    x, t = target.array([[1.0, 2.0], [3.0, 0.0]], "float64"), target.array([0, 1], "int")
    assert abs(float(axisoft.cross_entropy(x, t)) - 2.1809243) < 1e-6
    assert abs(float(axisoft.softmax(x)[0, 0]) - 0.2689414) < 1e-6
