"""maskcls tta: compare test-time views, or ways to adapt, on the run's out-of-fold rows: gain and cost of each.

N out-of-fold rows, J joint classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from maskcls.data.views.planted_shift import Shift
from maskcls.engine.device import Accelerator, start
from maskcls.engine.fit import validation_reader
from maskcls.engine.infer import infer
from maskcls.errors import ResultError, shell_word
from maskcls.labels import Floats
from maskcls.results.comparison.adaptation import AdaptationTrial, compare_adaptations
from maskcls.results.comparison.views import ViewSearch, compare_views
from maskcls.rundir import RunDir
from maskcls.runs.checks import check_trying_views
from maskcls.runs.overrides import with_overrides
from maskcls.schema.group_noun import group_noun
from maskcls.show.terminal.progress import Reporter
from maskcls.training.checks import with_photos
from maskcls.training.experiment import Experiment
from maskcls.training.known_photos import cured_by_restoring
from maskcls.training.predicting.adaptation_trial import adapt_out_of_fold
from maskcls.training.predicting.loaded_networks import load_networks
from maskcls.training.prediction import joint, note_other_versions
from maskcls.training.stored_experiment import open_with_photos
from maskcls.viewnames import SINGLE, view_mean


def tta(run: RunDir, *, overrides: list[str], report: Reporter, data: Path | None = None) -> ViewSearch:
    """Predict every fold's own rows once per view, and compare named sets and a greedy choice with the unchanged view.

    The greedy choice is made on the rows it is scored on, so it is scored a second time: chosen on the other folds.
    data  where the run's data set is now; None: where it was.

    Raises ResultError for a run that has fewer than two folds, or is leaky; WeightsError for photos that changed.
    """
    check_trying_views(run, overrides)
    experiment, env = open_with_photos(run, data)
    if len(env.folds) < 2:
        left = [fold for fold in range(experiment.cfg.folds.k) if fold not in env.folds]
        raise ResultError(
            "choosing views needs two folds or more",
            where=str(run.path),
            got=f"{list(env.folds)}",
            fix=f"maskcls resume {shell_word(run.path)} --folds {left[0]}"
            if left
            else "train a new run with folds.k=2",
        )
    if experiment.leaky:
        raise ResultError(
            f"the run is leaky: its networks saw the validation {group_noun(experiment.cfg)[1]}",
            where=str(run.path),
            fix="name a run that was trained without data.leaky=true",
        )
    note_other_versions(run, report)
    accelerator = start(experiment.cfg.device)
    with cured_by_restoring():
        experiment = with_photos(experiment, accelerator, report, build=False)
    rows = np.flatnonzero(np.isin(experiment.fold, env.folds))
    what, prob_by_view = f"predicting {len(rows):,} photos in {len(SINGLE)} views", {}
    report.note(f"{run.path}: {what}")
    done, of = 0, len(rows) * len(experiment.members) * len(SINGLE)

    def count(images: int) -> None:
        nonlocal done
        done += images
        report.images(what, done, of)

    for name in SINGLE:
        prob_by_view[name] = _out_of_fold(experiment, env.folds, name, overrides, accelerator, count)[rows]
    truth = experiment.cfg.space.encode({name: label[rows] for name, label in experiment.labels.items()})
    people, size = experiment.people[rows], experiment.cfg.space.size
    mean = view_mean(experiment.cfg.predict.views)
    return compare_views(prob_by_view, truth, people, experiment.fold[rows].astype(np.int64), size, mean)


def try_adaptation(
    run: RunDir, shift: Shift, *, overrides: list[str], report: Reporter, data: Path | None = None
) -> AdaptationTrial:
    """Adapt every fold's networks to its own photos, after a planted shift, and compare with plain predictions.

    data  where the run's data set is now; None: where it was.

    Raises ResultError for a run that has fewer than two folds, or is leaky; DataError for a fold with too few photos;
    WeightsError for photos that changed.
    """
    check_trying_views(run, overrides)
    experiment, env = open_with_photos(run, data)
    if len(env.folds) < 2 or experiment.leaky:
        many = group_noun(experiment.cfg)[1]
        raise ResultError(
            f"adaptation is tested on {many} that networks did not see, fold by fold",
            where=str(run.path),
            got="a leaky run" if experiment.leaky else f"folds {list(env.folds)}",
            expected="two folds or more, without data.leaky=true",
            fix=f"maskcls resume {shell_word(run.path)} --folds …, or name another run",
        )
    note_other_versions(run, report)
    accelerator = start(experiment.cfg.device)
    with cured_by_restoring():
        experiment = with_photos(experiment, accelerator, report, build=False)
    what = f"adapting to {int(np.isin(experiment.fold, env.folds).sum()):,} photos (shift: {shift})"
    report.note(f"{run.path}: {what}")
    done, of = 0, 4 * len(experiment.members) * int(np.isin(experiment.fold, env.folds).sum())

    def count(images: int) -> None:
        nonlocal done
        done += images
        report.images(what, min(done, of), of)

    found = adapt_out_of_fold(experiment, env.folds, shift, overrides, accelerator, count)
    truth_N = experiment.cfg.space.encode({name: label_N[found.row_N] for name, label_N in experiment.labels.items()})
    return compare_adaptations(
        found.plain_N,
        found.label_by_method,
        truth_N,
        experiment.people[found.row_N],
        experiment.cfg.space.size,
        shift=shift,
        skipped=found.skipped,
    )


def _out_of_fold(
    experiment: Experiment,
    folds: Sequence[int],
    view: str,
    overrides: list[str],
    accelerator: Accelerator,
    on_images: Callable[[int], None],
) -> Floats:
    """Return the probabilities of each fold's networks for its own rows in one view, at the rows' places (N, J)."""
    cfg = with_overrides(experiment.cfg, [*overrides, f"predict.views={view}"])
    found = np.zeros((len(experiment.fold), cfg.space.size), dtype=np.float32)
    for k in folds:
        networks = load_networks(experiment, experiment.predicting([k], "folds"))
        probs = []
        for network in networks:
            member = next(m for m in experiment.members if (m.task, m.cfg.seed) == (network.task, network.seed))
            rows = experiment.rows(member, k)
            reader = validation_reader(rows, cfg, accelerator)
            execution = experiment.plans[member.task].infer
            probs += infer(
                [network.predictor], reader, accelerator=accelerator, execution=execution, on_images=on_images
            )
        ids_N = experiment.manifest["id"].to_numpy(np.str_)[rows.valid]
        found[rows.valid] = joint(networks, probs, ids_N, cfg.space).prob
    return found
