"""The command line: the slides' example, the golden values on every backend that is installed here, and a diagnosis.

    python -m axisoft                                  both
    python -m axisoft show                             the example alone
    python -m axisoft check --backend torch jax:cuda   the golden values on chosen backends
    python -m axisoft check --implementation scipy.special:softmax --function softmax
                                                       somebody else's function judged by them
    python -m axisoft diagnose logits.npy targets.npy  what is wrong with them though no error says so

Exit status 0 if every promise is kept, 1 if one is not or a backend is missing, 2 for a command that makes no sense. Of
diagnose, 0 if nothing is found and 1 if something is.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import operator
import os
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np

import axisoft
from axisoft import testing
from axisoft._core import OPS
from axisoft.testing.implementation import by_function


def main(argv: Sequence[str] | None = None) -> int:
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        return _run(parser, arguments)
    except BrokenPipeError:  # the reader had seen enough
        sys.stderr.close()
        return 1


def _parser() -> argparse.ArgumentParser:
    described: dict[str, Any] = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    parser = argparse.ArgumentParser(prog="axisoft", description=__doc__, **described)
    parser.add_argument("--version", action="version", version=f"axisoft {axisoft.__version__}")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    commands = parser.add_subparsers(dest="command", metavar="show | check | diagnose")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object")
    commands.add_parser("show", parents=[shared], help="the slides' logits through sigmoid and softmax over each axis")
    check = commands.add_parser("check", parents=[shared], help="the golden values, judged")
    check.add_argument(
        "--backend",
        nargs="+",
        metavar="NAME[:DEVICE]",
        help="which backends; every one that is installed unless some are named, and numpy for an implementation",
    )
    check.add_argument("--implementation", metavar="MODULE:FUNCTION", help="somebody else's function, to be judged")
    check.add_argument("--function", metavar="NAME", help="what it implements, such as softmax")
    check.add_argument(
        "--dtype", nargs="+", metavar="NAME", help="floating dtypes of the cases; all unless some are named"
    )
    _add_diagnose(commands, shared)
    return parser


def _add_diagnose(commands: Any, shared: argparse.ArgumentParser) -> None:
    parser = commands.add_parser("diagnose", parents=[shared], help="what is wrong with logits and targets in files")
    parser.add_argument("logits", help="a .npy file, or a .npz file with logits and perhaps targets")
    parser.add_argument("targets", nargs="?", help="a .npy or .npz file; without it, the logits alone are looked at")
    parser.add_argument("--axis", type=int, default=-1, metavar="N", help="the class axis; the last one unless given")
    parser.add_argument("--loss", default="cross_entropy", metavar="NAME", help="cross_entropy unless given")
    parser.add_argument("--ignore-index", type=int, metavar="N", help="targets that are left out")
    parser.add_argument("--label-smoothing", type=float, default=0.0, metavar="S")
    for name in _FILES:
        parser.add_argument(f"--{name.replace('_', '-')}", metavar="FILE", help="an array, as the loss takes it")


def _run(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    if arguments.command == "diagnose":
        return _diagnose(arguments)
    out: dict[str, Any] = {"axisoft": axisoft.__version__}
    text = not arguments.json
    if arguments.command != "check":
        out["slides"] = _show(text)
    ok = True
    if arguments.command != "show":
        try:
            names, judged = getattr(arguments, "backend", None), _judged(arguments)
            names = ["numpy"] if names is None and judged else names
            targets = testing.installed() if names is None else [testing.target(name) for name in names]
            out["backends"] = [_check(target, text, judged, getattr(arguments, "dtype", None)) for target in targets]
        except (ValueError, TypeError) as error:
            parser.error(str(error))
        except testing.Missing as error:
            print(f"axisoft: {error}", file=sys.stderr)
            return 1
        ok = out["ok"] = all(backend["ok"] for backend in out["backends"])
        if text:
            cases = sum(row["cases"] for backend in out["backends"] for row in backend["functions"])
            names = ", ".join(backend["name"] for backend in out["backends"])
            verdict = "every promise is kept" if ok else "SOME PROMISES ARE BROKEN"
            print(f"{cases} golden values on {names}: {verdict}.")
    if not text:
        print(json.dumps(out, indent=1))
    return 0 if ok else 1


def _judged(arguments: argparse.Namespace) -> dict[str, Any]:
    """What is to be judged in the place of axisoft's functions, by name; nothing unless told."""
    path, function = getattr(arguments, "implementation", None), getattr(arguments, "function", None)
    if path is None and function is None:
        return {}
    if path is None or function is None:
        raise ValueError("--implementation and --function go together: whose function, and what it implements.")
    module, _, name = path.partition(":")
    if not module or not name:
        raise ValueError(f"--implementation is {path!r}; name a function as package.module:function.")
    sys.path.insert(0, os.getcwd())  # where a reader's own module is
    try:
        return by_function(operator.attrgetter(name)(import_module(module)), (function,))
    except ImportError as error:
        raise ValueError(f"--implementation: {module} cannot be imported ({error}); name one that can.") from error
    except AttributeError as error:
        raise ValueError(f"--implementation: {module} has no {name}; name a function of it.") from error


def _show(text: bool) -> list[dict[str, Any]]:
    """The slides' tables as this machine computes them, and the class map they lead to."""
    doc = testing.slides()
    results: list[dict[str, Any]] = []
    shown = None
    for table in doc["tables"]:
        x = np.asarray(doc["logits"][table["logits"]], dtype=np.float64)
        options = {"axis": table["axis"]} if "axis" in table else {}
        y = getattr(axisoft, table["function"])(x, **options)
        result = {"title": table["title"], "note": table["note"], "logits": x.tolist(), "result": y.tolist()}
        names = doc["classes"][table["logits"]]
        if "class_map" in table:
            result["class_map"] = [[names[c] for c in row] for row in np.argmax(y, axis=0).tolist()]
        results.append(result)
        if text:
            if table["logits"] != shown:
                shown = table["logits"]
                print(f"Logits, {' x '.join(str(n) for n in x.shape)} (class, height, width)")
                _print_classes(names, x, 0)
                print()
            print(f"{table['title']}: {table['note']}")
            _print_classes(names, y, table["decimals"])
            for row in result.get("class_map", []):
                print(("  class map  " + "".join(f"{name:12}" for name in row)).rstrip())
            print()
    return results


def _print_classes(names: Sequence[str], x: Any, decimals: int) -> None:
    for i in range(x.shape[1]):
        start = "" if i else " ".join(f"{name:^17}" for name in names).rstrip() + "\n  "
        cells = (" ".join(f"{v:8.{decimals}f}" for v in channel[i]) for channel in x)
        print("  " + start + " ".join(f"{cell:17}" for cell in cells).rstrip())


def _counting(function: str) -> Callable[[int, int], None]:
    """Shows on a terminal how many cases are done, in one line that is gone when all are."""

    def show(done: int, of: int) -> None:
        line = f"  {function:33} {done:5} of {of}" if done < of else ""
        print(f"\r{line:50}", end="" if line else "\r", flush=True)

    return show


def _check(target: testing.Target, text: bool, judged: dict[str, Any], dtypes: list[str] | None) -> dict[str, Any]:
    where = f"{target.name} {target.version} on {target.device_name}"
    if text:
        print(f"{where}\n  {'function':33} {'cases':>5}  {'worst ulp':>15}  {'':9} promise", flush=True)
    with warnings.catch_warnings():
        # Libraries that run NumPy underneath, later and in threads of their own, warn of infinities that cases hold.
        warnings.simplefilter("ignore", RuntimeWarning)
        rows = []
        for function in (
            judged or OPS
        ):  # one at a time, so that a reader sees each as it is done: JAX compiles for a minute
            progress = _counting(function) if text and sys.stdout.isatty() else None
            more: dict[str, Any] = {"implementation": judged.get(function), "dtypes": dtypes and tuple(dtypes)}
            found = testing.conformance(target, (function,), progress=progress, **more).rows
            rows += found
            for row in found if text else ():
                print("\n    ".join([f"  {row}", *row.failures]), flush=True)
    if text:
        print()
    return {
        "name": target.name,
        "version": target.version,
        "device": target.device_name,
        "ok": not any(row.failures for row in rows),
        "functions": [
            {
                "function": row.function,
                "of": row.of,
                "promise": row.promise,
                "cases": row.cases,
                "worst_ulp": row.worst.ulp if np.isfinite(row.worst.ulp) else None,
                "allowed_ulp": row.worst.allowed,
                "failures": row.failures,
                "untried": row.untried,
            }
            for row in rows
        ],
    }


_FILES = ("weight", "sample_weight", "where")


class _Unreadable(ValueError):
    """A file that does not hold what it should."""


def _diagnose(arguments: argparse.Namespace) -> int:
    options = {name: getattr(arguments, name) for name in ("axis", "loss", "ignore_index", "label_smoothing")}
    try:
        arrays = _arrays_in(arguments.logits, ("logits", "targets") if arguments.targets is None else ("logits",))
        if arguments.targets is not None:
            arrays += _arrays_in(arguments.targets, ("targets",))
        for name in _FILES:
            path = getattr(arguments, name)
            options[name] = None if path is None else _arrays_in(path, (name,))[0]
        found = axisoft.diagnose(*arrays, **options)
    except (TypeError, ValueError) as error:
        print(f"axisoft: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        findings = [dataclasses.asdict(finding) for finding in found]
        print(json.dumps({"axisoft": axisoft.__version__, "subject": found.subject, "findings": findings}, indent=1))
    else:
        print(found)
    return 1 if found else 0


def _arrays_in(path: str, names: tuple[str, ...]) -> list[Any]:
    """The arrays of a file, at least one and at most as many as there are names: by these, or else in their order."""
    try:
        # No pickle: to read a file is not to run it.
        held = np.load(path, allow_pickle=False)
        arrays = {names[0]: held} if isinstance(held, np.ndarray) else dict(held)
    except OSError as error:
        raise _Unreadable(f"{path} cannot be read: {error.strerror or error}; name a file that is there.") from error
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        hint = "save arrays of numbers with numpy.save or numpy.savez"
        raise _Unreadable(f"{path} holds no array of numbers that can be read; {hint}.") from error
    if names[0] in arrays:
        return [arrays[name] for name in names if name in arrays]
    if not 1 <= len(arrays) <= len(names):
        hint = f"save {' and '.join(names)} alone, or by these names"
        raise _Unreadable(f"{path} holds the arrays {', '.join(arrays) or '(none)'}; {hint}.")
    return list(arrays.values())


if __name__ == "__main__":
    sys.exit(main())
