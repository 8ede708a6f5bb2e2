"""Read a table of samples: one set per fold, made by a generator that never saw the people whom the fold validates."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from maskcls import files
from maskcls.csvfile import read_columns
from maskcls.errors import DataError
from maskcls.groupnouns import PEOPLE, Noun
from maskcls.labels import LabelSpace
from maskcls.results.added.added_set import AddedSet
from maskcls.results.added.cells import refuse_other_sets, sets_of
from maskcls.results.added.set_names import set_number
from maskcls.results.csv_with_origin import read_origin
from maskcls.results.photo_contents import PHOTOS, contents_of
from maskcls.results.synth.sample_columns import BETWEEN, SAMPLES, samples_header
from maskcls.results.synth.sample_leaks import (
    foreign_generators,
    other_folds_error,
    refuse_sealed_parents,
    validated_parents,
)
from maskcls.results.synth.sample_table import SampleMaker, Samples, check_samples
from maskcls.rundir import REFIT

NOUN = "samples"


@dataclass(frozen=True)
class _SamplesOrigin:
    """The entries of a sidecar."""

    space: LabelSpace
    folds_sha256: str
    k: int
    kind: str
    rows: Mapping[int, int]
    makers: Mapping[int, tuple[SampleMaker, ...]]
    lineage: Mapping[str, Any]
    photos: object


def read_samples(
    path: Path,
    space: LabelSpace,
    *,
    folds_sha256: str,
    k: int,
    fold_of: Mapping[str, int],
    allow_leaky: bool = False,
    sealed: Collection[str] = (),
    noun: Noun = PEOPLE,
) -> Samples:
    """Read what `write_samples` wrote, for a training with these classes and these folds.

    folds_sha256  of the training's fold table, k its number of folds.
    fold_of       {id: fold} of the training's own photos.
    allow_leaky   take the set "all" for every fold of samples that are leaky: of a generator or of a parent that the
                  set's fold validates, made with other folds, or in a table without sidecar, made by hand. Such a table
                  has the columns id, path and the tasks; set (with nothing but "all"), weight (1 where absent) and
                  parents may be there.
    sealed        the ids of the photos of sealed people. Samples made of them are refused even with allow_leaky, and so
                  are those of other folds or of unknown generators, which may have seen these people.
    noun          what errors call the groups of the training's photos.

    Raises DataError for leaky samples unless allowed, a CSV that is not the one written, other classes, a missing set,
    and for cells and rows that are wrong.
    """
    digest, origin = read_origin(path, SAMPLES, _samples_origin)
    if origin is not None:
        _refuse_other_classes(origin, space, path)
    columns = read_columns(path, known=samples_header(space))
    _check_columns(list(columns), space, path, by_hand=origin is None)
    found = _samples(columns, space, path, digest, origin)
    if origin is not None:
        counted = {fold: len(rows) for fold, rows in found.sets.items()}
        empty = {fold: 0 for fold, rows in origin.rows.items() if not rows}
        again = "make the samples again"
        refuse_other_sets({*counted, *empty}, {*range(origin.k), REFIT}, path, NOUN, again)
        found = replace(found, sets={fold: found.sets.get(fold, _no_rows(space)) for fold in origin.rows})
    else:
        refuse_other_sets(set(found.sets), {REFIT}, path, NOUN, "make the samples again")
    check_samples(found.sets, found.parents, space, path)
    if origin is not None:
        found = replace(found, contents=contents_of(origin.photos, columns["id"], path, SAMPLES))
    refuse_sealed_parents(found, set(sealed), str(path), noun)
    leak = _sample_leak(found, origin, path, (folds_sha256, k), fold_of, noun)
    if leak is None:
        return found
    if not allow_leaky:
        raise leak
    if sealed and (origin is None or (origin.folds_sha256, origin.k) != (folds_sha256, k)):
        raise DataError(
            f"the generators of the samples may have seen sealed {noun[1]}",
            where=str(path),
            expected="samples of generators with this run's folds",
            fix="train the generators with the same folds.sealed and folds.sealed_seed",
        )
    return replace(found, sets={REFIT: found.sets[REFIT]}, leaky=True)


def _sample_leak(
    found: Samples,
    origin: _SamplesOrigin | None,
    path: Path,
    now: tuple[str, int],
    fold_of: Mapping[str, int],
    noun: Noun,
) -> DataError | None:
    """Return the error that explains why these samples are leaky; None when they are not."""
    if origin is None:
        return DataError(
            "without a sidecar it is not known which generators made the samples",
            where=str(path),
            fix=f"restore {files.sidecar_path(path).name}, or accept leaky samples; then no out-of-fold score is made",
        )
    return (
        other_folds_error((origin.folds_sha256, origin.k), now, path, noun)
        or foreign_generators(found.makers, found.sets, path, noun)
        or validated_parents(found, fold_of, path, noun)
    )


def _samples_origin(data: Mapping[str, Any]) -> _SamplesOrigin:
    space, folds = LabelSpace.from_json(data["label_space"]["tasks"]), data["folds"]
    sets = {set_number(one["set"]): one for one in data["sets"]}
    makers = {
        fold: tuple(SampleMaker(set_number(maker["fold"]), str(maker["sha256"])) for maker in one["generators"])
        for fold, one in sets.items()
    }
    rows = {fold: int(one["rows"]) for fold, one in sets.items()}
    if unknown := [fold for fold, count in rows.items() if count and not makers[fold]]:
        raise ValueError(f"sets {unknown} name no generator")
    kind, lineage = str(data["generator"]), dict(data["lineage"])
    return _SamplesOrigin(space, str(folds["sha256"]), int(folds["k"]), kind, rows, makers, lineage, data.get(PHOTOS))


def _refuse_other_classes(origin: _SamplesOrigin, space: LabelSpace, path: Path) -> None:
    if origin.space.fingerprint != space.fingerprint:
        got, expected = origin.space.first_difference(space)
        raise DataError(
            "the samples are of other classes than the training",
            where=str(path),
            got=got,
            expected=expected,
            fix="make them with generators of the same tasks, class order and bins",
        )


def _check_columns(found: Sequence[str], space: LabelSpace, path: Path, *, by_hand: bool) -> None:
    known = samples_header(space)
    needed = [name for name in known if not (by_hand and name in ("set", "weight", "parents"))]
    faults = [f"{name} is missing" for name in needed if name not in found]
    faults += [f"{name} is not known" for name in found if name not in known]
    if faults:
        expected = ", ".join(known)
        raise DataError("the columns of samples are wrong", where=str(path), expected=expected, offenders=faults)


def _samples(
    columns: Mapping[str, Sequence[str]], space: LabelSpace, path: Path, digest: str, origin: _SamplesOrigin | None
) -> Samples:
    """Turn a table of text into samples; DataError for a cell that is no set, no class or no number."""
    ids, count = columns["id"], len(columns["id"])
    sets = sets_of(columns, space, path, NOUN)
    cells = columns.get("parents", [""] * count)
    parents = {one: tuple(cell.split(BETWEEN)) for one, cell in zip(ids, cells, strict=True) if cell}
    if origin is None:
        return Samples(sets, parents, leaky=False, sha256=digest, kind="")
    return Samples(sets, parents, False, digest, origin.kind, origin.makers, {}, origin.lineage)


def _no_rows(space: LabelSpace) -> AddedSet:
    none = np.array([], dtype=np.int64)
    return AddedSet(
        np.array([], dtype=np.str_),
        np.array([], dtype=np.str_),
        dict.fromkeys(space.names, none),
        None,
        np.array([], dtype=np.float64),
    )
