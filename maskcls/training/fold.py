"""One network on one fold: trained and saved, scored when its weights are chosen."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

import numpy as np
import torch

from maskcls import files
from maskcls.data.rows.batches import Rows
from maskcls.engine import checkpoint
from maskcls.engine.device import Accelerator, augments_on_device
from maskcls.engine.fit import EpochResult, SavePoint, fit, logged_scores, validation_reader
from maskcls.engine.infer import infer
from maskcls.engine.processes.deciding import refuse_differences
from maskcls.engine.saving import Saves
from maskcls.engine.session import Session, is_over, open_session, restore_session, session_state
from maskcls.engine.step import Tick
from maskcls.engine.step_plan import FoldRows, StepPlan, StepRows
from maskcls.engine.stopping import HeldSignals
from maskcls.errors import ResultError
from maskcls.labels import Floats
from maskcls.results.predictions import Predictions
from maskcls.results.scores.metrics import Scores, score
from maskcls.rundir import REFIT, FoldDir, WeightsDir
from maskcls.runs.integrity.done_file import mark_done
from maskcls.runs.integrity.epoch_log import read_log, write_log
from maskcls.runs.integrity.epoch_rows_file import save_rows
from maskcls.runs.summary import FoldSummary, scored_fold, write_fold_summary
from maskcls.show.terminal.progress import Reporter
from maskcls.show.terminal.sheet import contact_sheet
from maskcls.training.epochs.epoch_selection import kept_epochs
from maskcls.training.experiment import Experiment, Member, view_spec
from maskcls.training.heads.starting_heads import load_starting_heads
from maskcls.training.plans import fresh_network
from maskcls.training.tracking.guard import Guard
from maskcls.training.tracking.logs import NetworkLogs

SHEET_IMAGES = 24


def without_scores(result: EpochResult) -> EpochResult:
    """Return an epoch's result without its scores, as it is shown for a leaky run."""
    return replace(result, val=dict.fromkeys(result.val, math.nan))


def is_trained(experiment: Experiment, member: Member, k: int) -> bool:
    """Tell whether a fold's training is over, and everything of its last epoch is on disk."""
    folder, train, kept = experiment.fold_dir(member, k), member.cfg.train, kept_epochs(experiment, member)
    try:
        lines = read_log(folder)
        best, last = max((i for i, line in enumerate(lines) if line["is_best"]), default=-1), len(lines) - 1
    except (ResultError, LookupError, TypeError):
        return False  # missing or damaged: it is written again from the resume state
    written = folder.candidate(last) if kept else folder.last
    if not lines or not written.meta.exists() or not is_over(len(lines), best, train.epochs, train.patience):
        return False
    return checkpoint.read_meta(written).epoch == last


def train_fold(
    experiment: Experiment, member: Member, k: int, accelerator: Accelerator, report: Reporter, guard: Guard
) -> None:
    """Train one network on one fold, from its saved state if there is one; `finish_fold` comes when it is over.

    guard  of the trackers that also get what is logged.

    Fitted heads to start with are on disk already, see `save_starting_heads`.
    """
    folder, cfg, plan = experiment.fold_dir(member, k), member.cfg, experiment.plans[member.task]
    rows = experiment.rows(member, k, bare=augments_on_device(cfg.device, view_spec(cfg), accelerator.device))
    alone = k == REFIT or member.continued  # it is trained alone, so it gets the threads of all folds
    torch.set_num_threads(plan.threads * (plan.fold_jobs if alone else 1))
    network, _ = fresh_network(member, cfg.seed, k)
    if member.continued:
        best = checkpoint.load_predictor(experiment.run.fold(k, member.name).best).network
        # Weights are saved without parameters that only training needs; those start fresh.
        network.load_state_dict(best.state_dict(), strict=False)
    elif cfg.train.start_heads == "fitted" and not folder.state.exists():
        load_starting_heads(network, folder)
    steps_per_epoch = StepPlan(rows, cfg).steps_per_epoch
    total_steps = cfg.train.epochs * steps_per_epoch
    session = open_session(network, cfg, member.space, accelerator, plan, total_steps=total_steps)
    if folder.state.exists():
        restore_session(session, *checkpoint.load_state(folder.state, root=folder.root))
        if session.so_far is None:  # else they are on disk, and these weights are not those of an epoch's end
            _save_results(session, member, folder, kept_epochs(experiment, member))
    progress = f"{session.epoch} {session.step} {session.so_far is None} {folder.state.exists()}"
    refuse_differences("saved states", progress, accelerator, where=str(folder.state))
    title, steps_done = experiment.title(member, k), session.so_far.steps if session.so_far else 0
    report.fold(title, cfg.train.epochs, session.epoch, steps_done, steps_per_epoch)
    report.skip(session.epoch)
    if session.epoch == 0 and accelerator.is_main_process:
        files.commit(folder.first_batch, first_batch(experiment.rows(member, k), member))
    with NetworkLogs(guard, experiment, folder, cfg, session.epoch) as logs, HeldSignals() as signals:
        logs.update(session.history)  # a training may be killed between its state and its trackers
        saves = Saves(session, folder, cfg.train.save_minutes, signals)
        with saves.kept_when_stopped():
            for event in fit(session, rows, cfg, key=(cfg.seed, member.index, k), resting=saves.resting):
                match event:
                    case Tick():
                        report.tick(title, event)
                    case SavePoint():
                        saves.step_done(event)
                    case EpochResult():
                        report.epoch(title, without_scores(event) if experiment.leaky else event)
                        with saves.epoch_done():
                            if accelerator.is_main_process and len(rows.valid) and not experiment.leaky:
                                # Before the state: the rows of an epoch that the state holds are not computed again.
                                save_rows(folder.epoch_rows(event.epoch), session.valid_prob, root=folder.root)
                            _save(session, member, folder, kept_epochs(experiment, member))
                            logs.update(session.history)
                    case _:
                        assert_never(event)
    report.skip(cfg.train.epochs - session.epoch)
    report.fold_done(title)


def first_batch(rows: FoldRows, member: Member) -> bytes:
    """Draw the first images of the first step as they enter the network, with their labels; a PNG."""
    step_plan = StepPlan(rows, member.cfg)
    step = step_plan.steps(0)[0]
    step = step.take(np.arange(min(SHEET_IMAGES, len(step.rows))))
    return contact_sheet(list(step_plan.images(step, 0)), _captions(step, rows, member))


def class_captions(row_n: Rows, rows: FoldRows, member: Member) -> list[list[str]]:
    """Name each row's class of every task."""
    return [
        [f"{task.name} {name}" for task, name in zip(member.space.tasks, _class_names(row, rows, member), strict=True)]
        for row in row_n.tolist()
    ]


def _class_names(row: int, rows: FoldRows, member: Member) -> list[str]:
    found = [(task, int(rows.labels[task.name][row])) for task in member.space.tasks]
    return [task.classes[i] if i >= 0 else "unknown" for task, i in found]


def _captions(step: StepRows, rows: FoldRows, member: Member) -> list[list[str]]:
    """Name each image's class of every task, and its partner's with the partner's share."""
    captions = class_captions(step.rows, rows, member)
    if step.mixes is None:
        return captions
    for place, lines in enumerate(captions):
        if step.mixes.partner[place] >= 0:
            others = _class_names(int(step.mixes.partner[place]), rows, member)
            part = f"{1 - step.mixes.share[place]:.0%}"
            lines[:] = [f"{line}, {part} {other}" for line, other in zip(lines, others, strict=True)]
    return captions


def _save(session: Session, member: Member, folder: FoldDir, kept: int) -> None:
    """Commit an epoch: first the state to resume from, then what can be written again from that state."""
    if session.accelerator.is_main_process:
        checkpoint.save_state(folder.state, *session_state(session), root=folder.root)
        _save_results(session, member, folder, kept)
    session.accelerator.wait_for_everyone()


def _save_results(session: Session, member: Member, folder: FoldDir, kept: int) -> None:
    if not session.accelerator.is_main_process:
        return
    write_log(folder, session.history)
    last = session.epoch - 1
    scores = logged_scores(session.history[last])
    tensors = session.scored_network.inference_state()
    checkpoint.save_weights(folder.last, tensors, member.blueprint, epoch=last, scores=scores)
    if kept:
        shutil.rmtree(folder.candidate(last - kept).path, ignore_errors=True)
        checkpoint.save_weights(folder.candidate(last), tensors, member.blueprint, epoch=last, scores=scores)


def finish_fold(
    experiment: Experiment,
    member: Member,
    k: int,
    weights: WeightsDir,
    accelerator: Accelerator,
    *,
    among: Sequence[int] = (),
) -> None:
    """Make these weights the network's best, predict and score the validation rows with them, and mark it as done.

    among  the folds that chose the weights, where these are not all folds.

    A network without validation rows is only marked.
    """
    folder, cfg = experiment.fold_dir(member, k), member.cfg
    if accelerator.is_main_process:
        checkpoint.copy_weights(weights, folder.best)
    accelerator.wait_for_everyone()
    meta, rows = checkpoint.read_meta(folder.best), experiment.rows(member, k)
    if not len(rows.valid):
        if accelerator.is_main_process:
            mark_done(folder, meta.sha256)
        return
    if experiment.leaky:
        finish_leaky(folder, meta, accelerator)
        return
    reader, execution = validation_reader(rows, cfg, accelerator), experiment.plans[member.task].infer
    predictor = checkpoint.load_predictor(folder.best)
    (prob,) = infer([predictor], reader, accelerator=accelerator, execution=execution)
    if accelerator.is_main_process:
        scores = save_scored_rows(experiment, member, k, rows, prob)
        write_fold_summary(folder, scored_fold(meta.epoch, meta.soup, scores, among))
        mark_done(folder, meta.sha256)


def save_scored_rows(experiment: Experiment, member: Member, k: int, rows: FoldRows, prob_nJ: Floats) -> Scores:
    """Commit the predictions of a fold's validation rows by its best weights, and return their scores."""
    folder, cfg = experiment.fold_dir(member, k), member.cfg
    meta = checkpoint.read_meta(folder.best)
    lineage = {"fold": k, "member": member.task, "weights": meta.sha256, "views": cfg.predict.views}
    lineage |= {"seed": cfg.seed} if len(experiment.seeds) > 1 else {}
    ids = experiment.manifest["id"].to_numpy()[rows.valid]
    Predictions(ids, prob_nJ, member.space, lineage).save(folder.oof)
    return score(prob_nJ, {n: rows.labels[n][rows.valid] for n in member.space.names}, member.space)


def finish_leaky(folder: FoldDir, meta: checkpoint.Meta, accelerator: Accelerator) -> None:
    """Mark a fold as done without predictions or scores: its network may have trained on the fold's people."""
    if accelerator.is_main_process:
        write_fold_summary(folder, FoldSummary(best_epoch=meta.epoch, leaky=True))
        mark_done(folder, meta.sha256)
    accelerator.wait_for_everyone()
