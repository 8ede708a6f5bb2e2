"""Checks of the names of outputs, before a command begins."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from maskcls.errors import UsageError


def check_outputs(*outputs: Path, inputs: Iterable[Path] = ()) -> None:
    """Raise UsageError when two outputs are one file, or an output is one of the inputs, also by another path."""
    if len({os.path.realpath(path) for path in outputs}) < len(outputs):
        got = " and ".join(map(str, outputs))
        raise UsageError("two outputs are one file", got=got, fix="give each a name of its own")
    for path in filter(Path.exists, outputs):
        if any(other.exists() and other.samefile(path) for other in inputs):
            raise UsageError("the output is a file that is read", where=str(path), fix="choose another name")


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


def sidecar_path(path: Path) -> Path:
    """Return the path of a file's sidecar, the JSON with its provenance; UsageError when that is the file itself."""
    sidecar = path.with_suffix(".json")
    if sidecar == path:
        fix = "use another ending, such as .csv"
        raise UsageError("this file cannot end in .json, the ending of its sidecar", where=str(path), fix=fix)
    return sidecar
