"""Chance: permuted labels."""

from __future__ import annotations

import numpy as np
import pytest

from maskcls.results.diagnosis.chance import against_chance, permuted_units


def test_predictions_that_ignore_the_labels_are_not_better() -> None:
    rng = np.random.default_rng(0)
    above = []
    for seed in range(60):
        true, pred = rng.integers(3, size=(2, 90))
        above.append(against_chance(true, pred, np.arange(90), 3, seed=seed).above)
    # Standard normal in theory: the mean of 60 has a standard deviation of 0.13, the share above 2 is 2 %.
    assert abs(np.mean(above)) < 0.5
    assert np.mean(np.array(above) > 2) < 0.15
    assert 0.7 < np.std(above) < 1.4


def test_predictions_that_know_a_person_are_no_evidence_of_each_photo() -> None:
    """Ten photos per person with one label and one guess per person: as few as the people, not as the photos."""
    rng = np.random.default_rng(1)
    people = np.repeat(np.arange(20), 10)
    above = []
    for seed in range(40):
        true, pred = rng.integers(2, size=20)[people], rng.integers(2, size=20)[people]
        above.append(against_chance(true, pred, people, 2, seed=seed).above)
    assert max(above) < 3.5
    assert not any(against_chance(true, pred, np.arange(200), 2, seed=0).nothing for true, pred in [(true, true)])


def test_a_right_prediction_is_better_and_few_people_are_not_visible() -> None:
    true = np.tile([0, 1, 2], 40)
    found = against_chance(true, true, np.arange(120), 3, seed=0)
    assert found.score == 1
    assert found.better
    assert found.visible
    assert not found.nothing
    assert found.high == pytest.approx(found.mean + 3.5 * found.sd)
    few = against_chance(true[:6], true[:6], np.arange(6), 3, seed=0)
    assert not few.visible


def test_constant_predictions_show_nothing_about_labels() -> None:
    label = np.tile([0, 0, 1], 40)
    found = against_chance(label, np.zeros(120, np.int64), np.arange(120), 2, seed=0)
    assert (found.score, found.constant, found.nothing, found.visible) == (pytest.approx(0.4), True, True, False)
    assert found.sd == pytest.approx(0)
    assert not against_chance(label, label, np.arange(120), 2, seed=0).constant


def test_a_label_is_permuted_between_people_if_nearly_all_have_one() -> None:
    people = np.repeat(np.arange(10), 10)
    constant = people % 2
    assert permuted_units(constant, people).tolist() == people.tolist()
    one_fault = constant.copy()
    one_fault[0] = 1 - one_fault[0]
    assert permuted_units(one_fault, people).tolist() == people.tolist()
    varying = np.arange(100) % 2
    assert permuted_units(varying, people).tolist() == list(range(100))


def test_unknown_labels_are_left_out() -> None:
    true, pred = np.array([0, 1, -1, 0, 1]), np.array([0, 1, 0, 0, 1])
    assert against_chance(true, pred, np.arange(5), 2, seed=0).score == 1
    with pytest.raises(ValueError, match="no row"):
        against_chance(np.array([-1]), np.array([0]), np.arange(1), 2, seed=0)
