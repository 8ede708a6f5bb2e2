"""The parts of an error."""

from __future__ import annotations

import numpy as np
import pytest

from maskcls.results.diagnosis.error_parts import ErrorPart, chosen_on_validation, error_parts, influence_of
from maskcls.results.scores.influence import Influence

NONE = ErrorPart("over-fitted validation", 0.0)


def scored(right: float, people: int = 200) -> Influence:
    """Rows of two classes, of which this share is right in each."""
    true = np.arange(people) % 2
    wrong = np.arange(people) >= right * people
    found = influence_of(true, np.where(wrong, 1 - true, true), np.arange(people), 2)
    assert found is not None
    return found


def test_the_parts_add_up() -> None:
    found = error_parts("t", scored(0.9), scored(0.7), optimism=ErrorPart(NONE.name, 0.02), sealed=scored(0.6))
    values = {part.name: part.value for part in found.parts}
    assert list(values) == ["bias", "variance", "over-fitted validation", "shift"]
    assert values == pytest.approx(
        {"bias": 0.1, "variance": 0.2, "over-fitted validation": 0.02, "shift": 0.1}, abs=1e-9
    )
    assert (found.train, found.valid, found.sealed) == pytest.approx((0.9, 0.7, 0.6))
    assert found.largest is not None
    assert found.largest.name == "variance"
    assert all(part.low < part.value < part.high for part in found.parts if part.name != "over-fitted validation")


def test_the_interval_of_the_variance_is_that_of_two_independent_scores() -> None:
    """Against the textbook: the accuracies of balanced classes have variances p (1 - p) / n."""
    found = error_parts("t", scored(0.9, 1000), scored(0.7, 1000), optimism=NONE).parts[1]
    reach = 1.96 * (0.09 / 1000 + 0.21 / 1000) ** 0.5
    assert found.high - found.value == pytest.approx(reach, rel=0.1)


def test_without_sealed_people_the_shift_is_unknown() -> None:
    found = error_parts("t", scored(0.9), scored(0.7), optimism=NONE, sealed_note="why")
    assert not found.parts[3].known
    assert found.parts[3].note == "why"
    assert influence_of(np.array([-1]), np.array([0]), np.array([0]), 2) is None


def test_a_choice_of_equal_epochs_gains_only_by_chance() -> None:
    """Twenty epochs that guess: the best on 80 people scores about 1.87 standard deviations too high there."""
    rng = np.random.default_rng(0)
    people, true = np.arange(80), np.arange(80) % 2
    found = []
    for seed in range(8):
        epochs = list(rng.integers(2, size=(20, 80)))
        part = chosen_on_validation(true, epochs, people, 2, seed=seed)
        found.append(part.value)
    expected = 1.87 * (0.25 / 80) ** 0.5
    assert np.mean(found) == pytest.approx(expected, rel=0.3)


def test_equal_epochs_gain_nothing_and_one_epoch_is_no_choice() -> None:
    true = np.arange(40) % 2
    same = chosen_on_validation(true, [true, true], np.arange(40), 2, seed=0)
    assert same.value == 0
    assert not chosen_on_validation(true, [true], np.arange(40), 2, seed=0).known
