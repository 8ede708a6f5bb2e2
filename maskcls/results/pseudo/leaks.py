"""Prevent leaks: pseudo labels must not come from networks that were trained on the validation people."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from maskcls.errors import DataError
from maskcls.groupnouns import PEOPLE, Noun


def check_same_folds(folds_sha256: Mapping[str, str], noun: Noun = PEOPLE) -> str:
    """Return the hash that all runs {name: hash of its fold table} share; DataError, naming them, when they differ."""
    first = next(iter(folds_sha256.values()))
    if any(digest != first for digest in folds_sha256.values()):
        raise DataError(
            f"the runs have different folds, so a label set would hold labels by networks that saw its {noun[1]}",
            expected=f"runs of the same {noun[1]}, folds.k, folds.seed and folds.renew",
            fix="label with one run, train the others with the same folds, or ask for leaky labels",
            offenders=[f"{name}: {digest[:16]}" for name, digest in folds_sha256.items()],
        )
    return first


def check_strangers(
    ids: Sequence[str],
    people: Sequence[str],
    *,
    known_ids: Collection[str],
    known_people: Collection[str],
    noun: Noun = PEOPLE,
) -> None:
    """Raise DataError when an unlabelled photo, or the person on it, is among those the folds were made of.

    It would be trained on in folds that are validated on the same person.

    people  one per photo, "" for unknown.
    """
    known_ids, known_people = set(known_ids), set(known_people) - {""}
    pairs = zip(ids, people, strict=True)
    met = [f"{id!r} of {person!r}" for id, person in pairs if id in known_ids or person in known_people]
    if met:
        raise DataError(
            f"photos to pseudo-label are of {noun[1]} the networks were trained or validated on",
            expected=f"photos and {noun[1]} that are not in the training table",
            fix="leave these rows out of the unlabelled data",
            offenders=met,
        )
