"""What `maskcls data check` returns and prints: people and photos of each class, and of each part of the data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from maskcls.data.rows.repeated_photos import KINDS, Kind, SamePhoto
from maskcls.errors import SHOWN_OFFENDERS, visible
from maskcls.labels import LabelSpace
from maskcls.show.data.class_counts import class_counts, class_table
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import plural, say, show

MEANING: dict[Kind, str] = {
    "people": "stored for {people}; train refuses those in different folds (data.same_photos):",
    "labels": "identical with different labels; train refuses them (data.same_photos):",
    "eval": "trained on and also to be predicted:",
    "repeated": "repeated, without a contradiction:",
}


@dataclass(frozen=True, eq=False)
class DataCheck:
    """The tables of a data set, all photos readable.

    frames  `train` with labels, and `eval` where there is one.
    same    photos that several rows have.
    """

    frames: Mapping[str, pd.DataFrame]
    space: LabelSpace
    same: tuple[SamePhoto, ...] = ()

    def people(self, part: str) -> int | None:
        """Return the number of people; None where nobody knows, as in eval."""
        return int(self.frames[part]["person"].nunique()) if part == "train" else None

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        parts = {part: {"photos": len(frame), "people": self.people(part)} for part, frame in self.frames.items()}
        counts = class_counts(self.frames["train"], self.space)
        classes = [{"task": t, "class": c, "people": people, "photos": photos} for t, c, people, photos in counts]
        return {"parts": parts, "classes": classes, "same_photos": [_same_json(one) for one in self.same]}


def print_data_check(found: DataCheck, *, json: bool = False) -> None:
    """Print the counts per class, and that all photos can be read."""
    if json:
        print_json(found.to_json())
        return
    show(class_table(found.frames["train"], found.space))
    say()
    for part, frame in found.frames.items():
        people = found.people(part)
        say(
            f"{part}: {plural(len(frame), 'photo')}"
            + (f" of {plural(people, 'person')}" if people else "")
            + ", all readable"
        )
    for kind in KINDS:
        _say_same(kind, [one for one in found.same if one.kinds[0] == kind])


def _say_same(kind: Kind, same: Sequence[SamePhoto]) -> None:
    """Print the photos of one kind, the first ones by name."""
    if not same:
        return
    are = "is" if len(same) == 1 else "are"
    say(f"\n{plural(len(same), 'photo')} {are} {MEANING[kind].format(people=_people(same))}")
    for one in same[:SHOWN_OFFENDERS]:
        first, *others = map(visible, map(str, one.copies))
        say(f"  {first}")
        for other in others:
            say(f"    = {other}")
    if len(same) > SHOWN_OFFENDERS:
        say(f"  … and {len(same) - SHOWN_OFFENDERS:,} more; --json lists all")


def _people(same: Sequence[SamePhoto]) -> str:
    """Write for how many people a photo is stored."""
    counts = {len({copy.person for copy in one.copies if copy.person}) for one in same}
    return plural(counts.pop(), "person") if len(counts) == 1 else "several people each"


def _same_json(one: SamePhoto) -> dict[str, Any]:
    copies = [{"path": c.path, "part": c.part, "person": c.person, "labels": dict(c.labels)} for c in one.copies]
    return {"kinds": list(one.kinds), "different_labels": list(one.labels), "photos": copies}
