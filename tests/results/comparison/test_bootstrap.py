"""Paired comparison: hand-made tables, plain loops over scikit-learn's scores, scipy's binomial test."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from maskcls.labels import Ints
from maskcls.results.comparison.bootstrap import Difference, mcnemar, paired_bootstrap
from maskcls.results.scores import person_bootstrap as bootstrap
from maskcls.results.scores.person_bootstrap import person_bootstrap

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


def taken(people: int, draws: int, seed: int) -> list[list[int]]:
    """The people of each draw, as a list in which a person may stand several times."""
    rng = np.random.default_rng(seed)
    return [rng.integers(people, size=people).tolist() for _ in range(draws)]


def plain_loop(
    truth_N: Ints, pairs: list[tuple[Ints, Ints]], person_N: list[str], *, draws: int, seed: int
) -> list[float]:
    """Every draw's mean over the seeds of b - a, row by row."""
    names = sorted(set(person_N))
    rows_of = [[row for row, name in enumerate(person_N) if name == who] for who in names]
    found = []
    for who_D in taken(len(names), draws, seed):
        rows = [row for who in who_D for row in rows_of[who]]
        each = [sklearn_f1(truth_N[rows], b[rows]) - sklearn_f1(truth_N[rows], a[rows]) for a, b in pairs]
        found.append(sum(each) / len(each))
    return found


def test_one_pair_equals_a_plain_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    truth_N, (a, b), person_N = case(12, (0.6, 0.7))
    drawn = plain_loop(truth_N, [(a, b)], person_N, draws=60, seed=7)
    low, high = np.quantile(drawn, [0.1, 0.9])
    assert len(set(drawn)) > 50
    for at_once in (1, 50, 1 << 20):  # one draw at a time, a few, all: the same interval
        monkeypatch.setattr(bootstrap, "WEIGHTS_AT_ONCE", at_once)
        got = paired_bootstrap(truth_N, a, b, person_N, CLASSES, draws=60, seed=7, level=0.8)
        assert got.value == pytest.approx(sklearn_f1(truth_N, b) - sklearn_f1(truth_N, a), abs=1e-12)
        assert (got.low, got.high) == (pytest.approx(low, abs=1e-12), pytest.approx(high, abs=1e-12))
        assert got.above_zero == np.mean([value > 0 for value in drawn])
        assert (got.draws, got.level) == (60, 0.8)


def test_seeds_share_the_people_of_a_draw() -> None:
    truth_N, (a0, a1, b0, b1), person_N = case(10, (0.5, 0.6, 0.6, 0.7), seed=1)
    drawn = plain_loop(truth_N, [(a0, b0), (a1, b1)], person_N, draws=50, seed=3)
    low, high = np.quantile(drawn, [0.025, 0.975])

    got = paired_bootstrap(truth_N, [a0, a1], [b0, b1], person_N, CLASSES, draws=50, seed=3)

    values = [sklearn_f1(truth_N, b) - sklearn_f1(truth_N, a) for a, b in ((a0, b0), (a1, b1))]
    assert got.value == pytest.approx(sum(values) / 2, abs=1e-12)
    assert (got.low, got.high) == (pytest.approx(low, abs=1e-12), pytest.approx(high, abs=1e-12))
    assert got == paired_bootstrap(truth_N, np.stack([a0, a1]), np.stack([b0, b1]), person_N, 4, draws=50, seed=3)


def test_classes_that_do_not_occur_are_left_out_as_in_the_scores() -> None:
    # truth 0 0 1 1; a knows all, b says 2 once: F1 of b 1, 2/3 and 0 over three classes, of a 1 over two
    truth_N, a, b = ints(0, 0, 1, 1), ints(0, 0, 1, 1), ints(0, 0, 1, 2)
    got = paired_bootstrap(truth_N, a, b, ["p", "p", "q", "q"], 9, draws=40, seed=0)
    assert got.value == pytest.approx((1 + 2 / 3 + 0) / 3 - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns about class 2, which is never true
        assert got.value == pytest.approx(f1_score(truth_N, b, average="macro") - 1)
    # draws of p alone tie; of q alone, b has 2/3 and 0 over two classes
    assert (got.low, got.high) == (pytest.approx(1 / 3 - 1), 0.0)


def test_hand_computed_interval() -> None:
    # Only ann's rows differ: a draw of ann twice gives 1 - 1/3, of each once 1 - 11/15, of bob twice 0.
    truth_N, a, b = ints(0, 1, 0, 1), ints(0, 0, 0, 1), ints(0, 1, 0, 1)
    got = paired_bootstrap(truth_N, a, b, ["ann", "ann", "bob", "bob"], 2, draws=400, seed=0)
    assert got.value == pytest.approx(1 - (4 / 5 + 2 / 3) / 2)
    assert (got.low, got.high) == (0.0, pytest.approx(2 / 3))
    assert got.above_zero == pytest.approx(3 / 4, abs=0.07)  # three standard errors of 400 draws
    back = paired_bootstrap(truth_N, b, a, ["ann", "ann", "bob", "bob"], 2, draws=400, seed=0)
    assert (back.value, back.low, back.high, back.above_zero) == (-got.value, -got.high, -got.low, 0.0)


def test_identical_predictions_differ_by_nothing() -> None:
    truth_N, (a,), person_N = case(8, (0.5,))
    got = paired_bootstrap(truth_N, [a, a[::-1]], [a, a[::-1]], person_N, CLASSES, draws=30, seed=0)
    assert got == Difference(value=0.0, low=0.0, high=0.0, above_zero=0.0, draws=30, level=0.95)


def test_one_person_has_no_spread() -> None:
    got = paired_bootstrap(ints(0, 1, 1), ints(0, 1, 0), ints(0, 1, 1), ["p"] * 3, 2, draws=5, seed=0)
    assert got.low == got.high == got.value == pytest.approx(1 - 2 / 3)


def test_pairing_narrows_the_interval() -> None:
    """What is hard for both cancels out, so the difference is surer than either score."""
    rng = np.random.default_rng(0)
    truth_N, (a,), person_N = case(60, (1.0,))
    hard_N = np.repeat(rng.random(60) < 0.5, 5)
    a = np.where(hard_N, (truth_N + 1) % CLASSES, truth_N)
    b = np.where(rng.random(len(a)) < 0.03, truth_N, a)
    paired = paired_bootstrap(truth_N, a, b, person_N, CLASSES, draws=300, seed=0)
    alone = person_bootstrap(truth_N, a, person_N, CLASSES, draws=300, seed=0)
    assert paired.high - paired.low < (alone.high - alone.low) / 3


def test_row_order_and_unknown_rows_change_nothing() -> None:
    truth_N, (a, b), person_N = case(15, (0.4, 0.6))
    one = paired_bootstrap(truth_N, a, b, person_N, CLASSES, draws=40, seed=2)
    order, people = np.random.default_rng(0).permutation(len(a)), np.array(person_N)
    assert paired_bootstrap(truth_N[order], a[order], b[order], people[order], CLASSES, draws=40, seed=2) == one
    more = [np.append(labels, [x, y]) for labels, x, y in ((truth_N, -1, -1), (a, 0, 1), (b, 1, 1))]
    assert paired_bootstrap(*more, [*person_N, "nobody", "p0"], CLASSES, draws=40, seed=2) == one
    assert paired_bootstrap(truth_N, a, b, person_N, CLASSES, draws=40, seed=3) != one


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"draws": 0}, "draws"),
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
    good |= {"people_N": ["p", "q"], "classes": 2, "draws": 5, "seed": 0}
    with pytest.raises(ValueError, match=message):
        paired_bootstrap(**(good | change))  # type: ignore[arg-type]


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
