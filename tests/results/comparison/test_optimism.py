"""What picking the best of several runs is worth, against simulations whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from maskcls.results.comparison.optimism import Optimism, optimism_of_best
from maskcls.results.scores.influence import score_influence
from maskcls.results.scores.person_counts import PersonCounts, count_people
from maskcls.show.answers.many import optimism_line

CLASSES = 4
SHARES = np.array([0.4, 0.35, 0.15, 0.1])


def answers(
    right_R: np.ndarray, people: int, rng: np.random.Generator, *, same: float = 0.0, photos: int = 3
) -> list[PersonCounts]:
    """Return the answers of R runs about the same people, of which each run has a share right.

    same  share of people about whom all runs answer alike.
    """
    true_P = rng.choice(CLASSES, people, p=SHARES)
    alike_P, hard_P = rng.random(people) < same, rng.random(people)
    true_N, person_N = np.repeat(true_P, photos), np.repeat(np.arange(people), photos)
    found = []
    for right in right_R:
        own_P = np.where(alike_P, hard_P, rng.random(people)) < right
        guess_P = np.where(own_P, true_P, (true_P + 1) % CLASSES)
        found.append(count_people(true_N, np.repeat(guess_P, photos), person_N, CLASSES))
    return found


def true_score(right: float) -> float:
    """Return the macro-F1 of a run with this share of right answers among endless people."""
    hit_C, given_C = SHARES * right, SHARES * right + np.roll(SHARES, 1) * (1 - right)
    return float((2 * hit_C / (SHARES + given_C)).mean())


def simulated(right_R: np.ndarray, people: int, times: int, *, same: float = 0.0) -> tuple[float, float, float]:
    """Return the mean true excess of the best run over one chosen beforehand, its standard error, and the estimate."""
    rng, true, guessed = np.random.default_rng(1), [], []
    wanted_R = np.array([true_score(right) for right in right_R])
    for number in range(times):
        found = answers(right_R, people, rng, same=same)
        luck_R = np.array([score_influence(one).value for one in found]) - wanted_R
        true.append(luck_R[(luck_R + wanted_R).argmax()] - luck_R.mean())
        guessed.append(optimism_of_best(found, seed=number).value)
    return float(np.mean(true)), float(np.std(true) / np.sqrt(times)), float(np.mean(guessed))


@pytest.mark.parametrize(
    ("runs", "people", "same"), [(3, 150, 0.0), (10, 150, 0.0), (10, 150, 0.8), (10, 600, 0.0), (20, 300, 0.5)]
)
def test_it_is_right_about_equal_runs(runs: int, people: int, same: float) -> None:
    true, error, guessed = simulated(np.full(runs, 0.7), people, 60, same=same)
    assert guessed == pytest.approx(true, abs=3 * error + 0.1 * true)


@pytest.mark.parametrize("step", [0.01, 0.03])
def test_it_is_right_about_runs_that_differ(step: float) -> None:
    right_R = 0.7 + step * np.arange(-4, 5) / 4
    true, error, guessed = simulated(right_R, 200, 60)
    assert guessed == pytest.approx(true, abs=3 * error + 0.15 * true)


def test_a_run_that_is_better_by_far_is_no_choice() -> None:
    rng = np.random.default_rng(0)
    found = optimism_of_best(answers(np.array([0.5, 0.52, 0.95]), 300, rng))
    assert found.value < 0.002
    equal = optimism_of_best(answers(np.full(3, 0.7), 300, rng))
    assert equal.value > 0.005
    assert equal.low < equal.value < equal.high


def test_the_same_answers_are_no_choice_and_alike_ones_a_small_one() -> None:
    rng = np.random.default_rng(0)
    (one,) = answers(np.array([0.7]), 200, rng)
    assert optimism_of_best([one, one, one]) == Optimism(3, 3, 0.0, 0.0, 0.0)
    apart, alike = (optimism_of_best(answers(np.full(8, 0.7), 200, rng, same=same)).value for same in (0.0, 0.9))
    assert alike < 0.5 * apart


def test_more_tried_runs_count_also_where_they_are_gone() -> None:
    rng = np.random.default_rng(3)
    found = answers(np.full(20, 0.7), 200, rng)
    whole, part = optimism_of_best(found), optimism_of_best(found[:6], runs=20)
    assert (part.runs, part.at_hand) == (20, 6)
    assert part.value == pytest.approx(whole.value, rel=0.3)
    assert part.value > 1.2 * optimism_of_best(found[:6]).value


def test_it_is_the_same_every_time_and_needs_two_runs() -> None:
    found = answers(np.full(4, 0.7), 100, np.random.default_rng(0))
    assert optimism_of_best(found) == optimism_of_best(found[::-1])
    assert optimism_of_best(found) != optimism_of_best(found, seed=1)
    with pytest.raises(ValueError, match="no choice"):
        optimism_of_best(found[:1])


def test_two_independent_runs_follow_the_formula() -> None:
    """The larger of two equal normal numbers is sd / sqrt(pi) above their mean."""
    rng, ratios = np.random.default_rng(5), []
    for _ in range(40):
        found = answers(np.full(2, 0.7), 2000, rng)
        a, b = (score_influence(one) for one in found)
        apart = float(np.sqrt(((a.effect_P - b.effect_P) ** 2).sum()))
        ratios.append(optimism_of_best(found).value / (apart / np.sqrt(2 * np.pi)))
    assert max(ratios) == pytest.approx(1, abs=0.08)  # where they happen to score alike
    assert np.mean(ratios) > 0.7


def test_it_is_written_with_what_it_says() -> None:
    line = optimism_line(Optimism(12, 10, 0.0061, -0.0012, 0.0149))
    assert "12 runs" in line
    assert "about 0.006 too high" in line
    assert "-0.001 to +0.015" in line
