"""The file of pseudo labels: one label set a fold, so that no network learns from one that saw its validation people.

N rows, J joint classes. Set k was made by networks that never saw the people of fold k, and is what a network that is
validated on fold k may learn from. The set "all" (REFIT) is for a network that is trained on all rows. Where this is
not so, or not known, the labels are leaky: they have the set "all" alone, and out-of-fold scores mean nothing.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maskcls import files
from maskcls.csvfile import read_columns
from maskcls.errors import DataError, ResultError
from maskcls.labels import UNKNOWN, Floats, Ints, LabelSpace
from maskcls.results.csv_with_origin import TableKind, read_origin, write_csv
from maskcls.results.predictions import Predictions, Texts
from maskcls.results.scores.metrics import Doubles
from maskcls.rundir import REFIT

PSEUDO_LABELS = TableKind(
    "maskcls pseudo-labels", "the pseudo labels", fix="restore both files, or make the pseudo labels again"
)
ALL = "all"
LEADING = ("set", "id", "path", "weight")
PLAIN = re.compile(r"[^\0\r\n\ud800-\udfff]+")
SET = re.compile(r"all|0|[1-9][0-9]?")
DIGITS = re.compile(r"[0-9.e+-]*")
NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")
SAW = "that saw its validation people"
LEAKY_FIX = "make them with this run's folds, or ask for leaky labels and do without out-of-fold scores"


@dataclass(frozen=True, eq=False)
class PseudoRows:
    """Photos with the labels to train on.

    ids     (N,) text, unique.
    paths   (N,) text, relative to the photo root.
    labels  {task: (N,) int64}, -1 = unknown; some task of every row is known.
    prob    (N, J) float32, the soft target; None for hard labels.
    weight  (N,) float64, finite and above 0.
    """

    ids: Texts
    paths: Texts
    labels: Mapping[str, Ints]
    prob: Floats | None
    weight: Doubles

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class _Origin:
    """What a sidecar says."""

    space: LabelSpace
    folds_sha256: str | None
    k: int
    leaky: bool
    lineage: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Pseudo:
    """A file of pseudo labels as read.

    sets     {fold: its rows}, REFIT for "all"; leaky labels have REFIT alone.
    leaky    a network may learn from photos labelled by one that saw its validation people.
    sha256   of the CSV.
    lineage  what `write_pseudo` was given; empty for a table without origin.
    """

    sets: Mapping[int, PseudoRows]
    leaky: bool
    sha256: str
    lineage: Mapping[str, Any]

    def for_fold(self, k: int) -> PseudoRows:
        """Return the rows that a network validated on fold k, or REFIT, may learn from; KeyError for no such fold."""
        return self.sets[REFIT if self.leaky else k]


def write_pseudo(
    path: Path,
    sets: Mapping[int, PseudoRows],
    space: LabelSpace,
    *,
    folds_sha256: str | None,
    k: int,
    lineage: Mapping[str, Any],
    leaky: bool = False,
    force: bool = False,
) -> str:
    """Write all sets to one CSV, and a sidecar `.json` of the same stem; return the CSV's sha256.

    sets          {fold: rows} of every fold 0..k-1 and REFIT; of REFIT alone when leaky. All with `prob`, or none.
    folds_sha256  of the fold table that all the networks were trained with; None only when leaky.
    lineage       plain JSON data: sources with their weights' hashes by fold, data, views, rule, summary.
    force         replace what is there.

    UTF-8, `\\n` line ends; the columns are set, id, path, weight, one a task with its class name (empty = unknown), and
    p0 ... for the soft targets. Numbers are written so that they come back exactly. The sidecar is committed first; a
    kill between the two leaves a pair that `read_pseudo` refuses.

    Raises BusyError when an output exists, DataError for rows that `read_pseudo` would refuse, ResourceError when the
    disk refuses, ValueError when sets are missing.
    """
    expected = {REFIT} if leaky else {*range(k), REFIT}
    if sets.keys() != expected or (folds_sha256 is None and not leaky):
        raise ValueError(f"the sets are {sorted(sets)}, expected {sorted(expected)}; folds {folds_sha256}")
    soft = sets[REFIT].prob is not None
    header = _header(space, soft=soft)
    _check(sets, space, path, soft=soft)
    ordered = {fold: sets[fold] for fold in (*sorted(expected - {REFIT}), REFIT)}
    columns = dict(zip(header, _columns(ordered, space), strict=True))
    details = {
        "columns": header,
        "label_space": {"fingerprint": space.fingerprint, "tasks": space.to_json()},
        "folds": {"sha256": folds_sha256, "k": k},
        "leaky": leaky,
        "sets": [{"set": _name(fold), "rows": len(rows)} for fold, rows in ordered.items()],
        "lineage": dict(lineage),
    }
    return write_csv(path, columns, PSEUDO_LABELS, details, force=force)


def read_pseudo(path: Path, space: LabelSpace, *, folds_sha256: str, k: int, allow_leaky: bool = False) -> Pseudo:
    """Read what `write_pseudo` wrote, for a training with these classes and these folds.

    folds_sha256  of the training's fold table, k its number of folds.
    allow_leaky   take the set "all" for every fold of labels that are leaky: recorded as such, made with other folds,
                  or in a table without sidecar, made by hand. Such a table has the columns id, path and the tasks; set
                  (with nothing but "all"), weight (1 where absent) and p0 ... may be there.

    Raises DataError for leaky labels unless allowed, a CSV that is not the one written, other classes, a missing set,
    and for cells and rows that are wrong.
    """
    digest, origin = read_origin(path, PSEUDO_LABELS, _origin)
    if origin is not None:
        _check_space(origin, space, path)
    leak = _leak(origin, path, folds_sha256, k)
    if leak and not allow_leaky:
        raise leak
    columns = read_columns(path)
    soft = _check_header(list(columns), space, path, by_hand=origin is None)
    sets = _sets(columns, space, path, soft=soft)
    _check_complete(sets, {REFIT} if origin is None or origin.leaky else {*range(origin.k), REFIT}, path)
    _check(sets, space, path, soft=soft)
    kept = {REFIT: sets[REFIT]} if leak else sets
    return Pseudo(kept, leak is not None, digest, {} if origin is None else origin.lineage)


def check_same_folds(folds_sha256: Mapping[str, str]) -> str:
    """Return the hash that all runs {name: hash of its fold table} share; DataError, naming them, when they differ."""
    first = next(iter(folds_sha256.values()))
    if any(digest != first for digest in folds_sha256.values()):
        raise DataError(
            "the runs have different folds, so a label set would hold labels by networks that saw its people",
            expected="runs of the same people, folds.k and folds.seed",
            fix="label with one run, train the others with the same folds, or ask for leaky labels",
            offenders=[f"{name}: {digest[:16]}" for name, digest in folds_sha256.items()],
        )
    return first


def check_strangers(
    ids: Sequence[str], people: Sequence[str], *, known_ids: Collection[str], known_people: Collection[str]
) -> None:
    """Raise DataError when an unlabelled photo, or the person on it, is among those the folds were made of.

    It would be trained on in folds that are validated on the same person.

    people  one a photo, "" for unknown.
    """
    known_ids, known_people = set(known_ids), set(known_people) - {""}
    pairs = zip(ids, people, strict=True)
    met = [f"{id!r} of {person!r}" for id, person in pairs if id in known_ids or person in known_people]
    if met:
        raise DataError(
            "photos to pseudo-label are of people the networks were trained or validated on",
            expected="photos and people that are not in the training table",
            fix="leave these rows out of the unlabelled data",
            offenders=met,
        )


def _leak(origin: _Origin | None, path: Path, folds_sha256: str, k: int) -> DataError | None:
    """Return what makes these labels leaky, as the error that says so; None when nothing does."""
    if origin is None:
        fix = f"restore {files.sidecar_path(path).name}, or ask for leaky labels and do without out-of-fold scores"
        what = "pseudo labels without a sidecar do not say which networks made them"
        return DataError(what, where=str(path), fix=fix)
    if origin.leaky:
        what = "the labels were made by networks of all folds, so a network could learn from photos labelled by one"
        return DataError(f"{what} {SAW}", where=str(path), fix=LEAKY_FIX)
    if (origin.folds_sha256, origin.k) == (folds_sha256, k):
        return None
    return DataError(
        f"the labels were made with other folds, so a network could learn from photos labelled by one {SAW}",
        where=str(path),
        got=f"{origin.k} folds, sha256 {str(origin.folds_sha256)[:16]}…",
        expected=f"{k} folds, sha256 {folds_sha256[:16]}…",
        fix=LEAKY_FIX,
    )


def _origin(data: Mapping[str, Any]) -> _Origin:
    space, folds = LabelSpace.from_json(data["label_space"]["tasks"]), data["folds"]
    leaky = data["leaky"] is not False  # in doubt, yes
    str(data["file"])  # every entry is needed
    return _Origin(space, folds["sha256"], int(folds["k"]), leaky, dict(data["lineage"]))


def _check_space(origin: _Origin, space: LabelSpace, path: Path) -> None:
    if origin.space.fingerprint != space.fingerprint:
        pairs = itertools.zip_longest(origin.space.to_json(), space.to_json())
        got, expected = next((a, b) for a, b in pairs if a != b)
        raise DataError(
            "the pseudo labels are of other classes than the training",
            where=str(path),
            got=str(got),
            expected=str(expected),
            fix="make them with networks of the same tasks, class order and bins",
        )


def _header(space: LabelSpace, *, soft: bool) -> list[str]:
    names = [*LEADING, *space.names, *(f"p{j}" for j in range(space.size) if soft)]
    if len(set(names)) != len(names):
        raise DataError("a column name occurs twice", got=", ".join(names), fix="rename the task")
    return names


def _check_header(found: Sequence[str], space: LabelSpace, path: Path, *, by_hand: bool) -> bool:
    """Say whether the table has soft targets; DataError for columns missing or not known."""
    soft = "p0" in found
    known = _header(space, soft=soft)
    needed = [name for name in known if not (by_hand and name in ("set", "weight"))]
    faults = [f"{name} is missing" for name in needed if name not in found]
    faults += [f"{name} is not known" for name in found if name not in known]
    if faults:
        expected = ", ".join(known)
        raise DataError("the columns of pseudo labels are wrong", where=str(path), expected=expected, offenders=faults)
    return soft


def _columns(sets: Mapping[int, PseudoRows], space: LabelSpace) -> list[list[object]]:
    """Return the cells of every column of the CSV, one set of labels after the other."""
    parts = [list(_cells(fold, rows, space)) for fold, rows in sets.items()]
    return [list(itertools.chain.from_iterable(column)) for column in zip(*parts, strict=True)]


def _cells(fold: int, rows: PseudoRows, space: LabelSpace) -> Iterator[Iterable[object]]:
    yield [_name(fold)] * len(rows)
    yield rows.ids.tolist()
    yield rows.paths.tolist()
    yield rows.weight.tolist()  # csv writes a float by its shortest exact form
    for task in space.tasks:
        yield [("", *task.classes)[c + 1] for c in rows.labels[task.name].tolist()]
    if rows.prob is not None:
        for prob_N in rows.prob.T:
            yield map("{:.9g}".format, prob_N.tolist())  # 9 digits hold a float32


def _sets(columns: Mapping[str, Sequence[str]], space: LabelSpace, path: Path, *, soft: bool) -> dict[int, PseudoRows]:
    """Turn a table of text into sets; DataError for a cell that is no set, no class or no number."""
    count = len(columns["id"])
    names = {name: REFIT if name == ALL else int(name) for name in columns.get("set", [ALL]) if SET.fullmatch(name)}
    fold_N = _codes(columns.get("set", [ALL] * count), names, f"{path}, column set", expected="a fold's number, or all")
    labels = {
        task.name: _codes(
            columns[task.name],
            {"": UNKNOWN} | {name: label for label, name in enumerate(task.classes)},
            f"{path}, column {task.name}",
            expected=f"{', '.join(task.classes)}, or nothing",
        )
        for task in space.tasks
    }
    weight_N = _numbers(columns.get("weight", ["1"] * count), f"{path}, column weight")
    p_JN = [_numbers(columns[f"p{j}"], f"{path}, column p{j}") for j in range(space.size)] if soft else None
    with np.errstate(over="ignore"):  # what is too large becomes inf, and is refused with its row
        prob_NJ = None if p_JN is None else np.stack(p_JN, axis=1).astype(np.float32)
    ids, paths = (np.array(columns[name], dtype=np.str_) for name in ("id", "path"))
    return {
        fold: PseudoRows(
            ids[at],
            paths[at],
            {name: label_N[at] for name, label_N in labels.items()},
            None if prob_NJ is None else prob_NJ[at],
            weight_N[at],
        )
        for fold in np.unique(fold_N).tolist()
        for at in [np.flatnonzero(fold_N == fold)]
    }


def _codes(column: Sequence[str], known: Mapping[str, int], where: str, *, expected: str) -> Ints:
    wrong = [f"row {row}: {text!r}" for row, text in enumerate(column, 1) if text not in known]
    if wrong:
        raise DataError("a cell of pseudo labels is wrong", where=where, expected=expected, offenders=wrong)
    return np.array([known[text] for text in column], dtype=np.int64)


def _numbers(column: Sequence[str], where: str) -> Doubles:
    try:
        if not DIGITS.fullmatch("".join(column)):  # float() takes nan, spaces and 1_0 too
            raise ValueError
        return np.fromiter(map(float, column), dtype=np.float64, count=len(column))
    except ValueError:
        wrong = [f"row {row}: {text!r}" for row, text in enumerate(column, 1) if not NUMBER.fullmatch(text)]
    raise DataError("a cell of pseudo labels is wrong", where=where, expected="a number from 0", offenders=wrong)


def _check_complete(sets: Mapping[int, PseudoRows], expected: set[int], path: Path) -> None:
    if sets.keys() != expected:
        raise DataError(
            "the sets of pseudo labels are not those expected",
            where=f"{path}, column set",
            got=", ".join(map(_name, sorted(sets))),
            expected=", ".join(map(_name, sorted(expected))),
            fix="make the pseudo labels again; a table made by hand has the set all alone",
        )


def _check(sets: Mapping[int, PseudoRows], space: LabelSpace, path: Path, *, soft: bool) -> None:
    """Raise DataError for what no training may be given, ValueError for arrays that do not fit together."""
    path_of: dict[str, str] = {}
    for fold, rows in sets.items():
        _check_rows(rows, space, f"{path}, set {_name(fold)}", soft=soft)
        pairs = list(zip(rows.ids.tolist(), rows.paths.tolist(), strict=True))
        torn = [f"{id!r}: {path_of[id]!r} and {own!r}" for id, own in pairs if path_of.setdefault(id, own) != own]
        if torn:
            raise DataError("an id stands for two photos", where=f"{path}, set {_name(fold)}", offenders=torn)


def _check_rows(rows: PseudoRows, space: LabelSpace, where: str, *, soft: bool) -> None:
    if not len(rows):
        fix = "lower the thresholds, or label more photos"
        raise DataError("no photo is left in a set of pseudo labels", where=where, fix=fix)
    space.encode(rows.labels)
    ids, known_TN = rows.ids.tolist(), np.stack([rows.labels[name] for name in space.names]) != UNKNOWN
    shapes = {rows.ids.shape, rows.paths.shape, rows.weight.shape, known_TN[0].shape}
    if shapes != {(len(ids),)} or soft != (rows.prob is not None):
        raise ValueError(f"the columns of {where} do not fit together")
    times = Counter(ids)
    texts = list(zip(ids, rows.paths.tolist(), strict=True))
    with np.errstate(over="ignore"):
        weight_N = rows.weight.astype(np.float32)  # what training counts with
    masks = {
        "the id stands twice": [times[id] > 1 for id in ids],
        "the id or the path is empty or has a line break": [not all(map(PLAIN.fullmatch, pair)) for pair in texts],
        "no task has a label": ~known_TN.any(axis=0),
        "the weight is not a finite number above 0": ~(np.isfinite(weight_N) & (weight_N > 0)),
    }
    faults = [f"{ids[row]!r}: {what}" for what, mask in masks.items() for row in np.flatnonzero(mask).tolist()]
    if faults:
        raise DataError("rows of pseudo labels are wrong", where=where, offenders=faults)
    if rows.prob is not None:
        try:
            Predictions(rows.ids, rows.prob, space)
        except ResultError as error:
            raise DataError(error.what, where=where, got=error.got, offenders=error.offenders) from None


def _name(fold: int) -> str:
    return ALL if fold == REFIT else str(fold)
