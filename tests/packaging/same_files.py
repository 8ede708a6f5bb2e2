"""Compare two wheels: `python tests/packaging/same_files.py FROM_SDIST.whl FROM_CHECKOUT.whl`.

`build` makes the wheel from the sdist. That it has the same files as one made from the checkout shows that the sdist is
complete.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path


def content(wheel: Path) -> dict[str, bytes]:
    """Return the files of a wheel by name."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def different(first: dict[str, bytes], second: dict[str, bytes]) -> list[str]:
    """Return the names of files that one lacks or that differ."""
    return sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))


if __name__ == "__main__":
    if faults := different(content(Path(sys.argv[1])), content(Path(sys.argv[2]))):
        sys.exit(f"the wheels differ in {', '.join(faults)}")
