"""Labels of rows whose class shares differ from those in training, chosen for macro-F1.

N rows, J joint classes.
"""

from __future__ import annotations

from maskcls.labels import Ints, LabelSpace
from maskcls.results.decisions.calibration import Probabilities
from maskcls.results.decisions.expected_rule import expected_rule
from maskcls.results.decisions.shift_rule import shift_rule
from maskcls.results.scores.metrics import Doubles

TRUST = 0.3  # weight of the training shares; measured by benchmarks/shares.py. A prior here: Ye et al. 2024, WACV


def shifted_labels(prob_NJ: Probabilities, prior_J: Doubles, space: LabelSpace) -> Ints:
    """Return the labels (N,) with the highest expected macro-F1, if the class shares alone differ from training.

    The most probable class of corrected rows is the right answer for accuracy, and often a worse one for macro-F1:
    a class that became rarer is hardly answered any more. So the corrected rows go to `expected_rule`.

    prob_NJ  (N, J) float, calibrated joint probabilities of the rows to be labelled, all of them.
    prior_J  (J,) class shares of the training rows.

    Raises what `shift_rule` and `expected_rule` raise.
    """
    corrected_NJ = shift_rule(prob_NJ, prior_J, space, trust=TRUST).adjusted(prob_NJ)
    return expected_rule(corrected_NJ).labels(corrected_NJ)
