"""Everything before the first network of a new run: data read and checked, photos cached, execution measured."""

from __future__ import annotations

from pathlib import Path

from maskcls.engine.device import Accelerator
from maskcls.rundir import RunDir
from maskcls.runs.checks import wanted_folds
from maskcls.runs.records.times import CHECKING, PEOPLE, PHOTOS, PLANS, READING, PartTimer
from maskcls.schema import Config
from maskcls.show.terminal.progress import Reporter
from maskcls.training.checks import check_experiment, check_same_photos, with_absolute_paths, with_photos
from maskcls.training.experiment import Experiment, read_experiment
from maskcls.training.person_clustering import with_person_clustering
from maskcls.training.plans import with_plans
from maskcls.training.starting_weights import check_starting_weights, note_seen_people


def prepare_experiment(
    data: Path,
    cfg: Config,
    run: RunDir,
    *,
    folds: str | None,
    accelerator: Accelerator,
    timer: PartTimer,
    report: Reporter,
) -> tuple[Experiment, tuple[int, ...]]:
    """Return the experiment of a new run and the folds that are wanted; nothing is written into the run.

    timer  of the parts of the command. Processes that do not write learn no photos of people.

    Raises what is wrong with data, settings or weights.
    """
    wanted = wanted_folds(folds, cfg.folds.k)
    with timer.part(READING), report.busy(READING):
        experiment = read_experiment(with_absolute_paths(cfg), data, run)
    with timer.part(CHECKING), report.busy("checking the networks"):
        check_experiment(experiment, report)
        check_starting_weights(experiment, wanted)
    note_seen_people(experiment, wanted, report)
    with timer.part(PHOTOS):
        experiment = with_photos(experiment, accelerator, report)
    if accelerator.is_main_process:
        with timer.part(CHECKING), report.busy("looking for repeated photos"):
            check_same_photos(experiment, report)
    with timer.part(PLANS):
        experiment = with_plans(experiment, wanted, accelerator, report)
    if accelerator.is_main_process:
        with timer.part(PEOPLE):
            experiment = with_person_clustering(experiment, report)
    return experiment, wanted
