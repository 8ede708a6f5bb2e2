"""Decision rules: plain loops over scikit-learn's scores, planted biases and shifts, false alarms on noise, leaks."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.metrics import f1_score

from maskcls.labels import CONTEST, Ints, LabelSpace, Task
from maskcls.results.decisions.bias_rule import class_shares, directions, fit_bias
from maskcls.results.decisions.expected_rule import expected_rule
from maskcls.results.decisions.nested_gain import Nested, nested_gain
from maskcls.results.decisions.rule import DecisionRule, Kind
from maskcls.results.decisions.shift_rule import shift_rule, shifted_prior
from maskcls.results.scores.person_bootstrap import resamples

Doubles = NDArray[np.float64]
PAIR = LabelSpace((Task("a", ("0", "1")), Task("b", ("0", "1"))))
THREE = LabelSpace((Task("t", ("x", "y", "z")),))


def softmax(logits: Doubles) -> Doubles:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def drawn(prob_NC: Doubles, rng: np.random.Generator) -> Ints:
    """Labels that the rows are the true probabilities of."""
    return (prob_NC.cumsum(axis=1) < rng.random((len(prob_NC), 1))).sum(axis=1).clip(0, prob_NC.shape[1] - 1)


def case(people: int, space: LabelSpace, seed: int, photos: int = 4) -> tuple[Doubles, Ints, Ints, Ints]:
    """Rows with calibrated probabilities, their truth, who is on them, and one of 5 folds for each person."""
    rng = np.random.default_rng(seed)
    prob_NJ = softmax(1.5 * rng.normal(size=(people * photos, space.size)))
    person_N = np.repeat(np.arange(people), photos)
    return prob_NJ, drawn(prob_NJ, rng), person_N, person_N % 5


def macro_f1(true_N: Ints, label_N: Ints) -> float:
    return float(f1_score(true_N, label_N, average="macro", zero_division=0))


# --- the rule


def test_a_bias_is_added_to_the_log_probabilities() -> None:
    prob_NJ, *_ = case(10, PAIR, 0)
    rule = DecisionRule("joint", (0.0, 1.0, -2.0, 0.5))
    odds = prob_NJ * np.exp([0.0, 1.0, -2.0, 0.5])
    np.testing.assert_allclose(rule.adjusted(prob_NJ), odds / odds.sum(axis=1, keepdims=True), rtol=1e-12)
    assert rule.labels(prob_NJ).tolist() == odds.argmax(axis=1).tolist() != prob_NJ.argmax(axis=1).tolist()
    assert rule.labels(prob_NJ).dtype == np.int64


def test_a_threshold_is_taken_off_before_the_weight() -> None:
    rule = DecisionRule("expected", (0.0, float(np.log(3))), (0.2, 0.3))
    # 0.6 - 0.2 = 0.4 against 3 (0.4 - 0.3) = 0.3; 0.55 - 0.2 = 0.35 against 3 (0.45 - 0.3) = 0.45
    assert rule.labels(np.array([[0.6, 0.4], [0.55, 0.45]])).tolist() == [0, 1]
    with pytest.raises(ValueError, match="thresholds"):
        rule.adjusted(np.array([[0.5, 0.5]]))


def test_a_rule_comes_back_from_json() -> None:
    for rule in (
        DecisionRule("task", (0.1, -0.2), numbers={"age >=60": -0.2}),
        DecisionRule("expected", (0.0, 1.0), (0.25, 0.5)),
    ):
        assert DecisionRule.from_json(json.loads(json.dumps(rule.to_json()))) == rule


@pytest.mark.parametrize(
    "arguments", [("other", (0.0,)), ("task", (float("nan"),)), ("task", (0.0, 0.0), (0.1,)), ("task", (float("inf"),))]
)
def test_what_is_no_rule_is_refused(arguments: tuple[Kind, tuple[float, ...]]) -> None:
    with pytest.raises(ValueError, match="no rule"):
        DecisionRule(*arguments)


def test_probabilities_of_other_classes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(N, 2\)"):
        DecisionRule("task", (0.0, 0.0)).labels(np.ones((3, 3)) / 3)


# --- directions


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


# --- a bias fitted on labels


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


# --- the rule the probabilities expect


def expected_macro_f1(prob_NC: Doubles, label_N: Ints) -> float:
    """With probabilities in the place of counts, class by class."""
    scores = []
    for c in range(prob_NC.shape[1]):
        answers = label_N == c
        scores.append(2 * prob_NC[answers, c].sum() / (prob_NC[:, c].sum() + answers.sum()))
    return float(np.mean(scores))


def test_nearly_all_is_found_of_what_every_labelling_together_could_give() -> None:
    every = [np.array(one) for one in itertools.product(range(3), repeat=6)]
    reached = []
    for seed in range(8):
        prob_NC = case(2, THREE, seed, photos=3)[0]
        best = max(expected_macro_f1(prob_NC, one) for one in every)
        plain = expected_macro_f1(prob_NC, prob_NC.argmax(axis=1))
        got = expected_macro_f1(prob_NC, expected_rule(prob_NC).labels(prob_NC))
        assert best + 1e-12 >= got >= plain - 1e-12
        reached.append((got, best, plain))
    total_got, total_best, total_plain = np.mean(reached, axis=0)
    assert len(every) == 729
    assert total_got > total_best - 0.01  # the turns may end beside the best of all
    assert total_got > total_plain + 0.01


def test_a_rare_class_is_answered_more_often_than_it_is_the_likeliest() -> None:
    rng = np.random.default_rng(0)
    prob_NC = softmax(rng.normal(size=(4000, 3)) + np.array([1.5, 1.0, -1.5]))
    true_N, plain_N = drawn(prob_NC, rng), prob_NC.argmax(axis=1)
    label_N = expected_rule(prob_NC).labels(prob_NC)
    assert (label_N == 2).sum() > 2 * (plain_N == 2).sum()
    assert macro_f1(true_N, label_N) > macro_f1(true_N, plain_N) + 0.05


def test_sure_rows_are_answered_as_they_are() -> None:
    rows = np.eye(3)[[0, 1, 1, 2]]
    rule = expected_rule(rows)
    assert rule.labels(rows).tolist() == [0, 1, 1, 2]
    assert not any(rule.bias)
    with pytest.raises(ValueError, match="no rows"):
        expected_rule(np.zeros((0, 3)))


def test_a_class_nobody_can_have_does_no_harm() -> None:
    prob_NC = np.hstack([case(20, THREE, 0)[0], np.zeros((80, 1))])
    rule = expected_rule(prob_NC)
    assert np.isfinite(rule.bias).all()
    assert rule.labels(prob_NC).max() == 2


# --- nested


def judged(kind: Kind, prob_NJ: Doubles, true_N: Ints, person_N: Ints, fold_N: Ints, space: LabelSpace) -> Nested:
    def fit(rows: Ints) -> DecisionRule:
        if kind == "expected":
            return expected_rule(prob_NJ[rows])
        return fit_bias(prob_NJ[rows], true_N[rows], person_N[rows], space, kind=kind, draws=20)

    def apply(rule: DecisionRule, rows: Ints) -> Ints:
        return rule.labels(prob_NJ[rows])

    return nested_gain(prob_NJ, true_N, person_N, fold_N, fit, apply, draws=300)


@pytest.mark.parametrize("kind", ["task", "joint", "prior"])
def test_a_planted_bias_is_found_and_worth_it(kind: Kind) -> None:
    prob_NJ, true_N, person_N, fold_N = case(100, PAIR, seed=4)
    nats = 5.0 if kind == "prior" else 2.0
    rows = DecisionRule("joint", (0.0, nats, 0.0, nats)).adjusted(prob_NJ)  # b = 1 looks too likely
    if kind == "prior":  # it can put right what follows the prior alone
        keep = np.random.default_rng(0).random(len(true_N)) < np.where(true_N % 2, 1.0, np.exp(-2))
        rows, true_N, person_N, fold_N = rows[keep], true_N[keep], person_N[keep], fold_N[keep]
    found = judged(kind, rows, true_N, person_N, fold_N, PAIR)
    plain_N = rows.argmax(axis=1)
    assert found.plain == pytest.approx(macro_f1(true_N, plain_N))
    assert found.ruled == pytest.approx(macro_f1(true_N, found.labels))
    assert found.gain.value == pytest.approx(found.ruled - found.plain)
    assert found.worth_it
    assert found.gain.low > 0
    rule = fit_bias(rows, true_N, person_N, PAIR, kind=kind)
    if kind == "task":
        assert rule.numbers["b 1"] == pytest.approx(-2, abs=0.8)  # macro-F1 is flat there: a few rows decide
        assert abs(rule.numbers["a 1"]) < 0.8
    if kind == "prior":
        assert rule.numbers["tau"] > 0.5
        np.testing.assert_allclose(rule.bias, -rule.numbers["tau"] * np.log(class_shares(true_N, 4)))


@pytest.mark.parametrize(("kind", "seeds"), [("expected", 16), ("prior", 16), ("task", 12)])
def test_noise_is_not_worth_it(kind: Kind, seeds: int) -> None:
    """Classes equally frequent and rows that know nothing: no rule is better than another on new people."""
    alarms, changed = 0, 0
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        prob_NJ, _, person_N, fold_N = case(40, PAIR, seed)
        true_N = np.repeat(rng.integers(4, size=40), 4)
        found = judged(kind, prob_NJ, true_N, person_N, fold_N, PAIR)
        alarms += found.worth_it
        changed += bool((found.labels != prob_NJ.argmax(axis=1)).any())
    assert alarms <= 2  # one in 40 is due to the interval alone; more than 2 would come about once in 20 such tests
    assert changed >= 3  # or nothing was tried


def test_no_fold_sees_its_own_truth() -> None:
    prob_NJ, true_N, person_N, fold_N = case(30, PAIR, seed=7)
    rows = DecisionRule("joint", (0.0, 1.0, -1.0, 0.0)).adjusted(prob_NJ)
    one = judged("joint", rows, true_N, person_N, fold_N, PAIR).labels
    elsewhere = 0
    for fold in range(5):
        own = fold_N == fold
        changed_N = true_N.copy()
        changed_N[own] = (3 - true_N[own])[::-1]
        again = judged("joint", rows, changed_N, person_N, fold_N, PAIR).labels
        assert (again[own] == one[own]).all()
        elsewhere += int((again[~own] != one[~own]).sum())
    assert elsewhere > 0  # the labels are learnt from, where they may be


# --- other shares among the new rows


def gaussians(shares: Doubles, rows: int, seed: int) -> tuple[Doubles, Ints]:
    """Return log-likelihoods (N, 3) of points in the plane around three means, and their classes."""
    rng = np.random.default_rng(seed)
    means = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    true_N = rng.choice(3, size=rows, p=shares)
    points = means[true_N] + rng.normal(size=(rows, 2))
    return -0.5 * ((points[:, None] - means) ** 2).sum(axis=2), true_N


@pytest.mark.parametrize("new", [[0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.02, 0.38, 0.6]])
def test_a_planted_shift_is_recovered(new: list[float]) -> None:
    prior_C = np.array([0.6, 0.3, 0.1])
    likely_NC, true_N = gaussians(np.array(new), 8000, seed=0)
    prob_NC = softmax(likely_NC + np.log(prior_C))
    share_C = shifted_prior(prob_NC, prior_C)
    np.testing.assert_allclose(share_C, new, atol=0.02)  # 8,000 points know a share to about 0.007
    rule = shift_rule(prob_NC, prior_C, THREE)
    np.testing.assert_allclose(list(rule.numbers.values()), share_C, atol=1e-9)
    right = softmax(likely_NC + np.log(share_C))
    np.testing.assert_allclose(rule.adjusted(prob_NC), right, atol=1e-6)
    if new != prior_C.tolist():
        assert (rule.labels(prob_NC) == true_N).mean() > (prob_NC.argmax(axis=1) == true_N).mean() + 0.005


def test_the_shares_are_the_likeliest_by_another_way() -> None:
    prior_C = np.array([0.5, 0.3, 0.2])
    prob_NC = softmax(gaussians(np.array([0.2, 0.2, 0.6]), 300, seed=1)[0] + np.log(prior_C))

    def loss(logits: Doubles) -> float:
        return -float(np.log((prob_NC / prior_C) @ softmax(logits[None])[0]).mean())

    found = softmax(minimize(loss, np.zeros(3), tol=1e-10).x[None])[0]
    np.testing.assert_allclose(shifted_prior(prob_NC, prior_C), found, atol=1e-4)


def test_shares_of_tasks_are_multiplied_and_those_of_joint_classes_are_not() -> None:
    prob_NJ, *_ = case(50, PAIR, 0)
    prior_J = np.array([0.4, 0.3, 0.2, 0.1])
    a = shifted_prior(prob_NJ.reshape(-1, 2, 2).sum(axis=2), np.array([0.7, 0.3]))
    b = shifted_prior(prob_NJ.reshape(-1, 2, 2).sum(axis=1), np.array([0.6, 0.4]))
    rule = shift_rule(prob_NJ, prior_J, PAIR)
    np.testing.assert_allclose(np.exp(rule.bias), np.outer(a / [0.7, 0.3], b / [0.6, 0.4]).ravel())
    assert list(rule.numbers) == ["a 0", "a 1", "b 0", "b 1"]
    joint = shift_rule(prob_NJ, prior_J, PAIR, by_task=False)
    np.testing.assert_allclose(np.exp(joint.bias), shifted_prior(prob_NJ, prior_J) / prior_J)
    # what the corrected rows say on average is what they were corrected for
    np.testing.assert_allclose(joint.adjusted(prob_NJ).mean(axis=0), list(joint.numbers.values()), atol=1e-4)


def test_shares_that_are_none_are_refused() -> None:
    for prob_NC, prior_C in (
        (np.ones((2, 2)) / 2, [1.0, 0.0]),
        (np.zeros((0, 2)), [0.5, 0.5]),
        (np.ones((1, 2)), [1.0]),
    ):
        with pytest.raises(ValueError, match="shares"):
            shifted_prior(prob_NC, np.array(prior_C))
