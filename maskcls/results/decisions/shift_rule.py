"""The decision rule that corrects for class shares among the new rows that differ from those in training.

N rows, C classes of one task, J joint classes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from maskcls.labels import LabelSpace
from maskcls.results.decisions.calibration import TINY, Probabilities
from maskcls.results.decisions.rule import DecisionRule
from maskcls.results.scores.metrics import Doubles

EM_ROUNDS, EM_CLOSE = 10_000, 1e-10


def shifted_prior(prob_NC: Probabilities, prior_C: Doubles, *, trust: float = 0.0) -> Doubles:
    """Estimate how common the classes are among new rows, from their probabilities alone: (C,), sums to 1.

    Reference: Saerens, Latinne and Decaestecker 2002, Neural Computation 14(1), the EM algorithm of section 2.2.

    It takes for granted that the classes look as they did in training and only their shares differ, and that the
    probabilities are calibrated: if they are too sure or not sure enough, so is the answer.

    prob_NC  (N, C) float, rows sum to 1, of the new rows; at least one.
    prior_C  the class shares of the training rows, above 0; the truth's on out-of-fold rows.
    trust    weight of the training shares, relative to that of all new rows together: the estimate is then the most
             probable one with a Dirichlet prior around them. 0: the likeliest shares, which move far with small faults
             of the probabilities.

    Raises ValueError for a share of 0 or no rows.
    """
    prob_NC, prior_C = np.asarray(prob_NC, dtype=np.float64), np.asarray(prior_C, dtype=np.float64)
    if not len(prob_NC) or prior_C.shape != prob_NC.shape[1:] or not (prior_C > 0).all():
        raise ValueError(f"{len(prob_NC)} rows of {prob_NC.shape[1:]} classes, shares {prior_C.tolist()}")
    likely_NC, train_C = prob_NC / prior_C, prior_C / prior_C.sum()
    share_C = train_C
    for _ in range(EM_ROUNDS):
        found_C = share_C * (likely_NC.T @ (1 / (likely_NC @ share_C))) / len(prob_NC)
        before_C, share_C = share_C, (found_C + trust * train_C) / (1 + trust)
        if np.abs(share_C - before_C).max() < EM_CLOSE:
            break
    shares_C: Doubles = share_C / share_C.sum()
    return shares_C


def shift_rule(
    prob_NJ: Probabilities, prior_J: Doubles, space: LabelSpace, *, by_task: bool = True, trust: float = 0.0
) -> DecisionRule:
    """Make the rule that corrects the rows to be labelled for how common the classes are among them.

    prob_NJ  (N, J) float, calibrated joint probabilities of the rows to be labelled.
    prior_J  as for `shifted_prior`, but those of 0 count as rare as the rarest there is.
    by_task  estimate each task's shares from its marginals and change the odds by their product; otherwise those of
             the joint classes, for which many more rows are needed.
    trust    see `shifted_prior`.

    Its numbers are the estimated shares.
    """
    prior_J = fill_empty_classes(prior_J)
    prior_J = prior_J / prior_J.sum()
    if not by_task:
        share_J = shifted_prior(prob_NJ, prior_J, trust=trust)
        return _shift(np.log(np.maximum(share_J, TINY) / prior_J), dict(zip(space.joint_names, share_J, strict=True)))
    part_of, bias_J, numbers = space.decode(np.arange(space.size)), np.zeros(space.size), dict[str, float]()
    for task in space.tasks:
        of_JC = np.eye(len(task.classes))[part_of[task.name]]
        prior_C = prior_J @ of_JC
        share_C = shifted_prior(prob_NJ @ of_JC, prior_C, trust=trust)
        bias_J += np.log(np.maximum(share_C, TINY) / prior_C)[part_of[task.name]]
        numbers |= {f"{task.name} {name}": share for name, share in zip(task.classes, share_C, strict=True)}
    return _shift(bias_J, numbers)


def fill_empty_classes(share_J: Doubles) -> Doubles:
    filled_J: Doubles = np.where(share_J > 0, share_J, share_J[share_J > 0].min())
    return filled_J


def _shift(bias_J: Doubles, numbers: Mapping[str, float]) -> DecisionRule:
    return DecisionRule(
        "shift", tuple(bias_J.tolist()), numbers={name: float(share) for name, share in numbers.items()}
    )
