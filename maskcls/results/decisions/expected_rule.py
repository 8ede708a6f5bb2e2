"""The decision rule with the highest expected macro-F1, from calibrated probabilities alone.

N rows, J joint classes."""

from __future__ import annotations

import numpy as np

from maskcls.labels import Ints
from maskcls.results.decisions.bias_rule import BETTER
from maskcls.results.decisions.calibration import Probabilities
from maskcls.results.decisions.rule import DecisionRule
from maskcls.results.scores.metrics import Doubles

TURNS, PART = 100, 0.2  # iterations, and the step of each


def expected_rule(prob_NJ: Probabilities) -> DecisionRule:
    """Make the rule with the highest macro-F1 expected from the probabilities themselves, without labels.

    References: Narasimhan, Ramaswamy, Saha and Agarwal 2015, Consistent multiclass algorithms for complex performance
    measures, ICML; with one class, Lipton et al. 2014, arXiv:1402.1892: the best threshold is half the best F1.

    One more row predicted as class j raises the sum of the F1 by about (2 p_j - F1_j) / (true_j + predicted_j), to
    first order. Predicting the class with the largest value changes F1 and the predictions, so the two are computed
    in turns, each time with a partial step. The J pairs of numbers follow from the probabilities of all rows, so the
    rule is steadier than a bias fitted on the few people of a rare class. It can be no better than the probabilities:
    calibrate them first.

    prob_NJ  (N, J) float, rows sum to 1, calibrated; at least one row.

    Returns plain argmax where nothing better is expected. Raises ValueError for no rows.
    """
    prob_NJ = np.asarray(prob_NJ, dtype=np.float64)
    if not len(prob_NJ):
        raise ValueError("there are no rows")
    rows, classes = prob_NJ.shape
    truths_J = prob_NJ.sum(axis=0)

    def expected(label_N: Ints) -> tuple[Doubles, Doubles]:
        hits_J = np.bincount(label_N, prob_NJ[np.arange(rows), label_N], minlength=classes)
        marks_J = np.maximum(truths_J + np.bincount(label_N, minlength=classes), 1.0)  # rarer than that is not known
        return 2 * hits_J / marks_J, marks_J / rows

    rule = DecisionRule("expected", (0.0,) * classes)
    f1_J, marks_J = expected(rule.labels(prob_NJ))
    best, best_rule = f1_J.mean(), rule
    for _ in range(TURNS):
        rule = DecisionRule("expected", tuple((-np.log(marks_J)).tolist()), tuple((f1_J / 2).tolist()))
        found_f1_J, found_marks_J = expected(rule.labels(prob_NJ))
        if found_f1_J.mean() > best + BETTER:
            best, best_rule = found_f1_J.mean(), rule
        f1_J, marks_J = (old + PART * (new - old) for old, new in ((f1_J, found_f1_J), (marks_J, found_marks_J)))
    return best_rule
