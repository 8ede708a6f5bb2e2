"""Planted faults of labels are ranked first: flips of people, exchanges of photos, contradictions."""

import numpy as np
import pytest

from maskcls.labels import CONTEST, LabelSpace, Task
from maskcls.results.labels.suspect import Suspect, by_person, ranked
from maskcls.results.labels.suspects import find_suspects, is_per_person

PEOPLE, PHOTOS = 150, 7
MASK_P = np.array([0, 0, 0, 0, 0, 1, 2])


def contest_rows(seed: int = 0, noise: float = 1.2):
    """Return labels, years and person of photos as the contest has them, and two runs' probabilities."""
    rng = np.random.default_rng(seed)
    who_N = np.repeat(np.arange(PEOPLE), PHOTOS)
    years_P, gender_P = rng.integers(18, 80, PEOPLE), rng.integers(0, 2, PEOPLE)
    truth = {
        "mask": np.tile(MASK_P, PEOPLE),
        "gender": gender_P[who_N],
        "age": CONTEST.task("age").band(years_P)[who_N],
    }
    parts = []
    for _ in range(2):
        prob = {}
        for task in CONTEST.tasks:
            size = len(task.classes)
            logit_NC = 3.0 * np.eye(size)[truth[task.name]] + rng.normal(0, noise, (len(who_N), size))
            prob[task.name] = np.exp(logit_NC) / np.exp(logit_NC).sum(axis=1, keepdims=True)
        parts.append((np.arange(len(who_N)), CONTEST.compose(prob)))
    return truth, {"age": years_P[who_N]}, who_N, parts


def planted(truth, who_N):
    """Flip the gender of people 3 and 40, and exchange the last two masks of people 7 and 90."""
    given = {name: label_N.copy() for name, label_N in truth.items()}
    for person in (3, 40):
        given["gender"][who_N == person] ^= 1
    for person in (7, 90):
        rows = np.flatnonzero(who_N == person)[-2:]
        given["mask"][rows] = given["mask"][rows[::-1]]
    return given


def test_planted_faults_come_first() -> None:
    truth, values, who_N, parts = contest_rows()
    found = find_suspects(parts, planted(truth, who_N), values, who_N, CONTEST)
    first = {(one.kind, one.task, one.person) for one in found[:4]}
    assert first == {
        ("person", "gender", 3),
        ("person", "gender", 40),
        ("exchange", "mask", 7),
        ("exchange", "mask", 90),
    }
    assert all(one.suspicion > 0.5 for one in found[:4])
    assert all(one.suspicion < 0.5 for one in found[4:])
    assert [one.suspicion for one in found] == sorted((one.suspicion for one in found), reverse=True)
    flip = next(one for one in found if one.person == 3 and one.task == "gender")
    assert flip.rows == tuple(np.flatnonzero(who_N == 3).tolist())
    assert set(flip.better) == {int(truth["gender"][who_N == 3][0])}
    swap = next(one for one in found if one.person == 7 and one.task == "mask")
    assert (swap.rows, swap.given, swap.better) == ((7 * 7 + 6, 7 * 7 + 5), (1, 2), (2, 1))


def test_both_photos_of_an_exchange_are_stronger_than_one() -> None:
    """The same photos without the partner: one wrong label alone stays far below the exchange."""
    truth, values, who_N, parts = contest_rows(noise=1.8)
    given = planted(truth, who_N)
    both = find_suspects(parts, given, values, who_N, CONTEST)
    exchange = next(one for one in both if one.task == "mask" and one.person == 7)
    alone = {**given, "mask": given["mask"].copy()}
    alone["mask"][7 * 7 + 6] = -1
    one = next(x for x in find_suspects(parts, alone, values, who_N, CONTEST) if x.task == "mask" and x.person == 7)
    assert one.kind == "photo"
    assert exchange.suspicion > one.suspicion


def test_the_order_of_rows_and_the_names_of_people_do_not_matter() -> None:
    truth, values, who_N, parts = contest_rows()
    given = planted(truth, who_N)
    mixed = np.random.default_rng(5).permutation(len(who_N))
    place = np.argsort(mixed)
    moved = find_suspects(
        [(place[rows], prob) for rows, prob in parts],
        {name: label_N[mixed] for name, label_N in given.items()},
        {name: value_N[mixed] for name, value_N in values.items()},
        who_N[mixed],
        CONTEST,
    )
    same = find_suspects(parts, given, values, who_N, CONTEST)
    as_text = [[(x.kind, x.task, x.person, round(x.suspicion, 4)) for x in each[:10]] for each in (same, moved)]
    assert as_text[0] == as_text[1]


def test_years_near_a_border_are_not_suspected() -> None:
    """The networks say 30-59 of a person of 28 and of a person of 20; only the latter is a suspect."""
    truth, values, who_N, parts = contest_rows()
    young = np.flatnonzero(np.bincount(who_N, weights=values["age"]) / PHOTOS > 35)
    young = [p for p in young.tolist() if (truth["age"][who_N == p] == 1).all()][:2]
    given = {**truth, "age": truth["age"].copy()}
    for person, years in zip(young, (28, 20), strict=True):
        values["age"][who_N == person] = years
        given["age"][who_N == person] = 0
    found = {one.person: one for one in find_suspects(parts, given, values, who_N, CONTEST) if one.task == "age"}
    assert found[young[1]].suspicion > 0.5
    assert found[young[0]].suspicion < 0.01


def test_a_person_with_two_genders_is_a_contradiction() -> None:
    truth, values, who_N, parts = contest_rows()
    given = {**truth, "gender": truth["gender"].copy()}
    given["gender"][who_N.searchsorted(11)] ^= 1  # one photo of person 11
    found = find_suspects(parts, given, values, who_N, CONTEST)[0]
    assert (found.kind, found.person, found.suspicion, found.agreed) == ("contradiction", 11, 1.0, True)
    assert set(found.better) == {int(truth["gender"][who_N == 11][0])}


def test_tasks_of_any_name_and_unknown_labels() -> None:
    """Which task has one label per person is found in the labels; rows without a label are not judged."""
    space = LabelSpace((Task("glasses", ("no", "yes")), Task("breed", ("a", "b", "c", "d"))))
    rng = np.random.default_rng(0)
    who_N = np.repeat(np.arange(60), 3)
    truth = {"glasses": rng.integers(0, 2, 180), "breed": rng.integers(0, 4, 60)[who_N]}
    prob = {
        name: 0.9 * np.eye(size)[truth[name]] + 0.1 / size for name, size in zip(space.names, space.shape, strict=True)
    }
    given = {name: label_N.copy() for name, label_N in truth.items()}
    given["breed"][who_N == 5] = (given["breed"][who_N == 5] + 1) % 4
    given["glasses"][170] ^= 1
    given["glasses"][:6] = given["breed"][:6] = -1
    found = find_suspects([(np.arange(180), space.compose(prob))], given, {}, who_N, space)
    assert is_per_person(given["breed"], who_N)
    assert not is_per_person(given["glasses"], who_N)
    assert not is_per_person(np.array([0, 1]), np.array([0, 1]))  # nobody has two photos
    assert {(one.task, one.person) for one in found[:2]} == {("breed", 5), ("glasses", 170 // 3)}
    assert {one.person for one in found}.isdisjoint({0, 1})
    given["breed"][:] = -1
    assert {one.task for one in find_suspects([(np.arange(180), space.compose(prob))], given, {}, who_N, space)} == {
        "glasses"
    }


def test_ranked_and_by_person() -> None:
    def suspect(person: int, task: str, doubt: float) -> Suspect:
        return Suspect("person", task, person, (0,), (0,), (1,), doubt, True, 1)

    every = [suspect(1, "a", 0.2), suspect(0, "b", 0.9), suspect(1, "b", 0.9), suspect(0, "a", 0.9)]
    order = ranked(every)
    assert [(one.person, one.task) for one in order] == [(0, "a"), (0, "b"), (1, "b"), (1, "a")]
    assert [(one.person, one.task) for one in by_person(order)] == [(0, "a"), (1, "b")]


@pytest.mark.parametrize("seed", range(3))
def test_without_a_fault_nothing_is_proposed(seed: int) -> None:
    truth, values, who_N, parts = contest_rows(seed, noise=0.8)
    assert max(one.suspicion for one in find_suspects(parts, truth, values, who_N, CONTEST)) < 0.5
