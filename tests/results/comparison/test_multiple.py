"""Corrections for several comparisons: hand calculation, known distributions, false positives."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student

from maskcls.results.comparison.multiple import family_level, holm, simultaneous
from maskcls.results.scores.influence import Influence

PEOPLE = 60


def effects(rng: np.random.Generator, count: int, alike: float) -> list[Influence]:
    """Differences without any truth in them, whose people's effects are alike in part."""
    shared = rng.standard_normal(PEOPLE)
    found = []
    for _ in range(count):
        effect = np.sqrt(alike) * shared + np.sqrt(1 - alike) * rng.standard_normal(PEOPLE)
        value = effect.sum()  # a sum of independent people; its variance is what `variance` estimates
        found.append(Influence(value / 100, (effect - effect.mean()) / 100, 0.0, 0.0))
    return found


def test_holm_by_hand() -> None:
    # sorted .01 .02 .03 .04: 4 * .01, 3 * .02, 2 * .03, .04, each at least the one before
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_the_level_of_one_is_itself() -> None:
    assert [family_level(k, 0.9) for k in (1, 2, 4)] == pytest.approx([0.9, 0.95, 0.975])


def test_one_comparison_is_student_s() -> None:
    (one,) = effects(np.random.default_rng(0), 1, 0)
    (found,) = simultaneous([one])
    reach = student.ppf(0.975, PEOPLE - 1) * np.sqrt(one.variance)
    assert found.difference.high - one.value == pytest.approx(reach, rel=0.02)  # 20,000 draws: 1 %
    assert found.p == pytest.approx(2 * student.sf(abs(one.value) / np.sqrt(one.variance), PEOPLE - 1), abs=0.01)


def test_the_same_comparison_twice_is_one() -> None:
    (one,) = effects(np.random.default_rng(1), 1, 0)
    alone, twice, (_, back) = simultaneous([one]), simultaneous([one, one]), simultaneous([one, _negative(one)])
    assert twice[0].difference.high == pytest.approx(alone[0].difference.high, rel=0.02)
    assert back.p == pytest.approx(alone[0].p, abs=0.01)


def _negative(one: Influence) -> Influence:
    return Influence(-one.value, -one.effect_P, 0.0, one.few)


def test_independent_comparisons_widen_as_sidak_says() -> None:
    rng = np.random.default_rng(2)
    found = simultaneous(effects(rng, 10, 0))
    one = found[0].difference
    se = (one.high - one.value) / student.ppf(1 - (1 - 0.95 ** (1 / 10)) / 2, PEOPLE - 1)
    assert se == pytest.approx(np.sqrt(effects(np.random.default_rng(2), 10, 0)[0].variance), rel=0.04)


def test_false_positives_of_a_family_are_few() -> None:
    rng, plain, corrected = np.random.default_rng(3), 0, 0
    for seed in range(200):
        found = effects(rng, 8, 0.5)
        p = [2 * student.sf(abs(one.value) / np.sqrt(one.variance), PEOPLE - 1) for one in found]
        plain += min(p) <= 0.05
        corrected += min(one.p for one in simultaneous(found, seed=seed)) <= 0.05
    assert plain > 30  # of 200; 10 are due
    assert corrected <= 20  # 10 are due, standard deviation 3.1


def test_equal_answers_and_a_single_person_prove_nothing() -> None:
    nothing = Influence(0.0, np.zeros(5), 0.0, 0.0)
    something = Influence(0.9, np.array([0.1, -0.1, 0.0, 0.0, 0.0]), 0.0, 0.01)
    same, other = simultaneous([nothing, something])
    assert (same.difference.low, same.difference.high, same.p) == (0, 0, 1)
    assert other.difference.low > 0
    (alone,) = simultaneous([Influence(0.5, np.zeros(1), 0.0, 0.0)])
    assert (alone.difference.low, alone.difference.high, alone.p) == (-1, 1, 1)
