"""Make the sets of pseudo labels: one set per fold, from the predictions of networks that never saw the fold's people.

N photos, J joint classes, T tasks, K folds, S sources (networks and views) per fold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from maskcls.labels import UNKNOWN, Floats, Ints, LabelSpace
from maskcls.results.added.added_set import AddedSet
from maskcls.results.predictions import Texts
from maskcls.results.pseudo.selection import Outcome, Selection, combined_confidence, select
from maskcls.results.pseudo.selection_rule import SelectionRule
from maskcls.results.scores.metrics import Doubles


def all_sources(sources: Mapping[int, Floats]) -> Floats:
    """Return all folds' sources as one array (K * S, N, J), for a network that is trained on all rows.

    sources  {fold: (S, N, J)}, S the same for every fold, so that their mean is the mean of the folds.
    """
    if len({prob_SNJ.shape for prob_SNJ in sources.values()}) != 1:
        raise ValueError(f"the folds' sources differ in shape: {[prob.shape for prob in sources.values()]}")
    return np.concatenate([sources[k] for k in sorted(sources)])


def label_sets(
    sources: Mapping[int, Floats], ids: Texts, paths: Texts, space: LabelSpace, rule: SelectionRule
) -> tuple[dict[int, AddedSet], list[dict[str, Any]]]:
    """Label the photos once per set, each set from its own sources alone.

    sources  {fold: (S, N, J)}: predictions of networks that never saw the people of this fold; REFIT: `all_sources`.

    Returns the rows of each set, and the lines of all summaries, `set` (a fold, or -1) before the rest.
    Raises ResultError for probabilities that are none.
    """
    chosen = {k: select(ids, prob_SNJ, space, rule) for k, prob_SNJ in sources.items()}
    rows = {k: taken_rows(selection, paths, rule) for k, selection in chosen.items()}
    return rows, [{"set": k, **line} for k, selection in chosen.items() for line in count_outcomes(selection)]


def sharpened(prob_NJ: Floats, temperature: float) -> Floats:
    """Raise probabilities (N, J) to 1 / temperature and scale every row to sum to 1; float32.

    Reference: Berthelot et al. 2019, arXiv:1905.02249, equation 7.

    >>> sharpened(np.array([[0.75, 0.25]]), 0.5).round(4).tolist()  # 9 : 1
    [[0.8999999761581421, 0.10000000149011612]]
    """
    # Scaled by the maximum first, so that a small temperature does not turn a whole row into zeros.
    power_NJ = (prob_NJ / prob_NJ.max(axis=1, keepdims=True)).astype(np.float64) ** (1 / temperature)
    sharp_NJ: Floats = (power_NJ / power_NJ.sum(axis=1, keepdims=True)).astype(np.float32)
    return sharp_NJ


def taken_rows(selection: Selection, paths: Texts, rule: SelectionRule) -> AddedSet:
    """Return the rows taken, in the order given, with labels, weights and, where the rule asks, soft targets.

    paths  (N,) text, one per row of the selection.
    """
    if len(paths) != len(selection.mean):
        raise ValueError(f"{len(paths)} paths for {len(selection.mean)} photos")
    known_TN = selection.outcome_TN == Outcome.TAKEN
    taken_N = known_TN.any(axis=0)
    label_TN = np.where(known_TN, selection.label_TN, UNKNOWN)[:, taken_N]
    weight_N = np.full(int(taken_N.sum()), rule.weight, dtype=np.float64)
    if rule.weigh:
        weight_N *= combined_confidence(selection.confidence_TN, known_TN, rule)[taken_N]
    return AddedSet(
        selection.mean.ids[taken_N],
        np.asarray(paths, dtype=np.str_)[taken_N],
        dict(zip(selection.mean.space.names, label_TN, strict=True)),
        sharpened(selection.mean.prob[taken_N], rule.temperature) if rule.soft else None,
        weight_N,
    )


def count_outcomes(selection: Selection) -> list[dict[str, Any]]:
    """Count the rows by outcome: one line per joint class (`task` is "joint"), then one per class of each task.

    A line holds `task`, `class`, `considered` (rows predicted to be of this class), how many of them were `taken`, or
    left out for `threshold`, `agreement`, `cap` or `balance`, and `confidence`: the mean of the taken, None of none.
    With `partial`, a task may be left out of a row that is taken.
    """
    space = selection.mean.space
    joint_N = space.encode(dict(zip(space.names, selection.label_TN, strict=True)))
    outcome_N = selection.outcome_TN.min(axis=0)
    lines = list(_counted("joint", space.joint_names, joint_N, outcome_N, selection.confidence_N))
    parts = zip(space.tasks, selection.label_TN, selection.outcome_TN, selection.confidence_TN, strict=True)
    return lines + [line for task, *columns in parts for line in _counted(task.name, task.classes, *columns)]


def _counted(
    task: str, classes: Sequence[str], label_N: Ints, outcome_N: Ints, confidence_N: Doubles
) -> Iterator[dict[str, Any]]:
    for label, name in enumerate(classes):
        here_N = label_N == label
        counts = np.bincount(outcome_N[here_N], minlength=len(Outcome)).tolist()
        kept = confidence_N[here_N & (outcome_N == Outcome.TAKEN)]
        yield {
            "task": task,
            "class": name,
            "considered": sum(counts),
            **{verdict.name.lower(): counts[verdict] for verdict in Outcome},
            "confidence": float(kept.mean()) if len(kept) else None,
        }
