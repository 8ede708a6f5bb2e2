"""How much a person moves a macro-F1: hand calculation, and leaving each person out of many."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from maskcls.labels import Ints
from maskcls.results.scores.influence import (
    EXTRA,
    EXTRA_DIFFERING,
    MOST,
    Influence,
    difference_influence,
    score_influence,
)
from maskcls.results.scores.person_counts import PersonCounts, count_people


def ints(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


def drawn(people: int, seed: int = 0) -> tuple[Ints, Ints, Ints, Ints]:
    """Three photos a person, of four classes: truth, two predictions, person."""
    rng = np.random.default_rng(seed)
    true_N = np.repeat(rng.integers(4, size=people), 3)
    a_N, b_N = (np.where(rng.random(len(true_N)) < p, true_N, rng.integers(4, size=len(true_N))) for p in (0.6, 0.7))
    return true_N, a_N, b_N, np.repeat(np.arange(people), 3)


def test_effects_by_hand() -> None:
    # class 0: truths 2, given 3, hits 2: F1 4/5; class 1: truths 2, given 1, hits 1: F1 2/3
    found = score_influence(count_people(ints(0, 1, 0, 1), ints(0, 1, 0, 0), ["p", "p", "q", "q"], 3))
    assert found.value == pytest.approx((4 / 5 + 2 / 3) / 2)
    # p: class 0 (2 - 4/5 * 2) / 5, class 1 (2 - 2/3 * 2) / 3; their mean over the two classes that occur
    p = (2 / 5 / 5 + 2 / 3 / 3) / 2
    assert found.effect_P == pytest.approx([p, -p])
    assert found.variance == pytest.approx(2 * p**2 * 2)
    # bias: -(effect * marks / M) summed; p has 2 marks of each class, q 3 of class 0 and 1 of class 1
    effect = {0: 2 / 5 / 5, 1: 2 / 3 / 3}
    assert found.bias == pytest.approx(-(effect[0] * (2 - 3) / 5 + effect[1] * (2 - 1) / 3) / 2)
    middle = [(4 / 5 * 2 + EXTRA) / (2 + 2 * EXTRA), (2 / 3 * 2 + EXTRA) / (2 + 2 * EXTRA)]
    assert found.middle == pytest.approx(np.mean(middle))
    few = [min(MOST, EXTRA * ((2 * (1 - m)) ** 2 + m**2) / n**2) for m, n in zip(middle, (5, 3), strict=True)]
    assert found.few == pytest.approx(sum(few) / 4)  # one row of a class per person; two classes


def test_effects_are_what_leaving_a_person_out_changes() -> None:
    true_N, a_N, b_N, who_N = drawn(400)
    counts = [count_people(true_N, label_N, who_N, 4) for label_N in (a_N, b_N)]
    for found, of in (
        (score_influence(counts[0]), lambda kept: f1_score(true_N[kept], a_N[kept], average="macro")),
        (
            difference_influence([(counts[0], counts[1])]),
            lambda kept: (
                f1_score(true_N[kept], b_N[kept], average="macro") - f1_score(true_N[kept], a_N[kept], average="macro")
            ),
        ),
    ):
        assert found.value == pytest.approx(of(np.arange(len(true_N))))
        without = [of(np.flatnonzero(who_N != person)) for person in range(40)]
        assert found.effect_P[:40] == pytest.approx(found.value - np.array(without), rel=0.05, abs=2e-5)
        assert abs(found.effect_P.sum()) < 1e-12


def test_the_bias_is_what_small_sets_of_people_show() -> None:
    """Of 20,000 people the score is the true one; sets of 25 are too low by what `bias` says of them, on average."""
    true_N, a_N, _, who_N = drawn(20_000, seed=1)
    counts = count_people(true_N, a_N, who_N, 4)
    whole, rng, parts = score_influence(counts).value, np.random.default_rng(0), []
    for _ in range(800):
        of = rng.integers(20_000, size=25)
        part = PersonCounts(counts.hits_PC[of], counts.truths_PC[of], counts.marks_PC[of])
        parts.append(score_influence(part))
    error = np.mean([one.value for one in parts]) - whole
    assert error < -0.004
    assert np.mean([one.bias for one in parts]) == pytest.approx(error, abs=0.006)  # standard error 0.003


def test_seeds_are_averaged_before_the_variance() -> None:
    true_N, a_N, b_N, who_N = drawn(50)
    a, b = (count_people(true_N, label_N, who_N, 4) for label_N in (a_N, b_N))
    one, back = difference_influence([(a, b)]), difference_influence([(b, a)])
    both = difference_influence([(a, b), (b, a)])
    assert back.value == pytest.approx(-one.value)
    assert (both.value, both.variance) == (pytest.approx(0), pytest.approx(0))
    assert both.few == pytest.approx(one.few)


def test_people_added_to_a_difference_by_hand() -> None:
    # p differs, q does not: half of the people. One row per class and person; marks of a 4, 4, of b 5, 3.
    true_N, who_N = ints(0, 1, 0, 1), ["p", "p", "q", "q"]
    a, b = (count_people(true_N, label_N, who_N, 5) for label_N in (ints(0, 1, 0, 1), ints(0, 0, 0, 1)))
    found = difference_influence([(a, b)])
    assert found.few == pytest.approx(2 * EXTRA_DIFFERING * 0.5 * ((1 / 4.5) ** 2 + (1 / 3.5) ** 2) / 2**2)
    assert difference_influence([(a, a)]).few == 0


def test_the_variance_of_a_class_is_at_most_that_of_a_coin() -> None:
    """A class that was given once and is nobody's has one mark, so that two more people would change it beyond 0..1."""
    found = score_influence(count_people(ints(0, 0, 0, 0), ints(0, 0, 0, 1), ["p", "q", "r", "s"], 2))
    sure = ((2 * (1 - 5.4286 / 8)) ** 2 + (5.4286 / 8) ** 2) * EXTRA / 7**2  # class 0: F1 6/7 of four people, 7 marks
    assert found.few == pytest.approx((sure + MOST) / 4, rel=1e-4)


def test_degrees_of_freedom_are_few_where_few_people_have_the_effect() -> None:
    def of(*effect: float) -> Influence:
        return Influence(0.5, np.array(effect), 0.0, 0.0)

    assert of(*[1.0, -1.0] * 10).freedom == 19  # all alike: the variance is known as well as can be
    normal = np.random.default_rng(0).standard_normal(20_000)
    assert of(*(normal - normal.mean())).freedom == pytest.approx(20_000, rel=0.05)
    # two people of 20: sum of squares 2, of fourth powers 2; 2 * 4 / (2 - 4 / 20)
    assert of(1.0, -1.0, *[0.0] * 18).freedom == pytest.approx(8 / 1.8)


def test_one_person_is_no_evidence() -> None:
    assert np.isinf(score_influence(count_people(ints(0, 1), ints(0, 0), ["p", "p"], 2)).variance)
