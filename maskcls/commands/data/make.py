"""maskcls data make: draw faces in the contest's layout."""

from __future__ import annotations

from pathlib import Path

from maskcls.data.drawn.ages import AgePlan, Ages
from maskcls.data.drawn.faces import make_faces
from maskcls.show.data.drawn_data import DrawnData


def make(
    directory: Path, *, people: int, seed: int, eval_people: int | None, ages: Ages = "drawn", error_years: float = 0.0
) -> DrawnData:
    """Draw a data set into a new folder; raises what `make_faces` raises.

    ages, error_years  how old the people are, see `AgePlan`.
    """
    plan = AgePlan(ages, error_years)
    made = make_faces(directory, people=people, seed=seed, eval_people=eval_people, plan=plan)
    people_drawn = len(made.train_people), len(made.eval_people)
    wrong = sum(person.recorded is not None for person in made.train_people) if error_years else None
    return DrawnData(directory, made.train_photos, people_drawn[0], made.eval_photos, people_drawn[1], wrong)
