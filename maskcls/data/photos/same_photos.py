"""Photos that are the same: files with the same bytes, and views with the same pixels. N photos, H height, W width.

Groups are tuples of two or more row numbers, each ascending, in the order of their first rows.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path

from maskcls.data.photos.rgb import Pixels

Groups = list[tuple[int, ...]]


def rows_of_equal_size(root: Path, paths: Sequence[str]) -> set[int]:
    """Return the rows whose file is as large as another one; only these can be the same, so only they need a hash."""
    sizes = _sizes(root, paths)
    count = Counter(sizes.values())
    return {row for row, size in sizes.items() if count[size] > 1}


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


def equal_views(views_NHWC: Pixels) -> Groups:
    """Group the rows of uint8 (N, H, W, 3) with equal pixels.

    Only a row of pixels of each view is read, and the whole view where that is equal to another one.
    """
    middle = views_NHWC.shape[1] // 2
    nearly = equal_keys({row: view[middle].tobytes() for row, view in enumerate(views_NHWC)})
    return [group for rows in nearly for group in equal_keys({row: views_NHWC[row].tobytes() for row in rows})]


def merged(groups: Iterable[tuple[int, ...]]) -> Groups:
    """Join groups that share a row.

    >>> merged([(0, 2), (4, 5), (2, 3)])
    [(0, 2, 3), (4, 5)]
    """
    group_of: dict[int, set[int]] = {}
    for group in groups:
        joined = set(group).union(*(group_of[row] for row in group if row in group_of))
        group_of.update(dict.fromkeys(joined, joined))
    return sorted({tuple(sorted(group)) for group in group_of.values()})


def _sizes(root: Path, paths: Sequence[str]) -> dict[int, int]:
    sizes = {}
    for row, path in enumerate(paths):
        with contextlib.suppress(OSError, ValueError):  # a missing file is reported when it is read
            sizes[row] = os.stat(os.path.join(root, path)).st_size
    return sizes
