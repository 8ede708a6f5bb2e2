"""maskcls tta RUN --adapt: adaptation to new photos compared with plain predictions, on the run's out-of-fold rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from maskcls.data.views.planted_shift import Shift
from maskcls.engine.device import start
from maskcls.errors import ResultError
from maskcls.results.comparison.adaptation import AdaptationTrial, compare_adaptations
from maskcls.rundir import RunDir
from maskcls.runs.checks import check_trying_views
from maskcls.schema.group_noun import group_noun
from maskcls.show.terminal.progress import Reporter
from maskcls.training.checks import with_photos
from maskcls.training.known_photos import cured_by_restoring
from maskcls.training.predicting.adaptation_trial import adapt_out_of_fold
from maskcls.training.prediction import note_other_versions
from maskcls.training.stored_experiment import open_with_photos


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
            f"adaptation is judged on {many} that networks did not see, fold by fold",
            where=str(run.path),
            got="a leaky run" if experiment.leaky else f"folds {list(env.folds)}",
            expected="two folds or more, without data.leaky=true",
            fix=f"maskcls resume {run.path} --folds …, or name another run",
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
