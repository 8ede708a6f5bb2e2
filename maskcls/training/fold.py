"""One network on one fold: trained, saved after every epoch, scored after the last."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import torch

from maskcls import files
from maskcls.engine import checkpoint
from maskcls.engine.device import Accelerator, augments_on_device
from maskcls.engine.fit import EpochResult, fit, validation_reader
from maskcls.engine.infer import infer
from maskcls.engine.session import Session, open_session, restore_session, session_state
from maskcls.engine.step_plan import FoldRows, StepPlan, StepRows
from maskcls.results.predictions import Predictions
from maskcls.results.scores.metrics import score
from maskcls.rundir import REFIT, FoldDir
from maskcls.runs.summary import FoldSummary, scored_fold, write_fold_summary
from maskcls.show.terminal.progress import Reporter
from maskcls.show.terminal.sheet import contact_sheet
from maskcls.training.experiment import Experiment, Member, view_spec
from maskcls.training.plans import fresh_network
from maskcls.training.soup import best_epochs, use_soup_if_better

SHEET_IMAGES = 24


def without_scores(result: EpochResult) -> EpochResult:
    """Return an epoch's result without its scores, as it is shown for a leaky run."""
    return replace(result, val=dict.fromkeys(result.val, math.nan))


def train_fold(experiment: Experiment, member: Member, k: int, accelerator: Accelerator, report: Reporter) -> None:
    """Train one network on one fold, from its saved state if there is one, and commit its files."""
    folder, cfg, plan = experiment.fold_dir(member, k), member.cfg, experiment.plans[member.task]
    rows = experiment.rows(member, k, bare=augments_on_device(cfg.device, view_spec(cfg), accelerator.device))
    alone = k == REFIT or member.continued  # it is trained alone, so it gets the threads of all folds
    torch.set_num_threads(plan.threads * (plan.fold_jobs if alone else 1))
    network, _ = fresh_network(member, cfg.seed, k)
    if member.continued:
        best = checkpoint.load_predictor(experiment.run.fold(k, member.name).best).network
        # Weights are saved without parameters that only training needs; those start fresh.
        network.load_state_dict(best.state_dict(), strict=False)
    total_steps = cfg.train.epochs * StepPlan(rows, cfg).steps_per_epoch
    session = open_session(network, cfg, member.space, accelerator, plan, total_steps=total_steps)
    if folder.state.exists():
        restore_session(session, *checkpoint.load_state(folder.state))
        _save_results(session, member, folder)
    title = experiment.title(member, k)
    report.fold(title, cfg.train.epochs, session.epoch)
    report.skip(session.epoch)
    if session.epoch == 0 and accelerator.is_main_process:
        files.commit(folder.first_batch, first_batch(experiment.rows(member, k), member))
    for event in fit(session, rows, cfg, key=(cfg.seed, member.index, k)):
        if not isinstance(event, EpochResult):
            report.tick(title, event)
            continue
        report.epoch(title, without_scores(event) if experiment.leaky else event)
        _save(session, member, folder)
    report.skip(cfg.train.epochs - session.epoch)
    _finish_fold(experiment, member, k, rows, accelerator)
    report.fold_done(title)


def first_batch(rows: FoldRows, member: Member) -> bytes:
    """Draw the first images of the first step as they enter the network, with their labels; a PNG."""
    step_plan = StepPlan(rows, member.cfg)
    step = step_plan.steps(0)[0]
    step = step.take(np.arange(min(SHEET_IMAGES, len(step.rows))))
    return contact_sheet(list(step_plan.images(step, 0)), _captions(step, rows, member))


def _captions(step: StepRows, rows: FoldRows, member: Member) -> list[list[str]]:
    """Name each image's class of every task, and its partner's with the partner's share."""

    def names(row: int) -> list[str]:
        found = [(task, int(rows.labels[task.name][row])) for task in member.space.tasks]
        return [task.classes[i] if i >= 0 else "unknown" for task, i in found]

    captions = []
    for place, row in enumerate(step.rows.tolist()):
        lines = [f"{task.name} {name}" for task, name in zip(member.space.tasks, names(row), strict=True)]
        if step.mixes is not None and step.mixes.partner[place] >= 0:
            others = names(int(step.mixes.partner[place]))
            part = f"{1 - step.mixes.share[place]:.0%}"
            lines = [f"{line}, {part} {other}" for line, other in zip(lines, others, strict=True)]
        captions.append(lines)
    return captions


def _save(session: Session, member: Member, folder: FoldDir) -> None:
    """Commit an epoch: first the state to resume from, then what can be written again from that state."""
    if session.accelerator.is_main_process:
        checkpoint.save_state(folder.state, *session_state(session))
        _save_results(session, member, folder)
    session.accelerator.wait_for_everyone()


def _save_results(session: Session, member: Member, folder: FoldDir) -> None:
    if not session.accelerator.is_main_process:
        return
    files.commit(folder.log, "".join(json.dumps(line) + "\n" for line in session.history).encode())
    last = session.epoch - 1
    scores = {k.removeprefix("val/"): v for k, v in session.history[last].items() if k.startswith("val/")}
    tensors = session.scored_network.inference_state()
    checkpoint.save_weights(folder.last, tensors, member.blueprint, epoch=last, scores=scores)
    if session.best_epoch == last:
        checkpoint.save_weights(folder.best, tensors, member.blueprint, epoch=last, scores=scores)
    if member.cfg.average.soup > 1:
        chosen = best_epochs(session.history, member.cfg.average.soup)
        if last in chosen:
            checkpoint.save_weights(folder.soup_epoch(last), tensors, member.blueprint, epoch=last, scores=scores)
        for epoch in set(range(last)) - set(chosen):
            shutil.rmtree(folder.soup_epoch(epoch).path, ignore_errors=True)


def _finish_fold(experiment: Experiment, member: Member, k: int, rows: FoldRows, accelerator: Accelerator) -> None:
    """Read the best weights back, predict and score the validation rows with them, and mark the fold as done.

    A network without validation rows is only marked.
    """
    folder, cfg = experiment.fold_dir(member, k), member.cfg
    accelerator.wait_for_everyone()
    if not len(rows.valid):
        if accelerator.is_main_process:
            _mark_done(folder, checkpoint.read_meta(folder.best))
        return
    use_soup_if_better(experiment, member, folder, rows, accelerator)
    if experiment.leaky:
        _finish_leaky(folder, accelerator)
        return
    predictor = checkpoint.load_predictor(folder.best)
    reader = validation_reader(rows, cfg, accelerator)
    execution = experiment.plans[member.task].infer
    (prob,) = infer([predictor], reader, accelerator=accelerator, execution=execution)
    if not accelerator.is_main_process:
        return
    meta = checkpoint.read_meta(folder.best)
    lineage = {"fold": k, "member": member.task, "weights": meta.sha256, "views": cfg.predict.views}
    lineage |= {"seed": cfg.seed} if len(experiment.seeds) > 1 else {}
    ids = experiment.manifest["id"].to_numpy()[rows.valid]
    Predictions(ids, prob, member.space, lineage).save(folder.oof)
    scores = score(prob, {n: rows.labels[n][rows.valid] for n in member.space.names}, member.space)
    write_fold_summary(folder, scored_fold(meta.epoch, meta.soup, scores))
    _mark_done(folder, meta)
    shutil.rmtree(folder.soup, ignore_errors=True)


def _finish_leaky(folder: FoldDir, accelerator: Accelerator) -> None:
    """Mark a fold as done without predictions or scores: its network may have trained on the fold's people."""
    if accelerator.is_main_process:
        meta = checkpoint.read_meta(folder.best)
        write_fold_summary(folder, FoldSummary(best_epoch=meta.epoch, leaky=True))
        _mark_done(folder, meta)
        shutil.rmtree(folder.soup, ignore_errors=True)
    accelerator.wait_for_everyone()


def _mark_done(folder: FoldDir, meta: checkpoint.Meta) -> None:
    files.commit(folder.done, f"{meta.sha256}\n".encode())
