"""What `maskcls data check` returns and prints: people and photos of each class, and of each part of the data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from maskcls.labels import LabelSpace
from maskcls.show.class_counts import class_counts, class_table
from maskcls.show.json_output import print_json
from maskcls.show.text import plural, say, show


@dataclass(frozen=True, eq=False)
class DataCheck:
    """The tables of a data set, all photos readable. frames: `train` with labels, and `eval` where there is one."""

    frames: Mapping[str, pd.DataFrame]
    space: LabelSpace

    def people(self, part: str) -> int | None:
        """Return the number of people; None where nobody knows, as in eval."""
        return int(self.frames[part]["person"].nunique()) if part == "train" else None

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        parts = {part: {"photos": len(frame), "people": self.people(part)} for part, frame in self.frames.items()}
        counts = class_counts(self.frames["train"], self.space)
        classes = [{"task": t, "class": c, "people": people, "photos": photos} for t, c, people, photos in counts]
        return {"parts": parts, "classes": classes}


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
