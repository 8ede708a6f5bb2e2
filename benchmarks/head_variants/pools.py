"""Sums of log probabilities with weights that are fitted by log loss.

T terms, U rows, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maskcls.labels import Ints
from maskcls.nn.fitting.fitted_head import Wide, log_softmax


def pool_weights(terms_TUC: Sequence[Wide], label_U: Ints) -> Wide:
    """Return weights (T,) with the lowest log loss of softmax(sum of weight * term); a term may be 0 for some rows.

    Reference: Genest and Zidek 1986, Statistical Science 1 (logarithmic opinion pools). Weights need not sum to 1, so
    a row with many terms may be surer than each of them. The loss is convex in the weights.

    >>> term = np.log([[0.8, 0.2]] * 5)
    >>> pooled(pool_weights([term], np.array([0, 0, 0, 0, 1])), [term])[0].round(3).tolist()
    [-0.223, -1.609]
    """
    from scipy.optimize import minimize

    term_TUC, rows = np.stack(terms_TUC), np.arange(len(label_U))

    def loss(weight_T: Wide) -> tuple[float, Wide]:
        log_UC = log_softmax(np.tensordot(weight_T, term_TUC, 1))
        error_UC = np.exp(log_UC)
        error_UC[rows, label_U] -= 1
        return -float(log_UC[rows, label_U].mean()), (term_TUC * error_UC).sum(axis=(1, 2)) / len(rows)

    found: Wide = minimize(loss, np.full(len(term_TUC), 1 / len(term_TUC)), jac=True, method="BFGS").x
    return found


def pooled(weight_T: Wide, terms_TUC: Sequence[Wide]) -> Wide:
    """Return the log probabilities (U, C) of the weighted sum."""
    return log_softmax(np.tensordot(weight_T, np.stack(terms_TUC), 1))
