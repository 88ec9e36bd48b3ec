"""The facades' signatures are those of the installed peers."""

from __future__ import annotations

import inspect

import jax
import optax
import pytest
import scipy.special
import torch

from axisoft import compat

FUNCTIONS = [
    (peer, getattr(facade, name))
    for facade, peer in (
        (compat.scipy, scipy.special),
        (compat.jax, jax.nn),
        (compat.optax, optax),
        (compat.torch, torch.nn.functional),
    )
    for name in facade.__all__
    if not isinstance(getattr(facade, name), type)
]
CLASSES = [getattr(compat.torch, name) for name in compat.torch.__all__ if name[0].isupper()]
UFUNCS = {"expit", "log_expit"}  # x, and the keywords of every ufunc
NO_SIGNATURE = {"logsigmoid", "softplus", "logsumexp"}  # PyTorch's builtins: their documentation has it


def plain(fun):
    return [(p.name, p.default, p.kind) for p in inspect.signature(fun).parameters.values()]


@pytest.mark.parametrize(("peer", "fun"), FUNCTIONS, ids=[f"{fun.__module__}.{fun.__name__}" for _, fun in FUNCTIONS])
def test_functions(peer, fun):
    name = fun.__name__
    if peer is torch.nn.functional and name in NO_SIGNATURE:
        documented = {
            "logsigmoid": "logsigmoid(input) -> Tensor",
            "softplus": "softplus(input, beta=1, threshold=20) -> Tensor",
            "logsumexp": "logsumexp(input, dim, keepdim=False, *, out=None)",
        }
        assert documented[name] in (torch.logsumexp if name == "logsumexp" else getattr(peer, name)).__doc__
    elif name in UFUNCS:
        assert plain(getattr(peer, name))[0][0] == plain(fun)[0][0] == "x"
    else:
        assert plain(fun) == plain(getattr(peer, name))


@pytest.mark.parametrize("held", CLASSES, ids=lambda held: held.__name__)
def test_classes(held):
    theirs = getattr(torch.nn, held.__name__)
    if held.__name__ in ("Softmax2d", "Sigmoid"):  # torch.nn.Module's own: no argument is taken
        assert plain(held) == []
        theirs()
    else:
        assert plain(held) == plain(theirs)
