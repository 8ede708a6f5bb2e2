"""Checks of the names of outputs, before a command begins."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from maskcls.errors import UsageError


def check_outputs(*outputs: Path, inputs: Iterable[Path]) -> None:
    """Raise UsageError when two outputs are one file, or an output is one of the inputs or is inside one.

    inputs  files and folders that are read; one that is missing is passed over. Another path of the same file or folder
            counts as well. Of a run, the files in `runs.identity.input_files`.
    """
    if len({os.path.realpath(path) for path in outputs}) < len(outputs):
        got = " and ".join(map(str, outputs))
        raise UsageError("two outputs are one file", got=got, fix="give each a name of its own")
    for read in inputs:
        for output in reversed(outputs):  # the main file is the last one
            _check_apart(output, read)


def _check_apart(output: Path, read: Path) -> None:
    try:
        if read.is_dir():
            if Path(os.path.realpath(output)).is_relative_to(os.path.realpath(read)):
                fix = f"choose a place outside {read}: inputs are never written to"
                raise UsageError("the output is inside a folder that is read", where=str(output), fix=fix)
        elif output.exists() and read.exists() and read.samefile(output):
            raise UsageError("the output is a file that is read", where=str(output), fix="choose another name")
    except (OSError, ValueError):  # a name that cannot be: whoever reads or writes it says so
        return


def check_folder(path: Path, *, name: str, option: str) -> None:
    """Raise UsageError when a folder cannot be made or used: it, or a folder above it, is a file or the like."""
    there = next((part for part in (path, *path.parents) if os.path.lexists(part)), Path())
    if not os.path.isdir(there):
        raise UsageError(f"{name} is no folder", where=option, got=str(there), fix=f"choose another {option}")


def check_page_name(path: Path, *, where: str = "--page") -> None:
    """Raise UsageError for an HTML page whose name does not end in .html or .htm."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError("the page is HTML", where=where, got=str(path), expected="a name that ends in .html")


def check_picture_name(path: Path, *, where: str = "-o") -> None:
    """Raise UsageError for a PNG picture whose name does not end in .png."""
    if path.suffix.lower() != ".png":
        raise UsageError("the picture is a PNG", where=where, got=str(path), expected="a name that ends in .png")


def named_file(path: Path) -> Path:
    """Return the path of a file; UsageError for one without a name, such as `.` and `/`, which has no other ending."""
    if not path.name:
        raise UsageError("this is a folder, not a file", where=str(path), fix="give the path of a file")
    return path


def sidecar_path(path: Path) -> Path:
    """Return the path of a file's sidecar, the JSON with its provenance; UsageError when that is the file itself."""
    sidecar = named_file(path).with_suffix(".json")
    if sidecar == path:
        fix = "use another ending, such as .csv"
        raise UsageError("this file cannot end in .json, the ending of its sidecar", where=str(path), fix=fix)
    return sidecar
