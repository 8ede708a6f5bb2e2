"""How one file is written, read and hashed.

Commit = temporary file in the same folder, fsync, rename, fsync the folder: a reader sees the old or the new file,
never a part of one. A killed process loses only the file it was writing.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from maskcls.errors import BusyError, ResourceError, ResultError, UsageError

Value = TypeVar("Value")

TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")


def sha256(data: bytes) -> str:
    """Return the hex digest of bytes."""
    return hashlib.sha256(data).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the hex digest of a file's content, read in pieces."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def commit(path: Path, data: bytes) -> str:
    """Write bytes to `path` atomically and return their hex SHA-256; raises ResourceError when writing fails.

    The folder is created if needed. An existing regular file is replaced; of a symbolic link, the target is replaced.
    Anything else at `path` is an error.
    """
    try:
        target = path.resolve()
        if target.is_symlink() or (target.exists() and not target.is_file()):  # a link that remains is a loop
            raise ResourceError("the output is not a regular file", where=str(target), fix="choose another path")
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, data)
    except (OSError, ValueError, RuntimeError) as error:  # the latter two: NUL in the name, a loop before 3.13
        raise _unwritten(path, data, error, "what was there before is unchanged") from None
    try:
        _sync_folder(target.parent)
    except OSError as error:
        raise _unwritten(
            path, data, error, "the new file is complete, but may be lost if the power fails now"
        ) from None
    return sha256(data)


def write_aside(path: Path, write: Callable[[BinaryIO], None]) -> tuple[Path, str]:
    """Write a temporary file beside `path`, for a file too large for memory; returns it and its hex SHA-256.

    write  gets the open file. The digest is of the bytes on disk, read again.

    `put_in_place` then moves it to `path`; the caller removes it when that does not happen. Raises ResourceError when
    writing fails; the temporary file is then removed.
    """
    try:
        target = Path(os.path.realpath(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            with temporary.open("xb") as handle:
                write(handle)
                handle.flush()
                os.fsync(handle.fileno())
            return temporary, file_sha256(temporary)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
    except (OSError, ValueError) as error:
        raise _unwritten(path, b"", error, "what was there before is unchanged") from None


def put_in_place(temporary: Path, path: Path) -> None:
    """Move what `write_aside` wrote to `path`, atomically; an existing file stays beside it as `.bak`.

    Raises ResourceError when that fails.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.exists():
            kept = target.with_name(target.name + ".bak")
            kept.unlink(missing_ok=True)
            try:
                os.link(target, kept)
            except OSError:  # a disk without hard links
                shutil.copyfile(target, kept)
        os.replace(temporary, target)
        _sync_folder(target.parent)
    except OSError as error:
        raise _unwritten(path, b"", error, "the complete file is " + str(temporary)) from None


def commit_json(path: Path, value: Any) -> str:
    """Commit plain data as `json_bytes`; ValueError for NaN."""
    return commit(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """Return plain data as indented JSON, one newline at the end; ValueError for NaN."""
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def none_for_nan(value: Value) -> Value | None:
    """Return None for a float NaN, which JSON cannot hold, and any other value unchanged.

    >>> none_for_nan(float("nan")), none_for_nan(0.5)
    (None, 0.5)
    """
    return None if isinstance(value, float) and math.isnan(value) else value


def read_json(path: Path) -> Any:
    """Read JSON that `commit_json` wrote; raises ResultError when it is missing or damaged."""
    try:
        return json.loads(path.read_bytes(), parse_constant=_refuse)
    except FileNotFoundError:
        raise ResultError("a file of the run is missing", where=str(path), fix="restore it or train again") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ResultError("a file of the run cannot be read", where=str(path), got=str(error)) from None


def refuse_taken(*paths: Path, force: bool = False) -> None:
    """Raise BusyError when an output exists that nobody asked to replace; with `force`, somebody did."""
    if force:
        return
    if taken := [str(path) for path in paths if path.exists()]:
        fix = "choose another -o, or replace it with --force"
        raise BusyError("the output exists", where=" and ".join(taken), fix=fix)


def check_outputs(*outputs: Path, inputs: Iterable[Path] = ()) -> None:
    """Raise UsageError when two outputs are one file, or an output is one of the inputs, also by another path."""
    if len({os.path.realpath(path) for path in outputs}) < len(outputs):
        got = " and ".join(map(str, outputs))
        raise UsageError("two outputs are one file", got=got, fix="give each a name of its own")
    for path in filter(Path.exists, outputs):
        if any(other.exists() and other.samefile(path) for other in inputs):
            raise UsageError("the output is a file that is read", where=str(path), fix="choose another name")


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


def _replace(target: Path, data: bytes) -> None:
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")  # short: the target's name may be as long as allowed
    try:
        _write_synced(temporary, data)
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _write_synced(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network disks cannot sync folders at all
            raise
    finally:
        os.close(handle)


def _unwritten(path: Path, data: bytes, error: Exception, state: str) -> ResourceError:
    reason = getattr(error, "strerror", None) or str(error)
    return ResourceError(
        "cannot write a file",
        where=str(path),
        got=f"{reason} ({len(data)} bytes)",
        fix=f"free disk space or choose another folder; {state}",
    )


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not allowed")
