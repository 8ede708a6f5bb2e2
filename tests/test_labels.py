"""The arithmetic of the label space, against hand-written numbers and plain loops."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskcls.labels import CONTEST, UNKNOWN, Floats, Ints, LabelSpace, Task

UNEVEN = LabelSpace((Task("a", ("p", "q")), Task("b", ("r", "s", "t", "u")), Task("c", ("v", "w", "x"))))
SINGLE = LabelSpace((Task("a", ("p", "q", "r")),))


def ints(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


def random_prob(space: LabelSpace, rows: int, seed: int) -> dict[str, Floats]:
    """Draw one probability row per task and image."""
    rng = np.random.default_rng(seed)
    return {t.name: rng.dirichlet(np.ones(len(t.classes)), rows).astype(np.float32) for t in space.tasks}


def test_the_contest_space_is_mask_gender_age() -> None:
    assert CONTEST.names == ("mask", "gender", "age")
    assert CONTEST.shape == (3, 2, 3)
    assert CONTEST.size == 18


def test_all_18_joint_classes_by_hand_and_back() -> None:
    seen = set()
    for mask, gender, age in itertools.product(range(3), range(2), range(3)):
        labels = {"mask": ints(mask), "gender": ints(gender), "age": ints(age)}
        joint = CONTEST.encode(labels)
        assert joint.tolist() == [mask * 6 + gender * 3 + age]
        assert joint.dtype == np.int64
        back = CONTEST.decode(joint)
        assert {name: column.tolist() for name, column in back.items()} == {
            "mask": [mask],
            "gender": [gender],
            "age": [age],
        }
        seen.add(int(joint[0]))
    assert seen == set(range(18))


@pytest.mark.parametrize("space", [CONTEST, UNEVEN, SINGLE])
def test_decode_then_encode_is_identity_on_every_class(space: LabelSpace) -> None:
    every = np.arange(space.size)
    assert space.encode(space.decode(every)).tolist() == list(range(space.size))


def test_a_row_with_any_unknown_label_is_unknown() -> None:
    labels = {"mask": ints(2, -1, 0, 1), "gender": ints(1, 0, -1, 1), "age": ints(2, 0, 0, -1)}
    assert CONTEST.encode(labels).tolist() == [17, UNKNOWN, UNKNOWN, UNKNOWN]


def test_unknown_joint_labels_are_unknown_in_every_task() -> None:
    parts = CONTEST.decode(ints(-1, 7))
    assert {name: column.tolist() for name, column in parts.items()} == {
        "mask": [-1, 1],
        "gender": [-1, 0],
        "age": [-1, 1],
    }


def test_no_rows_are_fine() -> None:
    empty = CONTEST.decode(ints())
    assert [column.shape for column in empty.values()] == [(0,), (0,), (0,)]
    assert CONTEST.encode(empty).tolist() == []


@pytest.mark.parametrize(("task", "value"), [("mask", 3), ("gender", 2), ("age", 3), ("age", -2)])
def test_encode_refuses_an_index_outside_its_task(task: str, value: int) -> None:
    labels = {name: ints(0, 0) for name in CONTEST.names} | {task: ints(0, value)}
    with pytest.raises(ValueError, match=rf"^{task}: labels must lie in -1\.\."):
        CONTEST.encode(labels)


@pytest.mark.parametrize("value", [18, -2])
def test_decode_refuses_an_index_outside_the_joint_classes(value: int) -> None:
    with pytest.raises(ValueError, match=r"-1\.\.17"):
        CONTEST.decode(ints(0, value))


def test_ages_fall_into_bands_whose_lower_bound_belongs_to_them() -> None:
    ages = {0: 0, 18: 0, 29: 0, 30: 1, 31: 1, 59: 1, 60: 2, 61: 2, 120: 2, -1: UNKNOWN}
    banded = CONTEST.task("age").band(ints(*ages))
    assert banded.tolist() == list(ages.values())
    assert banded.dtype == np.int64


def test_joint_names_stand_in_index_order() -> None:
    names = CONTEST.joint_names
    assert len(names) == len(set(names)) == 18
    assert names[0] == "wear/male/<30"
    assert names[4] == "wear/female/30-59"
    assert names[6] == "incorrect/male/<30"
    assert names[17] == "normal/female/>=60"
    for j, name in enumerate(names):
        parts = CONTEST.decode(ints(j))
        assert name.split("/") == [task.classes[parts[task.name][0]] for task in CONTEST.tasks]


@pytest.mark.parametrize("space", [CONTEST, UNEVEN, SINGLE])
def test_compose_equals_the_product_written_as_a_loop(space: LabelSpace) -> None:
    prob = random_prob(space, rows=5, seed=1)
    joint_NJ = space.compose(prob)
    assert joint_NJ.shape == (5, space.size)
    assert joint_NJ.dtype == np.float32
    for n, j in itertools.product(range(5), range(space.size)):
        parts = space.decode(ints(j))
        product = 1.0
        for name in space.names:
            product *= float(prob[name][n, parts[name][0]])
        assert joint_NJ[n, j] == pytest.approx(product, rel=1e-5)  # float32 rows sum to 1 only within 1e-6


def test_compose_goes_by_name_and_not_by_the_order_of_the_dict() -> None:
    prob = random_prob(CONTEST, rows=4, seed=2)
    turned = dict(reversed(prob.items()))
    assert np.array_equal(CONTEST.compose(prob), CONTEST.compose(turned))


def test_compose_scales_rows_to_one() -> None:
    prob = {name: 3 * p for name, p in random_prob(CONTEST, rows=4, seed=3).items()}
    np.testing.assert_allclose(CONTEST.compose(prob).sum(axis=1), 1, rtol=1e-6)


@given(st.integers(0, 2**32 - 1), st.sampled_from([CONTEST, UNEVEN, SINGLE]))
def test_marginals_of_the_composed_heads_are_the_heads(seed: int, space: LabelSpace) -> None:
    prob = random_prob(space, rows=3, seed=seed)
    back = space.marginals(space.compose(prob))
    assert list(back) == list(space.names)
    for name in space.names:
        np.testing.assert_allclose(back[name], prob[name], atol=1e-6)  # float32 in between


def test_marginals_by_hand() -> None:
    space = LabelSpace((Task("a", ("p", "q")), Task("b", ("r", "s", "t"))))
    prob_NJ = np.array([[0.1, 0.2, 0.0, 0.3, 0.0, 0.4]], dtype=np.float32)
    parts = space.marginals(prob_NJ)
    np.testing.assert_allclose(parts["a"], [[0.3, 0.7]], rtol=1e-6)
    np.testing.assert_allclose(parts["b"], [[0.4, 0.2, 0.4]], rtol=1e-6)


def test_the_fingerprint_changes_with_everything_that_gives_labels_a_meaning() -> None:
    mask, gender, age = CONTEST.tasks
    variants = {
        "task order": (gender, mask, age),
        "task missing": (mask, gender),
        "task name": (mask, gender, Task("years", age.classes, age.bins)),
        "class order": (Task("mask", ("incorrect", "wear", "normal")), gender, age),
        "class name": (mask, Task("gender", ("man", "female")), age),
        "class boundary": (mask, gender, Task("age", age.classes, (30, 58))),
        "no boundaries": (mask, gender, Task("age", age.classes)),
    }
    prints = {LabelSpace(tasks).fingerprint for tasks in variants.values()} | {CONTEST.fingerprint}
    assert len(prints) == 8
    assert all(len(p) == 16 for p in prints)


def test_a_space_read_back_is_equal_and_has_the_same_fingerprint() -> None:
    twin = LabelSpace.from_json(CONTEST.to_json())
    assert twin == CONTEST
    # Written down once: a run of today must still be recognised tomorrow.
    assert twin.fingerprint == CONTEST.fingerprint == "51e3999cff025425"


def test_only_keeps_the_order_of_the_space_and_refuses_other_names() -> None:
    assert CONTEST.only(["age", "mask"]).names == ("mask", "age")
    with pytest.raises(KeyError, match="agee"):
        CONTEST.only(["agee"])
    with pytest.raises(KeyError, match="agee"):
        CONTEST.task("agee")


def test_the_first_task_that_differs_is_given_from_both_sides() -> None:
    mask, *others = CONTEST.tasks
    other = LabelSpace((mask, Task("gender", ("female", "male")), others[1]))
    mine, theirs = CONTEST.first_difference(other)
    assert "'male', 'female'" in mine
    assert "'female', 'male'" in theirs
    assert LabelSpace((mask,)).first_difference(CONTEST)[0] == "no task"
