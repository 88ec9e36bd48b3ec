"""Arrays that several devices, processes or workers share: collected in ``nox -s scale`` alone, which sets what JAX has
to know before it starts: ``XLA_FLAGS=--xla_force_host_platform_device_count=8``."""

from __future__ import annotations

import os

DEVICES = "--xla_force_host_platform_device_count=8"
collect_ignore_glob = [] if DEVICES in os.environ.get("XLA_FLAGS", "") else ["test_*.py"]
