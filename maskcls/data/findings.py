"""What can be wrong with a data set: kinds of findings, how serious each is, and what it means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from maskcls.groupnouns import Noun, rows_or, with_article

Level = Literal["error", "warning", "information"]
LEVELS: tuple[Level, ...] = get_args(Level)  # the most serious first
Kind = Literal[
    "unreadable",
    "labels",
    "folds",
    "no-folds",
    "people",
    "eval",
    "near-folds",
    "near-people",
    "near-eval",
    "near-labels",
    "person-labels",
    "shared-id",
    "changed",
    "blank",
    "dark",
    "blurred",
    "odd-size",
    "shift-photos",
    "shift-pixels",
    "shift-classes",
    "repeated",
    "near",
    "near-unrated",
    "few-people",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

MEANING: dict[Kind, str] = {  # {one}, {many}, {a}: what groups are called, such as person, people, a person
    "unreadable": "photos that cannot be read",
    "labels": "one photo with different labels",
    "folds": "one photo of {many} in different folds",
    "no-folds": "the {many} cannot be divided into folds",
    "people": "one photo of several {many}",
    "eval": "one photo trained on and also to be predicted",
    "near-folds": "near duplicates of {many} in different folds",
    "near-people": "near duplicates of two {many}",
    "near-eval": "near duplicates trained on and to be predicted",
    "near-labels": "near duplicates of one {one} with different labels",
    "person-labels": "{a} with several labels, where nearly all have one",
    "shared-id": "one id of several {many}",
    "changed": "photos that changed since the run was trained",
    "blank": "photos that show nothing",
    "dark": "dark photos",
    "blurred": "blurred photos",
    "odd-size": "photos of an unusual size or shape",
    "shift-photos": "photos to predict differ from those trained on",
    "shift-pixels": "pixel statistics differ between train and eval",
    "shift-classes": "class shares differ between train and eval",
    "repeated": "one photo twice, without a contradiction",
    "near": "near duplicates of one {one}, or both to be predicted",
    "near-unrated": "photos that agree as much as copies do; too few pairs to tell whether by chance",
    "few-people": "classes of fewer {many} than folds",
}
ERRORS: tuple[Kind, ...] = ("unreadable", "labels", "folds", "no-folds")  # `train` refuses these
INFORMATION: tuple[Kind, ...] = ("repeated", "near", "near-unrated", "few-people")


def meaning(kind: Kind, noun: Noun) -> str:
    """Return what a kind of finding means. noun: what the groups of the data set are called, one and several.

    >>> meaning("near-people", ("patient", "patients"))
    'near duplicates of two patients'
    """
    one, many = rows_or(noun)
    return MEANING[kind].format(one=one, many=many, a=with_article(one))


@dataclass(frozen=True)
class Item:
    """One case of a finding: the photos it concerns, none for a finding about the whole set, and what is said of it."""

    paths: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class DataFinding:
    """All cases of one kind; `allowed`: the configuration allows what is otherwise an error: it is a warning."""

    kind: Kind
    items: tuple[Item, ...]
    allowed: bool = False

    @property
    def level(self) -> Level:
        """How serious it is: an error is what `train` refuses; a warning may make a score wrong."""
        if self.kind in ERRORS and not self.allowed:
            return "error"
        return "information" if self.kind in INFORMATION else "warning"

    def to_json(self, noun: Noun) -> dict[str, Any]:
        """Return plain data."""
        items = [asdict(item) for item in self.items]
        return {
            "kind": self.kind,
            "level": self.level,
            "meaning": meaning(self.kind, noun),
            "count": len(items),
            "items": items,
        }


def sorted_findings(found: Sequence[DataFinding]) -> tuple[DataFinding, ...]:
    """Return the findings that have cases, the most serious first."""
    return tuple(
        sorted((one for one in found if one.items), key=lambda one: (LEVELS.index(one.level), KINDS.index(one.kind)))
    )


def worst_level(found: Sequence[DataFinding]) -> Level | None:
    """Return the most serious level that occurs."""
    return min((one.level for one in found), key=LEVELS.index, default=None)
