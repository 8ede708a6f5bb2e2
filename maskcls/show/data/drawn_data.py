"""What `maskcls data make` returns and prints: the two parts of the data set it drew."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import plural, say


@dataclass(frozen=True)
class DrawnData:
    """A drawn data set: photos and people to train on, and to predict.

    wrong_ages  train people whose recorded age is not the true one; None: ages are recorded without errors.
    """

    folder: Path
    train_photos: int
    train_people: int
    eval_photos: int
    eval_people: int
    wrong_ages: int | None = None


def print_drawn_data(found: DrawnData, *, json: bool = False) -> None:
    """Print one line per part."""
    train, held = (found.train_photos, found.train_people), (found.eval_photos, found.eval_people)
    if json:
        parts = {
            name: {"photos": photos, "people": people} for name, (photos, people) in (("train", train), ("eval", held))
        }
        wrong = {} if found.wrong_ages is None else {"wrong_ages": found.wrong_ages}
        print_json({"folder": str(found.folder), "parts": parts, **wrong})
        return
    say(f"{found.folder / 'train'}  {plural(train[0], 'photo')} of {plural(train[1], 'person')}")
    say(f"{found.folder / 'eval'}  {plural(held[0], 'photo')} of {plural(held[1], 'person')}, with answers.csv")
    if found.wrong_ages is not None:
        say(f"{number_with_wrong_age(found)}; the true ages are in {found.folder / 'true_ages.csv'}")


def number_with_wrong_age(found: DrawnData) -> str:
    """Say how many train people have a wrong age in the table.

    >>> number_with_wrong_age(DrawnData(Path("faces"), 42, 6, 14, 2, 4))
    '4 of 6 people have a wrong age in train.csv'
    """
    return f"{found.wrong_ages:,} of {plural(found.train_people, 'person')} have a wrong age in train.csv"
