"""A run's results: the out-of-fold predictions of all folds, joined over the members, scored per fold and pooled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maskcls.data.rows.manifest import real_rows
from maskcls.files import none_for_nan
from maskcls.labels import Ints
from maskcls.results.comparison.difference import Difference, paired_difference
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.predictions import Predictions
from maskcls.results.rows_by_id import rows_of
from maskcls.results.scores.intervals import macro_f1_intervals
from maskcls.results.scores.metrics import Scores, score
from maskcls.runs.group_averaging import CheckedRows, average_likewise, check_rows, shared_tasks
from maskcls.runs.integrity.network_checks import refuse_changed_files
from maskcls.runs.integrity.oof_file import made_from, read_fold_oof
from maskcls.runs.joint import joint_predictions
from maskcls.runs.summary import (
    EpochSelection,
    GroupGain,
    HeadsBaseline,
    RunSummary,
    SavedScores,
    read_fold_summary,
    read_summary,
    write_summary,
)
from maskcls.training.epochs.epoch_rows import last_rows
from maskcls.training.experiment import Experiment, Member
from maskcls.training.heads.baseline import saved_baseline
from maskcls.training.person_clustering import pair_rates


def assemble(experiment: Experiment, folds: Sequence[int]) -> RunSummary:
    """Write the run's oof.npz and summary.json from its finished folds, and return the summary.

    The summary holds no times, so that an interrupted run ends with the same bytes as an uninterrupted one. A leaky run
    has no scores: its networks may have trained on people of their validation fold.
    """
    if experiment.leaky:
        summary = _without_scores(experiment, folds)
        summary = summary.model_copy(update={"files": _made_from(experiment, folds)})
        write_summary(experiment.run, summary)
        return summary
    alone = Predictions.concat([_joint(experiment, k, experiment.seeds) for k in folds])
    alone = alone.align(experiment.manifest["id"].to_numpy()[np.isin(experiment.fold, list(folds))])
    labelled = _labelled(experiment, alone)
    checked = _checked(experiment, labelled)
    pooled = alone if checked is None else _with_lineage(experiment, alone, checked)
    summary = _summary(experiment, pooled, labelled, folds)
    if checked is not None:
        summary = summary.model_copy(update={"groups": _group_gain(experiment, labelled, checked)})
    summary = summary.model_copy(update={"selection": _selection(experiment, folds, labelled, pooled, checked)})
    if (baseline := _baseline(experiment, folds, alone)) is not None:
        summary = summary.model_copy(update={"baseline": baseline})
    if len(experiment.seeds) > 1:
        seeds = {str(seed): _of_one_seed(experiment, folds, seed, checked) for seed in experiment.seeds}
        summary = summary.model_copy(update={"seeds": seeds})
    pooled.save(experiment.run.oof)
    summary = summary.model_copy(update={"files": _made_from(experiment, folds)})
    write_summary(experiment.run, summary)
    return summary


def finished_summary(experiment: Experiment, wanted: Sequence[int]) -> RunSummary | None:
    """Return the run's summary if every wanted fold is done and in it; None when something is left to do.

    It is also left to do when the summary was made from other files than those that are there.
    Raises ResultError that names files of finished networks which changed since.
    """
    folders = [experiment.fold_dir(member, k) for member, k in experiment.trainings(wanted)]
    if not all(folder.done.exists() for folder in folders):
        return None
    summary = read_summary(experiment.run)
    if summary is None or summary.fold_numbers != list(wanted):
        return None
    if summary.files not in ({}, made_from(experiment.run, folders)):
        return None
    refuse_changed_files(experiment.run, folders)
    return summary


def _without_scores(experiment: Experiment, folds: Sequence[int]) -> RunSummary:
    people = experiment.manifest["person"][np.isin(experiment.fold, list(folds))].nunique()
    scores: dict[str, dict[str, float | None]] = {str(k): {} for k in folds}
    return RunSummary(leaky=True, pooled=None, interval=None, people=people, folds=scores, mean={}, sd={})


def _made_from(experiment: Experiment, folds: Sequence[int]) -> dict[str, str]:
    return made_from(experiment.run, [experiment.fold_dir(member, k) for member, k in experiment.trainings(folds)])


def _joint(experiment: Experiment, k: int, seeds: Sequence[int]) -> Predictions:
    """Return fold k's joint predictions, averaged over these seeds."""
    members = [member for member in experiment.members if member.cfg.seed in seeds]
    return _composed(experiment, [(m, read_fold_oof(experiment.fold_dir(m, k))) for m in members])


def _composed(experiment: Experiment, parts: Sequence[tuple[Member, Predictions]]) -> Predictions:
    sources: dict[str, dict[str, Predictions]] = {f"seed {member.cfg.seed}": {} for member, _ in parts}
    for member, part in parts:
        sources[f"seed {member.cfg.seed}"][member.task] = part
    return joint_predictions(sources, experiment.cfg.space)


def _last_epochs(experiment: Experiment, folds: Sequence[int]) -> Predictions | None:
    """Return the joint out-of-fold predictions of every network's last epoch; None if a fold's are not on disk."""
    found = []
    for k in folds:
        ids = experiment.manifest["id"].to_numpy()[experiment.fold == k]
        rows = [(member, last_rows(experiment, member, k)) for member in experiment.members]
        parts = [(m, Predictions(ids, prob, m.space)) for m, prob in rows if prob is not None]
        if len(parts) < len(rows):
            return None
        found.append(_composed(experiment, parts))
    return Predictions.concat(found).align(experiment.manifest["id"].to_numpy()[np.isin(experiment.fold, list(folds))])


def _selection(
    experiment: Experiment,
    folds: Sequence[int],
    labelled: LabelledPredictions,
    pooled: Predictions,
    checked: CheckedRows | None,
) -> EpochSelection | None:
    """Return which epochs are used, and their gain over the last ones; None if the rows of these are not on disk."""
    last = _last_epochs(experiment, folds)
    if last is None:
        return None
    if checked is not None:
        alone = _labelled(experiment, last)
        last = average_likewise(checked, alone, *_groups_and_tasks(experiment, alone))
    networks = [(member, k) for member in experiment.members for k in folds]
    folders = {member.title(k): read_fold_summary(experiment.fold_dir(member, k)) for member, k in networks}
    return EpochSelection(
        by=experiment.cfg.train.select,
        epochs={title: fold.best_epoch for title, fold in folders.items()},
        soups={title: fold.soup for title, fold in folders.items() if fold.soup},
        kept=tuple(title for title, fold in folders.items() if fold.among and fold.among != tuple(folds)),
        last=none_for_nan(score(last.prob, labelled.truth, labelled.space).macro_f1),
        gain=_gain(labelled, last.labels(), pooled.labels()),
    )


def _baseline(experiment: Experiment, folds: Sequence[int], alone: Predictions) -> HeadsBaseline | None:
    """Compare rows, each photo alone, with those of heads on the backbone before the training; None without them."""
    if not experiment.cfg.train.baseline:
        return None
    saved = saved_baseline(experiment, folds)
    if len(saved) < len(experiment.kinds) * len(folds):
        return None
    joint = [_composed(experiment, [(member, saved[member.task, k]) for member in experiment.kinds]) for k in folds]
    rows = Predictions.concat(joint).align(alone.ids)
    labelled = _labelled(experiment, rows)
    value = score(rows.prob, labelled.truth, labelled.space).macro_f1
    return HeadsBaseline(macro_f1=none_for_nan(value), gain=_gain(labelled, rows.labels(), alone.labels()))


def _gain(labelled: LabelledPredictions, before_N: Ints, after_N: Ints) -> Difference | None:
    """Return the paired difference in macro-F1 of two labellings, over people; None without a fully labelled row."""
    true_N, people = labelled.space.encode(labelled.truth), labelled.people_N
    assert people is not None
    if not (true_N >= 0).any():
        return None
    return paired_difference(true_N, before_N, after_N, people, labelled.space.size)


def _of_one_seed(
    experiment: Experiment, folds: Sequence[int], seed: int, checked: CheckedRows | None
) -> dict[str, float | None]:
    """Return the pooled scores of one seed's networks alone, averaged in groups if all of them together are."""
    rows = Predictions.concat([_joint(experiment, k, [seed]) for k in folds])
    labelled = _labelled(experiment, rows)
    if checked is not None:
        rows = average_likewise(checked, labelled, *_groups_and_tasks(experiment, labelled))
    scores = score(rows.prob, labelled.truth, labelled.space)
    return {name: none_for_nan(_value(scores, name)) for name in ("macro_f1", *experiment.cfg.space.names)}


def _checked(experiment: Experiment, labelled: LabelledPredictions) -> CheckedRows | None:
    """Average out-of-fold rows within groups of similar photos, if that helps; None without a photo-similarity model.

    The model was learned from other people than those it grouped, and the weights were fitted on the other folds. The
    gain is that among as many new photos as there are train photos.
    """
    if experiment.person_clustering is None:
        return None
    rates = pair_rates(experiment.person_clustering)
    precision = rates.precision(len(experiment.person_clustering.group_N))
    group_N, tasks = _groups_and_tasks(experiment, labelled)
    return check_rows(labelled, group_N, tasks, precision=precision)


def _groups_and_tasks(experiment: Experiment, labelled: LabelledPredictions) -> tuple[Ints, tuple[str, ...]]:
    assert experiment.person_clustering is not None
    manifest = experiment.manifest
    group_N = experiment.person_clustering.group_N[rows_of(manifest["id"][real_rows(manifest)], labelled.ids)]
    return group_N, shared_tasks(manifest, experiment.cfg.space, where=str(experiment.run.manifest))


def _with_lineage(experiment: Experiment, alone: Predictions, checked: CheckedRows) -> Predictions:
    if not checked.averaged:
        return alone
    tasks = shared_tasks(experiment.manifest, experiment.cfg.space, where=str(experiment.run.manifest))
    lineage = {"alone": alone.lineage, "groups": experiment.cfg.predict.groups, "tasks": list(tasks)}
    return Predictions(alone.ids, checked.rows.prob, alone.space, lineage)


def _group_gain(experiment: Experiment, alone: LabelledPredictions, checked: CheckedRows) -> GroupGain:
    """Return what averaging within groups gains over the predictions alone, and is expected to gain."""
    clustering, gain, expected = experiment.person_clustering, checked.gain, checked.expected
    assert clustering is not None
    photos, rates = len(clustering.group_N), pair_rates(clustering)
    return GroupGain(
        by=experiment.cfg.predict.groups,
        averaged=checked.averaged,
        tasks=_groups_and_tasks(experiment, alone)[1],
        weights=None if checked.weights is None else dict(checked.weights),
        alone=none_for_nan(score(alone.pred_N, alone.truth, alone.space).macro_f1),
        gain=gain.believed if gain else None,
        cut=gain.cut if gain else None,
        whole=gain.whole if gain else None,
        right_only=gain.right_only if gain else None,
        rows_precision=gain.precision if gain else None,
        photos=photos,
        expected=expected.value if expected else None,
        low=expected.low if expected else None,
        pair_precision=clustering.quality.precision,
        pair_recall=clustering.quality.recall,
        precision_among={str(photos * times): rates.precision(photos * times) for times in (1, 2, 4)},
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
