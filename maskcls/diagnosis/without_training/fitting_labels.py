"""Do the labels fit the photos? Simple models must predict at least one task of held-out people better than chance."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from maskcls.data.rows.folds import make_folds
from maskcls.diagnosis.baselines import Baseline, features, out_of_fold
from maskcls.diagnosis.probe import Probe
from maskcls.groupnouns import PEOPLE, Noun
from maskcls.labels import Ints
from maskcls.results.diagnosis.chance import Chance, against_chance
from maskcls.results.diagnosis.finding import Finding

PARTS = 3


def labels_against_chance(probe: Probe, rows: Ints) -> dict[str, dict[Baseline, Chance]]:
    """Return, per task, each simple model's cross-validated score on these rows beside chance."""
    found, people = features(probe, rows), probe.rows.people[rows]
    fold_n = make_folds([str(p) for p in people], np.zeros(len(rows), np.int64), k=PARTS, seed=probe.cfg.seed)
    scores: dict[str, dict[Baseline, Chance]] = {}
    for task in probe.member.space.tasks:
        label_n = probe.rows.labels[task.name][rows]
        if len(np.unique(label_n[label_n >= 0])) < 2:
            continue
        predicted = out_of_fold(found, label_n, fold_n)
        scores[task.name] = {
            model: against_chance(label_n, pred_n, people, len(task.classes), seed=probe.cfg.seed)
            for model, pred_n in predicted.items()
            if model != "constant"  # which is chance
        }
    return scores


def check_fitting_labels(scores: Mapping[str, Mapping[Baseline, Chance]], network: str, noun: Noun = PEOPLE) -> Finding:
    """Check that a model is better than chance in some task."""
    best = {task: max(by_model.items(), key=lambda one: one[1].above) for task, by_model in scores.items()}
    values = {f"{task} {model}": one.above for task, by_model in scores.items() for model, one in by_model.items()}
    if not best:
        return Finding("labels", "unknown", "no task has labels of two classes", network=network)
    found = "; ".join(
        f"{task}: {model} {one.score:.3f} (chance {one.mean:.3f}, at most {one.high:.3f})"
        for task, (model, one) in best.items()
    )
    if any(one.better for _, one in best.values()):
        return Finding("labels", "pass", found, network=network, values=values)
    if not all(one.nothing for _, one in best.values()) or not any(one.visible for _, one in best.values()):
        return Finding("labels", "unknown", f"{found}; too few {noun[1]} to tell", network=network, values=values)
    next = (
        "compare some photos with their labels: maskcls data look DATA",
        "check how the table was joined or sorted",
    )
    return Finding("labels", "fail", f"{found}; no model is better", "shuffled labels", next, network, values)
