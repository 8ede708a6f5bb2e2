"""Person-level stratified folds, as a saved and checked table.

Folds depend only on the seed, the people's names and their labels: not on the order of rows, the model, or the version
of a library. N rows (photos), P people.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from maskcls import files
from maskcls.csvfile import read_csv
from maskcls.data.rows import manifest
from maskcls.errors import ConfigError, DataError, MaskclsError, ResultError
from maskcls.labels import UNKNOWN, LabelSpace

Ints = NDArray[np.int64]

COLUMNS = ["id", "person", "fold"]
NEVER = -1


def build(
    frame: pd.DataFrame, space: LabelSpace, *, k: int, holdout: float, seed: int, stratify: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return the checked fold table of a manifest: columns id, person, fold (Int8; -1 = only for training).

    k, holdout, seed  as for `make_folds`.
    stratify          tasks whose classes are balanced between folds; None: all that are constant within every person.

    Raises DataError when there are too few people, or when a class would be missing from a fold's training rows.
    """
    names = manifest.person_tasks(frame, space) if stratify is None else tuple(stratify)
    fold_N = make_folds(frame["person"].tolist(), strata(frame, space, names), k=k, holdout=holdout, seed=seed)
    table = pd.DataFrame({"id": frame["id"], "person": frame["person"], "fold": pd.array(fold_N, dtype="Int8")})
    check_folds(table)
    check_classes(frame, fold_N, space)
    return table


def make_folds(
    person_N: Sequence[str], stratum_N: Ints, *, k: int, holdout: float = 0.2, seed: int = 0
) -> NDArray[np.int8]:
    """Return the validation fold (N,) int8 of each row: 0..k-1, or -1 for rows that are only for training (k = 1).

    person_N   name of each row's person; all rows of a person are in the same fold.
    stratum_N  int64, equal in all rows of a person.
    holdout    with k = 1, the share of people in the validation rows of fold 0.

    Within a stratum people are sorted by a hash of seed and name. The strata are concatenated, and the people assigned
    to folds 0, 1, …, k-1, 0, 1, … in turn, as scikit-learn's StratifiedKFold does. So the counts of a stratum, and of
    all people, differ by at most one between folds. This also works for strata of fewer than k people, for which
    StratifiedKFold warns or fails, and does not depend on a random generator that may change between versions.

    Raises DataError when there are fewer people than folds.

    >>> make_folds(["ann", "ann", "bob", "cy"], np.array([0, 0, 0, 0]), k=3).tolist()
    [2, 2, 1, 0]
    """
    stratum = _by_person(person_N, stratum_N)
    needed = max(k, 2)
    if len(stratum) < needed:
        fix = "lower folds.k, or add people"
        raise DataError("too few people for the folds", got=str(len(stratum)), expected=f"at least {needed}", fix=fix)
    order = sorted(stratum, key=lambda name: (stratum[name], _draw(seed, name), name))
    folds = _deal(len(order), k) if k > 1 else _hold_out(len(order), holdout, _draw(seed, ""))
    fold = dict(zip(order, folds, strict=True))
    return np.array([fold[name] for name in person_N], dtype=np.int8)


def strata(frame: pd.DataFrame, space: LabelSpace, names: Sequence[str]) -> Ints:
    """Return the joint label (N,) int64 of the named tasks; a person without any label counts as one more class.

    Raises ConfigError when a task's label varies between the photos of a person.
    """
    varying = sorted(set(names) - set(manifest.person_tasks(frame, space)))
    if varying:
        fix = "leave it out of folds.stratify: it varies within a person, so folds rarely lack a class"
        raise ConfigError("a task differs within a person", where="folds.stratify", got=", ".join(varying), fix=fix)
    stratum_N = np.zeros(len(frame), dtype=np.int64)
    for name in names:
        label_N = frame.groupby("person")[name].transform("max").to_numpy(dtype=np.int64, na_value=UNKNOWN)
        stratum_N = stratum_N * (len(space.task(name).classes) + 1) + label_N + 1
    return stratum_N


def check_classes(frame: pd.DataFrame, fold_N: NDArray[np.int8], space: LabelSpace) -> None:
    """Raise one DataError that lists every class without a photo in a fold's training rows."""
    faults = []
    for name, label_N in manifest.labels(frame, space).items():
        classes = space.task(name).classes
        total = np.bincount(label_N[label_N >= 0], minlength=len(classes))
        for fold in range(int(fold_N.max()) + 1):
            trained = np.bincount(label_N[(label_N >= 0) & (fold_N != fold)], minlength=len(classes))
            faults += [
                f"fold {fold} trains on 0 of {total[c]} photos of {name}={classes[c]}"
                for c in np.flatnonzero(trained == 0)
            ]
    if faults:
        fix = "add people of that class, change folds.k or folds.seed, or merge the class with another"
        raise DataError("a class is missing from a fold's training rows", offenders=faults, fix=fix)


def check_folds(table: pd.DataFrame) -> None:
    """Raise MaskclsError (internal error) if a person is in two folds, or the folds are not 0..k-1 without a gap."""
    faults = _faults(table)
    if faults:
        raise MaskclsError(
            "the folds are inconsistent", offenders=faults, fix="report this bug; do not train on these folds"
        )


def to_csv(table: pd.DataFrame) -> bytes:
    """Return the fold table as CSV (UTF-8)."""
    text: str = table.to_csv(index=False, lineterminator="\n")
    return text.encode()


def from_csv(path: Path) -> pd.DataFrame:
    """Read what `to_csv` wrote; raises DataError or ResultError when it is damaged or a person is in two folds."""
    text = read_csv(path, required=COLUMNS)[COLUMNS].reset_index(drop=True)
    whole = text["fold"].str.fullmatch(r"-1|0|[1-9][0-9]?")
    if not whole.all():
        got = repr(text.loc[~whole, "fold"].iloc[0])
        raise ResultError("a fold is not a number", where=str(path), got=got, fix="restore the file")
    table = text.assign(fold=pd.to_numeric(text["fold"]).astype("Int8"))
    faults = _faults(table)
    if faults:
        raise ResultError("the fold table is damaged", where=str(path), offenders=faults, fix="restore the file")
    return table


def sha256(table: pd.DataFrame) -> str:
    """Return the hex digest of the table's CSV form."""
    return files.sha256(to_csv(table))


def fold_counts(frame: pd.DataFrame, table: pd.DataFrame, space: LabelSpace) -> pd.DataFrame:
    """Count people and photos per fold and class: columns fold, task, class, people, photos.

    Rows with task and class "all" count the whole fold; fold -1 has the rows that are only for training. `table` must
    have the manifest's rows in its order, else ValueError.
    """
    if table["id"].tolist() != frame["id"].tolist():
        raise ValueError("the fold table does not belong to this manifest")
    fold = table["fold"].to_numpy(dtype=np.int64)
    names = {name: np.array(["unknown", *space.task(name).classes]) for name in space.names}
    labels = manifest.labels(frame, space)
    parts = [("all", np.full(len(frame), "all"))] + [(name, names[name][labels[name] + 1]) for name in space.names]
    rows = []
    for f in np.unique(fold):
        here = fold == f
        for task, class_N in parts:
            for label in ["all"] if task == "all" else names[task]:
                of_class = here & (class_N == label)
                if label != "unknown" or of_class.any():
                    people = frame["person"][of_class].nunique()
                    rows.append((int(f), task, str(label), int(people), int(of_class.sum())))
    return pd.DataFrame(rows, columns=["fold", "task", "class", "people", "photos"])


def _by_person(person_N: Sequence[str], stratum_N: Ints) -> dict[str, int]:
    stratum: dict[str, int] = {}
    for name, value in zip(person_N, np.asarray(stratum_N).tolist(), strict=True):
        if stratum.setdefault(name, value) != value:
            raise ValueError(f"person {name!r} is in two strata")
    return stratum


def _draw(seed: int, name: str) -> int:
    """Return a pseudo-random number 0..2**64-1 from a hash, the same on every machine and version."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8])


def _deal(people: int, k: int) -> list[int]:
    return [i % k for i in range(people)]


def _hold_out(people: int, share: float, start: int) -> list[int]:
    """Return 0 (validation) for every (1/share)-th person, so that each stratum has its share; -1 for all others.

    start  random offset; without it, the first person of a small stratum would get the same value with every seed.
    """
    taken = min(max(1, round(people * share)), people - 1)
    positions = [(i + start) % people for i in range(people)]
    return [0 if (p + 1) * taken // people > p * taken // people else NEVER for p in positions]


def _faults(table: pd.DataFrame) -> list[str]:
    if list(table.columns) != COLUMNS:
        return [f"columns {', '.join(map(str, table.columns))}, expected {', '.join(COLUMNS)}"]
    faults = [f"id {id!r} occurs twice" for id in table.loc[table["id"].duplicated(), "id"]]
    if table["fold"].isna().any():
        return [*faults, f"{int(table['fold'].isna().sum())} rows have no fold"]
    spread = table.groupby("person")["fold"].agg(["min", "max"])
    crossing = spread[spread["min"] < spread["max"]]
    faults += [f"person {name!r} is in folds {row['min']} and {row['max']}" for name, row in crossing.iterrows()]
    found = sorted(set(table["fold"].tolist()) - {NEVER})
    if not found or found != list(range(len(found))):
        faults.append(f"the folds are {found}, expected 0..k-1")
    return faults
