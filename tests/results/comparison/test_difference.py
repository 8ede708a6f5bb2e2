"""Paired comparison: hand-made tables, scikit-learn's scores, scipy's tests, coverage."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy.stats import binomtest
from scipy.stats import t as student
from sklearn.metrics import f1_score

from maskcls.labels import Ints
from maskcls.results.comparison.difference import Difference, mcnemar, paired_difference, paired_influence
from maskcls.results.scores.intervals import macro_f1_intervals

CLASSES = 4


def ints(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


def case(people: int, shares: tuple[float, ...], seed: int = 0) -> tuple[Ints, list[Ints], list[str]]:
    """Five photos a person with every class among them, and for each share a prediction right that often."""
    rng = np.random.default_rng(seed)
    truth_N = np.tile(ints(0, 1, 2, 3, 0), people)
    predicted = [
        np.where(rng.random(len(truth_N)) < share, truth_N, rng.integers(CLASSES, size=len(truth_N)))
        for share in shares
    ]
    return truth_N, predicted, [f"p{i // 5}" for i in range(len(truth_N))]


def sklearn_f1(truth_N: Ints, predicted_N: Ints) -> float:
    """Every class counts; that is ours as well where all of them occur."""
    return float(f1_score(truth_N, predicted_N, labels=range(CLASSES), average="macro", zero_division=0))


def test_one_pair_is_student_s_interval_of_the_people_s_effects() -> None:
    truth_N, (a, b), person_N = case(12, (0.6, 0.7))
    value = sklearn_f1(truth_N, b) - sklearn_f1(truth_N, a)
    found = paired_influence(truth_N, a, b, person_N, CLASSES)
    assert found.people == 12
    se = math.sqrt(found.variance + found.few)
    got = paired_difference(truth_N, a, b, person_N, CLASSES, level=0.8)
    assert got.value == pytest.approx(value, abs=1e-12)
    assert (got.low, got.high) == pytest.approx((value - (reach := student.ppf(0.9, 11) * se), value + reach))
    assert got.above_zero == pytest.approx(student.cdf(value / se, 11))
    assert got.p == pytest.approx(2 * student.sf(abs(value) / se, 11))
    assert got.level == 0.8


def test_seeds_are_averaged() -> None:
    truth_N, (a0, a1, b0, b1), person_N = case(10, (0.5, 0.6, 0.6, 0.7), seed=1)
    got = paired_difference(truth_N, [a0, a1], [b0, b1], person_N, CLASSES)
    values = [sklearn_f1(truth_N, b) - sklearn_f1(truth_N, a) for a, b in ((a0, b0), (a1, b1))]
    assert got.value == pytest.approx(sum(values) / 2, abs=1e-12)
    assert got == paired_difference(truth_N, np.stack([a0, a1]), np.stack([b0, b1]), person_N, 4)
    alone = [paired_difference(truth_N, a, b, person_N, CLASSES) for a, b in ((a0, b0), (a1, b1))]
    assert got.high - got.low < max(one.high - one.low for one in alone)


def test_coverage_on_drawn_people() -> None:
    """Two networks, one of which is better on a third of the photos: 95 % intervals cover 92 to 99 % of 400 times."""

    def drawn(people: int, seed: int) -> tuple[Ints, Ints, Ints, Ints]:
        truth_N, (a, b), _ = case(people, (0.5, 0.6), seed=seed)
        keep_N = np.repeat(np.random.default_rng(seed).random(people) < 0.6, 5)
        return truth_N, a, np.where(keep_N, a, b), np.repeat(np.arange(people), 5)

    truth_N, a, b, _ = drawn(40_000, 999)
    true_difference, hit = sklearn_f1(truth_N, b) - sklearn_f1(truth_N, a), 0
    for seed in range(400):
        got = paired_difference(*drawn(40, seed), CLASSES)
        hit += got.low <= true_difference <= got.high
    assert 0.92 < hit / 400 < 0.99


def test_classes_that_do_not_occur_are_left_out_as_in_the_scores() -> None:
    # truth 0 0 1 1; a knows all, b says 2 once: F1 of b 1, 2/3 and 0 over three classes, of a 1 over two
    truth_N, a, b = ints(0, 0, 1, 1), ints(0, 0, 1, 1), ints(0, 0, 1, 2)
    got = paired_difference(truth_N, a, b, ["p", "p", "q", "q"], 9)
    assert got.value == pytest.approx((1 + 2 / 3 + 0) / 3 - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns about class 2, which is never true
        assert got.value == pytest.approx(f1_score(truth_N, b, average="macro") - 1)


def test_the_other_way_round_is_the_same_with_other_signs() -> None:
    truth_N, (a, b), person_N = case(9, (0.5, 0.7))
    there, back = (paired_difference(truth_N, *pair, person_N, CLASSES) for pair in ((a, b), (b, a)))
    assert (back.value, back.low, back.high) == (-there.value, -there.high, -there.low)
    assert back.above_zero == pytest.approx(1 - there.above_zero)
    assert back.p == pytest.approx(there.p)


def test_identical_predictions_differ_by_nothing() -> None:
    truth_N, (a,), person_N = case(8, (0.5,))
    got = paired_difference(truth_N, [a, a[::-1]], [a, a[::-1]], person_N, CLASSES)
    assert got == Difference(value=0.0, low=0.0, high=0.0, above_zero=0.5, level=0.95)


def test_one_person_proves_nothing() -> None:
    got = paired_difference(ints(0, 1, 1), ints(0, 1, 0), ints(0, 1, 1), ["p"] * 3, 2)
    assert got.value == pytest.approx(1 - 2 / 3)
    assert (got.low, got.high, got.above_zero) == (-1, 1, 0.5)


def test_pairing_narrows_the_interval() -> None:
    """What is hard for both cancels out, so the difference is surer than either score."""
    rng = np.random.default_rng(0)
    truth_N, (a,), person_N = case(60, (1.0,))
    hard_N = np.repeat(rng.random(60) < 0.5, 5)
    a = np.where(hard_N, (truth_N + 1) % CLASSES, truth_N)
    b = np.where(rng.random(len(a)) < 0.03, truth_N, a)
    paired = paired_difference(truth_N, a, b, person_N, CLASSES)
    alone = macro_f1_intervals(truth_N, a, person_N, CLASSES).confidence
    assert paired.high - paired.low < (alone.high - alone.low) / 3


def test_row_order_and_unknown_rows_change_nothing() -> None:
    truth_N, (a, b), person_N = case(15, (0.4, 0.6))
    one = paired_difference(truth_N, a, b, person_N, CLASSES)
    order, people = np.random.default_rng(0).permutation(len(a)), np.array(person_N)
    assert paired_difference(truth_N[order], a[order], b[order], people[order], CLASSES) == one
    more = [np.append(labels, [x, y]) for labels, x, y in ((truth_N, -1, -1), (a, 0, 1), (b, 1, 1))]
    assert paired_difference(*more, [*person_N, "nobody", "p0"], CLASSES) == one


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"level": 1.0}, "level"),
        ({"truth_N": ints(-1, -1)}, "no row"),
        ({"people_N": ["p"]}, "1 people for 2 rows"),
        ({"predicted_a": ints(0, 7)}, "must lie"),
        ({"predicted_b": ints(0)}, "as many seeds"),
        ({"predicted_b": [ints(0, 1), ints(0, 1)]}, "as many seeds"),
        ({"predicted_a": ints(0), "predicted_b": ints(0)}, "equally long"),
    ],
)
def test_nonsense_is_refused(change: dict[str, object], message: str) -> None:
    good: dict[str, object] = {"truth_N": ints(0, 1), "predicted_a": ints(0, 1), "predicted_b": ints(0, 1)}
    good |= {"people_N": ["p", "q"], "classes": 2}
    with pytest.raises(ValueError, match=message):
        paired_difference(**(good | change))  # type: ignore[arg-type]


# --- McNemar


def right(both: int, only_a: int, only_b: int, neither: int = 3) -> tuple[np.ndarray, np.ndarray]:
    a = [True] * (both + only_a) + [False] * (only_b + neither)
    b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    return np.array(a), np.array(b)


@pytest.mark.parametrize(
    ("only_a", "only_b", "expected"),
    [
        (0, 0, 1.0),  # nothing differs
        (0, 1, 1.0),
        (0, 5, 2 / 32),
        (5, 0, 2 / 32),
        (1, 4, 2 * (1 + 5) / 32),
        (3, 3, 1.0),  # twice the half would be more than 1
    ],
)
def test_mcnemar_by_hand(only_a: int, only_b: int, expected: float) -> None:
    assert mcnemar(*right(4, only_a, only_b)) == pytest.approx(expected, abs=1e-12)


def test_mcnemar_equals_the_binomial_test() -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        only_a, only_b = (int(n) for n in rng.integers(0, 900, size=2))
        expected = binomtest(only_a, only_a + only_b).pvalue
        assert mcnemar(*right(10, only_a, only_b)) == pytest.approx(expected, rel=1e-7)


def test_mcnemar_of_many_rows_nears_the_chi_square_with_its_correction() -> None:
    only_a, only_b = 5100, 4900
    z = (abs(only_a - only_b) - 1) / math.sqrt(only_a + only_b)
    assert mcnemar(*right(0, only_a, only_b)) == pytest.approx(math.erfc(z / math.sqrt(2)), rel=2e-3)


def test_mcnemar_refuses_unequal_lengths() -> None:
    with pytest.raises(ValueError, match="equally long"):
        mcnemar(np.array([True]), np.array([True, False]))
