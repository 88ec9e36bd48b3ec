"""Read the wheel and the sdist in a folder: every file of the package is there, and nothing that is not."""

from __future__ import annotations

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
    assert needed <= names, f"sdist: missing {needed - names}"
    hidden = {name for name in names if "__pycache__" in name or name.startswith((".venv", ".nox"))}
    assert not hidden, f"sdist: unexpected {hidden}"
    print(f"{wheel.name}: {len(inside)} files; {sdist.name}: {len(names)} files")


if __name__ == "__main__":
    main(sys.argv[1])
