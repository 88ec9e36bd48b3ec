"""One session per job: ``nox -l`` lists them, ``nox`` runs all that need no CUDA device."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "venv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False  # run what is there; the workflow has them all
nox.options.sessions = [
    "lint",
    "types",
    "golden",
    "numpy",
    "jax",
    "torch",
    "strict",
    "oldest",
    "compat",
    "scale",
    "cupy_without_device",
    "examples",
    "bench_quick",
    "build",
    "docs",
    "site",
]

PYPROJECT = nox.project.load_toml("pyproject.toml")
PROJECT = PYPROJECT["project"]
SAID = "Programming Language :: Python :: "
PYTHONS = [word.removeprefix(SAID) for word in PROJECT["classifiers"] if word.startswith(f"{SAID}3.")]
SITE = "docs/_build"
# Python compiles what it imports; to compile all of PyTorch and JAX takes longer than to unpack them.
QUICKLY = ("--quiet", "--no-compile")
CONSTRAINTS = ("--constraint", "tests/constraints.txt")

if shutil.which("pyenv"):  # its python3.12 runs only where 3.12 is among the chosen versions: choose them all
    versions = subprocess.run(["pyenv", "versions", "--bare"], capture_output=True, text=True).stdout.split()
    os.environ.setdefault("PYENV_VERSION", ":".join(versions))


def group(*names: str) -> list[str]:
    return nox.project.dependency_groups(PYPROJECT, *names)


def install(session: nox.Session, *requirements: str) -> None:
    """Install at the pinned versions; nothing with --no-venv, where the machine has what it has."""
    if not isinstance(session.virtualenv, nox.virtualenv.PassthroughEnv):
        session.install(*QUICKLY, *CONSTRAINTS, *requirements)


def suite(session: nox.Session, *backends: str, requirements: tuple[str, ...] = ()) -> None:
    """The whole suite on some backends, against the installed package."""
    install(session, ".", *requirements, *group("test"))
    session.run("pytest", "--numprocesses=2", "--quiet", *(session.posargs or ["--backend", *backends]))


@nox.session(python=PYTHONS)
def numpy(session: nox.Session) -> None:
    """The suite on NumPy, which is all that is installed, by each Python that is here."""
    suite(session, "numpy")


@nox.session
def jax(session: nox.Session) -> None:
    """The suite on JAX."""
    suite(session, "jax", requirements=("jax",))


@nox.session
def torch(session: nox.Session) -> None:
    """The suite on PyTorch, and on its ways of a device in the host's memory."""
    suite(session, "torch", "torch:as_device", requirements=("torch",))


@nox.session
def strict(session: nox.Session) -> None:
    """The suite on the standard at its strictest (array-api-strict), and on Dask."""
    suite(session, "array_api_strict", "dask", requirements=tuple(group("strict")))


@nox.session
def oldest(session: nox.Session) -> None:
    """The golden and special values on the lower bounds that pyproject.toml claims, exactly."""
    extras = PROJECT["optional-dependencies"]
    claims = [*PROJECT["dependencies"], *extras["jax"], *extras["torch"]]
    session.install(*QUICKLY, ".", *(claim.replace(">=", "==") for claim in claims))
    session.install(*QUICKLY, *group("test"))
    session.run("pip", "list")
    backends = ("--backend", "numpy", "torch", "jax")
    own = "tests/test_golden.py::test_golden_gradients_by_the_librarys_own"
    session.run("pytest", "--numprocesses=2", "--quiet", own, "tests/test_special_values.py", *backends)
    session.run("python", "-m", "axisoft", "check", *backends)


@nox.session
def cupy(session: nox.Session) -> None:
    """The suite on CuPy; it needs a CUDA device and is not in the default run. More: CONTRIBUTING.md."""
    install(session, ".[cupy]", *group("test"))
    session.run("python", "-m", "pytest", "--quiet", *(session.posargs or ["--backend", "cupy"]))


@nox.session
def cupy_without_device(session: nox.Session) -> None:
    """What can be told of CuPy without a CUDA device: it imports, its arrays are known, its kernels compile."""
    install(session, ".[cupy]", *group("test", "nvrtc"))
    session.run("pytest", "--quiet", "tests/test_cupy_without_device.py", "--backend", "numpy", *session.posargs)


@nox.session
def golden(session: nox.Session) -> None:
    """Make the golden values anew and fail on any difference. -- --write to keep them."""
    install(session, *group("golden"))
    session.run("python", "tests/make_golden.py", *([] if "--write" in session.posargs else ["--check"]))


@nox.session
def lint(session: nox.Session) -> None:
    """Lint and format. -- --fix to mend what can be mended."""
    install(session, *group("lint"))
    fix = "--fix" in session.posargs
    session.run("ruff", "check", *(["--fix"] if fix else []))
    session.run("ruff", "format", *([] if fix else ["--check"]))


@nox.session
def types(session: nox.Session) -> None:
    """mypy --strict on the package, and what its users' type checkers see, by mypy and by pyright."""
    install(session, ".", "jax", "torch", *group("types"))
    session.run("mypy")
    session.run("pyright")


@nox.session
def compat(session: nox.Session) -> None:
    """axisoft.compat beside SciPy, PyTorch, jax.nn and Optax; and in their place, in the tests that they install."""
    install(session, ".", "jax", "torch", *group("test"), *group("peers"), *group("strict"))
    session.run("pytest", "--numprocesses=2", "--quiet", *(session.posargs or ["tests/compat_peers"]))


@nox.session
def scale(session: nox.Session) -> None:
    """Arrays that are shared: 8 devices of JAX's on the CPU, PyTorch on 2 and 4 processes, Dask on 2 workers."""
    install(session, ".", "jax", "torch", *group("test"), *group("scale"))
    env = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    session.run("pytest", "--numprocesses=2", "--quiet", *(session.posargs or ["tests/scale"]), env=env)


@nox.session
def examples(session: nox.Session) -> None:
    """The examples, as their users run them: digits and scale in full, the U-Net and the wafers in a minute each."""
    install(session, ".", "jax", "torch", *group("examples"))
    session.run("python", "examples/digits.py")
    for name in ("unet", "wafer"):
        output = f"{session.create_tmp()}/{name}"
        session.run("python", f"examples/{name}/train.py", "--quick", "--output", output)
    session.run("python", "examples/scale/train.py", "--output", f"{session.create_tmp()}/scale")


def benchmark(session: nox.Session, *arguments: str) -> None:
    install(session, ".", "jax", "torch", *group("bench"))
    session.run("python", "-m", "bench", *arguments)


@nox.session
def bench(session: nox.Session) -> None:
    """axisoft beside its peers, all sizes; writes bench/results. -- --quick --backend numpy; -- --help"""
    benchmark(session, *(session.posargs or ["--output", "bench/results/cpu.json"]))


@nox.session
def bench_quick(session: nox.Session) -> None:
    """The benchmark's quick mode: every result is validated, times are shown and judged by nobody."""
    benchmark(session, "--quick", *session.posargs)
    session.run("python", "-m", "bench.layer", "--quick")
    session.run("python", "-m", "bench.judged", "--peer", "SciPy", "PyTorch")
    with tempfile.TemporaryDirectory() as folder:
        session.run("python", "docs/errors.py", folder)


@nox.session
def docs(session: nox.Session) -> None:
    """The site, in docs/_build: a warning, which every reference to what is not there gives, is an error."""
    install(session, ".", "jax", "torch", *group("docs"))
    with tempfile.TemporaryDirectory() as folder:
        session.run("python", "docs/figures.py", folder)
    for made in ("docs/api", "docs/gallery", SITE):
        shutil.rmtree(made, ignore_errors=True)
    sphinx = ("sphinx", "-q", "-W", "--keep-going", "-E", "-d", session.create_tmp(), "-b", "html")
    session.run("python", "-m", *sphinx, "docs", SITE)


@nox.session(requires=["docs"])
def site(session: nox.Session) -> None:
    """Look at every page of the site in headless Chromium; pictures of them stay in docs/_build/looks."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        (session.error if "GITHUB_ACTIONS" in os.environ else session.skip)(
            "no Chromium on the PATH: chromium, chromium-browser or google-chrome"
        )
    install(session, ".", *group("test", "site"))
    home = session.create_tmp()
    session.run("npm", "install", "--silent", "--prefix", home, "axe-core@4.14.1")
    env = {
        "AXISOFT_SITE": SITE,
        "AXISOFT_AXE": f"{home}/node_modules/axe-core/axe.min.js",
        "AXISOFT_CHROMIUM": chromium,
        "AXISOFT_LOOKS": f"{SITE}/looks",
    }
    session.run("pytest", "--numprocesses=2", "--quiet", "tests/site", "--backend", "numpy", *session.posargs, env=env)


@nox.session
def build(session: nox.Session) -> None:
    """Wheel and sdist: what is in them, that the wheel runs in a clean environment, and the sdist its own tests.

    -- FOLDER: keep them there, once all of that is so.
    """
    install(session, *group("build"))
    with tempfile.TemporaryDirectory() as folder:
        session.run("python", "-m", "build", "--outdir", folder, silent=True)
        session.run("python", "tests/check_build.py", folder)
        (wheel,) = Path(folder).glob("*.whl")
        (sdist,) = Path(folder).glob("*.tar.gz")
        session.run("python", "-m", "twine", "check", "--strict", str(wheel), str(sdist))
        session.run("check-wheel-contents", str(wheel))
        session.run("python", "-m", "venv", f"{folder}/clean")
        binaries = Path(folder, "clean", "Scripts" if sys.platform == "win32" else "bin")
        python = str(binaries / "python")
        session.run(python, "-m", "pip", "install", "--quiet", *CONSTRAINTS, str(wheel), external=True)
        with session.chdir(folder):
            session.run(python, "-m", "axisoft", external=True)
            session.run(str(binaries / "axisoft"), "check", "--backend", "numpy", "--json", external=True, silent=True)
        with tarfile.open(sdist) as archive:
            archive.extractall(folder, filter="data")
        session.run(python, "-m", "pip", "install", "--quiet", *CONSTRAINTS, *group("test"), external=True)
        with session.chdir(Path(folder, sdist.name.removesuffix(".tar.gz"))):
            tests = [
                f"tests/test_{name}.py" for name in ("docs", "package", "cli", "golden", "errors", "special_values")
            ]
            session.run(python, "-m", "pytest", "--quiet", *tests, "--backend", "numpy", external=True)
        for kept in session.posargs:
            Path(kept).mkdir(exist_ok=True)
            for file in (wheel, sdist):
                shutil.copy(file, kept)
