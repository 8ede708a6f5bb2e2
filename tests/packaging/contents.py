"""What a wheel and an sdist must contain: exactly the tracked files of certain folders, and nothing else.

`make test-wheel` runs this on what `make dist` built: `python tests/packaging/contents.py dist`.
"""

from __future__ import annotations

import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable, Mapping
from email import message_from_bytes
from pathlib import Path
from subprocess import run
from typing import Any

PROJECT_DIR = Path(__file__).resolve().parents[2]
SDIST_ONLY = {"PKG-INFO"}  # written by the build
DIST_INFO = {"METADATA", "WHEEL", "entry_points.txt", "RECORD", "licenses/LICENSE"}


def wheel_files(tracked: Iterable[str]) -> set[str]:
    """Return the files of a wheel, its dist-info apart: the package, with configs/ inside it."""
    return {f"maskcls/{name}" if name.startswith("configs/") else name for name in tracked if in_wheel(name)}


def in_wheel(name: str) -> bool:
    """Tell whether a tracked file belongs into the wheel."""
    return name.startswith(("maskcls/", "configs/"))


def sdist_files(tracked: Iterable[str], include: Iterable[str]) -> set[str]:
    """Return the files of an sdist, PKG-INFO apart: what the patterns of pyproject.toml name, and what hatch adds."""
    always = {"pyproject.toml", "README.md", "LICENSE", ".gitignore"}
    patterns = [pattern.removeprefix("/") for pattern in include]
    return {name for name in tracked if name in always or any(_is_in(name, pattern) for pattern in patterns)}


def _is_in(name: str, pattern: str) -> bool:
    if pattern == "*.md":
        return "/" not in name and name.endswith(".md")
    return name == pattern or name.startswith(f"{pattern}/")


def differences(found: set[str], expected: set[str], what: str) -> list[str]:
    """Return one line per file that is missing or should not be there."""
    missing = [f"{what}: {name} is missing" for name in sorted(expected - found)]
    return missing + [f"{what}: {name} should not be in it" for name in sorted(found - expected)]


def metadata_faults(metadata: bytes, project: Mapping[str, Any], version: str, readme: str) -> list[str]:
    """Return what METADATA says wrongly about version, licence, extras, Python and the description."""
    found = message_from_bytes(metadata)
    expected = {
        "Name": ["maskcls"],
        "Version": [version],
        "License-Expression": [project["license"]],
        "License-File": project["license-files"],
        "Requires-Python": [project["requires-python"]],
        "Description-Content-Type": ["text/markdown"],
        "Provides-Extra": sorted(project["optional-dependencies"]),
        "Classifier": sorted(project["classifiers"]),
    }
    faults = [
        f"METADATA: {name} is {found.get_all(name)}, expected {values}"
        for name, values in expected.items()
        if sorted(found.get_all(name, [])) != sorted(values)
    ]
    body = found.get_payload(decode=True)
    said = body.decode() if isinstance(body, bytes) else ""
    return faults + (["METADATA: the description is not README.md"] if said.strip() != readme.strip() else [])


def main(dist: Path) -> int:
    """Check the one wheel and the one sdist in a folder; print what is wrong and return an exit code."""
    project = tomllib.loads((PROJECT_DIR / "pyproject.toml").read_text())
    listed = run(["git", "ls-files"], cwd=PROJECT_DIR, capture_output=True, text=True, check=True)
    tracked = listed.stdout.splitlines()
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    version = wheel.name.split("-")[1]
    info = f"maskcls-{version}.dist-info/"
    with zipfile.ZipFile(wheel) as archive:
        names, metadata = set(archive.namelist()), archive.read(f"{info}METADATA")
    with tarfile.open(sdist) as archive:
        unpacked = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    include = project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    readme = (PROJECT_DIR / "README.md").read_text()
    faults = [
        *differences(names, wheel_files(tracked) | {info + name for name in DIST_INFO}, wheel.name),
        *differences(unpacked, sdist_files(tracked, include) | SDIST_ONLY, sdist.name),
        *metadata_faults(metadata, project["project"], version, readme),
    ]
    print("\n".join(faults) or f"{wheel.name}: {len(names)} files; {sdist.name}: {len(unpacked)} files; as expected")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
