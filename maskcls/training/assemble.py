"""A run's results: the out-of-fold predictions of all folds, joined over the members, scored per fold and pooled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maskcls.data.rows.manifest import real_rows
from maskcls.files import none_for_nan
from maskcls.labels import Ints
from maskcls.results.comparison.difference import paired_difference
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.predictions import Predictions
from maskcls.results.rows_by_id import rows_of
from maskcls.results.scores.intervals import macro_f1_intervals
from maskcls.results.scores.metrics import Scores, score
from maskcls.runs.group_averaging import GroupAveraging, groups_of, shared_tasks
from maskcls.runs.joint import joint_predictions
from maskcls.runs.summary import GroupGain, RunSummary, SavedScores, write_summary
from maskcls.training.experiment import Experiment


def assemble(experiment: Experiment, folds: Sequence[int]) -> RunSummary:
    """Write the run's oof.npz and summary.json from its finished folds, and return the summary.

    The summary holds no times, so that an interrupted run ends with the same bytes as an uninterrupted one. A leaky run
    has no scores: its networks may have trained on people of their validation fold.
    """
    if experiment.leaky:
        summary = _without_scores(experiment, folds)
        write_summary(experiment.run, summary)
        return summary
    alone = Predictions.concat([_joint(experiment, k, experiment.seeds) for k in folds])
    alone = alone.align(experiment.manifest["id"].to_numpy()[np.isin(experiment.fold, list(folds))])
    labelled = _labelled(experiment, alone)
    pooled, together = _averaged(experiment, alone, labelled)
    summary = _summary(experiment, pooled, labelled, folds)
    if experiment.person_clustering is not None:
        summary = summary.model_copy(update={"groups": _group_gain(experiment, labelled, pooled, together)})
    if len(experiment.seeds) > 1:
        seeds = {str(seed): _of_one_seed(experiment, folds, seed) for seed in experiment.seeds}
        summary = summary.model_copy(update={"seeds": seeds})
    pooled.save(experiment.run.oof)
    write_summary(experiment.run, summary)
    return summary


def _without_scores(experiment: Experiment, folds: Sequence[int]) -> RunSummary:
    people = experiment.manifest["person"][np.isin(experiment.fold, list(folds))].nunique()
    scores: dict[str, dict[str, float | None]] = {str(k): {} for k in folds}
    return RunSummary(leaky=True, pooled=None, interval=None, people=people, folds=scores, mean={}, sd={})


def _joint(experiment: Experiment, k: int, seeds: Sequence[int]) -> Predictions:
    """Return fold k's joint predictions, averaged over these seeds."""
    sources: dict[str, dict[str, Predictions]] = {f"seed {seed}": {} for seed in seeds}
    for member in experiment.members:
        if member.cfg.seed in seeds:
            part = Predictions.load(experiment.fold_dir(member, k).oof)
            sources[f"seed {member.cfg.seed}"][member.task] = part
    return joint_predictions(sources, experiment.cfg.space)


def _of_one_seed(experiment: Experiment, folds: Sequence[int], seed: int) -> dict[str, float | None]:
    """Return the pooled scores of one seed's networks alone."""
    alone = Predictions.concat([_joint(experiment, k, [seed]) for k in folds])
    labelled = _labelled(experiment, alone)
    averaged, _ = _averaged(experiment, alone, labelled)
    scores = score(averaged.prob, labelled.truth, labelled.space)
    return {name: none_for_nan(_value(scores, name)) for name in ("macro_f1", *experiment.cfg.space.names)}


def _averaged(
    experiment: Experiment, alone: Predictions, labelled: LabelledPredictions
) -> tuple[Predictions, GroupAveraging]:
    """Return out-of-fold predictions, averaged within look-alike groups if the run has a photo-similarity model.

    The model was learned from other people than those it grouped, and the weights were fitted on the other folds.
    """
    if experiment.person_clustering is None:
        return alone, GroupAveraging()
    manifest, space = experiment.manifest, experiment.cfg.space
    group_N = experiment.person_clustering.group_N[rows_of(manifest["id"][real_rows(manifest)], labelled.ids)]
    tasks = shared_tasks(manifest, space, where=str(experiment.run.manifest))
    together = GroupAveraging(oof=groups_of(group_N), tasks=tasks)
    prob_NJ, together = together.average_oof(alone.prob, labelled)
    lineage = {"alone": alone.lineage, "groups": experiment.cfg.predict.groups, "tasks": list(together.tasks)}
    return Predictions(alone.ids, prob_NJ, alone.space, lineage), together


def _group_gain(
    experiment: Experiment, alone: LabelledPredictions, averaged: Predictions, together: GroupAveraging
) -> GroupGain:
    """Return what averaging within groups gains over the predictions alone, with an interval over people."""
    assert experiment.person_clustering is not None
    true_N, gain = alone.space.encode(alone.truth), None
    if (true_N >= 0).any():
        labels = (alone.pred_N, averaged.labels())
        assert alone.people_N is not None
        people, classes = alone.people_N, alone.space.size
        gain = paired_difference(true_N, *labels, people, classes)
    return GroupGain(
        by=experiment.cfg.predict.groups,
        tasks=tuple(together.tasks),
        weights=None if together.weights is None else dict(together.weights),
        alone=none_for_nan(score(alone.pred_N, alone.truth, alone.space).macro_f1),
        gain=gain,
        pair_precision=experiment.person_clustering.quality.precision,
        pair_recall=experiment.person_clustering.quality.recall,
    )


def _labelled(experiment: Experiment, part: Predictions) -> LabelledPredictions:
    rows_N = rows_of(experiment.manifest["id"], part.ids.tolist())
    return LabelledPredictions(
        part.ids.tolist(),
        part.labels(),
        {name: labels[rows_N] for name, labels in experiment.labels.items()},
        part.space,
        part.prob,
        experiment.manifest["person"].to_numpy(np.str_)[rows_N],
        experiment.fold[rows_N].astype(np.int64),
        seed=experiment.cfg.seed,
    )


def _summary(
    experiment: Experiment, pooled: Predictions, labelled: LabelledPredictions, folds: Sequence[int]
) -> RunSummary:
    """Return the scores of these predictions, pooled and per fold; labelled: the same rows with their labels."""
    assert labelled.people_N is not None
    space, people = labelled.space, labelled.people_N
    true_N, intervals = space.encode(labelled.truth), None
    if (true_N >= 0).any():
        intervals = macro_f1_intervals(true_N, pooled.labels(), people, space.size)
    scores = {k: _of_rows(pooled, labelled, np.flatnonzero(labelled.fold_N == k)) for k in folds}
    names = ["macro_f1", *space.names]
    values = {name: np.array([_value(s, name) for s in scores.values()]) for name in names}
    return RunSummary(
        pooled=SavedScores.of(score(pooled.prob, labelled.truth, space)),
        interval=intervals.confidence if intervals else None,
        prediction_interval=intervals.prediction if intervals else None,
        people=len(set(people.tolist())),
        folds={str(k): {name: none_for_nan(_value(s, name)) for name in names} for k, s in scores.items()},
        mean={name: none_for_nan(v.mean()) for name, v in values.items()},
        sd={name: none_for_nan(v.std(ddof=1)) if len(v) > 1 else None for name, v in values.items()},
    )


def _of_rows(pooled: Predictions, labelled: LabelledPredictions, rows: Ints) -> Scores:
    return score(pooled.prob[rows], {name: label_N[rows] for name, label_N in labelled.truth.items()}, labelled.space)


def _value(scores: Scores, name: str) -> float:
    return scores.macro_f1 if name == "macro_f1" else scores.tasks[name].macro_f1
