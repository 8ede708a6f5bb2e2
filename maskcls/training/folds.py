"""All networks of a run: those of the folds first, then those that are continued or trained on all rows."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Sequence
from dataclasses import replace

from maskcls.data.rows import folds as folding
from maskcls.data.rows import manifest as tables
from maskcls.engine.checkpoint import read_meta
from maskcls.engine.device import Accelerator
from maskcls.engine.processes.deciding import refuse_differences
from maskcls.rundir import REFIT, FoldDir, WeightsDir
from maskcls.runs.integrity.epoch_log import read_log
from maskcls.runs.records.disk_use import disk_use
from maskcls.runs.summary import RunSummary, read_fold_summary
from maskcls.show.terminal.progress import Reporter
from maskcls.show.terminal.text import trained_folds
from maskcls.show.terminal.units import size
from maskcls.training.assemble import assemble
from maskcls.training.epochs.epoch_selection import choose_weights, chosen_by_fewer, kept_epochs
from maskcls.training.experiment import Experiment, Member
from maskcls.training.fold import finish_fold, is_trained, train_fold
from maskcls.training.heads.baseline import save_baseline
from maskcls.training.heads.fit_networks import fit_networks
from maskcls.training.heads.starting_heads import save_starting_heads
from maskcls.training.side_by_side import train_side_by_side
from maskcls.training.tracking.guard import Guard
from maskcls.training.tracking.logs import NetworkLogs, RunLogs


def train_folds(
    experiment: Experiment, wanted: Sequence[int], accelerator: Accelerator, report: Reporter
) -> RunSummary | None:
    """Train, or finish, every network of the wanted folds, and assemble the results.

    Returns None in processes that do not write.
    """
    read = f"{tables.sha256(experiment.manifest)} {folding.sha256(experiment.folds)} {experiment.cfg.model_dump_json()}"
    refuse_differences("data or settings", read, accelerator, where=str(experiment.data))
    trackers = experiment.cfg.track if accelerator.is_main_process else ()
    with Guard(trackers, report) as guard, RunLogs(guard, experiment) as logs:
        if experiment.cfg.model.train == "heads":
            fit_networks(experiment, wanted, accelerator, report)
            for member, k in experiment.trainings(wanted):
                log_trained(experiment, member, k, guard)
        else:
            save_baseline(experiment, wanted, accelerator, report)
            save_starting_heads(experiment, experiment.trainings(wanted), accelerator, report)
            _train_networks(experiment, wanted, accelerator, report, guard)
        if not accelerator.is_main_process:
            return None
        with report.busy("scoring the out-of-fold rows"):
            summary = assemble(experiment, wanted)
        logs.results(summary)
        return summary


def _train_networks(
    experiment: Experiment, wanted: Sequence[int], accelerator: Accelerator, report: Reporter, guard: Guard
) -> None:
    k = experiment.cfg.folds.k
    report.begin("all folds" if len(wanted) == k else trained_folds(wanted, k), *_work(experiment, wanted))
    for member in experiment.members:
        undone = [k for k in wanted if not experiment.fold_dir(member, k).done.exists()]
        left = [k for k in undone if not is_trained(experiment, member, k)]
        report.skip(member.cfg.train.epochs * (len(wanted) - len(left)))
        for k in set(wanted) - set(left):
            log_trained(experiment, member, k, guard)
        jobs = min(experiment.plans[member.task].fold_jobs, len(left))
        if jobs > 1 and accelerator.num_processes == 1:
            train_side_by_side(experiment, member, left, jobs, report)
        else:
            for k in left:
                train_fold(experiment, member, k, accelerator, report, guard)
                accelerator.free_memory()
        finish_folds(experiment, member, wanted, accelerator, report)
    accelerator.wait_for_everyone()  # the main process alone writes what the others read here
    for member, k in experiment.trainings(wanted):
        folder = experiment.fold_dir(member, k)
        if folder.done.exists() and (member.continued or k == REFIT):
            report.skip(further_epochs(member))
        if not folder.done.exists():  # networks without validation rows; the others are done
            how = continuing(member) if member.continued else refitting(experiment, member, wanted)
            if not member.continued:
                report.skip(member.cfg.train.epochs - how.cfg.train.epochs)
            train_fold(experiment, how, k, accelerator, report, guard)
            accelerator.wait_for_everyone()
            finish_fold(experiment, how, k, folder.last, accelerator)
            accelerator.free_memory()
    report.end()


def _work(experiment: Experiment, wanted: Sequence[int]) -> tuple[int, float | None]:
    """Return the epochs of all networks, and the forecast of their time; a refit may have fewer epochs."""
    of_folds = sum(member.cfg.train.epochs for member in experiment.members) * len(wanted)
    others = [member for member, k in experiment.trainings(wanted) if member.continued or k == REFIT]
    further = sum(map(further_epochs, others))
    expected_s = experiment.expected_s
    return of_folds + further, None if expected_s is None else expected_s * (of_folds + further) / of_folds


def further_epochs(member: Member) -> int:
    """Return the epochs of a network that is continued or trained on all rows, at most."""
    return member.cfg.train.continue_epochs if member.continued else member.cfg.train.epochs


def log_trained(experiment: Experiment, member: Member, k: int, guard: Guard) -> None:
    """Write what the trackers lack of a training that is over: it may have been killed right before its last lines."""
    folder = experiment.fold_dir(member, k)
    history = read_log(folder) if guard.working else []
    with NetworkLogs(guard, experiment, folder, member.cfg, len(history)) as logs:
        logs.update(history)


def finish_folds(
    experiment: Experiment, member: Member, folds: Sequence[int], accelerator: Accelerator, report: Reporter
) -> None:
    """Choose the weights of a member's trained folds, each by the other folds, and score the folds with them.

    Folds that are done are chosen again where fewer folds chose them and their candidates are still on disk. Those of a
    training of fewer than all folds stay on disk.
    """
    accelerator.wait_for_everyone()
    again = chosen_by_fewer(experiment, member, folds)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        for k in again:
            experiment.fold_dir(member, k).done.unlink()
    accelerator.wait_for_everyone()
    of_member = f" of {member.name}" if member.name else ""
    with report.busy(f"choosing epochs{of_member}"):
        chosen = choose_weights(experiment, member, folds, accelerator)
    accelerator.wait_for_everyone()  # the main process changes now what the others have read
    if len(folds) == 1 and chosen and member.cfg.train.select != "last" and member.cfg.train.epochs > 1:
        report.note("one fold only: no other fold can choose its epoch, so the last one is used")
    among = folds if len(folds) < member.cfg.folds.k and member.cfg.train.select != "last" else ()
    for k, weights in chosen.items():
        _forget_continued(experiment, member, k, weights, accelerator, report)
        with report.busy(f"scoring {experiment.title(member, k)}"):
            finish_fold(experiment, member, k, weights, accelerator, among=among)
        accelerator.free_memory()
    accelerator.wait_for_everyone()
    folders = [experiment.fold_dir(member, k) for k in folds]
    if among and chosen and kept_epochs(experiment, member):
        report.note(candidates_stay(folders, len(folds), member.cfg.folds.k))
    for folder in folders if accelerator.is_main_process else ():
        shutil.rmtree(folder.soup.path if among else folder.candidates, ignore_errors=True)


def candidates_stay(folders: Sequence[FoldDir], trained: int, k: int) -> str:
    """Say that these folds keep the weights of several epochs, what they take, and how they are freed."""
    count = sum(disk_use(folder.candidates).bytes for folder in folders if folder.candidates.is_dir())
    until = f"the weights to choose epochs from ({size(count)}) are kept until all {k} folds are trained"
    return f"{trained} of {k} folds: {until}; maskcls runs prune can delete them"


def _forget_continued(
    experiment: Experiment, member: Member, k: int, weights: WeightsDir, accelerator: Accelerator, report: Reporter
) -> None:
    """Delete the network that was continued from the best weights of a fold, where other ones take their place."""
    folder = experiment.fold_dir(member, k)
    if not accelerator.is_main_process or not folder.continued.path.exists():
        return
    if read_meta(folder.best).sha256 != read_meta(weights).sha256:
        report.note(f"{folder.continued.path} is trained again, from weights chosen by more folds")
        shutil.rmtree(folder.continued.path)


def refitting(experiment: Experiment, member: Member, folds: Sequence[int]) -> Member:
    """Return the member with the settings for all rows, without validation: the median of the folds' epochs."""
    best = [read_fold_summary(experiment.fold_dir(member, k)).best_epoch + 1 for k in folds]
    changes = {"epochs": round(statistics.median(best)), "patience": None, "select": "last"}
    return replace(member, cfg=member.cfg.model_copy(update={"train": member.cfg.train.model_copy(update=changes)}))


def continuing(member: Member) -> Member:
    """Return the member with the settings to continue from its best weights: fewer epochs, a smaller learning rate."""
    cfg = member.cfg
    settings = {"epochs": cfg.train.continue_epochs, "patience": None, "stages": (), "select": "last"}
    lr, schedule = cfg.optim.lr * cfg.train.continue_lr_share, {"warmup_epochs": 0.0}
    changed = {
        "train": cfg.train.model_copy(update=settings),
        "optim": cfg.optim.model_copy(update={"lr": lr, "freeze_epochs": 0}),
        "schedule": cfg.schedule.model_copy(update=schedule),
    }
    return replace(member, cfg=cfg.model_copy(update=changed))
