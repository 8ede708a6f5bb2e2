"""All networks of a run: those of the folds first, then those that are continued or trained on all rows."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Sequence
from dataclasses import replace

from maskcls.engine.device import Accelerator
from maskcls.runs.summary import RunSummary, read_fold_summary
from maskcls.show.terminal.progress import Reporter
from maskcls.training.assemble import assemble
from maskcls.training.experiment import Experiment, Member
from maskcls.training.fold import train_fold
from maskcls.training.side_by_side import train_side_by_side


def train_folds(
    experiment: Experiment, wanted: Sequence[int], accelerator: Accelerator, report: Reporter
) -> RunSummary | None:
    """Train, or finish, every network of the wanted folds, and assemble the results.

    Returns None in processes that do not write.
    """
    report.begin("all folds", sum(member.cfg.train.epochs for member in experiment.members) * len(wanted))
    for member in experiment.members:
        left = [k for k in wanted if not experiment.fold_dir(member, k).done.exists()]
        report.skip(member.cfg.train.epochs * (len(wanted) - len(left)))
        for k in set(wanted) - set(left):  # from a process that was killed right after it finished a fold
            shutil.rmtree(experiment.fold_dir(member, k).soup, ignore_errors=True)
        jobs = min(experiment.plans[member.task].fold_jobs, len(left))
        if jobs > 1 and accelerator.num_processes == 1:
            train_side_by_side(experiment, member, left, jobs, report)
            continue
        for k in left:
            train_fold(experiment, member, k, accelerator, report)
            accelerator.free_memory()
    accelerator.wait_for_everyone()  # the main process alone writes what the others read here
    for member, k in experiment.trainings(wanted):
        if not experiment.fold_dir(member, k).done.exists():  # networks without validation rows; the others are done
            how = continuing(member) if member.continued else refitting(experiment, member, wanted)
            train_fold(experiment, how, k, accelerator, report)
            accelerator.free_memory()
    report.end()
    if not accelerator.is_main_process:
        return None
    return assemble(experiment, wanted)


def refitting(experiment: Experiment, member: Member, folds: Sequence[int]) -> Member:
    """Return the member with the settings for all rows, without validation: the median of the folds' best epochs."""
    best = [read_fold_summary(experiment.fold_dir(member, k)).best_epoch + 1 for k in folds]
    train = member.cfg.train.model_copy(update={"epochs": round(statistics.median(best)), "patience": None})
    return replace(member, cfg=member.cfg.model_copy(update={"train": train}))


def continuing(member: Member) -> Member:
    """Return the member with the settings to continue from its best weights: fewer epochs, a smaller learning rate."""
    cfg = member.cfg
    train = cfg.train.model_copy(update={"epochs": cfg.train.continue_epochs, "patience": None, "stages": ()})
    lr, schedule = cfg.optim.lr * cfg.train.continue_lr_share, {"warmup_epochs": 0.0}
    changed = {
        "train": train,
        "optim": cfg.optim.model_copy(update={"lr": lr, "freeze_epochs": 0}),
        "schedule": cfg.schedule.model_copy(update=schedule),
    }
    return replace(member, cfg=cfg.model_copy(update=changed))
