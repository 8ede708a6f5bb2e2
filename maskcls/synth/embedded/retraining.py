"""A run of retrained heads: all its networks, its results, and its continuation after an interruption."""

from __future__ import annotations

from collections.abc import Sequence

from maskcls.engine.device import Accelerator, start
from maskcls.rundir import RunDir
from maskcls.runs.choices.tried import add_run
from maskcls.runs.environment import Environment, machine_differences, this_machine
from maskcls.runs.locks import run_lock
from maskcls.runs.records.times import NETWORKS, PHOTOS, PartTimer, add_times, read_times
from maskcls.runs.summary import RunSummary
from maskcls.schema.group_noun import group_noun
from maskcls.show.synth.retrained_heads import RetrainedHeads
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.embedded.heads_comparison import compare_heads
from maskcls.synth.embedded.heads_origin import read_origin_run
from maskcls.synth.embedded.retrained_fold import retrain_fold
from maskcls.training.assemble import assemble
from maskcls.training.checks import with_photos
from maskcls.training.experiment import Experiment
from maskcls.training.known_photos import cured_by_restoring


def fit_all_heads(
    experiment: Experiment, source: RunDir, folds: Sequence[int], accelerator: Accelerator, report: Reporter
) -> RunSummary:
    """Fit what is not fitted yet, and assemble the results; the networks without validation rows come last."""
    for member, k in experiment.trainings(folds):
        if not experiment.fold_dir(member, k).done.exists():
            report.note(f"fitting the heads of {member.title(k)}")
            retrain_fold(experiment, source, member, k, accelerator, report)
    with report.busy("scoring the out-of-fold rows"):
        return assemble(experiment, folds)


def finished_heads(
    experiment: Experiment, source: RunDir, folds: Sequence[int], summary: RunSummary, report: Reporter
) -> RetrainedHeads:
    """Count a run of retrained heads among those tried, and compare its heads with those without examples."""
    if not_counted := add_run(experiment.run):
        report.note(not_counted)
    noun, compared = group_noun(experiment.cfg), compare_heads(experiment, source, folds)
    return RetrainedHeads(experiment.run.path, source.path, noun, summary, compared)


def finish_heads(experiment: Experiment, env: Environment, *, report: Reporter) -> RetrainedHeads:
    """Finish a run of retrained heads that was interrupted; a finished one is only compared again.

    experiment, env  of the run, see `open_experiment`.

    Raises WeightsError when the run that its trunks are from is gone or another one.
    """
    run = experiment.run
    source = read_origin_run(run)
    accelerator, timer = start(experiment.cfg.device, settable=False), PartTimer("resume")
    with timer.part(PHOTOS), cured_by_restoring():
        experiment = with_photos(experiment, accelerator, report)
    with run_lock.lock(run):
        run_lock.sweep_run(run)
        for line in machine_differences(env.machine, this_machine(accelerator.device, 1)):
            report.note(f"not bit-exact with the heads before: {line}")
        before = read_times(run)
        with timer.part(NETWORKS):
            summary = fit_all_heads(experiment, source, env.folds, accelerator, report)
        add_times(run, before, timer.times)
    return finished_heads(experiment, source, env.folds, summary, report)
