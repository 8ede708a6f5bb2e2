"""Whether out-of-fold rows are averaged within groups: with a proven gain among the photos to predict, else not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from maskcls.labels import CONTEST, Ints
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.people.averaging import average_groups
from maskcls.results.people.group_file import Groups
from maskcls.results.predictions import Predictions
from maskcls.runs.group_averaging import GroupAveraging, average_likewise, check_rows

SHARED = ("gender", "age")
PEOPLE, PHOTOS = 120, 4


def noisy_rows() -> LabelledPredictions:
    """Return rows of people in four folds; a photo shows gender and age about every second time."""
    rng, who = np.random.default_rng(0), np.repeat(np.arange(PEOPLE), PHOTOS)
    truth = {"mask": np.tile([0, 0, 1, 2], PEOPLE), "gender": who % 2, "age": who // 2 % 3}
    parts = {"mask": np.eye(3, dtype=np.float32)[truth["mask"]] * 0.94 + 0.02}
    for name, classes in (("gender", 2), ("age", 3)):
        shown = np.where(rng.random(len(who)) < 0.5, truth[name], rng.integers(classes, size=len(who)))
        parts[name] = (np.eye(classes)[shown] * 0.9 + 0.1 / classes).astype(np.float32)
    prob = CONTEST.compose({name: part.astype(np.float32) for name, part in parts.items()})
    ids = [f"{row}" for row in range(len(who))]
    return LabelledPredictions(ids, prob.argmax(1), truth, CONTEST, prob, who.astype(np.str_), who % 4)


def groups(group_N: Ints, parts: int = 1) -> Groups:
    return Groups(group_N, None, "0", parts)


def people_of(rows: LabelledPredictions) -> Ints:
    return np.repeat(np.arange(PEOPLE), PHOTOS)


def test_a_proven_gain_averages_and_a_lower_precision_switches_it_off() -> None:
    rows = noisy_rows()
    on, off = (check_rows(rows, people_of(rows), SHARED, precision=p) for p in (1.0, 0.5))
    assert on.averaged
    assert on.expected is not None
    assert on.expected.low > 0.05
    assert np.array_equal(on.rows.prob, average_likewise(on, rows, people_of(rows), SHARED).prob)
    assert (off.averaged, off.weights) == (False, None)
    assert off.gain == on.gain
    assert off.expected is not None
    assert off.expected.low <= 0
    assert np.array_equal(off.rows.prob, rows.prob_NJ)
    assert np.array_equal(average_likewise(off, rows, people_of(rows), SHARED).prob, rows.prob_NJ)


def test_groups_that_mix_people_of_different_folds_prove_nothing() -> None:
    """Cut at the folds they are groups of one person, and would."""
    rows = noisy_rows()
    mixed = people_of(rows) // 4
    found = check_rows(rows, mixed, SHARED, precision=1.0)
    assert found.gain is not None
    assert found.gain.cut.low > 0.05
    assert found.gain.precision == pytest.approx(3 / 15)
    assert found.gain.whole.value < 0
    assert not found.averaged


def test_the_photos_to_predict_decide() -> None:
    rows, likewise = noisy_rows(), np.repeat(np.arange(50), PHOTOS)
    assert rows.prob_NJ is not None
    together = GroupAveraging(groups(likewise), groups(people_of(rows), parts=2), SHARED)
    found = together.check_oof(rows.prob_NJ, rows)
    assert found is not None
    assert found.averaged
    assert together.with_weights(found).weights == found.weights
    singles = np.concatenate([np.arange(3000), [0]])  # one pair in 3,001 photos: it is one of two people
    doubted = replace(together, photos=groups(singles))
    found = doubted.check_oof(rows.prob_NJ, rows)
    assert found is not None
    assert not found.averaged
    assert doubted.with_weights(found).photos is None
    assert GroupAveraging(groups(likewise)).check_oof(rows.prob_NJ, rows) is None


def test_rows_that_were_grouped_in_halves_count_as_half_as_many() -> None:
    """Twice the photos at a time would bring twice the wrong pairs; a group made at once has them already."""
    rows = noisy_rows()
    assert rows.prob_NJ is not None
    some_wrong, photos = people_of(rows).copy(), np.repeat(np.arange(PEOPLE), PHOTOS)
    some_wrong[: PHOTOS * 16] //= 2
    values = []
    for parts in (1, 2):
        found = GroupAveraging(groups(photos), groups(some_wrong, parts), SHARED).check_oof(rows.prob_NJ, rows)
        assert found is not None
        assert found.expected is not None
        values.append(found.expected.value)
    assert values[1] < values[0]


def test_photos_are_averaged_with_the_weights() -> None:
    rows = noisy_rows()
    assert rows.prob_NJ is not None
    before = Predictions(np.array(rows.ids), rows.prob_NJ, CONTEST)
    weights = {"wear": 1.0, "incorrect": 2.0, "normal": 9.0}
    after = GroupAveraging(groups(people_of(rows)), None, SHARED, weights).average_photos(before)
    assert np.array_equal(after.prob, average_groups(before, people_of(rows), SHARED, weights=weights).prob)
