"""Learning curves: the power law, the intervals of projections, nested subsets."""

from __future__ import annotations

import numpy as np
import pytest

from maskcls.results.diagnosis.learning_curve import (
    Trained,
    fit_power_law,
    learning_curve,
    nested_order,
    predicted_error,
)

SIZES = ((10, 3), (20, 2), (40, 2), (80, 1))


def made(
    law: tuple[float, float, float], *, noise: float = 0.0, seed: int = 0, everybody: bool = False
) -> list[Trained]:
    """Trainings whose error follows a law: 200 people with one photo each, of two classes."""
    rng, found = np.random.default_rng(seed), []
    true = np.arange(200) % 2
    for size, times in SIZES:
        for _ in range(times):
            error = predicted_error(law, size) + noise * rng.standard_normal()
            wrong = rng.random(200) < min(1.0, max(0.0, error))
            pred = np.where(wrong, 1 - true, true)
            hits, marks = np.zeros((200, 2)), np.zeros((200, 2))
            hits[np.arange(200), true] = true == pred
            np.add.at(marks, (np.arange(200), true), 1)
            np.add.at(marks, (np.arange(200), pred), 1)
            own = np.array([size, size]) if everybody else np.array([size // 2, size - size // 2])
            found.append(Trained(size, own, hits, marks))
    return found


@pytest.mark.parametrize("law", [(0.1, 0.9, 0.5), (0.0, 1.0, 0.25), (0.3, 0.5, 1.0)])
def test_a_law_is_found_again(law: tuple[float, float, float]) -> None:
    n = np.array([10.0, 20.0, 40.0, 80.0])
    found = fit_power_law(n, law[0] + law[1] * n ** -law[2], np.ones(4))
    assert predicted_error(found, 160) == pytest.approx(predicted_error(law, 160), abs=1e-6)


def test_an_error_that_rises_has_a_flat_law() -> None:
    a, b, _ = fit_power_law(np.array([1.0, 2.0, 4.0]), np.array([0.2, 0.3, 0.4]), np.ones(3))
    assert (a, b) == (pytest.approx(0.3), 0)


def test_weights_count() -> None:
    n, error = np.array([1.0, 2.0, 4.0]), np.array([0.9, 0.5, 0.4])
    near = fit_power_law(n, error, np.array([1.0, 1.0, 1e6]))
    assert predicted_error(near, 4) == pytest.approx(0.4, abs=1e-3)


def test_the_projection_covers_the_gain() -> None:
    law = (0.1, 1.5, 0.5)
    true = predicted_error(law, 80) - predicted_error(law, 160)
    found = [learning_curve("t", "ab", made(law, seed=seed), seed=seed) for seed in range(12)]
    covered = [one is not None and one.twice.low <= true <= one.twice.high for one in found]
    # At 95 % fewer than 9 of 12 happen in 3 of 1000 cases.
    assert sum(covered) >= 9
    assert all(one is not None and one.twice.people == 160 for one in found)


def test_a_network_that_learns_nothing_promises_nothing() -> None:
    curve = learning_curve("t", "ab", made((0.5, 0.0, 0.5)), seed=0)
    assert curve is not None
    assert not curve.twice.told
    assert curve.people == (10, 20, 40, 80)
    assert curve.trainings == (3, 2, 2, 1)


def test_a_class_that_everybody_has_is_not_projected_alone() -> None:
    curve = learning_curve("t", "ab", made((0.1, 1.5, 0.5), everybody=True), seed=0)
    other = learning_curve("t", "ab", made((0.1, 1.5, 0.5)), seed=0)
    assert curve is not None
    assert other is not None
    assert curve.classes == ()
    assert [one.what for one in other.classes] == ["a", "b"]
    assert [one.people for one in other.classes] == [80, 80]


def test_two_sizes_are_no_curve() -> None:
    assert learning_curve("t", "ab", made((0.1, 1.0, 0.5))[:5], seed=0) is None


def test_beginnings_of_the_order_have_all_strata() -> None:
    stratum = np.array([0] * 40 + [1] * 16 + [2] * 8)
    order = nested_order(stratum, seed=3)
    assert sorted(order.tolist()) == list(range(64))
    for count in (8, 16, 32):
        assert np.abs(np.bincount(stratum[order[:count]], minlength=3) - count * np.array([5, 2, 1]) / 8).max() <= 1
    assert nested_order(stratum, seed=4).tolist() != order.tolist()


def equal_people(size: int, error: float) -> Trained:
    """A training whose error is the same on every person: resampling people changes nothing."""
    share = np.full((20, 2), 1 - error)
    return Trained(size, np.array([size // 2, size // 2]), share, np.full((20, 2), 2.0))


def test_the_noise_of_trainings_and_of_the_law_widens_the_interval() -> None:
    """Three sizes, so that none is left out; without noise all 300 fits are equal."""
    law = (0.0, 1.0, 0.5)
    on_the_law = [equal_people(n, predicted_error(law, n)) for n in (16, 64, 256)]
    differing = [equal_people(n, predicted_error(law, n) + d) for n in (16, 64, 256) for d in (-0.02, 0.02)]
    off_the_law = [equal_people(n, e) for n, e in ((16, 0.25), (64, 0.18), (256, 0.0625))]
    widths = []
    for trained in (on_the_law, differing, off_the_law):
        curve = learning_curve("t", "ab", trained, seed=0)
        assert curve is not None
        widths.append(curve.twice.high - curve.twice.low)
    assert widths[0] < 1e-9
    assert min(widths[1:]) > 0.002
