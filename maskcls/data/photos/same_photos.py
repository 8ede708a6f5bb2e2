"""Photos that are the same: equal pixels, or equal bytes of their files. N photos, H height, W width.

Groups are tuples of two or more row numbers, each ascending, in the order of their first rows.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path

from maskcls.data.photos.rgb import Pixels

Groups = list[tuple[int, ...]]


def rows_of_common_size(root: Path, paths: Sequence[str], first: int) -> list[int]:
    """Return the rows whose size occurs among the first `first` files and among the rest; others need no hash."""
    sizes = _sizes(root, paths)
    common = {sizes[row] for row in sizes if row < first} & {sizes[row] for row in sizes if row >= first}
    return [row for row, size in sizes.items() if size in common]


def equal_keys(key_of_row: Mapping[int, Hashable]) -> Groups:
    """Group rows with equal keys, such as the SHA-256 of their files.

    >>> equal_keys({0: "a", 1: "b", 2: "a"})
    [(0, 2)]
    """
    rows: dict[Hashable, list[int]] = defaultdict(list)
    for row, key in sorted(key_of_row.items()):
        rows[key].append(row)
    return [tuple(group) for group in rows.values() if len(group) > 1]


def pixels_in_part(image_HWC: Pixels) -> bytes:
    """Return a hash of a photo's size and middle row: photos with other hashes differ, and it takes no time."""
    return _hash(image_HWC, image_HWC[image_HWC.shape[0] // 2])


def pixels_in_full(image_HWC: Pixels) -> bytes:
    """Return a hash of a photo's size and all its pixels: photos with equal hashes are equal."""
    return _hash(image_HWC, image_HWC)


def equal_views(views_NHWC: Pixels) -> Groups:
    """Group the rows of uint8 (N, H, W, 3) with equal pixels.

    Only a row of pixels of each view is read, and the whole view where that is equal to another one.
    """
    nearly = equal_keys({row: pixels_in_part(view) for row, view in enumerate(views_NHWC)})
    return equal_keys({row: pixels_in_full(views_NHWC[row]) for rows in nearly for row in rows})


def _hash(image_HWC: Pixels, part: Pixels) -> bytes:
    return hashlib.sha256(str(image_HWC.shape).encode() + part.tobytes()).digest()


def _sizes(root: Path, paths: Sequence[str]) -> dict[int, int]:
    sizes = {}
    for row, path in enumerate(paths):
        with contextlib.suppress(OSError, ValueError):  # a missing file is reported when it is read
            sizes[row] = os.stat(os.path.join(root, path)).st_size
    return sizes
