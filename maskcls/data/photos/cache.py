"""The cache of decoded photos: the eval view of every photo in one file, shared by processes, runs and folds.

A pack contains exactly the pixels of `eval_view`, so results with and without the cache are equal. Its name is a hash
of the photos' root, paths and file sizes, and of everything else that affects the pixels. It is valid until a photo's
file changes. N photos, H height, W width.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL
from PIL import features

from maskcls import files
from maskcls.data.photos import images
from maskcls.data.photos.cache_folder import ABOUT, PART, PIXELS, ROWS, cache_folder, locked
from maskcls.data.photos.identity.pack_check import pack_form
from maskcls.data.photos.identity.pack_pixels import PackPixels
from maskcls.data.photos.identity.pack_rows import PackRows, Stamps
from maskcls.data.photos.identity.photo_digests import DIGEST_BYTES, digest
from maskcls.data.photos.rgb import BACKGROUND, Pixels
from maskcls.data.views.transforms import OVERSIZE, ViewSpec, eval_view
from maskcls.errors import DataError, ResourceError, ResultError
from maskcls.machine import reading_threads

FORMAT = 4
SPARE_BYTES = 1 << 30  # disk space that must stay free
FRESH_NS = 50_000_000  # a file changed less than this before it was read may change again with the same time stamp


def open_pack(root: Path, paths: Sequence[str], spec: ViewSpec) -> PackPixels | None:
    """Return the eval views (N, H, W, 3) of the photos; None without a valid pack.

    If only time stamps have changed, the files are read and compared. Nothing is written; `build_pack` also stores the
    new time stamps and the time of use. Raises ResourceError when no cache folder is known.
    """
    stamps = _stamps(root, paths)
    return _open(_folder(root, paths, stamps, spec), root, paths, stamps, spec)


def _open(
    folder: Path, root: Path, paths: Sequence[str], stamps: Stamps, spec: ViewSpec, *, remember: bool = False
) -> PackPixels | None:
    with contextlib.suppress(OSError, ValueError, ResultError):
        rows, _ = pack_form(folder)
        if rows is None or len(rows.stamps) != len(paths):
            return None
        changed = np.flatnonzero((stamps != rows.stamps).any(axis=1) | (rows.stamps < 0).any(axis=1))
        if changed.size:
            if not _same_content(root, [paths[row] for row in changed.tolist()], rows.file_ND[changed]):
                return None
            if remember:
                _note_times(folder, rows.to_bytes(), rows.with_stamps(_settled(stamps)).to_bytes())
        if remember:
            with contextlib.suppress(OSError):
                os.utime(folder / ABOUT)
        return PackPixels(folder, (len(paths), *spec.size, 3), rows.with_stamps(stamps), paths)
    return None


def _note_times(folder: Path, before: bytes, after: bytes) -> None:
    """Replace a pack's rows file if it has not changed since it was read; a failed write is ignored.

    The lock prevents another process from replacing or deleting the pack meanwhile.
    """
    with contextlib.suppress(OSError, ResourceError, ResultError), locked(folder, wait=False):
        if files.read_file(folder / ROWS, files.WRITTEN_FILE) == before:
            files.commit(folder / ROWS, after)


def build_pack(
    root: Path,
    paths: Sequence[str],
    spec: ViewSpec,
    *,
    threads: int,
    on_progress: Callable[[int], None] = lambda done: None,
    on_note: Callable[[str], object] = lambda note: None,
) -> PackPixels:
    """Decode all photos into a pack, atomically, and open it; wait if another process is making the same pack.

    threads      threads that decode.
    on_progress  called with the number of photos done so far.
    on_note      called with a sentence if a pack is damaged and made again.

    Raises DataError that lists all photos that cannot be read,
    ResourceError when the disk is full or writing fails, or when photos change meanwhile.
    """
    stamps = _stamps(root, paths)
    folder = _folder(root, paths, stamps, spec)
    if (pixels := _open(folder, root, paths, stamps, spec, remember=True)) is not None:
        return pixels
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            if (pixels := _open(folder, root, paths, stamps, spec)) is not None:
                return pixels  # another process made it meanwhile
            if folder.exists() and (faults := pack_form(folder)[1]):
                on_note(f"a damaged pack of the cache of photos is made again: {folder} ({faults[0]})")
            check_room(len(paths), spec)
            part = folder.with_name(folder.name + PART)
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
            fix="set MASKCLS_CACHE to a folder on another disk, or decode in every epoch with data.cache=off",
        ) from None
    pixels = open_pack(root, paths, spec)
    if pixels is None:
        raise ResourceError(
            "photos changed while they were read", where=str(root), fix="wait until nothing writes there, then retry"
        )
    return pixels


def check_room(photos: int, spec: ViewSpec) -> None:
    """Raise ResourceError when the cache's disk has too little free space for the views of `photos` photos."""
    folder = cache_folder()
    place = next(path for path in (folder, *folder.absolute().parents) if os.path.exists(path))
    needed, free = photos * _view_bytes(spec), shutil.disk_usage(place).free
    if free < needed + SPARE_BYTES:
        raise ResourceError(
            "not enough disk space for the cache of photos",
            where=str(folder),
            got=f"{free / 1e9:.1f} GB free",
            expected=f"{needed / 1e9:.1f} GB, and {SPARE_BYTES / 1e9:.1f} GB in reserve",
            fix="free some space (maskcls data cache prune), move the cache (MASKCLS_CACHE), or set data.cache=off",
        )


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
    file_ND, view_ND = (np.zeros((len(paths), DIGEST_BYTES), dtype=np.uint8) for _ in range(2))
    with (part / PIXELS).open("wb", buffering=0) as file:
        # Disk space is reserved before decoding. Written, not memory-mapped: there a full disk would crash the process.
        with contextlib.suppress(AttributeError, NotImplementedError):
            os.posix_fallocate(file.fileno(), 0, len(paths) * view_bytes)

        def decode(row: int, data: bytes) -> None:
            image = images.decode(data, root / paths[row], at_least=spec.decode_size)
            view = eval_view(image, spec).tobytes()
            _write(file.fileno(), view, row * view_bytes)
            file_ND[row], view_ND[row] = (np.frombuffer(digest(one), dtype=np.uint8) for one in (data, view))

        images.each_image(root, paths, decode, threads=threads, on_progress=on_progress)
        os.fsync(file.fileno())
    about = {"photos": len(paths), "size": list(spec.size), "root": str(root.resolve()), "made": time.time()}
    files.commit_json(part / ABOUT, about | {"recipe": _recipe(spec)})
    rows = PackRows(_settled(stamps), file_ND, view_ND, digest(files.read_file(part / ABOUT, files.WRITTEN_FILE)))
    files.commit(part / ROWS, rows.to_bytes())


def _recipe(spec: ViewSpec) -> dict[str, Any]:
    """Return everything except the file that affects the pixels of an eval view, as JSON data."""
    return {
        "format": FORMAT,
        "crop": list(spec.crop),
        "crop_centre": list(spec.crop_centre),
        "size": list(spec.size),
        "oversize": OVERSIZE,
        "background": BACKGROUND,
        "pillow": PIL.__version__,
        "jpeg": features.version("jpg"),
        "opencv": cv2.__version__,
    }


def _folder(root: Path, paths: Sequence[str], stamps: Stamps, spec: ViewSpec) -> Path:
    digest = hashlib.blake2b(json.dumps(_recipe(spec), sort_keys=True).encode(), digest_size=12)
    digest.update(stamps[:, 0].tobytes())
    # With the root in its name, a pack belongs to one data set: two sets with equal names and sizes have two packs.
    for path in (str(root.resolve()), *paths):
        digest.update(path.encode(errors="surrogateescape") + b"\0")
    return cache_folder() / digest.hexdigest()


def _stamps(root: Path, paths: Sequence[str]) -> Stamps:
    stamps = np.full((len(paths), 3), -1, dtype=np.int64)
    base = str(root)
    for row, path in enumerate(paths):
        with contextlib.suppress(OSError, ValueError):  # a missing file is reported when it is read
            stat = os.stat(os.path.join(base, path))
            stamps[row] = stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
    return stamps


def _settled(stamps: Stamps) -> Stamps:
    """Return the stamps, with -1 for files changed so recently that another change might have the same time."""
    young = stamps[:, 1:].max(axis=1) > time.time_ns() - FRESH_NS
    return np.where(young[:, None], -1, stamps)


class _ChangedError(Exception):
    """A photo differs from the one that was decoded."""


def _same_content(root: Path, paths: Sequence[str], digests: Pixels) -> bool:
    def compare(row: int, data: bytes) -> None:
        if digest(data) != bytes(digests[row]):
            raise _ChangedError

    try:
        images.each_image(root, paths, compare, threads=reading_threads(None))
    except (_ChangedError, DataError):
        return False
    return True


def _view_bytes(spec: ViewSpec) -> int:
    return 3 * spec.size[0] * spec.size[1]


def _write(handle: int, data: bytes, place: int) -> None:
    while data:
        written = os.pwrite(handle, data, place)
        data, place = data[written:], place + written
