"""Wrong labels: doubtful training rows left out or given another label, and losses that such rows move less.

n training photos, D features, C classes. All thresholds were fixed before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from head_variants.people import SHARED, means
from head_variants.split import Split, fit, other_logistic
from maskcls.labels import Ints
from maskcls.nn.fitting.fitted_head import Wide, WideHead, log_softmax
from maskcls.nn.fitting.head_rows import HeadRows
from maskcls.nn.fitting.logistic import TOLERANCE, CurvedFeatures, curved, fit_logistic
from maskcls.nn.fitting.solvers import Solver

BOOTSTRAP = 0.95  # share of the label in the target, of the reference
POWER = 0.7  # of the reference
MOST_STEPS = 2_000

Logs = dict[str, Wide]
RowLoss = Callable[[Wide, Ints], tuple[Wide, Wide]]  # log probabilities, labels -> loss (N,), slope by logits (N, C)


def doubts(one: Split, task: str) -> Wide:
    """Return the probability (n, C) of each class of the training photos, by inner folds.

    Of a task that is the same on all photos of a person: from the mean log probability of the person's photos.
    """
    log_NC = one.base(task).known
    if task in SHARED:
        unit_n = np.unique(one.person_n, return_inverse=True)[1].astype(np.int64)
        log_NC = log_softmax(means(log_NC, unit_n)[0][unit_n])
    return np.exp(log_NC)


def left_out(one: Split, threshold: float) -> Logs:
    """Training rows whose label has less than this probability on inner folds are left out."""
    (known_ND, new_ND), logs = one.standard(), one.log_base()
    for task in one.space.names:
        label_n = one.labels[task]
        kept = np.flatnonzero(doubts(one, task)[np.arange(len(label_n)), label_n] >= threshold)
        if len(kept) < len(label_n):
            logs[task] = fit(known_ND[kept], label_n[kept], one.part_n[kept], one.classes(task), new_ND).new
    return logs


def relabelled(one: Split, threshold: float) -> Logs:
    """Such rows get the most probable class instead."""
    (known_ND, new_ND), logs = one.standard(), one.log_base()
    for task in one.space.names:
        label_n, prob_NC = one.labels[task], doubts(one, task)
        doubtful = prob_NC[np.arange(len(label_n)), label_n] < threshold
        if doubtful.any():
            now_n = np.where(doubtful, prob_NC.argmax(axis=1), label_n)
            grams = one.grams.setdefault("last", {})
            logs[task] = fit(known_ND, now_n, one.part_n, one.classes(task), new_ND, grams=grams).new
    return logs


def bootstrapping(log_NC: Wide, label_N: Ints) -> tuple[Wide, Wide]:
    """Soft bootstrapping (Reed et al. 2014, arXiv:1412.6596): the target is partly the prediction itself."""
    prob_NC, rows = np.exp(log_NC), np.arange(len(label_N))
    entropy_N = -(prob_NC * log_NC).sum(axis=1)
    slope_NC = BOOTSTRAP * prob_NC - (1 - BOOTSTRAP) * prob_NC * (log_NC + entropy_N[:, None])
    slope_NC[rows, label_N] -= BOOTSTRAP
    return -BOOTSTRAP * log_NC[rows, label_N] + (1 - BOOTSTRAP) * entropy_N, slope_NC


def generalised(log_NC: Wide, label_N: Ints) -> tuple[Wide, Wide]:
    """Generalised cross-entropy (1 - p ** q) / q of the label's probability (Zhang and Sabuncu 2018, 1805.07836)."""
    rows, prob_NC = np.arange(len(label_N)), np.exp(log_NC)
    raised_N = np.exp(POWER * log_NC[rows, label_N])
    slope_NC = raised_N[:, None] * prob_NC
    slope_NC[rows, label_N] -= raised_N
    return (1 - raised_N) / POWER, slope_NC


def fit_robust(features: CurvedFeatures, label_N: Ints, start: WideHead, strength: float, loss_of: RowLoss) -> WideHead:
    """Return the head with a low mean loss plus strength / 2 times the squared weights, begun at another head."""
    from scipy.optimize import minimize

    width, present = features.turned_ND.shape[1], start.present_P
    index_N, penalty_D = np.searchsorted(present, label_N), strength / features.scale_D**2

    def loss(flat: Wide) -> tuple[float, Wide]:
        turned_PD, bias_P = flat[: -len(present)].reshape(len(present), width), flat[-len(present) :]
        value_N, slope_NP = loss_of(log_softmax(features.turned_ND @ turned_PD.T + bias_P), index_N)
        slope_NP = slope_NP / len(index_N)
        slope_PD = slope_NP.T @ features.turned_ND + penalty_D * turned_PD
        value = float(value_N.mean()) + 0.5 * float((penalty_D * turned_PD**2).sum())
        return value, np.concatenate([slope_PD.reshape(-1), slope_NP.sum(axis=0)])

    begin = np.concatenate([(start.weight_PD @ features.direction_DD * features.scale_D).reshape(-1), start.bias_P])
    options = {"maxiter": MOST_STEPS, "maxfun": 2 * MOST_STEPS, "gtol": 10 * TOLERANCE, "ftol": 1e-9, "maxcor": 20}
    found: Wide = minimize(loss, begin, jac=True, method="L-BFGS-B", options=options).x
    turned_PD = found[: -len(present)].reshape(len(present), width)
    return WideHead(present, (turned_PD / features.scale_D) @ features.direction_DD.T, found[-len(present) :])


def robust_solver(rows: HeadRows, about: float, loss_of: RowLoss) -> Solver:
    """Return a solver of `fit_robust`, begun at logistic regression of the same strength."""
    features = curved(rows.feature_ND, about)

    def solve(parts: Sequence[int], strength: float) -> WideHead:
        at = np.flatnonzero(np.isin(rows.part_N, parts))
        share_n = np.full(len(at), 1 / len(at))
        start = fit_logistic(features.at(at), rows.label_N[at], share_n, strength, tolerance=1e-3)
        return fit_robust(features.at(at), rows.label_N[at], start, strength, loss_of)

    return solve


def robust(one: Split, loss_of: RowLoss) -> Logs:
    """Logistic heads with another loss, of the strength that logistic regression has; a factor is fitted as for lda."""
    return other_logistic(one, lambda task, about, rows: robust_solver(rows, about, loss_of))
