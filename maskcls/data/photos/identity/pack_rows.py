"""The file of a pack that says what its photos and its pixels were: rows.bin. N photos."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from maskcls.data.photos.identity.photo_digests import DIGEST_BYTES, digest
from maskcls.data.photos.rgb import Pixels

STAMP_BYTES = 24
ROW_BYTES = STAMP_BYTES + 2 * DIGEST_BYTES
TAIL_BYTES = 2 * DIGEST_BYTES  # digests of the description, and of everything before the last one

Stamps = NDArray[np.int64]  # (N, 3): file size in bytes, mtime and ctime in ns; -1 if unknown


@dataclass(frozen=True, eq=False)
class PackRows:
    """What a pack was made from.

    stamps    (N, 3) int64 of the photos' files; file_ND: (N, 16) uint8, digests of their bytes.
    view_ND   (N, 16) uint8, digests of the views in the pack.
    about     the digest of the pack's description.
    """

    stamps: Stamps
    file_ND: Pixels
    view_ND: Pixels
    about: bytes

    def with_stamps(self, stamps: Stamps) -> PackRows:
        """Return the same with other time stamps."""
        return replace(self, stamps=stamps)

    def to_bytes(self) -> bytes:
        """Return the content of the file; its last bytes are a digest of the others."""
        rows = self.stamps.tobytes() + self.file_ND.tobytes() + self.view_ND.tobytes() + self.about
        return rows + digest(rows)


def parse_pack_rows(data: bytes) -> PackRows | None:
    """Return what `PackRows.to_bytes` wrote, of any number of photos; None if it is damaged."""
    count, rest = divmod(len(data) - TAIL_BYTES, ROW_BYTES)
    if count < 0 or rest or digest(memoryview(data)[:-DIGEST_BYTES]) != data[-DIGEST_BYTES:]:
        return None
    ends = np.cumsum([STAMP_BYTES * count, DIGEST_BYTES * count, DIGEST_BYTES * count, DIGEST_BYTES]).tolist()
    stamps, files, views, about = (data[first:end] for first, end in zip([0, *ends], ends, strict=False))
    file_ND, view_ND = (np.frombuffer(one, np.uint8).reshape(count, DIGEST_BYTES) for one in (files, views))
    return PackRows(np.frombuffer(stamps, np.int64).reshape(count, 3), file_ND, view_ND, about)
