"""Drawn ages: the contest's, where every old person is exactly 60; every year alike; and recorded with errors."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from maskcls import cli
from maskcls.data.drawn.ages import CONTEST_PEOPLE, CONTEST_SHARES, UNIFORM_SHARES, AgePlan
from maskcls.data.drawn.faces import make_faces
from maskcls.data.drawn.people import Person, generator, people_of
from maskcls.data.drawn.traits import look_of
from maskcls.errors import Exit, UsageError

SIZE = (32, 24)


def test_the_default_people_are_those_of_earlier_versions() -> None:
    assert [person.folder for person in people_of("train", 6, seed=7)] == [
        "000001_female_Drawn_41",
        "000002_female_Drawn_27",
        "000003_male_Drawn_29",
        "000004_male_Drawn_50",
        "000005_female_Drawn_62",
        "000006_male_Drawn_64",
    ]
    assert [person.folder for person in people_of("eval", 2, seed=7)] == [
        "000001_female_Drawn_52",
        "000002_female_Drawn_19",
    ]


def test_ages_of_the_contest_are_as_frequent_as_there() -> None:
    assert [sum(band) for band in CONTEST_PEOPLE] == [1281, 1227, 192]
    assert sum(CONTEST_SHARES.values()) == pytest.approx(1)
    years = Counter(person.age_years for person in people_of("train", 2700, 0, AgePlan("contest")))
    wanted = dict(zip(range(18, 61), [count for band in CONTEST_PEOPLE for count in band], strict=True))
    assert set(years) <= set(wanted)  # nobody is older than 60
    assert years[60] == 192
    for age, count in wanted.items():
        assert abs(years[age] - count) < 5 * np.sqrt(count) + 1, age


def test_every_year_is_equally_frequent_if_asked_for() -> None:
    assert sum(UNIFORM_SHARES.values()) == pytest.approx(1)
    years = Counter(person.age_years for person in people_of("train", 2900, 0, AgePlan("uniform")))
    assert set(years) == set(range(18, 76))  # 50 people each
    assert min(years.values()) > 20
    assert max(years.values()) < 85


def test_recorded_ages_have_errors_of_the_size_asked_for_and_keep_the_people() -> None:
    exact, recorded = (people_of("train", 1500, 3, AgePlan("uniform", years)) for years in (0.0, 3.0))
    assert [person.age_years for person in exact] == [person.age_years for person in recorded]
    assert all(person.recorded is None for person in exact)
    error = np.array([person.recorded_years - person.age_years for person in recorded if person.age_years > 30])
    assert np.std(error) == pytest.approx(np.sqrt(9 + 1 / 12), rel=0.08)  # rounding adds 1/12
    assert abs(error.mean()) < 0.3
    assert min(person.recorded_years for person in recorded) == 18
    assert all(person.recorded is None for person in people_of("eval", 50, 3, AgePlan("uniform", 3.0)))


def test_no_age_above_60_is_recorded_in_the_contest() -> None:
    people = people_of("train", 1000, 0, AgePlan("contest", 3.0))
    assert max(person.recorded_years for person in people) == 60
    crossed = Counter((person.age_years >= 60, person.recorded_years >= 60) for person in people)
    assert crossed[True, False] > 15  # old people whose table says 59 or less
    assert crossed[False, True] > 15
    person = next(one for one in people if one.recorded is not None and one.age_years == 60)
    assert person.folder.endswith(f"_{person.recorded_years}")
    assert person.joint_class("wear") in (2, 5)  # the class of the true age


def test_59_and_60_look_alike() -> None:
    """The same draws with one more year change every trait by little: nothing jumps at the border."""
    changes = []
    for index in range(60):
        looks = [look_of(Person("train", index, "female", years), 0) for years in (49, 59, 60)]
        traits = np.array([[one.wrinkles, one.sag, one.spots, one.grey, one.recede] for one in looks])
        changes.append(np.abs(np.diff(traits, axis=0)))
    ten_years, one_year = np.mean(changes, axis=0)
    assert (one_year < 0.25 * ten_years).all()
    assert one_year.max() < 0.08
    spread = [look_of(Person("train", index, "female", 59), 0).wrinkles for index in range(60)]
    assert np.std(spread) > 3 * one_year[0]  # people of one age differ by more than a year does


def test_true_ages_are_written_beside_recorded_ones(tmp_path: Path) -> None:
    plan = AgePlan("contest", 2.0)
    made = make_faces(tmp_path / "set", people=8, seed=0, eval_people=1, size=SIZE, plan=plan)
    with (tmp_path / "set" / "true_ages.csv").open() as file:
        rows = list(csv.DictReader(file))
    with (tmp_path / "set" / "train" / "train.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [(row["path"], row["age"]) for row in rows] == [(row["path"], row["age"]) for row in table]
    assert [int(row["true_age"]) for row in rows] == [person.age_years for person in made.train_people]
    assert any(row["age"] != row["true_age"] for row in rows)
    assert all((tmp_path / "set" / "train" / "images" / row["path"]).is_dir() for row in rows)


def test_photos_show_the_true_age(tmp_path: Path) -> None:
    exact, wrong = (
        make_faces(tmp_path / name, people=4, seed=1, eval_people=1, size=SIZE, plan=AgePlan("contest", years))
        for name, years in (("exact", 0.0), ("wrong", 4.0))
    )
    assert not (tmp_path / "exact" / "true_ages.csv").exists()
    photos = [
        [path.read_bytes() for path in sorted((one.root / "train" / "images").rglob("*.*"))] for one in (exact, wrong)
    ]
    assert len(photos[0]) == 28
    assert photos[0] == photos[1]
    assert [p.folder for p in exact.train_people] != [p.folder for p in wrong.train_people]


@pytest.mark.parametrize("years", [-1.0, 21.0, float("nan")])
def test_errors_out_of_range_are_refused(tmp_path: Path, years: float) -> None:
    with pytest.raises(UsageError, match="error of recorded ages"):
        make_faces(tmp_path / "set", people=1, seed=0, plan=AgePlan("drawn", years))


def test_the_options_of_data_make_arrive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faces = tmp_path / "faces"
    how = ["--people", "6", "--eval-people", "1", "--ages", "contest", "--age-error-years", "5", "--json"]
    assert cli.run_app(["data", "make", str(faces), *how]) == Exit.OK
    wrong = json.loads(capsys.readouterr().out)["wrong_ages"]
    wanted = people_of("train", 6, 0, AgePlan("contest", 5.0))
    assert wrong == sum(person.recorded is not None for person in wanted) > 0
    assert {path.name for path in (faces / "train" / "images").iterdir()} == {person.folder for person in wanted}


def test_the_generator_of_an_age_is_that_of_the_person() -> None:
    rng = generator(3, "train", 0, 0)
    plan = AgePlan("contest", 2.0)
    years = plan.true_years(1, rng)  # the first of all people is a middle-aged woman
    first = people_of("train", 1, 3, plan)[0]
    assert (first.age_years, first.recorded_years) == (years, plan.recorded_years(years, rng))
