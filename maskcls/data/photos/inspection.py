"""Everything that `data check` needs from the photos of a set, each file read and decoded once.

N rows, W windows, S side of a thumbnail in pixels, D numbers per descriptor, M measures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maskcls.data.duplicates.hashes import BYTES, WINDOWS, S, thumbnail, window_hashes
from maskcls.data.photos import descriptors
from maskcls.data.photos.identity.photo_digests import DIGEST_BYTES, digest
from maskcls.data.photos.images import decode, image_faults
from maskcls.data.photos.quality import MEASURES, quality_measures
from maskcls.data.photos.rgb import Pixels
from maskcls.data.photos.same_photos import Groups, equal_keys, pixels_in_full
from maskcls.labels import Floats


@dataclass(frozen=True, eq=False)
class Inspection:
    """What was read from N photos; the values of a row that cannot be read are 0.

    faults           what is wrong with the rows that cannot be read.
    readable_N       (N,) bool.
    measure_NM       (N, M) float32, see `quality.quality_measures`.
    descriptor_ND    (N, D) float32, see `descriptors.describe`.
    thumbnail_NSS    (N, S, S) uint8; hash_NWB: (N, W, 32) uint8.
    equal_files      groups of rows whose files have the same bytes (SHA-256).
    equal_pixels     groups of rows whose photos have the same pixels.
    digest_ND        (N, D) uint8, see `photo_digests.digest`.
    """

    faults: Mapping[int, str]
    readable_N: NDArray[np.bool_]
    measure_NM: Floats
    descriptor_ND: Floats
    thumbnail_NSS: Pixels
    hash_NWB: Pixels
    equal_files: Groups
    equal_pixels: Groups
    digest_ND: Pixels


def inspect(
    root: Path,
    paths: Sequence[str],
    *,
    threads: int,
    on_progress: Callable[[int], None] | None = None,
) -> Inspection:
    """Read and decode every photo once; photos that cannot be read are listed, not raised.

    paths        relative to root.
    on_progress  called with the number of photos done so far.

    Memory: 13 KB per photo.
    """
    count = len(paths)
    measure_NM = np.zeros((count, len(MEASURES)), np.float32)
    descriptor_ND = np.zeros((count, descriptors.D), np.float32)
    thumbnail_NSS = np.zeros((count, S, S), np.uint8)
    hash_NWB = np.zeros((count, len(WINDOWS), BYTES), np.uint8)
    digest_ND = np.zeros((count, DIGEST_BYTES), np.uint8)
    bytes_of, pixels_of = dict[int, bytes](), dict[int, bytes]()

    def read(row: int, data: bytes) -> None:
        image = decode(data, root / paths[row])
        bytes_of[row], pixels_of[row] = hashlib.sha256(data).digest(), pixels_in_full(image)
        digest_ND[row] = np.frombuffer(digest(data), np.uint8)
        measure_NM[row], descriptor_ND[row] = quality_measures(image), descriptors.describe(image)
        thumbnail_NSS[row] = thumbnail(image)
        hash_NWB[row] = window_hashes(thumbnail_NSS[row])

    faults = image_faults(root, paths, read, threads=threads, on_progress=on_progress)
    readable_N = np.ones(count, dtype=bool)
    readable_N[list(faults)] = False
    equal = equal_keys(bytes_of), equal_keys(pixels_of)
    return Inspection(faults, readable_N, measure_NM, descriptor_ND, thumbnail_NSS, hash_NWB, *equal, digest_ND)
