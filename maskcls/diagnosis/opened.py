"""Read a data set and open its networks for the checks, as `train` does; nothing is written except the photo cache."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from maskcls.diagnosis.probe import FOLD, Probe
from maskcls.engine.compute.candidates import executions
from maskcls.engine.compute.memory import fewest_pieces
from maskcls.engine.compute.plan import Plan
from maskcls.engine.device import Accelerator, start
from maskcls.machine import cores
from maskcls.rundir import RunDir
from maskcls.schema import Config
from maskcls.show.terminal.progress import Reporter
from maskcls.training.checks import check_experiment, with_absolute_paths, with_photos
from maskcls.training.experiment import Experiment, read_experiment
from maskcls.training.plans import workload_of
from maskcls.training.starting_weights import check_starting_weights


def open_probes(data: Path, cfg: Config, report: Reporter) -> list[Probe]:
    """Return a probe of each network of fold 0; raises what `train` would raise before its first step.

    Repeated photos are no error here: the check `split` finds them.
    """
    accelerator = start(cfg.device)
    experiment = read_experiment(with_absolute_paths(cfg), data, RunDir(Path("runs/none")))
    check_experiment(experiment, report)
    check_starting_weights(experiment, [FOLD])
    experiment = with_photos(experiment, accelerator, report)
    return probes(with_plain_plans(experiment, accelerator), accelerator)


def with_plain_plans(experiment: Experiment, accelerator: Accelerator) -> Experiment:
    """Return the experiment with a plan per task that is not measured: the first of the candidates, and all cores."""
    device, found = accelerator.device, {}
    for member in experiment.kinds:
        way = executions(member.cfg, device)[0]
        pieces = fewest_pieces(workload_of(experiment, member, [FOLD]), member.cfg, device, way, 1)
        threads = member.cfg.device.threads
        found[member.task] = Plan(way, way, cores() if threads == "auto" else threads, pieces, 1)
    return replace(experiment, plans=found)


def probes(experiment: Experiment, accelerator: Accelerator) -> list[Probe]:
    """Return a probe of each network."""
    return [
        Probe(experiment, member, accelerator, experiment.rows(member, FOLD, bare=False)) for member in experiment.kinds
    ]
