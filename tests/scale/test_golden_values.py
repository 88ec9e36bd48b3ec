"""The promises, kept on parts: every golden value, from mpmath."""

from __future__ import annotations

from scale import golden
from scale.processes import run

from axisoft import testing


def test_in_blocks_of_dask():
    count, wrong = golden.wrong(golden.Blocks(testing.target("dask").backend, "cpu"))
    assert count > 300
    assert wrong == []


def test_in_processes_of_pytorch():
    count, wrong = run(golden.in_processes, 2)
    assert count > 300
    assert wrong == []
