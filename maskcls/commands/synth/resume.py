"""maskcls synth resume: keep the generators that are finished, continue the others from their last save."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import torch

from maskcls.engine.device import start
from maskcls.errors import ResultError
from maskcls.machine import refuse_several
from maskcls.rundir import SynthDir
from maskcls.runs.environment import machine_differences, this_machine
from maskcls.runs.locks import run_lock
from maskcls.schema.group_noun import group_noun
from maskcls.show.synth.synth_training import SynthTraining
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.facts_file import fold_of_set, read_facts
from maskcls.synth.loop.all_folds import train_generators
from maskcls.synth.loop.open_generators import with_plan, with_small_photos
from maskcls.training.added.added_source import folds_sha256
from maskcls.training.known_photos import cured_by_restoring
from maskcls.training.stored_experiment import open_with_photos


def resume_synth(
    folder: SynthDir, *, minutes: float | None, report: Reporter, data: Path | None = None
) -> SynthTraining:
    """Train the generators that are not finished, from their last save.

    minutes  as in `train_synth`. data: where the data set is now; None: where it was.

    Raises ResultError or WeightsError when the folder, its data set or a finished generator was changed.
    """
    ends_s = None if minutes is None else time.monotonic() + 60 * minutes
    facts, run = read_facts(folder), folder.experiment
    with report.busy("reading the folder"):
        experiment, env = open_with_photos(run, data)
    if folds_sha256(experiment.manifest, experiment.folds) != facts.folds_sha256:
        raise ResultError(
            "the generators were made for other folds",
            where=str(folder.facts),
            expected=f"the folds of {run.folds}",
            fix="restore both files, or train the generators again",
        )
    assert env.plans is not None, "open_experiment refuses it"
    plan, noun = env.plans[""], group_noun(experiment.cfg)
    accelerator = start(experiment.cfg.device, settable=False)
    refuse_several("maskcls synth")
    torch.set_num_threads(plan.threads)
    with cured_by_restoring():
        experiment = with_small_photos(experiment, accelerator, report)
    experiment = replace(experiment, cfg=with_plan(experiment.cfg, plan))
    sets = {fold_of_set(name): one for name, one in facts.sets.items()}
    with run_lock.lock(run):
        run_lock.sweep_run(run)
        for line in machine_differences(env.machine, this_machine(accelerator.device, accelerator.num_processes)):
            report.note(f"not bit-exact with the steps before: {line}")
        trained = train_generators(experiment, folder, sets, accelerator, report, ends_s=ends_s)
    return SynthTraining(folder.path, facts.kind, noun, tuple(trained))
