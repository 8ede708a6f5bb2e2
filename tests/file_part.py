"""A part of the test files, such as the second of three: every file is in exactly one, whatever machine it is on."""

from __future__ import annotations

import argparse
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from project import PROJECT_DIR


@dataclass(frozen=True)
class FilePart:
    """A plugin of pytest that reads the files of one part alone. number: from 1 to `parts`."""

    number: int
    parts: int

    def holds(self, path: Path) -> bool:
        """Tell whether a file is in this part, by the SHA-256 of its path in the project."""
        name = path.relative_to(PROJECT_DIR).as_posix()
        return int(hashlib.sha256(name.encode()).hexdigest(), 16) % self.parts == self.number - 1

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Leave out a file with examples or tests of another part; files that are named on the command line are run."""
        if collection_path.suffix != ".py" or not collection_path.is_relative_to(PROJECT_DIR):
            return None
        return None if self.holds(collection_path) else True


def read_part(text: str) -> FilePart:
    """Read "2/3", or "all"; raises ArgumentTypeError, which pytest reports.

    >>> read_part("2/3"), read_part("all")
    (FilePart(number=2, parts=3), FilePart(number=1, parts=1))
    """
    if text == "all":
        return FilePart(1, 1)
    found = re.fullmatch(r"([1-9][0-9]{0,2})/([1-9][0-9]{0,2})", text)
    if found is None or int(found[1]) > int(found[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is neither all nor a part such as 2/3")
    return FilePart(int(found[1]), int(found[2]))
