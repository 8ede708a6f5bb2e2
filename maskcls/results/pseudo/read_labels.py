"""Read a file of pseudo labels: one set per fold, made by networks that never saw the fold's validation people.

N rows, J joint classes. Set k was made by networks that never saw the people of fold k, and is what a network that is
validated on fold k may learn from. The set "all" (REFIT) is for a network that is trained on all rows. If this is
not so, or not known, the labels are leaky: they have the set "all" alone, and out-of-fold scores are invalid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from maskcls import files
from maskcls.csvfile import read_columns
from maskcls.errors import DataError
from maskcls.groupnouns import PEOPLE, Noun
from maskcls.labels import LabelSpace
from maskcls.results.added.added_set import AddedSet
from maskcls.results.added.cells import cell_numbers, refuse_lookalikes, refuse_other_sets, sets_of
from maskcls.results.csv_with_origin import read_origin
from maskcls.results.photo_contents import PHOTOS, contents_of
from maskcls.results.pseudo.label_columns import PSEUDO_LABELS, header_of
from maskcls.results.pseudo.label_rows import check_sets
from maskcls.rundir import REFIT

NOUN = "pseudo labels"
LEAKY_FIX = "make them with this run's folds, or accept leaky labels; then no out-of-fold score is computed"


@dataclass(frozen=True)
class _PseudoOrigin:
    """The entries of a sidecar; photos: what the photos were, None in those of earlier versions."""

    space: LabelSpace
    folds_sha256: str | None
    k: int
    leaky: bool
    lineage: Mapping[str, Any]
    photos: object


@dataclass(frozen=True, eq=False)
class Pseudo:
    """A file of pseudo labels as read.

    sets     {fold: its rows}, REFIT for "all"; leaky labels have REFIT alone.
    leaky    a network may learn from photos labelled by one that saw its validation people.
    sha256   of the CSV.
    lineage  what `write_pseudo` was given; empty for a table without origin.
    contents {id: digest} of the photos that were labelled; {}: not known.
    """

    sets: Mapping[int, AddedSet]
    leaky: bool
    sha256: str
    lineage: Mapping[str, Any]
    contents: Mapping[str, bytes] = field(default_factory=dict)

    def for_fold(self, k: int) -> AddedSet:
        """Return the rows that a network validated on fold k, or REFIT, may learn from; KeyError for no such fold."""
        return self.sets[REFIT if self.leaky else k]


def read_pseudo(
    path: Path, space: LabelSpace, *, folds_sha256: str, k: int, allow_leaky: bool = False, noun: Noun = PEOPLE
) -> Pseudo:
    """Read what `write_pseudo` wrote, for a training with these classes and these folds.

    folds_sha256  of the training's fold table, k its number of folds.
    allow_leaky   take the set "all" for every fold of labels that are leaky: recorded as such, made with other folds,
                  or in a table without sidecar, made by hand. Such a table has the columns id, path and the tasks; set
                  (with nothing but "all"), weight (1 where absent) and p0 ... may be there.

    noun          what errors call the groups of the training's photos.

    Raises DataError for leaky labels unless allowed, a CSV that is not the one written, other classes, a missing set,
    and for cells and rows that are wrong.
    """
    digest, origin = read_origin(path, PSEUDO_LABELS, _origin)
    if origin is not None:
        _check_space(origin, space, path)
    leak = _leak(origin, path, folds_sha256, k, noun)
    if leak and not allow_leaky:
        raise leak
    columns = read_columns(path, known=header_of(space, soft=True))
    soft = _check_header(list(columns), space, path, by_hand=origin is None)
    sets = _sets(columns, space, path, soft=soft)
    refuse_lookalikes(columns["id"], path, NOUN)
    expected = {REFIT} if origin is None or origin.leaky else {*range(origin.k), REFIT}
    refuse_other_sets(set(sets), expected, path, NOUN, "make the pseudo labels again")
    check_sets(sets, space, path, soft=soft)
    kept = {REFIT: sets[REFIT]} if leak else sets
    if origin is None:
        return Pseudo(kept, leak is not None, digest, {})
    contents = contents_of(origin.photos, columns["id"], path, PSEUDO_LABELS)
    return Pseudo(kept, leak is not None, digest, origin.lineage, contents)


def _leak(origin: _PseudoOrigin | None, path: Path, folds_sha256: str, k: int, noun: Noun) -> DataError | None:
    """Return the error that explains why these labels are leaky; None when they are not."""
    saw = f"that saw its validation {noun[1]}"
    if origin is None:
        fix = f"restore {files.sidecar_path(path).name}, or accept leaky labels; then no out-of-fold score is computed"
        what = "without a sidecar it is not known which networks made the pseudo labels"
        return DataError(what, where=str(path), fix=fix)
    if origin.leaky:
        what = "the labels were made by networks of all folds, so a network could learn from photos labelled by one"
        return DataError(f"{what} {saw}", where=str(path), fix=LEAKY_FIX)
    if (origin.folds_sha256, origin.k) == (folds_sha256, k):
        return None
    return DataError(
        f"the labels were made with other folds, so a network could learn from photos labelled by one {saw}",
        where=str(path),
        got=f"{origin.k} folds, sha256 {str(origin.folds_sha256)[:16]}…",
        expected=f"{k} folds, sha256 {folds_sha256[:16]}…",
        fix=LEAKY_FIX,
    )


def _origin(data: Mapping[str, Any]) -> _PseudoOrigin:
    space, folds = LabelSpace.from_json(data["label_space"]["tasks"]), data["folds"]
    leaky = data["leaky"] is not False  # in doubt, yes
    str(data["file"])  # every entry is needed
    return _PseudoOrigin(space, folds["sha256"], int(folds["k"]), leaky, dict(data["lineage"]), data.get(PHOTOS))


def _check_space(origin: _PseudoOrigin, space: LabelSpace, path: Path) -> None:
    if origin.space.fingerprint != space.fingerprint:
        got, expected = origin.space.first_difference(space)
        raise DataError(
            "the pseudo labels are of other classes than the training",
            where=str(path),
            got=got,
            expected=expected,
            fix="make them with networks of the same tasks, class order and bins",
        )


def _check_header(found: Sequence[str], space: LabelSpace, path: Path, *, by_hand: bool) -> bool:
    """Say whether the table has soft targets; DataError for columns missing or not known."""
    soft = "p0" in found
    known = header_of(space, soft=soft)
    needed = [name for name in known if not (by_hand and name in ("set", "weight"))]
    faults = [f"{name} is missing" for name in needed if name not in found]
    faults += [f"{name} is not known" for name in found if name not in known]
    if faults:
        expected = ", ".join(known)
        raise DataError("the columns of pseudo labels are wrong", where=str(path), expected=expected, offenders=faults)
    return soft


def _sets(columns: Mapping[str, Sequence[str]], space: LabelSpace, path: Path, *, soft: bool) -> dict[int, AddedSet]:
    """Turn a table of text into sets; DataError for a cell that is no set, no class or no number."""
    p_JN = [cell_numbers(columns[f"p{j}"], f"{path}, column p{j}", NOUN) for j in range(space.size)] if soft else None
    with np.errstate(over="ignore"):  # what is too large becomes inf, and is reported with its row
        prob_NJ = None if p_JN is None else np.stack(p_JN, axis=1).astype(np.float32)
    return sets_of(columns, space, path, NOUN, prob_NJ)
