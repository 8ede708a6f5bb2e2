"""More from a person: heads on means of features over a person's photos, by mask state, and attention.

n training photos, m validation photos, U people or groups, S mask states, D features, C classes. Training photos are
grouped by the names of their people, validation photos by similarity. The tasks that are the same on all photos of a
person are predicted for the group; the other, mask, is the base's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from head_variants.pools import pool_weights, pooled
from head_variants.split import Split, fit, log_mean_exp
from maskcls.labels import Bools, Ints
from maskcls.nn.fitting.fitted_head import Wide, log_softmax

SHARED = ("gender", "age")
STATE = "mask"
COMPONENTS = 128  # principal components that attention sees
UNCOVERED = 2  # mask state `normal` of the contest
PENALTIES = (1e-1, 3e-2, 1e-2, 3e-3)

Logs = dict[str, Wide]


@dataclass(frozen=True, eq=False)
class Units:
    """The people of the training photos, and the groups of the validation photos; unit_n: whose each photo is."""

    unit_n: Ints
    new_unit_m: Ints
    part_U: Ints
    labels: dict[str, Ints]


def units_of(one: Split) -> Units:
    """Return the units of a fold."""
    _, first_U, unit_n = np.unique(one.person_n, return_index=True, return_inverse=True)
    labels = {task: one.labels[task][first_U] for task in SHARED}
    return Units(unit_n.astype(np.int64), one.group_m, one.part_n[first_U], labels)


def means(value_ND: Wide, unit_N: Ints, weight_N: Wide | None = None) -> tuple[Wide, Bools]:
    """Return the weighted mean (U, D) of each unit's rows, 0 where it has none, and which units have some.

    >>> means(np.array([[1.0], [3.0], [5.0]]), np.array([0, 0, 2]))[0].ravel().tolist()
    [2.0, 0.0, 5.0]
    """
    weight_N = np.ones(len(unit_N)) if weight_N is None else weight_N
    units = int(unit_N.max()) + 1
    total_U, sum_UD = np.bincount(unit_N, weight_N, units), np.zeros((units, value_ND.shape[1]))
    np.add.at(sum_UD, unit_N, value_ND * weight_N[:, None])
    found: Wide = sum_UD / np.where(total_U > 0, total_U, 1)[:, None]
    return found, total_U > 0


def states(one: Split) -> tuple[Ints, Ints]:
    """Return the predicted mask state of the training photos, by inner folds, and of the validation photos."""
    found = one.base(STATE)
    return found.known.argmax(axis=1), found.new.argmax(axis=1)


def person_means(one: Split) -> Logs:
    """Heads fitted on the mean features of each person, applied to the mean of each group."""
    of, (known_ND, new_ND) = units_of(one), one.standard()
    mean_UD, new_UD = means(known_ND, of.unit_n)[0], means(new_ND, of.new_unit_m)[0]
    logs = one.log_base()
    for task in SHARED:
        found = fit(mean_UD, of.labels[task], of.part_U, one.classes(task), new_UD)
        logs[task] = found.new[of.new_unit_m]
    return logs


def _state_terms(one: Split) -> dict[str, tuple[list[Wide], list[Wide]]]:
    """Return log probabilities of people, and of groups, by heads of the means of each mask state, and of all."""
    of, (known_ND, new_ND), (state_n, state_m) = units_of(one), one.standard(), states(one)
    selections = [(state_n == s, state_m == s) for s in range(one.classes(STATE))]
    selections.append((np.ones_like(state_n, bool), np.ones_like(state_m, bool)))
    terms: dict[str, tuple[list[Wide], list[Wide]]] = {task: ([], []) for task in SHARED}
    for mine_n, mine_m in selections:
        mean_UD, there_U = means(known_ND, of.unit_n, mine_n.astype(np.float64))
        new_UD, new_there_U = means(new_ND, of.new_unit_m, mine_m.astype(np.float64))
        for task, (known, new) in terms.items():
            classes = one.classes(task)
            found = fit(mean_UD[there_U], of.labels[task][there_U], of.part_U[there_U], classes, new_UD)
            of_all = np.zeros((len(of.part_U), classes))
            of_all[there_U] = found.known
            known.append(of_all)
            new.append(np.where(new_there_U[:, None], found.new, 0.0))
    return terms


def _pooled_states(one: Split, terms: int) -> Logs:
    logs, of = one.log_base(), units_of(one)
    for task, (known, new) in one.once("states", _state_terms).items():
        logs[task] = pooled(pool_weights(known[:terms], of.labels[task]), new[:terms])[of.new_unit_m]
    return logs


def state_means(one: Split) -> Logs:
    """A head for the mean of a person's photos of each predicted mask state; a weighted sum of their log probabilities.

    The weights have the lowest log loss of the inner folds' people.
    """
    return _pooled_states(one, one.classes(STATE))


def state_means_and_all(one: Split) -> Logs:
    """The same, and one more term: the head for the mean over all photos."""
    return _pooled_states(one, one.classes(STATE) + 1)


def weighted_outputs(one: Split) -> Logs:
    """The base's log probabilities summed over the group, with a weight for each predicted mask state."""
    return weighted_sum(one, {task: (one.base(task).known, one.base(task).new) for task in one.space.names})


def weighted_sum(one: Split, logs: Mapping[str, tuple[Wide, Wide]]) -> Logs:
    """Return the log probabilities of validation photos, in the shared tasks those of their groups.

    logs  by task: log probabilities of the training photos, by inner folds, and of the validation photos. Those of a
          mask state are averaged over the group; the weights of the states have the lowest log loss of inner people.
    """
    of, (state_n, state_m), found = units_of(one), states(one), {task: new for task, (_, new) in logs.items()}
    for task in SHARED:
        known, new = list[Wide](), list[Wide]()
        for s in range(one.classes(STATE)):
            known.append(means(logs[task][0], of.unit_n, (state_n == s).astype(np.float64))[0])
            new.append(means(logs[task][1], of.new_unit_m, (state_m == s).astype(np.float64))[0])
        found[task] = pooled(pool_weights(known, of.labels[task]), new)[of.new_unit_m]
    return found


def weighted_means(one: Split) -> Logs:
    """Heads of one mean per person, in which photos weigh by their predicted mask state.

    An uncovered face weighs 1, 2, 4 or 8 times as much as others, as is best by the log loss of the inner folds.
    """
    of, (known_ND, new_ND), (state_n, state_m), logs = units_of(one), one.standard(), states(one), one.log_base()
    for task in SHARED:
        tried = []
        for weight in (1.0, 2.0, 4.0, 8.0):
            mean_UD = means(known_ND, of.unit_n, np.where(state_n == UNCOVERED, weight, 1.0))[0]
            new_UD = means(new_ND, of.new_unit_m, np.where(state_m == UNCOVERED, weight, 1.0))[0]
            tried.append(fit(mean_UD, of.labels[task], of.part_U, one.classes(task), new_UD))
        logs[task] = min(tried, key=lambda found: found.loss).new[of.new_unit_m]
    return logs


def _with_means(one: Split) -> tuple[Logs, Logs]:
    """Return log probabilities of photos, and of groups, by heads fitted on photos and on people's means together."""
    of, (known_ND, new_ND), alone = units_of(one), one.standard(), one.log_base()
    mean_UD, new_UD = means(known_ND, of.unit_n)[0], means(new_ND, of.new_unit_m)[0]
    together = dict(alone)
    for task in SHARED:
        rows_ND = np.concatenate([known_ND, mean_UD])
        label_R = np.concatenate([one.labels[task], of.labels[task]])
        part_R = np.concatenate([one.part_n, of.part_U])
        found = fit(rows_ND, label_R, part_R, one.classes(task), np.concatenate([new_ND, new_UD]))
        alone[task] = found.new[: len(new_ND)]
        together[task] = found.new[len(new_ND) :][of.new_unit_m]
    return alone, together


def photos_and_means_alone(one: Split) -> Logs:
    """Heads fitted on photos and on people's means; each photo alone."""
    return one.once("with means", _with_means)[0]


def photos_and_means(one: Split) -> Logs:
    """The same heads, applied to the mean of each group."""
    return one.once("with means", _with_means)[1]


def photos_by_state(one: Split) -> Logs:
    """Each photo alone, by heads fitted on the photos of its predicted mask state."""
    (known_ND, new_ND), (state_n, state_m), logs = one.standard(), states(one), one.log_base()
    for task in SHARED:
        logs[task] = logs[task].copy()
        for s in range(one.classes(STATE)):
            mine, own = state_n == s, state_m == s
            if own.any():
                found = fit(known_ND[mine], one.labels[task][mine], one.part_n[mine], one.classes(task), new_ND[own])
                logs[task][own] = found.new
    return logs


def attention_over_features(one: Split) -> Logs:
    """Softmax attention over a person's photos (Ilse, Tomczak and Welling 2018, arXiv:1802.04712), a linear score.

    On the first principal components of the training photos, each of variance 1; these and the probabilities of the
    mask states give the scores.
    """
    known_ND, new_ND = one.standard()
    value_D, axis_DD = np.linalg.eigh(known_ND.T @ known_ND / len(known_ND))
    turn_DK = axis_DD[:, -COMPONENTS:] / np.sqrt(value_D[-COMPONENTS:])
    known_NK, new_NK = known_ND @ turn_DK, new_ND @ turn_DK
    mask = one.base(STATE)
    score, new_score = (np.concatenate(pair, axis=1) for pair in ((known_NK, mask.known), (new_NK, mask.new)))
    return _attended(one, (known_NK, new_NK), _scaled(score, new_score))


def attention_over_outputs(one: Split) -> Logs:
    """The same over the base's log probabilities of photos, of all tasks, instead of principal components."""
    known = np.concatenate([one.base(task).known for task in one.space.names], axis=1)
    new = np.concatenate([one.base(task).new for task in one.space.names], axis=1)
    scaled = _scaled(known, new)
    return _attended(one, scaled, scaled)


def _scaled(known_NK: Wide, new_NK: Wide) -> tuple[Wide, Wide]:
    centre_K, scale_K = known_NK.mean(axis=0), known_NK.std(axis=0)
    return (known_NK - centre_K) / scale_K, (new_NK - centre_K) / scale_K


def _attended(one: Split, value: tuple[Wide, Wide], score: tuple[Wide, Wide]) -> Logs:
    """Fit attention for each shared task, with the penalty that is best on inner folds."""
    of, logs = units_of(one), one.log_base()
    for task in SHARED:
        label_U, classes, losses = of.labels[task], one.classes(task), []
        for penalty in PENALTIES:
            loss = 0.0
            for part in np.unique(of.part_U):
                rows, left = of.part_U[of.unit_n] != part, np.flatnonzero(of.part_U == part)
                learned = fit_attention(score[0][rows], value[0][rows], of.unit_n[rows], label_U, classes, penalty)
                log_UC = attend(learned, score[0][~rows], value[0][~rows], of.unit_n[~rows], len(label_U))
                loss -= float(log_UC[left, label_U[left]].sum())
            losses.append(loss)
        learned = fit_attention(score[0], value[0], of.unit_n, label_U, classes, PENALTIES[int(np.argmin(losses))])
        found = attend(learned, score[1], value[1], of.new_unit_m, int(of.new_unit_m.max()) + 1)
        logs[task] = found[of.new_unit_m]
    return logs


@dataclass(frozen=True, eq=False)
class Attention:
    """score_S of a photo's scores, weight_CK and bias_C of the attended values."""

    score_S: Wide
    weight_CK: Wide
    bias_C: Wide


def _shares(score_N: Wide, unit_N: Ints, units: int) -> Wide:
    """Return the softmax (N,) of scores within each unit."""
    most_U = np.full(units, -np.inf)
    np.maximum.at(most_U, unit_N, score_N)
    raised_N = np.exp(score_N - most_U[unit_N])
    found: Wide = raised_N / np.bincount(unit_N, raised_N, units)[unit_N]
    return found


def attend(learned: Attention, score_NS: Wide, value_NK: Wide, unit_N: Ints, units: int) -> Wide:
    """Return the log probabilities (U, C) of units."""
    share_N, attended_UK = _shares(score_NS @ learned.score_S, unit_N, units), np.zeros((units, value_NK.shape[1]))
    np.add.at(attended_UK, unit_N, value_NK * share_N[:, None])
    return log_softmax(attended_UK @ learned.weight_CK.T + learned.bias_C)


def fit_attention(
    score_NS: Wide, value_NK: Wide, unit_N: Ints, label_U: Ints, classes: int, penalty: float
) -> Attention:
    """Return the attention with the lowest log loss of units plus penalty / 2 times its squared weights.

    It begins with equal shares; only units with rows count.
    """
    from scipy.optimize import minimize

    scores, width = score_NS.shape[1], value_NK.shape[1]
    order = np.argsort(unit_N, kind="stable")
    score_NS, value_NK, unit_N = score_NS[order], value_NK[order], unit_N[order]
    there, start_U = np.unique(unit_N, return_index=True)
    place_N, true_U = np.searchsorted(there, unit_N), label_U[there]
    rows = np.arange(len(there))

    def loss(flat: Wide) -> tuple[float, Wide]:
        score_S, bias_C = flat[:scores], flat[-classes:]
        weight_CK = flat[scores:-classes].reshape(classes, width)
        share_N = _shares(score_NS @ score_S, place_N, len(there))
        attended_UK = np.add.reduceat(value_NK * share_N[:, None], start_U, axis=0)
        log_UC = log_softmax(attended_UK @ weight_CK.T + bias_C)
        error_UC = np.exp(log_UC)
        error_UC[rows, true_U] -= 1
        error_UC /= len(rows)
        back_UK = error_UC @ weight_CK
        along_N = (value_NK * back_UK[place_N]).sum(axis=1)
        slope_N = share_N * (along_N - np.add.reduceat(share_N * along_N, start_U)[place_N])
        slope = np.concatenate([score_NS.T @ slope_N, (error_UC.T @ attended_UK).reshape(-1), error_UC.sum(axis=0)])
        slope[:-classes] += penalty * flat[:-classes]
        value = -float(log_UC[rows, true_U].mean()) + 0.5 * penalty * float((flat[:-classes] ** 2).sum())
        return value, slope

    begin = np.zeros(scores + classes * width + classes)
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    return Attention(found[:scores], found[scores:-classes].reshape(classes, width), found[-classes:])


def geometric(one: Split) -> Logs:
    """The base's log probabilities averaged over the group with equal weights, without a factor."""
    logs = one.log_base()
    for task in SHARED:
        logs[task] = log_mean_exp(means(logs[task], one.group_m)[0])[one.group_m]
    return logs
