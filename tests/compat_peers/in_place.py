"""A pytest plugin that puts the facades in the place of their peers, in test files that the peers install.

    AXISOFT_IN_PLACE=scipy python -m pytest -p in_place FILE

The functions are replaced in the collected modules and in the peer's own, once everything is imported. With
AXISOFT_BROKEN set, those put in their place are wrong by a little: a run that passes then proves nothing.
"""

from __future__ import annotations

import functools
import importlib
import os

PLACES = {"scipy": (), "optax": ("optax.losses._classification",)}  # the modules of a peer that its tests call


def broken(fun):
    @functools.wraps(fun)
    def call(*args, **kwargs):
        y = fun(*args, **kwargs)
        return tuple(part * 1.001 for part in y) if isinstance(y, tuple) else y * 1.001

    return call


def pytest_collection_modifyitems(items):
    name = os.environ["AXISOFT_IN_PLACE"]
    facade = importlib.import_module(f"axisoft.compat.{name}")
    change = broken if os.environ.get("AXISOFT_BROKEN") else lambda fun: fun
    modules = [importlib.import_module(place) for place in PLACES[name]]
    for module in {*modules, *(item.module for item in items)}:
        for function in facade.__all__:
            if hasattr(module, function):
                setattr(module, function, change(getattr(facade, function)))
