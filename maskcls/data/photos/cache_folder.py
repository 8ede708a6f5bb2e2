"""The cache folder: its location, its packs and files of features, and their deletion."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from maskcls import files
from maskcls.errors import ResourceError, ResultError
from maskcls.files.file_locks import is_locked

PIXELS, ROWS, ABOUT = "pixels.u8", "rows.bin", "pack.json"
PART, LOCK = ".part", ".lock"  # an unfinished pack, and the lock of the process that makes or deletes it
FEATURES = ".features"  # of photos from a backbone that is not trained, a file for each set
NAME = re.compile(r"([0-9a-f]{24})(\.part|\.lock|\.features)?")


@dataclass(frozen=True)
class PackInfo:
    """A pack's description: photos, bytes, size (height, width) of a view, the photos' root, and times in seconds."""

    folder: Path
    photos: int
    bytes: int
    size: tuple[int, int]
    root: str
    made: float
    used: float


@dataclass(frozen=True)
class FeatureFile:
    """A file of features; used: the time of its last use, in seconds."""

    path: Path
    bytes: int
    used: float


@dataclass(frozen=True)
class Leftover:
    """A file or folder that no run can use: from a killed process, or a pack with a damaged description."""

    path: Path
    bytes: int


def cache_folder() -> Path:
    """Return the folder of the packs: $MASKCLS_CACHE, or maskcls in the user's cache folder.

    Raises ResourceError when neither is known.
    """
    if named := os.environ.get("MASKCLS_CACHE"):
        return Path(named)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "maskcls"
    except RuntimeError:
        raise ResourceError(
            "no folder is known for the cache of photos",
            where="MASKCLS_CACHE",
            got="not set, and the user has no home folder",
            fix="set MASKCLS_CACHE to a folder with enough space",
        ) from None


def packs(folder: Path) -> list[PackInfo]:
    """Return the packs in a cache folder, the most recently used first."""
    found = [info for path, kind in _ours(folder) if not kind and (info := read_info(path)) is not None]
    return sorted(found, key=lambda pack: -pack.used)


def feature_files(folder: Path) -> list[FeatureFile]:
    """Return the files of features in a cache folder, the most recently used first."""
    found = []
    for path, kind in _ours(folder):
        if kind == FEATURES:
            with contextlib.suppress(OSError):  # it may have been deleted meanwhile
                found.append(FeatureFile(path, path.stat().st_size, path.stat().st_mtime))
    return sorted(found, key=lambda one: -one.used)


def leftovers(folder: Path) -> list[Leftover]:
    """Return the files in a cache folder that no run can use, by name; without those of a running process."""
    return [
        Leftover(path, _bytes(path))
        for path, kind in _ours(folder)
        if kind != FEATURES
        if (_is_alone(path) if kind == LOCK else kind == PART or read_info(path) is None)
        and not _is_held(path.with_suffix(""))
    ]


def remove(path: Path) -> bool:
    """Delete a pack, a file of features or a leftover; returns False if a process is making it.

    Processes that read it are not affected.

    Raises ResourceError when it cannot be deleted.
    """
    pack = path.with_suffix("")
    try:
        with locked(pack, wait=False):
            if path.is_dir():
                shutil.rmtree(path)
            elif path.suffix == FEATURES:
                path.unlink(missing_ok=True)
            if _is_alone(lock := pack.with_suffix(LOCK)):
                lock.unlink()
    except BlockingIOError:
        return False
    except OSError as error:
        raise ResourceError(
            "the pack cannot be deleted",
            where=str(path),
            got=error.strerror or str(error),
            fix="make the cache folder writable, or delete the pack yourself",
        ) from None
    return True


def _ours(folder: Path) -> list[tuple[Path, str]]:
    """Return the packs and the files beside them, each with its suffix; other files in the folder are ignored."""
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    found = [(folder / match[0], match[2] or "") for match in map(NAME.fullmatch, names) if match]
    return [(path, kind) for path, kind in found if _is_of(path, kind)]


def _is_of(path: Path, kind: str) -> bool:
    if kind == FEATURES:
        return path.is_file()
    return _is_lock(path) if kind == LOCK else _is_pack(path)


def _is_lock(path: Path) -> bool:
    return path.is_file() and path.stat().st_size == 0


def _is_pack(path: Path) -> bool:
    """Return whether a folder holds only files of a pack, complete or not."""
    names = {file.name for file in path.iterdir()} if path.is_dir() else {"not a folder"}
    return all(name in (PIXELS, ROWS, ABOUT) or files.TEMPORARY.fullmatch(name) for name in names)


def _is_alone(lock: Path) -> bool:
    return not lock.with_suffix("").exists() and not lock.with_suffix(PART).exists()


def read_info(pack: Path) -> PackInfo | None:
    """Read the description of a pack; None when it is damaged or missing."""
    with contextlib.suppress(OSError, ResultError):
        used = (pack / ABOUT).stat().st_mtime
        match files.read_json(pack / ABOUT):
            case {
                "photos": int(photos),
                "size": [int(height), int(width)],
                "root": str(root),
                "made": int() | float() as made,
            }:
                return PackInfo(pack, photos, _bytes(pack), (height, width), root, made, used)
    return None


def _bytes(path: Path) -> int:
    size = 0
    for file in path.iterdir() if path.is_dir() else [path]:
        with contextlib.suppress(OSError):  # it may have been deleted meanwhile
            size += file.stat().st_size
    return size


@contextlib.contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Lock a pack while this process makes or deletes it; the kernel releases the lock when the process ends.

    wait  True: wait for the lock; False: raise BlockingIOError when another process has it.
    """
    handle = _lock(folder.with_suffix(LOCK), wait=wait)
    try:
        yield
    finally:
        os.close(handle)


def _lock(file: Path, *, wait: bool) -> int:
    """Return a handle with a lock on the file; a file deleted while waiting is created and locked again."""
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BaseException:
            os.close(handle)
            raise
        if os.fstat(handle).st_nlink:
            return handle
        os.close(handle)


def _is_held(pack: Path) -> bool:
    """Return whether a process is making or deleting this pack; True where the disk cannot tell."""
    try:
        return is_locked(pack.with_suffix(LOCK))
    except OSError:
        return True
