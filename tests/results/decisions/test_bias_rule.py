"""The fitted bias: brute force over its grid, no false alarm on noise, and what its directions are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from calibrated_rows import PAIR, case, macro_f1

from maskcls.labels import CONTEST
from maskcls.results.decisions.bias_rule import directions, fit_bias
from maskcls.results.scores.person_bootstrap import resamples


def test_a_task_rule_has_a_number_for_each_class_but_the_first() -> None:
    found = directions("task", np.full(18, 1 / 18), CONTEST)
    assert list(found) == ["mask incorrect", "mask normal", "gender female", "age 30-59", "age >=60"]
    assert found["age >=60"].tolist() == [float(j % 3 == 2) for j in range(18)]
    assert found["gender female"].tolist() == [float(j // 3 % 2 == 1) for j in range(18)]
    assert len(directions("joint", np.full(18, 1 / 18), CONTEST)) == 17
    tau = directions("prior", np.array([0.5, 0.5, 0.0, 0.25]), PAIR)["tau"]
    np.testing.assert_allclose(tau, -np.log([0.5, 0.5, 0.25, 0.25]))
    with pytest.raises(ValueError, match="not fitted"):
        directions("shift", np.full(4, 0.25), PAIR)


@pytest.mark.parametrize("caution", [0.0, 1.0])
def test_no_neighbour_is_worth_more_by_brute_force(caution: float) -> None:
    """Every number of the rule is moved by every fine step; the worth of each is recomputed from rows."""
    prob_NJ, true_N, person_N, _ = case(15, PAIR, seed=3)
    weights = np.vstack(list(resamples(15, 6, seed=5)))
    rows_D = [np.repeat(np.arange(len(true_N)), w[person_N].astype(int)) for w in weights]
    plain_N = prob_NJ.argmax(axis=1)

    def worth(numbers: tuple[float, ...]) -> float:
        bias = [a * numbers[0] + b * numbers[1] for a, b in itertools.product((0, 1), repeat=2)]
        label_N = (np.log(prob_NJ) + bias).argmax(axis=1)
        gains = [macro_f1(true_N[rows], label_N[rows]) - macro_f1(true_N[rows], plain_N[rows]) for rows in rows_D]
        return float(np.mean(gains) - caution * np.std(gains))

    rule = fit_bias(prob_NJ, true_N, person_N, PAIR, caution=caution, draws=6, seed=5)
    numbers = tuple(rule.numbers.values())
    steps = [0.1 * i for i in range(-4, 5)]
    neighbours = [(numbers[0] + s, numbers[1]) for s in steps] + [(numbers[0], numbers[1] + s) for s in steps]
    assert worth(numbers) >= max(map(worth, neighbours)) - 1e-9
    assert worth(numbers) >= 0 == worth((0.0, 0.0))
    assert list(rule.numbers) == ["a 1", "b 1"]
    np.testing.assert_allclose(rule.bias, [0, numbers[1], numbers[0], sum(numbers)])
    if not caution:
        assert worth(numbers) > 0.01


def test_caution_keeps_plain_argmax_where_there_is_only_chance() -> None:
    prob_NJ, _, person_N, _ = case(20, PAIR, seed=0)
    true_N = np.random.default_rng(1).integers(4, size=len(prob_NJ))
    assert any(fit_bias(prob_NJ, true_N, person_N, PAIR, caution=0.0).bias)
    assert not any(fit_bias(prob_NJ, true_N, person_N, PAIR, caution=3.0).bias)


def test_rows_of_unknown_truth_teach_nothing_and_the_order_does_not_matter() -> None:
    prob_NJ, true_N, person_N, _ = case(20, PAIR, seed=2)
    one = fit_bias(prob_NJ, true_N, person_N, PAIR, caution=0.0, draws=8)
    more = fit_bias(
        np.vstack([prob_NJ, prob_NJ]),
        np.append(true_N, np.full(len(true_N), -1)),
        np.append(person_N, person_N + 100),
        PAIR,
        caution=0.0,
        draws=8,
    )
    order = np.random.default_rng(0).permutation(len(true_N))
    again = fit_bias(prob_NJ[order], true_N[order], person_N[order], PAIR, caution=0.0, draws=8)
    assert one == more == again
    assert any(one.bias)
    assert fit_bias(prob_NJ, true_N, person_N, PAIR, caution=0.0, draws=8, seed=1) != one


def test_nonsense_is_refused() -> None:
    prob_NJ, true_N, person_N, _ = case(4, PAIR, 0)
    with pytest.raises(ValueError, match="no row"):
        fit_bias(prob_NJ, np.full(16, -1), person_N, PAIR)
    with pytest.raises(ValueError, match="caution"):
        fit_bias(prob_NJ, true_N, person_N, PAIR, draws=1)
    with pytest.raises(ValueError, match="caution"):
        fit_bias(prob_NJ, true_N, person_N, PAIR, caution=-1.0)
