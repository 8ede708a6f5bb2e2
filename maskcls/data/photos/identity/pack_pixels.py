"""The pixels of an open pack. Each view is compared with its digest before it is first used.

N photos, B of them, H height, W width.
"""

from __future__ import annotations

import mmap
import os
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maskcls.data.photos.cache_folder import PIXELS, remove
from maskcls.data.photos.identity.pack_rows import PackRows
from maskcls.data.photos.identity.photo_digests import PhotoDigests, digest
from maskcls.data.photos.rgb import Pixels
from maskcls.data.photos.same_photos import Groups, equal_keys
from maskcls.errors import ResourceError


class PackPixels:
    """The eval views (N, H, W, 3) uint8 of a pack, read-only and memory-mapped.

    A view whose pixels are not those that were written raises ResourceError, and the pack is deleted, so that the next
    command makes it again. Which views were compared is shared with the processes that this one forks. If the file is
    written to while it is open, all views are compared again.

    folder  of the pack; shape: (N, H, W, 3).
    rows    what it was made from.
    paths   (N,) of the photos, for messages.
    """

    def __init__(self, folder: Path, shape: tuple[int, int, int, int], rows: PackRows, paths: Sequence[str]) -> None:
        self.folder, self.shape, self.rows, self.paths = folder, shape, rows, paths
        self._handle = os.open(folder / PIXELS, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        weakref.finalize(self, os.close, self._handle)
        with open(self._handle, "rb", closefd=False) as file:
            self._pixels = np.memmap(file, dtype=np.uint8, mode="r", shape=shape).view(np.ndarray)
        # An anonymous map, unlike an array, is the same memory in forked loader processes.
        self._compared = np.frombuffer(mmap.mmap(-1, max(1, shape[0])), np.uint8, count=shape[0])
        self._written = self._stamp()

    def __reduce__(self) -> tuple[object, ...]:
        return PackPixels, (self.folder, self.shape, self.rows, self.paths)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: NDArray[np.int64]) -> Pixels:
        """Return a copy (B, H, W, 3) of the views of some rows (B,)."""
        if (written := self._stamp()) != self._written:
            self._compared[:] = 0
            self._written = written
        views_BHWC = self._pixels[rows]
        new = np.flatnonzero(self._compared[rows] == 0)
        if wrong := [int(rows[i]) for i in new if digest(views_BHWC[i].data) != bytes(self.rows.view_ND[rows[i]])]:
            raise self._damaged(wrong)
        self._compared[rows[new]] = 1
        return views_BHWC

    def __array__(self, dtype: None = None, copy: bool | None = None) -> Pixels:
        return self[np.arange(len(self))]

    @property
    def equal(self) -> Groups:
        """Groups of rows with equal pixels, by their digests."""
        return equal_keys({row: bytes(one) for row, one in enumerate(self.rows.view_ND)})

    def photo_digests(self, ids: Sequence[str]) -> PhotoDigests:
        """Return size and digest of the photos' files; ids: (N,) of the rows."""
        return PhotoDigests(list(ids), self.rows.stamps[:, 0], self.rows.file_ND)

    def _stamp(self) -> tuple[int, int, int]:
        now = os.fstat(self._handle)
        return now.st_size, now.st_mtime_ns, now.st_ctime_ns

    def _damaged(self, rows: Sequence[int]) -> ResourceError:
        try:
            gone = remove(self.folder)
        except ResourceError:
            gone = False
        fix = "the pack was deleted; the next command that needs it makes it again" if gone else "delete this folder"
        return ResourceError(
            "a pack of the cache of photos is damaged",
            where=str(self.folder),
            got=f"other pixels in {PIXELS} than were written",
            fix=fix,
            offenders=list(dict.fromkeys(self.paths[row] for row in rows)),
        )
