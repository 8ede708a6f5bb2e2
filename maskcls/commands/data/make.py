"""maskcls data make: draw faces in the contest's layout."""

from __future__ import annotations

from pathlib import Path

from maskcls.data.drawn.faces import make_faces
from maskcls.show.data.drawn import DrawnData


def make(directory: Path, *, people: int, seed: int, eval_people: int | None) -> DrawnData:
    """Draw a data set into a new folder; raises what `make_faces` raises."""
    made = make_faces(directory, people=people, seed=seed, eval_people=eval_people)
    people_drawn = len(made.train_people), len(made.eval_people)
    return DrawnData(directory, made.train_photos, people_drawn[0], made.eval_photos, people_drawn[1])
