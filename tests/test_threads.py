"""How many threads the NumPy backend takes: who says it, and who wins."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import axisoft
from axisoft import _threads


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch, tmp_path):
    """As if on 64 processors, without variables and control groups."""
    monkeypatch.setattr(_threads, "_chosen", None)
    monkeypatch.setattr(_threads, "_processors", lambda: 64)
    monkeypatch.setattr(_threads, "_OWN", str(tmp_path / "own"))
    monkeypatch.setattr(_threads, "_GROUPS", str(tmp_path / "groups"))
    for name in ("AXISOFT_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    _threads._quota.cache_clear()
    yield
    _threads._quota.cache_clear()


def grouped(folder, own, **files):
    """Files of control groups: by a path below their mount, with what they hold."""
    (folder / "own").write_text(own)
    for path, text in files.items():
        file = folder / "groups" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5"])
def test_its_own_variable(monkeypatch, text):
    """It is axisoft's, so what makes no sense there is an error."""
    monkeypatch.setenv("AXISOFT_NUM_THREADS", "3")
    assert axisoft.get_num_threads() == 3
    monkeypatch.setenv("AXISOFT_NUM_THREADS", text)
    with pytest.raises(ValueError, match=f"get_num_threads: AXISOFT_NUM_THREADS is '{text}'; set it to a whole number"):
        axisoft.get_num_threads()


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1), ("4", 4), ("4,2", 4), (" 4 , 2 ,1", 4), ("+3", 3), ("08", 8), ("96", 96), ("2147483647", 2**31 - 1)],
)
def test_openmps_variable(monkeypatch, text, number):
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert axisoft.get_num_threads() == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "0",
        "-1",
        "many",
        "1.5",
        "4x",
        "x,4",
        ",4",
        "4,",
        "4,0",
        "4 2",
        "1_0",
        "٤",
        "2147483648",
        "9" * 50,
        "1" + "0" * 40 + "4",
    ],
)
def test_what_openmp_ignores_is_ignored(monkeypatch, text):
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert axisoft.get_num_threads() == 64


def test_who_wins(monkeypatch, tmp_path):
    grouped(tmp_path, "0::/\n", **{"cpu.max": "500000 100000\n"})
    assert axisoft.get_num_threads() == 5
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert axisoft.get_num_threads() == 7
    monkeypatch.setenv("AXISOFT_NUM_THREADS", "3")
    assert axisoft.get_num_threads() == 3
    axisoft.set_num_threads(9)
    assert axisoft.get_num_threads() == 9


@pytest.mark.parametrize(
    ("own", "files", "number"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "250000 100000\n"}, 3),
        ("0::/\n", {"cpu.max": "10000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
        ("0::/\n", {"cpu.max": "6400000000 100000\n"}, 64),
        ("0::/\n", {"cpu.max": "junk\n"}, 64),
        ("0::/\n", {}, 64),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n"}, 3),
        ("0::/a/b\n", {"a/b/cpu.max": "400000 100000\n", "a/cpu.max": "900000 100000\n"}, 4),
        ("0::/a/b\n", {"other/cpu.max": "400000 100000\n"}, 64),
        ("0::/seen/from/outside\n", {"cpu.max": "400000 100000\n"}, 4),
        ("0::/\n", {"unified/cpu.max": "400000 100000\n"}, 4),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "350000\n", "cpu/cpu.cfs_period_us": "50000\n"}, 7),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 64),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "0\n"}, 64),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "100000\n"}, 64),
        (
            "3:cpuset:/x\n2:cpu,cpuacct:/x\n0::/\n",
            {"cpu,cpuacct/x/cpu.cfs_quota_us": "200000\n", "cpu,cpuacct/x/cpu.cfs_period_us": "100000\n"},
            2,
        ),
        ("2:cpuacct,cpu:/x\n", {"cpu/x/cpu.cfs_quota_us": "200000\n", "cpu/x/cpu.cfs_period_us": "100000\n"}, 2),
        ("2:cpuset:/x\n", {"cpuset/x/cpu.cfs_quota_us": "2\n", "cpuset/x/cpu.cfs_period_us": "1\n"}, 64),
    ],
)
def test_the_quota_of_a_control_group(tmp_path, own, files, number):
    grouped(tmp_path, own, **files)
    assert axisoft.get_num_threads() == number


def test_files_are_read_once(tmp_path):
    """A large call asks each time."""
    grouped(tmp_path, "0::/\n", **{"cpu.max": "300000 100000\n"})
    assert axisoft.get_num_threads() == 3
    (tmp_path / "groups" / "cpu.max").unlink()
    assert axisoft.get_num_threads() == 3


def test_without_control_groups():
    assert axisoft.get_num_threads() == 64


def test_processors():
    """Those that the process may use; PYTHON_CPU_COUNT where Python knows it."""
    code = "from axisoft import _threads; print(_threads._processors())"
    environment = {**os.environ, "PYTHON_CPU_COUNT": "5"}
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert int(said.stdout) == (5 if sys.version_info >= (3, 13) else own)
