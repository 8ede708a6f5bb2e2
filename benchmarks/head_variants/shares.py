"""Class shares of a fold's validation photos by expectation maximisation, under the nested rule.

N out-of-fold rows, J joint classes.
"""

from __future__ import annotations

import numpy as np

from maskcls.labels import Ints, LabelSpace
from maskcls.results.crossfit import cross_fit
from maskcls.results.decisions.bias_rule import class_shares
from maskcls.results.decisions.expected_rule import expected_rule
from maskcls.results.decisions.shift_rule import shift_rule
from maskcls.results.scores.metrics import Doubles


def with_shares(prob_NJ: Doubles, truth_N: Ints, fold_N: Ints, space: LabelSpace, *, trust: float) -> Doubles:
    """Return rows whose odds are corrected for the class shares that EM finds among the rows of their own fold.

    The shares of the training rows are those of the other folds' labels. trust: see `shifted_prior`.
    """

    def fit(rows: Ints) -> Doubles:
        return class_shares(truth_N[rows], space.size)

    def apply(prior_J: Doubles, rows: Ints) -> Doubles:
        return shift_rule(prob_NJ[rows], prior_J, space, trust=trust).adjusted(prob_NJ[rows])

    found: Doubles = cross_fit(fold_N, fit, apply)
    return found


def expected_labels(prob_NJ: Doubles, fold_N: Ints, *, own: bool = False) -> Ints:
    """Return labels (N,) by the rule for the highest expected macro-F1, made from the rows of the other folds.

    own  made from the probabilities of the rows to be labelled, those of the fold; no label is needed for that.
    """
    labels_N = np.empty(len(prob_NJ), dtype=np.int64)
    for k in np.unique(fold_N):
        mine = fold_N == k
        labels_N[mine] = expected_rule(prob_NJ[mine if own else ~mine]).labels(prob_NJ[mine])
    return labels_N
