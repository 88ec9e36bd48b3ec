"""The ports in docs/porting.md run, and its tables name functions that exist."""

from __future__ import annotations

import re
from pathlib import Path

import axisoft
from axisoft import compat

TEXT = (Path(__file__).resolve().parent.parent / "docs" / "porting.md").read_text()


def test_the_worked_port_runs():
    examples = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(examples) == 2
    assert sum(bool(line.strip()) for line in examples[0].splitlines()) <= 10
    names = {}
    for example in examples:
        exec(compile(example, "porting.md", "exec"), names)


def test_the_tables_name_what_there_is():
    """Every call of the second column is axisoft's, every one of the third the facade's; and none is left out."""
    for heading, facade in (
        ("SciPy", compat.scipy),
        ("PyTorch", compat.torch),
        ("JAX", compat.jax),
        ("Optax", compat.optax),
    ):
        section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)[1]
        rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")][2:]
        assert len(rows) >= 6
        told = set()
        for peer, own, ported in rows:
            for name in re.findall(r"`(\w+)(?:\(|`)", own):
                assert hasattr(axisoft, name), name
            third = peer if ported == "the same" and own != "the same" else ported
            for name in re.findall(r"`(?:nn\.)?(\w+)\(", third):
                assert name in facade.__all__, name
                told.add(name)
        assert told == set(facade.__all__)
