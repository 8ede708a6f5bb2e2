"""Person-level stratified folds, as a saved and checked table.

Folds depend only on the seed, the people's names, their photos' number and labels: not on the order of rows, the model,
or the version of a library. N rows (photos), P people, F counts per person.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from maskcls import files
from maskcls.csvfile import read_csv
from maskcls.data.rows import balance, manifest
from maskcls.data.rows.renewal import deal_anew, pairs_kept
from maskcls.errors import DataError, MaskclsError, ResultError
from maskcls.groupnouns import PEOPLE, Noun
from maskcls.labels import UNKNOWN, Ints, LabelSpace

COLUMNS = ["id", "person", "fold"]
NEVER = -1
ALLOWED_PEOPLE = 2  # of two strata, as of women and men of an age, each is less than one person from its share
MOST_RENEWALS, MOST_STARTS, PEOPLE_STARTED = 8, 32, 3000  # of few people, many assignments are tried: each try is quick


def build(
    frame: pd.DataFrame,
    space: LabelSpace,
    *,
    k: int,
    holdout: float,
    seed: int,
    stratify: Sequence[str] | None = None,
    renew: int = 0,
    noun: Noun = PEOPLE,
) -> pd.DataFrame:
    """Return the checked fold table of a manifest: columns id, person, fold (Int8; -1 = only for training).

    k, holdout, seed  as for `make_folds`.
    stratify          tasks whose classes are balanced between folds; None: all.
    renew             how often people are dealt into folds again, each time apart from those they were with before.
    noun              what the people are called in messages, one and several.

    Raises DataError when there are too few people, or when a class would be missing from a fold's training rows.
    """
    check_enough(frame["person"].nunique(), k, noun)
    labels, constant = manifest.labels(frame, space), manifest.person_tasks(frame, space)
    names = space.names if stratify is None else tuple(stratify)
    own, other = ({n: labels[n] for n in names if (n in constant) == want} for want in (True, False))
    stratum_N, person_N = strata(frame, space, tuple(own)), frame["person"].tolist()
    before: list[NDArray[np.int8]] = []
    for _ in range(renew + 1):
        before.append(balanced_folds(person_N, stratum_N, own, other, k=k, holdout=holdout, seed=seed, before=before))
    fold_N = before[renew]
    table = pd.DataFrame({"id": frame["id"], "person": frame["person"], "fold": pd.array(fold_N, dtype="Int8")})
    check_folds(table)
    check_classes(frame, fold_N, space, noun)
    return table


def make_folds(
    person_N: Sequence[str],
    stratum_N: Ints,
    *,
    k: int,
    holdout: float = 0.2,
    seed: int = 0,
    before: Sequence[NDArray[np.int8]] = (),
) -> NDArray[np.int8]:
    """Return the validation fold (N,) int8 of each row: 0..k-1, or -1 for rows that are only for training (k = 1).

    person_N   name of each row's person; all rows of a person are in the same fold.
    stratum_N  int64, equal in all rows of a person.
    holdout    with k = 1, the share of people in the validation rows of fold 0.
    before     the folds (N,) of earlier renewals, the first one first; empty: the folds are not renewed.

    Within a stratum people are sorted by a hash of seed and name. The strata are concatenated, and the people assigned
    to folds 0, 1, …, k-1, 0, 1, … in turn, as scikit-learn's StratifiedKFold does. So the counts of a stratum, and of
    all people, differ by at most one between folds. This also works for strata of fewer than k people, for which
    StratifiedKFold warns or fails, and does not depend on a random generator that may change between versions.
    Renewed folds have the same counts; see `deal_anew`. With k = 1, a renewal holds out people who were not yet, until
    everybody was.

    Raises DataError when there are fewer people than folds.

    >>> make_folds(["ann", "ann", "bob", "cy"], np.array([0, 0, 0, 0]), k=3).tolist()
    [2, 2, 1, 0]
    """
    stratum = _by_person(person_N, stratum_N)
    check_enough(len(stratum), k, PEOPLE)
    people, turn = len(stratum), 0
    if k == 1:
        taken = min(max(1, round(people * holdout)), people - 1)
        round_, turn = divmod(len(before), people // taken)  # in a round, nobody is held out twice
        seed = seed if round_ == 0 else _draw(seed, f"round {round_}")
    order = sorted(stratum, key=lambda name: (stratum[name], _draw(seed, name), name))
    if k == 1:
        folds = _hold_out(people, taken, _draw(seed, "") + turn)
    elif before:
        # Strata of few people follow each other in another order, so that not the same ones share a fold again.
        order.sort(key=lambda name: (_draw(seed, f"stratum {stratum[name]} {len(before)}"), stratum[name]))
        earlier = [dict(zip(person_N, one_N.tolist(), strict=True)) for one_N in before]
        folds = deal_anew(order, stratum, earlier, k).tolist()
    else:
        folds = _deal(people, k)
    fold = dict(zip(order, folds, strict=True))
    return np.array([fold[name] for name in person_N], dtype=np.int8)


def check_enough(people: int, k: int, noun: Noun) -> None:
    """Raise DataError when there are fewer people than folds, or fewer than two."""
    if people < (needed := max(k, 2)):
        fix = f"lower folds.k, or add {noun[1]}"
        raise DataError(f"too few {noun[1]} for the folds", got=str(people), expected=f"at least {needed}", fix=fix)


def balanced_folds(
    person_N: Sequence[str],
    stratum_N: Ints,
    own: Mapping[str, Ints],
    other: Mapping[str, Ints],
    *,
    k: int,
    holdout: float = 0.2,
    seed: int = 0,
    before: Sequence[NDArray[np.int8]] = (),
) -> NDArray[np.int8]:
    """Return folds like those of `make_folds`, but balance photos and their classes, not people alone.

    own, other  class indices (N,) by task, -1 = unknown, of the tasks that are balanced: those whose known label is the
                same on all photos of each person, and the others.

    The folds of `make_folds` are kept if every person has equally many photos, also of each class of the other tasks,
    and no class of a fold is more than ALLOWED_PEOPLE people from its share, as in the contest. Else people are
    exchanged between folds (`balance.exchange`), from several assignments of `make_folds`, and the most even one is
    returned; of equally even ones, that with the fewest people together who were so before. Renewed folds are the most
    even of several deals to begin with. Raises DataError when there are fewer people than folds.
    """
    who_N, sorted_names = pd.factorize(np.array(person_N, dtype=object), sort=True)
    names: list[str] = sorted_names.tolist()
    row_P = np.unique(who_N, return_index=True)[1]
    before_EP, share_K = [before_N[row_P] for before_N in before], np.ones(k, dtype=np.int64)
    people_PF, photos_PF = balance.people_counts(who_N, own), balance.photo_counts(who_N, {**own, **other})

    def dealt(stratum_P: Ints, of_seed: int) -> NDArray[np.int8]:
        return make_folds(names, stratum_P, k=k, holdout=holdout, seed=of_seed, before=before_EP)

    def kept(fold_P: Ints) -> int:
        return pairs_kept(fold_P, [_parts(one_P) for one_P in before_EP])

    first_P = _parts(dealt(stratum_N[row_P], seed))
    if before and k > 1:  # chance may put the few people of a class into one fold
        seeds = [_draw(seed, f"renewal {number}") for number in range(min(MOST_RENEWALS, PEOPLE_STARTED // len(names)))]
        tried = [first_P, *(_parts(dealt(stratum_N[row_P], other)) for other in seeds)]
        first_P = min(tried, key=lambda one_P: (balance.unevenness(one_P, people_PF, share_K), kept(one_P)))
    share_K = share_K if k > 1 else np.bincount(first_P)
    if _alike(balance.photo_counts(who_N, other)) and _near(balance.difference(first_P, people_PF, share_K), share_K):
        return _as_folds(first_P, k)[who_N]
    count_PF = np.concatenate([photos_PF, people_PF], axis=1)
    order_P = np.argsort([_draw(seed, name) for name in names], kind="stable")
    finer_P = balance.finer_strata(stratum_N[row_P], photos_PF)
    starts = [dealt(finer_P, seed)]
    for number in range(min(MOST_STARTS, PEOPLE_STARTED // len(names))):
        starts.append(dealt(stratum_N[row_P], seed if number == 0 else _draw(seed, f"start {number}")))
    found = [balance.exchange(_parts(start_P), count_PF, share_K, order_P) for start_P in starts]
    best_P = min([*found, first_P], key=lambda fold_P: (balance.unevenness(fold_P, count_PF, share_K), kept(fold_P)))
    return _as_folds(best_P, k)[who_N]


def strata(frame: pd.DataFrame, space: LabelSpace, names: Sequence[str]) -> Ints:
    """Return the joint label (N,) int64 of the named tasks; a person without any label counts as one more class.

    names  tasks whose known label is the same on all photos of each person.
    """
    stratum_N = np.zeros(len(frame), dtype=np.int64)
    for name in names:
        label_N = frame.groupby("person")[name].transform("max").to_numpy(dtype=np.int64, na_value=UNKNOWN)
        stratum_N = stratum_N * (len(space.task(name).classes) + 1) + label_N + 1
    return stratum_N


def check_classes(frame: pd.DataFrame, fold_N: NDArray[np.int8], space: LabelSpace, noun: Noun) -> None:
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
        fix = f"add {noun[1]} of that class, change folds.k or folds.seed, or merge the class with another"
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


def _as_folds(part_P: Ints, k: int) -> NDArray[np.int8]:
    """Return the folds of parts; see `_parts`."""
    return (part_P if k > 1 else np.where(part_P == 0, 0, NEVER)).astype(np.int8)


def _parts(fold_N: NDArray[np.int8]) -> Ints:
    """Return folds as 0..k-1; of a hold-out, 1 for the rows that are only for training."""
    return np.where(fold_N == NEVER, 1, fold_N).astype(np.int64)


def _alike(count_PF: Ints) -> bool:
    return bool((count_PF == count_PF[0]).all())


def _near(differs_KF: Ints, share_K: Ints) -> bool:
    return bool((np.abs(differs_KF) <= ALLOWED_PEOPLE * share_K.sum()).all())


def _deal(people: int, k: int) -> list[int]:
    return [i % k for i in range(people)]


def _hold_out(people: int, taken: int, start: int) -> list[int]:
    """Return 0 (validation) for every (people / taken)-th person, so that each stratum has its share; -1 for others.

    start  random offset; without it, the first person of a small stratum would get the same value with every seed.
    """
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
