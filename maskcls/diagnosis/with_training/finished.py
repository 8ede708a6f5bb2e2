"""A finished run: the parts of its error and its rare classes, from what it predicted; nothing is trained.

The out-of-fold rows score it; its networks predict some of the people they trained on; `unseal` scored sealed people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np

from maskcls.diagnosis.with_training.errors import check_errors, labellings, predicted_labels
from maskcls.diagnosis.with_training.rare import check_rare_classes
from maskcls.engine.checkpoint import load_predictor
from maskcls.engine.device import Accelerator, start
from maskcls.engine.fit import validation_reader
from maskcls.engine.infer import infer
from maskcls.errors import shell_word
from maskcls.groupnouns import Noun
from maskcls.labels import Floats, Ints
from maskcls.results.diagnosis.error_parts import ErrorPart, ErrorParts, error_parts, influence_of
from maskcls.results.diagnosis.finding import Finding
from maskcls.results.diagnosis.rare_classes import class_recalls
from maskcls.results.diagnosis.scored import Diagnosis
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.scores.epoch_choice import criterion
from maskcls.results.scores.influence import Influence
from maskcls.results.scores.tally import Tally, epoch_scores
from maskcls.rundir import RunDir
from maskcls.runs.choices.register import read_register
from maskcls.runs.choices.tried import rows_of_run
from maskcls.runs.read_labelled import read_out_of_fold
from maskcls.runs.records.unsealed import SealedScore, read_sealed_score
from maskcls.schema.group_noun import group_noun
from maskcls.show.terminal.progress import Reporter
from maskcls.training.checks import with_photos
from maskcls.training.epochs.epoch_rows import read_tallies
from maskcls.training.experiment import Experiment, Member
from maskcls.training.known_photos import cured_by_restoring
from maskcls.training.stored_experiment import check_data_unchanged, open_experiment

TRAIN_ROWS = 400  # per fold, of whole people, whose error on training people is measured


def explain_run(run: RunDir, report: Reporter, data: Path | None = None) -> Diagnosis:
    """Return the error parts of a finished run and its rare classes.

    data  where the run's data set is now; None: where it was.

    Raises ResultError for a run that is leaky, unfinished or was changed, WeightsError if the data set was changed.
    """
    labelled = read_out_of_fold(run)
    experiment, env = open_experiment(run, data)
    check_data_unchanged(experiment)
    accelerator = start(experiment.cfg.device, settable=False)
    with cured_by_restoring():
        experiment = with_photos(experiment, accelerator, report)
    trained = _training_rows(experiment, env.folds, accelerator, report)
    parts = _parts(experiment, env.folds, labelled, trained, read_sealed_score(run))
    findings = (_rare(experiment, labelled), _errors(experiment, parts, labelled.noun))
    return Diagnosis("", findings, parts=parts, noun=labelled.noun)


def _training_rows(
    experiment: Experiment, folds: Sequence[int], accelerator: Accelerator, report: Reporter
) -> tuple[Ints, Floats]:
    """Return rows that networks trained on (r,), and the joint probabilities (r, J) of these networks."""
    rows, probs = [], []
    for place, k in enumerate(folds):
        chosen = _some_people(experiment, k)
        by_task: dict[str, list[Floats]] = {}
        for member in experiment.members:
            by_task.setdefault(member.task, []).append(_predicted(experiment, member, k, chosen, accelerator))
        mean: dict[str, Floats] = {
            task: np.asarray(np.mean(found, axis=0), np.float32) for task, found in by_task.items()
        }
        probs.append(mean[""] if "" in mean else experiment.cfg.space.compose(mean))
        rows.append(chosen)
        report.images(f"predicting training {group_noun(experiment.cfg)[1]}", place + 1, len(folds))
    return np.concatenate(rows), np.concatenate(probs)


def _some_people(experiment: Experiment, k: int) -> Ints:
    rows = np.flatnonzero((experiment.fold != k) & (experiment.manifest["source"] == "real").to_numpy())
    order = np.random.default_rng(k).permutation(np.unique(experiment.people[rows]))
    per_person = len(rows) / len(order)
    kept = order[: max(2, round(TRAIN_ROWS / per_person))]
    return rows[np.isin(experiment.people[rows], kept)]


def _predicted(experiment: Experiment, member: Member, k: int, rows: Ints, accelerator: Accelerator) -> Floats:
    asked = replace(experiment.rows(member, k), valid=rows)
    reader = validation_reader(asked, member.cfg, accelerator)
    predictor = load_predictor(experiment.fold_dir(member, k).best)
    (prob,) = infer([predictor], reader, accelerator=accelerator, execution=experiment.plans[member.task].infer)
    return prob


def _parts(
    experiment: Experiment,
    folds: Sequence[int],
    held: LabelledPredictions,
    trained: tuple[Ints, Floats],
    sealed: SealedScore | None,
) -> tuple[ErrorParts, ...]:
    space, (rows, prob_rJ) = experiment.cfg.space, trained
    assert held.people_N is not None
    names, parts = experiment.manifest["person"].to_numpy(np.str_), []
    on_train = labellings(space, {name: label_N[rows] for name, label_N in experiment.labels.items()})
    given = predicted_labels(space, prob_rJ)
    out = {"joint": held.pred_N} | space.decode(held.pred_N)
    optimism = _optimism(experiment, folds)
    note = (
        f"no {held.noun[1]} are sealed"
        if experiment.sealed is None
        else f"maskcls unseal {shell_word(experiment.run.path)} scores them"
    )
    for name, (true_n, size) in labellings(space, dict(held.truth)).items():
        train = influence_of(on_train[name][0], given[name], names[rows], size)
        valid = influence_of(true_n, out[name], held.people_N, size)
        if train is None or valid is None:
            continue
        part = error_parts(
            name,
            train,
            valid,
            optimism=optimism.get(name, _unknown(experiment)),
            sealed_note=note,
            sealed=None if sealed is None else _sealed_influence(sealed, name),
        )
        parts.append(part)
    return tuple(parts)


def _unknown(experiment: Experiment) -> ErrorPart:
    fitted = experiment.cfg.model.train == "heads"
    note = "fitted heads have no epochs to choose from" if fitted else "the rows of the epochs are not on disk"
    return ErrorPart("over-fitted validation", float("nan"), note=note)


def _sealed_influence(sealed: SealedScore, name: str) -> Influence | None:
    """Return the sealed score as far as its record holds it: the uncertainty is that of the interval's half width."""
    scores = sealed.scores if name == "joint" else sealed.scores.tasks[name]
    if scores.macro_f1 is None:
        return None
    if sealed.interval is not None and name == "joint":
        spread = (sealed.interval.high - sealed.interval.low) / (2 * 1.96)
    else:
        spread = 0.5 / max(1, sealed.people) ** 0.5  # the largest that a mean over people can have
    people = max(2, sealed.people)
    # Effects of equal size have this variance; only their squares are used.
    effect = np.full(people, spread * ((people - 1) / people) ** 0.5 / people**0.5)
    return Influence(scores.macro_f1, effect, 0.0, 0.0, scores.macro_f1)


def _optimism(experiment: Experiment, folds: Sequence[int]) -> dict[str, ErrorPart]:
    """Return by how much scores would be too high if each fold chose its epoch on its own rows, by labelling.

    Against the same choice by the other folds' rows, as `train` makes it. Of runs with one network per fold.
    """
    if len(experiment.members) != 1 or len(folds) < 2:
        return {}
    member = experiment.members[0]
    counted = [read_tallies(experiment, member, k) for k in folds]
    if not all(counted):
        return {}
    found = {}
    for name in ("joint", *member.space.names):
        select = "macro_f1" if name == "joint" else name
        own = [max(fold, key=lambda one: _score(one, select)) for fold in counted]
        others = [_best_of_others(counted, place, select) for place in range(len(counted))]
        value = _score(reduce(add, own), select) - _score(reduce(add, others), select)
        found[name] = ErrorPart("over-fitted validation", value, note="no interval: one choice per fold")
    return found


def _score(counted: Tally, select: str) -> float:
    return criterion(epoch_scores(counted), select)


def _best_of_others(counted: Sequence[Sequence[Tally]], place: int, select: str) -> Tally:
    others = [fold for index, fold in enumerate(counted) if index != place]
    epochs = range(len(counted[place]))
    scores = [_score(reduce(add, [fold[min(e, len(fold) - 1)] for fold in others]), select) for e in epochs]
    return counted[place][int(np.argmax(scores))]


def _errors(experiment: Experiment, parts: Sequence[ErrorParts], noun: Noun) -> Finding:
    run, found = experiment.run, check_errors(parts, experiment.cfg, "", noun)
    runs = len(read_register(run).of("run", rows_of_run(run)))
    if runs < 2:
        return found
    text = f"{found.found}; {runs} runs were scored on these {noun[1]}: the best of them is a little too good"
    return replace(found, found=text)


def _rare(experiment: Experiment, held: LabelledPredictions) -> Finding:
    space, recalls = experiment.cfg.space, []
    assert held.people_N is not None
    predicted = space.decode(held.pred_N)
    people = np.unique(held.people_N, return_inverse=True)[1].astype(np.int64)
    for task in space.tasks:
        label_N = experiment.labels[task.name]
        recalls += class_recalls(task.name, task.classes, label_N, held.truth[task.name], predicted[task.name], people)
    return check_rare_classes(recalls, experiment.cfg, "", held.noun)
