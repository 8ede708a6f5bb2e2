"""Interpolation between people: by hand, on the segment, never within a person, and a function of its key alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskcls.synth.embedded.nearest_people import nearest_of_others
from maskcls.synth.embedded.smote import Interpolated, interpolate

# Class 0: ann at 0 and 1, bob at 3, cem at 10. Class 1: dan at 2, twice. Class 2: eva at 5, flo at 6.
FEATURE = np.array([[0], [1], [3], [10], [2], [2], [5], [6]], dtype=np.float32)
LABEL = np.array([0, 0, 0, 0, 1, 1, 2, 2])
PERSON = np.array([0, 0, 1, 2, 3, 3, 4, 5])


def _made(counts: dict[int, int], *, neighbours: int = 1, seed: int = 0, fold: int = 0) -> Interpolated:
    return interpolate(FEATURE, LABEL, PERSON, counts=counts, neighbours=neighbours, seed=seed, fold=fold)


def test_the_only_possible_parents_by_hand() -> None:
    """With one neighbour: both photos of ann go to bob, bob to ann's photo at 1, cem to bob."""
    made = _made({0: 200, 2: 4})
    pairs = {tuple(pair) for pair in made.parents_M2[:200].tolist()}
    assert pairs == {(0, 2), (1, 2), (2, 1), (3, 2)}
    assert {tuple(pair) for pair in made.parents_M2[200:].tolist()} <= {(6, 7), (7, 6)}
    expected = [FEATURE[a, 0] + u * (FEATURE[b, 0] - FEATURE[a, 0]) for (a, b), u in _pairs(made)]
    np.testing.assert_allclose(made.feature_MD[:, 0], expected, rtol=1e-6)
    assert made.label_M.tolist() == [0] * 200 + [2] * 4


def _pairs(made: Interpolated) -> list[tuple[tuple[int, int], float]]:
    return [((a, b), u) for (a, b), u in zip(made.parents_M2.tolist(), made.share_M.tolist(), strict=True)]


def test_people_are_equally_frequent_as_first_parents_and_shares_are_uniform() -> None:
    made = _made({0: 3000})
    share_P = np.bincount(PERSON[made.parents_M2[:, 0]], minlength=3) / 3000
    np.testing.assert_allclose(share_P, 1 / 3, atol=0.04)  # ann has two photos, and still a third
    np.testing.assert_allclose(np.quantile(made.share_M, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.04)
    assert made.share_M.min() >= 0
    assert made.share_M.max() < 1


def test_more_neighbours_give_more_partners() -> None:
    """With two, ann's are bob and cem, and bob's are both photos of ann; with three, cem's are bob and both of ann."""
    of_cem = [{b for (a, b), _ in _pairs(_made({0: 300}, neighbours=count)) if a == 3} for count in (1, 2, 3, 50)]
    assert of_cem == [{2}, {2, 1}, {2, 1, 0}, {2, 1, 0}]
    assert set(_made({0: 300}, neighbours=2).parents_M2[:, 1].tolist()) == {0, 1, 2, 3}


def test_a_class_of_one_person_gets_no_example() -> None:
    assert len(_made({1: 5}).label_M) == 0
    assert _made({1: 5, 2: 3}).label_M.tolist() == [2, 2, 2]
    assert _made({}).feature_MD.shape == (0, 1)


def test_an_example_depends_on_seed_fold_class_and_number_alone() -> None:
    few, many = _made({0: 5, 2: 5}, neighbours=2), _made({0: 50, 2: 7}, neighbours=2)
    np.testing.assert_array_equal(few.feature_MD[:5], many.feature_MD[:5])
    np.testing.assert_array_equal(few.parents_M2[5:], many.parents_M2[50:55])
    np.testing.assert_array_equal(few.share_M[5:], many.share_M[50:55])
    shares = [_made({0: 5}, seed=seed, fold=fold).share_M for seed in (0, 1) for fold in (-1, 0, 1)]
    assert len({tuple(one.tolist()) for one in (*shares, few.share_M[5:])}) == 7


@given(seed=st.integers(0, 2**31), neighbours=st.integers(1, 4))
def test_every_example_lies_between_two_people_with_its_label(seed: int, neighbours: int) -> None:
    rng = np.random.default_rng(seed)
    person_N = rng.integers(6, size=24)
    label_N = rng.integers(-1, 3, size=24)
    feature_ND = rng.normal(size=(24, 3)).astype(np.float32)
    counts = {0: 4, 1: 3, 2: 0}
    made = interpolate(feature_ND, label_N, person_N, counts=counts, neighbours=neighbours, seed=seed, fold=1)
    first, second = made.parents_M2.T
    assert (label_N[first] == made.label_M).all()
    assert (label_N[second] == made.label_M).all()
    assert (person_N[first] != person_N[second]).all()
    whole_M, part_M, rest_M = (
        np.linalg.norm(one.astype(np.float64), axis=1)
        for one in (
            feature_ND[second] - feature_ND[first],
            made.feature_MD - feature_ND[first],
            feature_ND[second] - made.feature_MD,
        )
    )
    np.testing.assert_allclose(part_M + rest_M, whole_M, rtol=1e-5)
    np.testing.assert_allclose(part_M, made.share_M * whole_M, rtol=1e-4, atol=1e-6)


def test_nearest_photos_equal_a_plain_loop() -> None:
    rng = np.random.default_rng(3)
    feature_ND, person_N = rng.normal(size=(700, 4)).astype(np.float32), rng.integers(90, size=700)
    rows_M, among_K = np.arange(600), np.arange(50, 700)
    found_MQ = nearest_of_others(feature_ND, person_N, rows_M, among_K, 6)
    for row in range(0, 600, 37):
        others = [other for other in among_K.tolist() if person_N[other] != person_N[row]]
        others.sort(key=lambda other: float(((feature_ND[row] - feature_ND[other]).astype(np.float64) ** 2).sum()))
        assert found_MQ[row].tolist() == others[:6]


@pytest.mark.parametrize("count", [1, 9])
def test_fewer_others_than_asked_for_are_filled(count: int) -> None:
    person_N = np.array([0, 0, 1])
    found = nearest_of_others(np.zeros((3, 1), np.float32), person_N, np.arange(3), np.arange(3), count)
    expected = [[2], [2], [0]] if count == 1 else [[2, -1], [2, -1], [0, 1]]
    assert found.tolist() == expected
