"""One list of backends feeds every test: ``pytest --backend numpy torch:cuda``; all that are installed by default."""

from __future__ import annotations

import importlib.util

import pytest

from axisoft import testing

NONE_FITS = "no-backend-fits"


def pytest_addoption(parser):
    parser.addoption("--backend", nargs="+", default=None, metavar="NAME[:DEVICE]", help="backends to run the suite on")


def pytest_configure(config):
    names = config.getoption("--backend")
    try:
        targets = installed() if names is None else [target(name) for name in names]
    except (ValueError, testing.Missing) as error:  # asked for and not there: an error, never a skip
        raise pytest.UsageError(str(error)) from error
    config.stash[TARGETS] = targets
    config.addinivalue_line("markers", "backends(fits=...): run on the backends for whose row that is true")
    config.addinivalue_line(
        "markers", "host: not on PyTorch's ways of a device: it is about what the host alone can do"
    )


# PyTorch's ways of a device, on the host's memory: the whole suite proves them where there is none.
AS_DEVICE = "torch:as_device"


def target(name):
    if name != AS_DEVICE:
        return testing.target(name)
    import torch

    plain = testing.target("torch")
    return testing.Target(plain.backend, "as_device", plain.xp, torch.device("cpu"))


def installed():
    found = testing.installed()
    return found + [target(AS_DEVICE) for plain in found if plain.name == "torch"]


TARGETS = pytest.StashKey[list]()


def pytest_generate_tests(metafunc):
    """``target``: a backend and device. ``dtype``: each floating dtype the backend has. ``case``: each golden case.

    A file that has ``TARGETS`` of its own runs on these, if the library beneath is among the chosen ones.
    """
    names = [name for name in ("target", "dtype", "case") if name in metafunc.fixturenames]
    if "target" not in names:
        return
    marker = metafunc.definition.get_closest_marker("backends")
    fits = marker.kwargs["fits"] if marker else lambda backend: True
    rows = []
    chosen = metafunc.config.stash[TARGETS]
    packages = {target.backend.package for target in chosen}
    for target in getattr(metafunc.module, "TARGETS", chosen):
        if target.backend.package not in packages:
            continue
        if not fits(target.backend) or (target.name == AS_DEVICE and metafunc.definition.get_closest_marker("host")):
            continue
        if "case" in names:
            rows += [
                pytest.param(target, c, id=f"{target.name}-{c.id}") for c in testing.cases(dtypes=target.backend.dtypes)
            ]
        elif "dtype" in names:
            rows += [pytest.param(target, d, id=f"{target.name}-{d}") for d in target.backend.dtypes]
        else:
            rows.append(pytest.param(target, id=target.name))
    metafunc.parametrize(names, rows or [pytest.param(*[None] * len(names), id=NONE_FITS)], scope="function")


def pytest_collection_modifyitems(config, items):
    """Tests of what none of the chosen backends has are left out of the run, not skipped in it."""
    out = [item for item in items if NONE_FITS in item.nodeid]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if NONE_FITS not in item.nodeid]


@pytest.fixture(autouse=True)
def session(request):
    """Every dtype exists while a test runs on its target."""
    params = getattr(request.node, "callspec", None)
    target = params.params.get("target") if params else None
    if target is None:
        yield
    elif target.name == AS_DEVICE:
        from axisoft._backends.torch import watch

        watch.as_device = True
        yield
        watch.as_device = False
    else:
        with target.session():
            yield


# What it tells of CuPy needs CuPy, though no device; the nox session cupy_without_device installs it.
collect_ignore = [] if importlib.util.find_spec("cupy") else ["test_cupy_without_device.py"]
