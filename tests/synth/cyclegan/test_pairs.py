"""Domains from settings, and pairs drawn by person with equal kept labels."""

from collections import Counter

import numpy as np
import pytest

from maskcls.errors import DataError
from maskcls.groupnouns import PEOPLE
from maskcls.labels import CONTEST, LabelSpace, Task
from maskcls.synth.cyclegan.domains import Domains, default_source
from maskcls.synth.cyclegan.enough_people import refuse_few_people
from maskcls.synth.cyclegan.pairs import drawn_pairs, pair_source

OLD = Domains({"age": ("30-59",)}, {"age": (">=60",)}, CONTEST)

# person, mask, gender, age
ROWS = [
    *[(0, 0, 0, 2)] * 8,  # an old man with many photos
    (1, 0, 0, 2),  # an old man with one
    (2, 1, 1, 2),  # an old woman with an incorrect mask: nobody of the source wears one
    (2, 0, 1, 2),
    *[(3, 0, 0, 1)] * 5,
    (4, 0, 0, 1),
    (5, 0, 1, 1),
    (6, 2, 1, 1),  # without a mask: no old one does
    (7, 0, 0, 0),  # young: in neither
]
PERSON_N = np.array([row[0] for row in ROWS])
LABELS = {name: np.array([row[i] for row in ROWS]) for i, name in enumerate(("mask", "gender", "age"), 1)}


def draw(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    source_N, target_N = OLD.rows(LABELS)
    rows = pair_source(source_N, target_N, OLD.kept_key(LABELS), PERSON_N, OLD)
    return drawn_pairs(rows, np.random.default_rng(seed).random((count, 4)))


def test_domains_are_the_rows_of_their_classes() -> None:
    source_N, target_N = OLD.rows(LABELS)

    assert PERSON_N[source_N].tolist() == [3] * 5 + [4, 5, 6]
    assert sorted(set(PERSON_N[target_N])) == [0, 1, 2]
    assert OLD.kept == ("mask", "gender")


def test_several_tasks_are_translated_together() -> None:
    both = Domains({"age": ("<30", "30-59"), "mask": ("normal",)}, {"age": (">=60",), "mask": ("wear",)}, CONTEST)
    source_N, target_N = both.rows(LABELS)

    assert PERSON_N[source_N].tolist() == [6]
    assert sorted(set(PERSON_N[target_N])) == [0, 1, 2]
    assert both.kept == ("gender",)
    translated = both.translated({name: label_N[-2:] for name, label_N in LABELS.items()})
    assert {name: label_N.tolist() for name, label_N in translated.items()} == {
        "mask": [0, 0],
        "gender": [1, 0],
        "age": [2, 2],
    }


def test_pairs_have_equal_kept_labels_and_the_right_classes() -> None:
    source_B, target_B = draw(500)

    assert (LABELS["age"][source_B] == 1).all()
    assert (LABELS["age"][target_B] == 2).all()
    for name in ("mask", "gender"):
        assert (LABELS[name][source_B] == LABELS[name][target_B]).all()


def test_people_are_drawn_equally_often_whatever_number_of_photos_they_have() -> None:
    source_B, target_B = draw(6000)
    targets = Counter(PERSON_N[target_B].tolist())
    sources = Counter(PERSON_N[source_B].tolist())

    # Three old people, each one third; of the 4000 pairs of men half is of person 3 and half of person 4.
    assert set(targets) == {0, 1, 2}
    assert set(sources) == {3, 4, 5}
    for count in (*targets.values(), *sources.values()):
        assert abs(count - 2000) < 150  # four standard deviations of 36.5


def test_labels_of_one_domain_alone_are_never_drawn() -> None:
    source_B, target_B = draw(2000)

    assert 6 not in PERSON_N[source_B]
    assert (LABELS["mask"][target_B] == 0).all()
    assert set(target_B[PERSON_N[target_B] == 0]) == set(range(8))  # every photo of a person


def test_the_four_numbers_are_person_photo_person_photo() -> None:
    source_N, target_N = OLD.rows(LABELS)
    rows = pair_source(source_N, target_N, OLD.kept_key(LABELS), PERSON_N, OLD)
    last = 1 - 2**-53
    source_B, target_B = drawn_pairs(rows, np.array([[0, 0.5, 0, 0.3], [0.4, last, last, last], [last, 0, 0, 0]]))

    assert target_B.tolist() == [4, 8, 10]
    assert source_B.tolist() == [12, 16, 17]


def test_no_equal_labels_are_refused() -> None:
    labels = {"mask": np.array([0, 1]), "gender": np.array([0, 0]), "age": np.array([1, 2])}
    with pytest.raises(DataError, match="no labels of the other tasks") as caught:
        pair_source(*OLD.rows(labels), OLD.kept_key(labels), np.array([0, 1]), OLD)

    assert caught.value.where == "age 30-59; age >=60"
    assert caught.value.expected == "photos of both with the same mask and gender"


def test_one_task_alone_has_nothing_to_keep() -> None:
    space = LabelSpace((Task("mask", ("yes", "no")),))
    domains = Domains({"mask": ("no",)}, {"mask": ("yes",)}, space)
    labels = {"mask": np.array([0, 1, 1])}

    assert domains.kept_key(labels).tolist() == [0, 0, 0]
    rows = pair_source(*domains.rows(labels), domains.kept_key(labels), np.array([0, 1, 2]), domains)
    assert sorted({int(row) for row in drawn_pairs(rows, np.random.default_rng(0).random((50, 4)))[0]}) == [1, 2]


@pytest.mark.parametrize(
    ("target", "people", "expected"),
    [
        ("30-59", {"<30": 5, "30-59": 1, ">=60": 3}, "<30"),
        ("30-59", {"<30": 2, "30-59": 1, ">=60": 3}, ">=60"),
        ("30-59", {"<30": 2, "30-59": 1, ">=60": 2}, "<30"),  # as many: the first
        (">=60", {"<30": 9, "30-59": 1, ">=60": 3}, "30-59"),  # only neighbours
        ("<30", {"<30": 9, "30-59": 1, ">=60": 3}, "30-59"),
    ],
)
def test_the_default_source_with_bins_is_the_larger_neighbour(
    target: str, people: dict[str, int], expected: str
) -> None:
    age_N = np.repeat([0, 1, 2], list(people.values()))

    assert default_source({"age": age_N}, np.arange(len(age_N)), {"age": (target,)}, CONTEST) == {"age": (expected,)}


def test_the_default_source_counts_people_and_without_bins_takes_the_most_frequent() -> None:
    mask_N = np.array([0, 0, 0, 0, 1, 1, 2, -1, -1, -1])
    person_N = np.array([0, 0, 0, 0, 1, 2, 3, 4, 5, 6])

    assert default_source({"mask": mask_N}, person_N, {"mask": ("wear",)}, CONTEST) == {"mask": ("incorrect",)}
    assert default_source({"mask": mask_N}, person_N, {"mask": ("normal",)}, CONTEST) == {"mask": ("incorrect",)}
    assert default_source({"mask": mask_N}, person_N, {"mask": ("incorrect",)}, CONTEST) == {"mask": ("wear",)}


@pytest.mark.parametrize(("domains", "least", "message"), [
    (OLD, 5, "4 people of age 30-59"),
    (Domains({"age": ("<30",)}, {"age": (">=60",)}, CONTEST), 2, "1 person of age <30"),
])  # fmt: skip
def test_few_people_to_translate_are_refused_with_their_number(domains: Domains, least: int, message: str) -> None:
    with pytest.raises(DataError, match=r"translated from \(arXiv:2603.16134\)") as caught:
        refuse_few_people(domains, LABELS, PERSON_N, least=least, noun=PEOPLE, where="fold 1")

    assert caught.value.got == message
    assert caught.value.where == "fold 1"
    assert caught.value.expected == f"at least {least} (synth.least_groups)"


def test_enough_people_are_not_refused() -> None:
    refuse_few_people(OLD, LABELS, PERSON_N, least=4, noun=PEOPLE, where="fold 1")


def test_domains_are_rebuilt_from_json() -> None:
    assert Domains.from_json(OLD.to_json()) == OLD
