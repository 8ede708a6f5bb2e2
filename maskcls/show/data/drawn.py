"""What `maskcls data make` returns and prints: the two parts of the data set it drew."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from maskcls.show.json_output import print_json
from maskcls.show.text import plural, say


@dataclass(frozen=True)
class DrawnData:
    """A drawn data set: photos and people to train on, and to predict."""

    folder: Path
    train_photos: int
    train_people: int
    eval_photos: int
    eval_people: int


def print_drawn_data(found: DrawnData, *, json: bool = False) -> None:
    """Print one line per part."""
    train, held = (found.train_photos, found.train_people), (found.eval_photos, found.eval_people)
    if json:
        parts = {
            name: {"photos": photos, "people": people} for name, (photos, people) in (("train", train), ("eval", held))
        }
        print_json({"folder": str(found.folder), "parts": parts})
        return
    say(f"{found.folder / 'train'}  {plural(train[0], 'photo')} of {plural(train[1], 'person')}")
    say(f"{found.folder / 'eval'}  {plural(held[0], 'photo')} of {plural(held[1], 'person')}, with answers.csv")
