"""Read the wheel and the sdist in a folder: every file of the package is there, and nothing that is not.

``--tag vX.Y.Z`` in place of the folder: whether the package and the changelog are ready to be that.
"""

from __future__ import annotations

import re
import sys
import tarfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent


def main(folder):
    (wheel,) = Path(folder).glob("*.whl")
    (sdist,) = Path(folder).glob("*.tar.gz")
    package = {
        path.relative_to(HERE).as_posix()
        for path in (HERE / "axisoft").rglob("*")
        if path.is_file() and path.suffix in {".py", ".pyi", ".json", ".typed"}
    } | {"axisoft/py.typed"}
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if not name.split("/")[0].endswith(".dist-info")}
    assert inside == package, f"wheel: missing {package - inside}, unexpected {inside - package}"
    head = sdist.name.removesuffix(".tar.gz") + "/"
    with tarfile.open(sdist) as archive:
        names = {name.removeprefix(head) for name in archive.getnames()}
    needed = package | {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "noxfile.py", "tests/conftest.py"}
    needed |= {"CITATION.cff", "SECURITY.md", "CONTRIBUTING.md"}
    assert needed <= names, f"sdist: missing {needed - names}"
    hidden = {name for name in names if "__pycache__" in name or name.startswith((".venv", ".nox"))}
    assert not hidden, f"sdist: unexpected {hidden}"
    print(f"{wheel.name}: {len(inside)} files; {sdist.name}: {len(names)} files")


def released(tag):
    """The package has the version that the tag names, and the changelog a date for it."""
    text = (HERE / "axisoft" / "__init__.py").read_text()
    (version,) = re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    assert tag == f"v{version}", f"the tag is {tag} and __version__ is {version!r}; see docs/releasing.md"
    head = rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$"
    changes = (HERE / "CHANGELOG.md").read_text()
    assert re.search(head, changes, re.MULTILINE), f"CHANGELOG.md has no date for {version}; see docs/releasing.md"


if __name__ == "__main__":
    released(sys.argv[2]) if sys.argv[1] == "--tag" else main(sys.argv[1])
