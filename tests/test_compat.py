"""The signatures of the facades, which tests/compat_peers compares with the peers; and the docstrings' examples."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import sys
from pathlib import Path

import pytest

import axisoft
from axisoft.compat import jax, optax, scipy, torch

LEGACY = "size_average=None, ignore_index=-100, reduce=None, reduction='mean'"
BINARY = "size_average=None, reduce=None, reduction='mean', pos_weight=None"
SIGNATURES = {
    scipy.softmax: "x, axis=None",
    scipy.log_softmax: "x, axis=None",
    scipy.logsumexp: "a, axis=None, b=None, keepdims=False, return_sign=False",
    scipy.expit: "x",
    scipy.log_expit: "x",
    jax.softmax: "x, axis=-1, where=None",
    jax.log_softmax: "x, axis=-1, where=None",
    jax.logsumexp: "a, axis=None, b=None, keepdims=False, return_sign=False, where=None",
    jax.sigmoid: "x",
    jax.log_sigmoid: "x",
    jax.softplus: "x",
    optax.softmax_cross_entropy: "logits, labels, axis=-1, where=None",
    optax.softmax_cross_entropy_with_integer_labels: "logits, labels, axis=-1, where=None",
    optax.safe_softmax_cross_entropy: "logits, labels",
    optax.sigmoid_binary_cross_entropy: "logits, labels",
    torch.softmax: "input, dim=None, _stacklevel=3, dtype=None",
    torch.softmin: "input, dim=None, _stacklevel=3, dtype=None",
    torch.log_softmax: "input, dim=None, _stacklevel=3, dtype=None",
    torch.logsumexp: "input, dim, keepdim=False",
    torch.sigmoid: "input",
    torch.logsigmoid: "input",
    torch.softplus: "input, beta=1, threshold=20",
    torch.nll_loss: f"input, target, weight=None, {LEGACY}",
    torch.cross_entropy: f"input, target, weight=None, {LEGACY}, label_smoothing=0.0",
    torch.binary_cross_entropy_with_logits: f"input, target, weight=None, {BINARY}",
    torch.Softmax: "dim=None",
    torch.LogSoftmax: "dim=None",
    torch.Softmax2d: "",
    torch.Sigmoid: "",
    torch.NLLLoss: f"weight=None, {LEGACY}",
    torch.CrossEntropyLoss: f"weight=None, {LEGACY}, label_smoothing=0.0",
    torch.BCEWithLogitsLoss: f"weight=None, {BINARY}",
}


def plain(fun):
    """Names and defaults, without annotations."""
    parameters = [p.replace(annotation=p.empty) for p in inspect.signature(fun).parameters.values()]
    return str(inspect.Signature(parameters))


@pytest.mark.parametrize("fun", SIGNATURES, ids=lambda fun: f"{fun.__module__}.{fun.__name__}")
def test_signatures(fun):
    assert plain(fun) == f"({SIGNATURES[fun]})"


def test_every_name_has_its_signature_here():
    public = {getattr(module, name) for module in (scipy, torch, jax, optax) for name in module.__all__}
    assert public == set(SIGNATURES)
    for module in (scipy, torch, jax, optax):
        assert sorted(module.__all__) == module.__all__


def test_no_facade_imports_a_library_at_module_level():
    for path in (Path(axisoft.__file__).parent / "compat").glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] in sys.stdlib_module_names | {"axisoft"}


def test_examples_in_docstrings():
    result = doctest.testmod(importlib.import_module("axisoft.compat.scipy"))
    assert result.attempted > 0
    assert result.failed == 0
