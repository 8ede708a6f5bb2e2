"""What it means that rows of a data set have the same photo: two people, contradicting labels, or only a repetition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import pandas as pd

from maskcls.data.rows import manifest
from maskcls.labels import UNKNOWN, LabelSpace

Kind = Literal["people", "labels", "eval", "repeated"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class PhotoRow:
    """A row with a photo that another row has too.

    person  "" where it is not known.
    labels  {task: class}, without unknown ones.
    """

    path: str
    part: str
    person: str
    labels: Mapping[str, str]

    def __str__(self) -> str:
        known = ", ".join(f"{task}={name}" for task, name in self.labels.items())
        of = f" of {self.person!r}" if self.person else ""
        return f"{self.path}{of}" + (f" ({known})" if known else "")


@dataclass(frozen=True)
class SamePhoto:
    """Two or more rows with one photo.

    rows    their numbers in the table.
    people  the rows to train on are of two or more people.
    labels  the tasks in which they have different labels.
    eval    the photo is among the rows to train on and among those to predict.
    """

    rows: tuple[int, ...]
    copies: tuple[PhotoRow, ...]
    people: bool
    labels: tuple[str, ...]
    eval: bool

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What is wrong; `repeated` alone if nothing else is."""
        found = {"people": self.people, "labels": bool(self.labels), "eval": self.eval}
        return tuple(kind for kind in KINDS if found.get(kind)) or ("repeated",)

    def __str__(self) -> str:
        return " = ".join(map(str, self.copies))


def same_photos(frame: pd.DataFrame, groups: Iterable[Sequence[int]], space: LabelSpace) -> list[SamePhoto]:
    """Return what each group of a manifest's rows with the same photo means; rows to predict have the split "eval"."""
    labels = manifest.labels(frame, space)
    paths, parts, people = (frame[name].tolist() for name in ("path", "split", "person"))
    found = []
    for rows in groups:
        copies = tuple(
            PhotoRow(
                paths[row],
                parts[row],
                people[row],
                {t.name: t.classes[i] for t in space.tasks if (i := int(labels[t.name][row])) != UNKNOWN},
            )
            for row in rows
        )
        found.append(_meaning(tuple(rows), copies, space))
    return found


def _meaning(rows: tuple[int, ...], copies: tuple[PhotoRow, ...], space: LabelSpace) -> SamePhoto:
    train = [copy for copy in copies if copy.part == "train"]
    differing = [name for name in space.names if len({one.labels[name] for one in train if name in one.labels}) > 1]
    return SamePhoto(
        rows,
        copies,
        people=len({one.person for one in train}) > 1,
        labels=tuple(differing),
        eval=0 < len(train) < len(copies),
    )
