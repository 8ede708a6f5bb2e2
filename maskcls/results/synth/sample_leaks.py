"""Prevent leaks: no network may learn from samples whose generator, or whose parents, knew its validation people."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from maskcls.errors import DataError
from maskcls.groupnouns import PEOPLE, Noun, photos_of
from maskcls.results.added.added_set import AddedSet
from maskcls.results.added.set_names import set_name
from maskcls.results.synth.sample_table import SampleMaker, Samples
from maskcls.rundir import REFIT

LEAKY_FIX = "make them with generators of this run's folds, or accept leaky samples; then no out-of-fold score is made"


def other_folds_error(made: tuple[str, int], now: tuple[str, int], path: Path, noun: Noun = PEOPLE) -> DataError | None:
    """Return the error of samples whose folds are not those of the training; None where they are.

    made, now  hash of the fold table and number of folds, of the generators and of the training.
    """
    if made == now:
        return None
    return DataError(
        f"the samples were made with other folds, so a network could learn from a generator that saw its validation "
        f"{noun[1]}",
        where=str(path),
        got=f"{made[1]} folds, sha256 {made[0][:16]}…",
        expected=f"{now[1]} folds, sha256 {now[0][:16]}…",
        fix=LEAKY_FIX,
    )


def foreign_generators(
    makers: Mapping[int, tuple[SampleMaker, ...]], sets: Mapping[int, AddedSet], path: Path, noun: Noun = PEOPLE
) -> DataError | None:
    """Return the error that names samples of generators that saw people whom their set's fold validates."""
    foreign = [(k, maker) for k, found in makers.items() if k != REFIT for maker in found if maker.fold != k]
    if not foreign:
        return None
    k, maker = foreign[0]
    rows = [f"{one!r}: {maker}" for k, maker in foreign if k in sets for one in sets[k].ids.tolist()]
    return DataError(
        f"a sample of set {set_name(k)} was made by the generator of {_of_fold(maker.fold)}, which was trained on "
        f"{noun[1]} that fold {k} validates",
        where=str(path),
        offenders=rows or [f"set {set_name(k)}: {maker}" for k, maker in foreign],
        fix=LEAKY_FIX,
    )


def _of_fold(fold: int) -> str:
    return "all rows" if fold == REFIT else f"fold {fold}"


def validated_parents(
    samples: Samples, fold_of: Mapping[str, int], path: Path, noun: Noun = PEOPLE
) -> DataError | None:
    """Return the error that names samples made from a photo of a person their set's fold validates.

    fold_of  {id: fold} of the training's photos. A parent that is none of them may be of anybody, and is named too.
    """
    wrong = list(_wrong_parents(samples, fold_of, noun))
    if not wrong:
        return None
    return DataError(
        f"a sample was made from {photos_of(noun)} that its fold validates",
        where=str(path),
        expected="parents among the training photos of the set's fold",
        offenders=wrong,
        fix=LEAKY_FIX,
    )


def _wrong_parents(samples: Samples, fold_of: Mapping[str, int], noun: Noun) -> Iterator[str]:
    for k, rows in samples.sets.items():
        for one in rows.ids.tolist():
            for parent in samples.parents.get(one, ()):
                if parent not in fold_of:
                    yield f"{one!r}: its parent {parent!r} is no photo of this training"
                elif k != REFIT and fold_of[parent] == k:
                    yield f"{one!r}: its parent {parent!r} is of {noun[1]} that fold {k} validates"


def refuse_sealed_parents(samples: Samples, sealed: Collection[str], where: str, noun: Noun = PEOPLE) -> None:
    """Raise DataError that names samples made from a photo of sealed people; sealed: the ids of their photos."""
    wrong = [
        f"{one!r}: its parent {parent!r}"
        for one, parents in samples.parents.items()
        for parent in parents
        if parent in sealed
    ]
    if wrong:
        raise DataError(
            f"samples were made from photos of sealed {noun[1]}",
            where=where,
            expected="generators of this run's training rows",
            offenders=wrong,
            fix="make the samples again, with the same folds.sealed and folds.sealed_seed",
        )
