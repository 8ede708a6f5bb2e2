"""The weights of classes, and the parts of people between which a strength is chosen."""

from __future__ import annotations

import numpy as np

from maskcls.nn.fitting.head_rows import ALWAYS, PARTS, balanced_weights, people_parts


def test_weights_of_classes_by_hand() -> None:
    label_N, weight_N = np.array([0, 0, 0, 0, 1]), np.array([1.0, 1.0, 1.0, 1.0, 1.0])
    assert balanced_weights(label_N, weight_N, 0).tolist() == [1] * 5
    # 4 ** -0.5 = 0.5 for the first four, 1 for the last; their mean is 0.6.
    np.testing.assert_allclose(balanced_weights(label_N, weight_N, 0.5), [5 / 6] * 4 + [5 / 3])
    np.testing.assert_allclose(balanced_weights(label_N, weight_N, 1), [0.625] * 4 + [2.5])
    # A row of weight 3 counts as three in its class, and keeps its part of it.
    heavy = balanced_weights(np.array([0, 0, 1]), np.array([3.0, 1.0, 1.0]), 1)
    np.testing.assert_allclose(heavy, [9 / 8, 3 / 8, 3 / 2])


def test_folds_are_the_parts_where_there_are_two() -> None:
    person_N, fold_N = np.array([0, 0, 1, 2, 3]), np.array([2, 2, 4, 4, -1])
    assert people_parts(person_N, fold_N, seed=0).tolist() == [2, 2, 4, 4, ALWAYS]


def test_people_are_divided_whole_where_there_is_one_fold() -> None:
    person_N = np.repeat(np.arange(10), 3)
    for fold in (-1, 1):
        part_N = people_parts(person_N, np.full(30, fold), seed=0)
        assert sorted(set(part_N.tolist())) == list(range(PARTS))
        assert all(len(set(part_N[person_N == one].tolist())) == 1 for one in range(10))
        assert sorted(np.bincount(part_N[::3]).tolist()) == [2, 2, 3, 3]
    assert (people_parts(person_N, np.full(30, 1), seed=0) != people_parts(person_N, np.full(30, 1), seed=1)).any()
