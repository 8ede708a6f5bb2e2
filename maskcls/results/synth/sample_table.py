"""The samples of generators as rows: sets, parents, generators, and the checks that every row must pass.

N rows of one set. Set k is for the network that is validated on fold k. The set "all" (REFIT) is for a network that is
trained on all rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from maskcls.errors import DataError
from maskcls.labels import UNKNOWN, LabelSpace
from maskcls.results.added.added_set import AddedSet, faulty_rows
from maskcls.results.added.set_names import set_name
from maskcls.results.synth.sample_columns import BETWEEN, ID

FIX_ROWS = "correct these rows, or make the samples again with maskcls synth sample"


@dataclass(frozen=True)
class SampleMaker:
    """A generator that made samples: the fold whose people it never saw, and the sha256 of its weights."""

    fold: int
    sha256: str

    def __str__(self) -> str:
        return f"generator of fold {set_name(self.fold)}, sha256 {self.sha256[:12]}…"


@dataclass(frozen=True, eq=False)
class Samples:
    """A table of samples as read.

    sets     {fold: its rows}, REFIT for "all"; leaky samples have REFIT alone.
    parents  {id of a sample: ids of the photos it was made from}.
    leaky    a network may learn from samples of a generator that saw its validation people.
    sha256   of the CSV.
    kind     what made the samples, such as "dcgan"; "" for a table made by hand.
    makers   {fold: the generators of the set}; {} for a table made by hand.
    contents {id: digest} of the images; {}: not known.
    lineage  what `write_samples` was given.
    """

    sets: Mapping[int, AddedSet]
    parents: Mapping[str, tuple[str, ...]]
    leaky: bool
    sha256: str
    kind: str
    makers: Mapping[int, tuple[SampleMaker, ...]] = field(default_factory=dict)
    contents: Mapping[str, bytes] = field(default_factory=dict)
    lineage: Mapping[str, Any] = field(default_factory=dict)


def check_samples(
    sets: Mapping[int, AddedSet], parents: Mapping[str, tuple[str, ...]], space: LabelSpace, path: Path
) -> None:
    """Raise DataError that names every faulty row of a set; ValueError for arrays that do not fit together."""
    if not any(len(rows) for rows in sets.values()):
        raise DataError("there is no sample in the table", where=str(path), fix="raise synth.per_class")
    for fold, rows in sets.items():
        if rows.prob is not None:
            raise ValueError("samples have hard labels")
        faults = [*_id_faults(rows, set_name(fold)), *_label_faults(rows, space), *_parent_faults(rows, parents)]
        if faults:
            raise DataError(
                "rows of samples are wrong", where=f"{path}, set {set_name(fold)}", offenders=faults, fix=FIX_ROWS
            )


def _id_faults(rows: AddedSet, name: str) -> list[str]:
    """Return the ids that are not those of the set; a sample is in one set only."""
    matches = [(one, ID.fullmatch(one)) for one in rows.ids.tolist()]
    return [
        f"{one!r}: the id is not synth/{name}/ and a number"
        for one, match in matches
        if match is None or match[1] != name
    ]


def _label_faults(rows: AddedSet, space: LabelSpace) -> list[str]:
    space.encode(rows.labels)
    missing_N = (np.stack([rows.labels[name] for name in space.names]) == UNKNOWN).any(axis=0)
    return faulty_rows(rows, ("a task has no label", missing_N))


def _parent_faults(rows: AddedSet, parents: Mapping[str, tuple[str, ...]]) -> list[str]:
    return [
        f"{one!r}: a parent is empty, is named twice or has a {BETWEEN} in its id"
        for one in rows.ids.tolist()
        if (names := parents.get(one, ()))
        and (len(set(names)) != len(names) or any(not name or BETWEEN in name for name in names))
    ]
