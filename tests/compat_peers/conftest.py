"""The facades beside their peers: collected where all four are installed, as in ``nox -s compat``."""

from __future__ import annotations

import importlib.util

PEERS = ("jax", "optax", "scipy", "torch")
collect_ignore_glob = [] if all(importlib.util.find_spec(name) for name in PEERS) else ["test_*.py"]
