"""All networks of a run: those of the folds, and those that are trained on more rows afterwards."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from maskcls import files
from maskcls.engine.device import Accelerator
from maskcls.show.progress import Reporter
from maskcls.training.assemble import assemble
from maskcls.training.experiment import (
    Experiment,
    Member,
)
from maskcls.training.fold import train_fold
from maskcls.training.side_by_side import train_side_by_side


def train_folds(
    experiment: Experiment, wanted: Sequence[int], accelerator: Accelerator, report: Reporter
) -> dict[str, Any]:
    """Train, or finish, the wanted folds of every member, and what goes on from them; then assemble the results."""
    report.begin("all folds", sum(member.cfg.train.epochs for member in experiment.members) * len(wanted))
    for member in experiment.members:
        left = [k for k in wanted if not experiment.fold_dir(member, k).done.exists()]
        report.skip(member.cfg.train.epochs * (len(wanted) - len(left)))
        for k in set(wanted) - set(left):  # left by a process that was killed right after a fold was done
            shutil.rmtree(experiment.fold_dir(member, k).soup, ignore_errors=True)
        jobs = min(experiment.plans[member.task].fold_jobs, len(left))
        if jobs > 1 and accelerator.num_processes == 1:
            train_side_by_side(experiment, member, left, jobs, report)
            continue
        for k in left:
            train_fold(experiment, member, k, accelerator, report)
            accelerator.free_memory()
    for member, k in experiment.trainings(wanted):
        if not experiment.fold_dir(member, k).done.exists():  # none of those that are judged
            how = continued(member) if member.continued else refitted(experiment, member, wanted)
            train_fold(experiment, how, k, accelerator, report)
            accelerator.free_memory()
    if not accelerator.is_main_process:
        return {}
    return assemble(experiment, wanted)


def refitted(experiment: Experiment, member: Member, folds: Sequence[int]) -> Member:
    """Return the member as it is trained on all rows, where none judges it: for the median of the best epochs."""
    best = [files.read_json(experiment.fold_dir(member, k).summary)["best_epoch"] + 1 for k in folds]
    train = member.cfg.train.model_copy(update={"epochs": round(statistics.median(best)), "patience": None})
    return replace(member, cfg=member.cfg.model_copy(update={"train": train}))


def continued(member: Member) -> Member:
    """Return the member as it goes on from its best weights: for the epochs asked for, at the share of the rate."""
    cfg = member.cfg
    train = cfg.train.model_copy(update={"epochs": cfg.train.continue_epochs, "patience": None, "stages": ()})
    lr, schedule = cfg.optim.lr * cfg.train.continue_lr_share, {"warmup_epochs": 0.0}
    changed = {
        "train": train,
        "optim": cfg.optim.model_copy(update={"lr": lr, "freeze_epochs": 0}),
        "schedule": cfg.schedule.model_copy(update=schedule),
    }
    return replace(member, cfg=cfg.model_copy(update=changed))
