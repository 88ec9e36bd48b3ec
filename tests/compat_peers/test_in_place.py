"""The peers' own tests, from the files that they install, with the facades in the place of their functions."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import util
from pathlib import Path

import pytest

import axisoft

HERE = Path(__file__).parent
# Per peer: the file, what of it is about the facade's functions, and how many tests that are at least.
FILES = {
    "scipy": ("scipy.special.tests.test_logsumexp", (), 1600),
    "optax": ("optax.losses._classification_test", ("-k", "Softmax or SigmoidCross or Poly or Focal"), 70),
}


def run(peer, tmp_path, **more):
    module, chosen, _ = FILES[peer]
    spec = util.find_spec(module)
    assert spec is not None, f"{peer} installs no {module}"
    paths = [str(HERE), str(Path(axisoft.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "AXISOFT_IN_PLACE": peer,
        "SCIPY_ARRAY_API": "1",
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        **more,
    }
    # Under no settings of ours, in whose tree the environment may lie.
    settings = ("-c", os.devnull, f"--rootdir={tmp_path}", "-p", "in_place", "-p", "no:cacheprovider", "-q")
    command = [sys.executable, "-m", "pytest", *settings, *chosen, spec.origin]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|error|skipped)", done.stdout)}
    return done.returncode, counts, done.stdout[-4000:]


@pytest.mark.parametrize("peer", FILES)
def test_the_peers_own_tests_pass(peer, tmp_path):
    code, counts, output = run(peer, tmp_path)
    assert code == 0, output
    assert counts.get("passed", 0) >= FILES[peer][2], output
    assert not {"failed", "error"} & set(counts), output


@pytest.mark.parametrize("peer", FILES)
def test_that_proof_can_fail(peer, tmp_path):
    """It is the facades that run there: with functions that are wrong by a thousandth, the same tests fail."""
    code, counts, output = run(peer, tmp_path, AXISOFT_BROKEN="1", SCIPY_ARRAY_API='["numpy"]')
    assert code == 1, output
    assert counts.get("failed", 0) >= 20, output
