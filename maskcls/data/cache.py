"""Decode once: the eval view of every photo in one file, read by many processes, runs and folds at a time.

A pack holds exactly the pixels `eval_view` gives, so a run with a cache and one without differ in nothing. It is found
by the photos' paths and sizes and by what decides the pixels; it is good while no photo's file has changed. N photos,
H height, W width.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import features

from maskcls import rundir
from maskcls.data import images
from maskcls.data.images import Pixels
from maskcls.data.transforms import OVERSIZE, ViewSpec, eval_view
from maskcls.errors import DataError, ResourceError

FORMAT = 1
PIXELS, ROWS, ABOUT = "pixels.u8", "rows.npz", "pack.json"
SPARE_BYTES = 1 << 30  # left free for everything else the machine does
FRESH_NS = 50_000_000  # a file changed this shortly before it was read may change again under the same time stamp

Stamps = NDArray[np.int64]  # (N, 3): size, time of change of the content and of the entry, in ns; -1 if unknown


@dataclass(frozen=True)
class PackInfo:
    """What a pack on disk says about itself: photos, bytes, view, where the photos stood, and times in seconds."""

    folder: Path
    photos: int
    bytes: int
    size: tuple[int, int]
    root: str
    made: float
    used: float


def cache_folder() -> Path:
    """Return the folder packs are kept in: $MASKCLS_CACHE, or maskcls in the user's cache folder."""
    if named := os.environ.get("MASKCLS_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "maskcls"


def open_pack(root: Path, paths: Sequence[str], spec: ViewSpec) -> Pixels | None:
    """Return the eval views (N, H, W, 3) of the photos, read-only and mapped from disk; None if no good pack is there.

    Where only time stamps have changed the files are read and compared, and the pack is kept if they are the same.
    """
    stamps = _stamps(root, paths)
    return _open(_folder(paths, stamps, spec), root, paths, stamps, spec)


def _open(folder: Path, root: Path, paths: Sequence[str], stamps: Stamps, spec: ViewSpec) -> Pixels | None:
    with contextlib.suppress(OSError, ValueError, KeyError):
        shape = (len(paths), *spec.size, 3)
        if (folder / PIXELS).stat().st_size != int(np.prod(shape)):
            return None
        with np.load(folder / ROWS) as rows:
            kept, digests = rows["stamps"], rows["digests"]
        changed = np.flatnonzero((stamps != kept).any(axis=1) | (kept < 0).any(axis=1))
        if changed.size:
            if not _same_content(root, [paths[row] for row in changed.tolist()], digests[changed]):
                return None
            with contextlib.suppress(ResourceError):  # a pack in a read-only folder serves as well
                rundir.commit(folder / ROWS, _rows_file(_settled(stamps), digests))
        with contextlib.suppress(OSError):
            os.utime(folder / ABOUT)
        return np.memmap(folder / PIXELS, dtype=np.uint8, mode="r", shape=shape).view(np.ndarray)
    return None


def build_pack(
    root: Path,
    paths: Sequence[str],
    spec: ViewSpec,
    *,
    threads: int,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Pixels:
    """Decode every photo into a pack, whole or not at all, and open it; one that another process makes is waited for.

    Raises DataError that lists all photos that cannot be read, ResourceError when the disk has no room or refuses.
    """
    stamps = _stamps(root, paths)
    folder = _folder(paths, stamps, spec)
    if (pixels := _open(folder, root, paths, stamps, spec)) is not None:
        return pixels
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            if (pixels := _open(folder, root, paths, stamps, spec)) is not None:
                return pixels  # another process made it meanwhile
            _check_room(folder.parent, len(paths), spec)
            part = folder.with_name(folder.name + ".part")
            shutil.rmtree(part, ignore_errors=True)
            try:
                part.mkdir()
                _fill(part, root, paths, stamps, spec, threads=threads, on_progress=on_progress)
                shutil.rmtree(folder, ignore_errors=True)
                part.rename(folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise ResourceError(
            "the cache of photos cannot be written",
            where=str(folder.parent),
            got=error.strerror or str(error),
            fix="set MASKCLS_CACHE to a folder with room, or decode every epoch with data.cache=off",
        ) from None
    pixels = open_pack(root, paths, spec)
    if pixels is None:
        raise ResourceError(
            "photos changed while they were read", where=str(root), fix="wait until nothing writes there, and try again"
        )
    return pixels


def packs(folder: Path) -> list[PackInfo]:
    """Return the packs in a cache folder, the one used last first."""
    found = []
    for about in folder.glob(f"*/{ABOUT}"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            told = json.loads(about.read_text())
            size = sum(file.stat().st_size for file in about.parent.iterdir())
            height, width = told["size"]
            used = about.stat().st_mtime
            found.append(
                PackInfo(about.parent, told["photos"], size, (height, width), told["root"], told["made"], used)
            )
    return sorted(found, key=lambda pack: -pack.used)


def remove(pack: PackInfo) -> bool:
    """Delete a pack; False when it is just being made. A process that reads it keeps its pixels to the end."""
    try:
        with _locked(pack.folder, wait=False):
            shutil.rmtree(pack.folder)
    except BlockingIOError:
        return False
    except OSError as error:
        raise ResourceError(
            "the pack cannot be deleted", where=str(pack.folder), got=error.strerror or str(error)
        ) from None
    return True


def _fill(
    part: Path,
    root: Path,
    paths: Sequence[str],
    stamps: Stamps,
    spec: ViewSpec,
    *,
    threads: int,
    on_progress: Callable[[int], None],
) -> None:
    """Write the files of a pack into the folder `part`."""
    view_bytes = _view_bytes(spec)
    digests = np.zeros((len(paths), 16), dtype=np.uint8)
    with (part / PIXELS).open("wb", buffering=0) as file:
        # Room is taken before anything is decoded. Written rather than mapped: on a mapped file a full disk is a crash.
        with contextlib.suppress(AttributeError, NotImplementedError):
            os.posix_fallocate(file.fileno(), 0, len(paths) * view_bytes)

        def decode(row: int, data: bytes) -> None:
            image = images.decode(data, root / paths[row], at_least=spec.decode_size)
            _write(file.fileno(), eval_view(image, spec).tobytes(), row * view_bytes)
            digests[row] = np.frombuffer(_digest(data), dtype=np.uint8)

        images.each_image(root, paths, decode, threads=threads, on_progress=on_progress)
        os.fsync(file.fileno())
    rundir.commit(part / ROWS, _rows_file(_settled(stamps), digests))
    about = {"photos": len(paths), "size": list(spec.size), "root": str(root.resolve()), "made": time.time()}
    rundir.commit_json(part / ABOUT, about | {"recipe": _recipe(spec)})


def _recipe(spec: ViewSpec) -> dict[str, Any]:
    """Return what decides the pixels of an eval view besides the file."""
    return {
        "format": FORMAT,
        "crop": list(spec.crop),
        "size": list(spec.size),
        "oversize": OVERSIZE,
        "background": images.BACKGROUND,
        "pillow": PIL.__version__,
        "jpeg": features.version("jpg"),
        "opencv": cv2.__version__,
    }


def _folder(paths: Sequence[str], stamps: Stamps, spec: ViewSpec) -> Path:
    digest = hashlib.blake2b(json.dumps(_recipe(spec), sort_keys=True).encode(), digest_size=12)
    digest.update(stamps[:, 0].tobytes())
    for path in paths:
        digest.update(path.encode(errors="surrogateescape") + b"\0")
    return cache_folder() / digest.hexdigest()


def _stamps(root: Path, paths: Sequence[str]) -> Stamps:
    stamps = np.full((len(paths), 3), -1, dtype=np.int64)
    base = str(root)
    for row, path in enumerate(paths):
        with contextlib.suppress(OSError, ValueError):  # a file that is gone is reported by whoever reads it
            stat = os.stat(f"{base}/{path}")
            stamps[row] = stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
    return stamps


def _settled(stamps: Stamps) -> Stamps:
    """Return the stamps without those too young to tell the next change from the last."""
    young = stamps[:, 1:].max(axis=1) > time.time_ns() - FRESH_NS
    return np.where(young[:, None], -1, stamps)


def _same_content(root: Path, paths: Sequence[str], digests: Pixels) -> bool:
    def same(row: int) -> bool:
        return _digest(images.read_bytes(root / paths[row])) == bytes(digests[row])

    with ThreadPoolExecutor() as pool:
        try:
            return all(pool.map(same, range(len(paths))))
        except DataError:
            return False


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def _rows_file(stamps: Stamps, digests: Pixels) -> bytes:
    file = io.BytesIO()
    np.savez(file, stamps=stamps, digests=digests)
    return file.getvalue()


def _check_room(folder: Path, photos: int, spec: ViewSpec) -> None:
    needed, free = photos * _view_bytes(spec), shutil.disk_usage(folder).free
    if free < needed + SPARE_BYTES:
        raise ResourceError(
            "no room for the cache of photos",
            where=str(folder),
            got=f"{free / 1e9:.1f} GB free",
            expected=f"{needed / 1e9:.1f} GB, and {SPARE_BYTES / 1e9:.1f} GB to spare",
            fix="free some space (maskcls data cache prune), move the cache (MASKCLS_CACHE), or set data.cache=off",
        )


def _view_bytes(spec: ViewSpec) -> int:
    return 3 * spec.size[0] * spec.size[1]


def _write(handle: int, data: bytes, place: int) -> None:
    while data:
        written = os.pwrite(handle, data, place)
        data, place = data[written:], place + written


@contextlib.contextmanager
def _locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a pack for this process while it is made or deleted; the kernel frees it at any death."""
    handle = os.open(folder.with_name(folder.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(handle)
