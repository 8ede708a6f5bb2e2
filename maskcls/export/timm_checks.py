"""Whether a folder may be replaced by an export; needs no torch."""

from __future__ import annotations

from pathlib import Path

from maskcls import files
from maskcls.errors import BusyError, ResultError, UsageError

CONFIG = "config.json"
FORMAT = "maskcls timm folder 1"


def check_timm_folder(folder: Path, *, force: bool) -> None:
    """Raise BusyError when the folder exists, unless `force`; with `force` UsageError for what is no such folder."""
    files.check_place(folder / CONFIG)
    if not folder.exists():
        return
    if not force:
        raise BusyError("the output exists", where=str(folder), fix=files.FORCE)
    if not _is_export(folder):
        raise UsageError(
            "only an exported folder can be replaced",
            where=str(folder),
            expected="a folder that maskcls export --to safetensors wrote",
            fix="choose another -o",
        )


def _is_export(folder: Path) -> bool:
    """Tell whether a folder holds an earlier export of this format."""
    try:
        about = files.read_json(folder / CONFIG)
    except ResultError:
        return False
    return isinstance(about, dict) and about.get("format") == FORMAT
