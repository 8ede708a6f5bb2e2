"""Rows that heads learn from: labels, values, blurred boundaries, groups, weights."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from maskcls.labels import CONTEST
from maskcls.nn.heads import Head, plain_heads
from maskcls.nn.targets import class_rows, moment_rows, target_rows, value_rows

LABELS = {
    "mask": np.array([0, 1, 2, -1, 2]),
    "gender": np.array([1, 0, 1, 1, 0]),
    "age": np.array([0, 1, 2, 1, -1]),
}
VALUES = {"age": np.array([29, 58, 60, 45, -1])}
WEIGHT = np.array([1, 0.5, 2, 1, 1], dtype=np.float32)
HEADS = plain_heads("multi", CONTEST)


def rows(head: Head, **options: object) -> list[list[float]]:
    found: list[list[float]] = target_rows(head, LABELS, VALUES, WEIGHT, CONTEST, **options).tolist()  # type: ignore[arg-type]
    return found


def test_a_row_holds_its_weight_at_its_class() -> None:
    assert rows(HEADS["mask"]) == [[1, 0, 0], [0, 0.5, 0], [0, 0, 2], [0, 0, 0], [0, 0, 1]]
    assert rows(HEADS["age"]) == [[1, 0, 0], [0, 0.5, 0], [0, 0, 2], [0, 1, 0], [0, 0, 0]]


def test_the_joint_row_is_the_product_and_zero_where_any_label_is_unknown() -> None:
    found = target_rows(plain_heads("joint", CONTEST)["joint"], LABELS, VALUES, WEIGHT, CONTEST)
    joint = CONTEST.encode(LABELS)
    assert joint.tolist() == [3, 7, 17, -1, -1]
    assert np.array_equal(found, class_rows(joint, 18) * WEIGHT[:, None])


def test_other_boundaries_in_training_move_labels() -> None:
    moved = rows(HEADS["age"], train_bins=(29, 58))
    assert moved == [[0, 1, 0], [0, 0, 0.5], [0, 0, 2], [0, 1, 0], [0, 0, 0]]
    joint = target_rows(plain_heads("joint", CONTEST)["joint"], LABELS, VALUES, WEIGHT, CONTEST, train_bins=(29, 58))
    assert joint.argmax(axis=1)[:3].tolist() == [4, 8, 17]


def test_a_class_without_its_number_teaches_the_class_and_no_finer_one() -> None:
    labels = {**LABELS, "age": np.array([0, 1, 2, 1, 2])}
    found = target_rows(HEADS["age"], labels, VALUES, WEIGHT, CONTEST, train_bins=(29, 58))
    assert found[4].tolist() == [0, 0, 1]
    fine = Head("age", 3, "softmax", (30, 60), (20, 30, 60))
    assert target_rows(fine, labels, VALUES, WEIGHT, CONTEST)[4].tolist() == [0, 0, 0, 0]


def test_a_label_that_is_unknown_is_unknown_whatever_the_number_says() -> None:
    labels = {**LABELS, "age": np.full(5, -1)}
    for head in (HEADS["age"], Head("age", 3, "normal", (30, 60), (30, 60))):
        assert not target_rows(head, labels, VALUES, WEIGHT, CONTEST).any()


def test_finer_classes() -> None:
    fine = Head("age", 3, "softmax", (30, 60), (20, 30, 45, 60))
    assert np.argmax(rows(fine), axis=1)[:4].tolist() == [1, 3, 4, 3]
    assert np.sum(rows(fine), axis=1).tolist() == [1, 0.5, 2, 1, 0]


@pytest.mark.parametrize("spread", [0.5, 3.0])
def test_a_blurred_label_is_the_mass_of_a_normal_distribution(spread: float) -> None:
    found = np.array(rows(HEADS["age"], spread=spread))
    for row, years in enumerate((29.5, 58.5, 60.5, 45.5)):
        below = norm.cdf([30, 60], years, spread)
        want = np.diff([0, *below, 1]) * WEIGHT[row]
        np.testing.assert_allclose(found[row], want, atol=1e-6)
    assert found[4].tolist() == [0, 0, 0]


def test_little_blur_is_none() -> None:
    values = np.arange(0, 100)
    np.testing.assert_allclose(value_rows(values, (30, 60), spread=1e-3), value_rows(values, (30, 60)), atol=1e-6)


def test_moments() -> None:
    found = moment_rows(np.array([44, 60, -1]), centre=45, scale=15)
    z = [-0.5 / 15, 15.5 / 15]
    np.testing.assert_allclose(found, [[1, z[0], z[0] ** 2], [1, z[1], z[1] ** 2], [0, 0, 0]], atol=1e-6)


def test_a_group_holds_the_row_of_its_class_alone() -> None:
    given = Head("age", 3, "softmax", (30, 60), (30, 60), "mask", 3)
    found = np.array(rows(given)).reshape(5, 3, 3)
    plain = np.array(rows(HEADS["age"]))
    for row, mask in enumerate(LABELS["mask"]):
        for group in range(3):
            assert found[row, group].tolist() == (plain[row] if group == mask else np.zeros(3)).tolist()
