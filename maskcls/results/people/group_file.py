"""The file of groups: which photos are taken to show one person, as a CSV with a sidecar.

N rows. The CSV has the columns `id` and `group`; the sidecar holds the weights of photos, if any were fitted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from maskcls.csvfile import read_columns
from maskcls.errors import DataError
from maskcls.labels import Ints
from maskcls.results.csv_with_origin import TableKind, read_origin, write_csv
from maskcls.results.people.averaging import PhotoWeights, checked_groups
from maskcls.results.people.pair_rates import PARTS
from maskcls.results.photo_contents import PHOTOS, contents_of
from maskcls.results.rows_by_id import check_same_ids, rows_of
from maskcls.spelling import appearance, lookalikes
from maskcls.typedjson import JsonFile

GROUPS = TableKind(
    "maskcls groups", "the groups", fix="make the groups again, or move the sidecar away to read the CSV without it"
)


class GroupSources(JsonFile):
    """What groups were made from: the version, and the hashes of the train rows and of the rows that are grouped.

    left_out  identifies the sealed people of a run whom nothing was learned from; "": nobody was left out.
    """

    maskcls: str
    train_sha256: str
    photos_sha256: str
    left_out: str = ""


@dataclass(frozen=True, eq=False)
class Groups:
    """The groups of some rows.

    group_N  (N,) int64, 0 and up; rows with the same number are taken to show one person.
    weights  weight of a photo in its group's mean, see `average_groups`; None = all photos have equal weight.
    sha256   of the file, or of the numbers where there is no file.
    parts    number of parts that were grouped separately: PARTS for train photos that maskcls grouped, 1 by hand.
    proven   whether averaging has a proven gain, according to the sidecar; None: it was not measured.
    left_out as in `GroupSources`; None: without a sidecar, it is not known what the groups were learned from.
    contents {id: digest} of the photos that were grouped; {}: not known.
    """

    group_N: Ints
    weights: PhotoWeights | None
    sha256: str
    parts: int = 1
    proven: bool | None = None
    left_out: str | None = None
    contents: Mapping[str, bytes] = field(default_factory=dict)


def write_groups(
    path: Path,
    ids: Sequence[str],
    group_N: Ints,
    *,
    weights: PhotoWeights | None,
    about: Mapping[str, Any],
    force: bool,
) -> str:
    """Write N rows `id,group` in the order given, and the sidecar; return the CSV's sha256.

    group_N  (N,) int, 0 and up.
    about    plain JSON data for the sidecar: where the groups come from and how good they are.
    force    replace existing files and keep them as `.bak`.

    Raises what `write_csv` raises.
    """
    columns = {"id": list(ids), "group": checked_groups(group_N, len(ids)).tolist()}
    return write_csv(path, columns, GROUPS, {"weights": weights and dict(weights), **about}, force=force)


def read_groups(path: Path, ids: Sequence[str], *, part: bool = False) -> Groups:
    """Read a file that `write_groups` wrote, or a table made by hand, for N ids in their order.

    part  the file may hold further ids.

    The columns are `id` and `group`. The group is any text, and rows with the same text are one group. Without a
    sidecar there are no weights.

    Raises DataError for other columns, repeated ids, an empty group, ids or groups that look the same, ids that are not
    those asked for, and a sidecar that is damaged or describes another file.
    """
    columns = read_columns(path)
    if set(columns) != {"id", "group"}:
        raise DataError(
            "a file of groups has other columns", where=str(path), got=", ".join(columns), expected="id, group"
        )
    times = Counter(columns["id"])
    faults = [f"{id!r} occurs {count} times" for id, count in times.items() if count > 1]
    pairs = zip(columns["id"], columns["group"], strict=True)
    faults += [f"{id!r} has no group" for id, name in pairs if not appearance(name)]
    faults += [f"column {column}: {fault}" for column, names in columns.items() for fault in lookalikes(names)]
    if faults:
        raise DataError(
            "rows in a file of groups are wrong",
            where=str(path),
            offenders=faults,
            fix="correct these rows: every id once, with a group",
        )
    asked = set(ids)
    check_same_ids([id for id in times if id in asked or not part], ids, names=(str(path), "the rows to group"))
    name_N = np.array(columns["group"], dtype=np.str_)[rows_of(columns["id"], ids)]
    group_N = np.unique(name_N, return_inverse=True)[1]
    digest, origin = read_origin(path, GROUPS, _origin)
    weights, proven, left_out, photos = origin or (None, None, None, None)
    contents = contents_of(photos, times, path, GROUPS)
    return Groups(group_N.astype(np.int64), weights, digest, PARTS if origin else 1, proven, left_out, contents)


def _origin(data: Mapping[str, Any]) -> tuple[PhotoWeights | None, bool | None, str, object]:
    """Return the weights in a sidecar, whether averaging has a proven gain according to it, who was left out, and what
    the photos were.

    Sidecars of earlier versions have no gain of whole groups: it counts as not measured. Nor do they say who was left
    out: it counts as nobody.
    """
    weights, gain = data["weights"], data.get("worth")
    proven = bool(gain["worth_it"]) if gain and "whole" in gain else None
    weights = weights and {str(name): float(weight) for name, weight in weights.items()}
    return weights, proven, str(data.get("left_out", "")), data.get(PHOTOS)
