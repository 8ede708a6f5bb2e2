"""maskcls train: photos and labels in, a run folder with one network a fold out."""

from __future__ import annotations

import json
import math
import shutil
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from maskcls import config, files, rundir
from maskcls.commands.data.check import check_photos
from maskcls.engine import checkpoint
from maskcls.engine.course import Course, FoldRows, Step
from maskcls.engine.device import Accelerator, augments_on_device, start
from maskcls.engine.fit import EpochResult, fit, flat_scores, validation_reader
from maskcls.engine.infer import infer
from maskcls.engine.processes import losing_others
from maskcls.engine.session import Session, open_session, optimizer_of, restore_session, session_state
from maskcls.engine.step import staged
from maskcls.errors import BusyError, DataError
from maskcls.labels import UNKNOWN
from maskcls.nn.average import soup
from maskcls.nn.network import check_backbone, check_size
from maskcls.results.predictions import Predictions
from maskcls.results.scores.metrics import score
from maskcls.rundir import REFIT, FoldDir, RunDir
from maskcls.runs.group_averaging import shared_tasks
from maskcls.schema import Config
from maskcls.show.progress import Reporter
from maskcls.show.sheet import contact_sheet
from maskcls.training import pseudo_rows
from maskcls.training.assemble import assemble
from maskcls.training.experiment import (
    Experiment,
    Member,
    environment,
    identity_files,
    read_experiment,
    view_spec,
    wanted_folds,
    write_identity,
)
from maskcls.training.grouping import with_looks
from maskcls.training.photos import cached_views
from maskcls.training.plans import fresh_network, with_plans
from maskcls.training.side_by_side import train_side_by_side
from maskcls.training.starting_weights import check_starting_weights

SHEET_IMAGES = 24


@losing_others()
def train(data: Path, cfg: Config, run: RunDir, *, folds: str | None, report: Reporter) -> dict[str, Any]:
    """Train the wanted folds of every member from the start, and return the run's summary.

    Raises BusyError when the run folder holds a run already; nothing is ever overwritten.
    """
    wanted = wanted_folds(folds, cfg.folds.k)
    accelerator = start(cfg.device)
    if accelerator.is_main_process:
        refuse_existing(run)
    experiment = read_experiment(with_absolute_paths(cfg), data, run)
    check_experiment(experiment, report)
    check_starting_weights(experiment, wanted)
    experiment = with_photos(experiment, accelerator, report)
    experiment = with_plans(experiment, wanted, accelerator, report)
    if not accelerator.is_main_process:
        return train_folds(experiment, wanted, accelerator, report)
    experiment = with_looks(experiment, report)
    with rundir.lock(run):
        refuse_existing(run)  # once more: another process may have made and finished a run since
        rundir.sweep(run)
        write_identity(experiment, wanted, environment(accelerator.device, accelerator.num_processes))
        return train_folds(experiment, wanted, accelerator, report)


def refuse_existing(run: RunDir) -> None:
    """Raise BusyError when the folder holds a run, or files of a run's names that are not ours.

    A run begins with env.json, the last file of its identity. What a killed process left before that is written anew.
    """
    if run.env.exists():
        state = "a finished run" if run.summary.exists() else "an unfinished run"
        raise BusyError(
            f"the folder holds {state}",
            where=str(run.path),
            fix=f"choose another --run, or continue it with: maskcls resume {run.path}",
        )
    if not run.lock_file.exists() and (taken := [path.name for path in identity_files(run) if path.exists()]):
        raise BusyError(
            "the folder holds files that a run would replace",
            where=str(run.path),
            offenders=taken,
            fix="choose another --run",
        )


def with_absolute_paths(cfg: Config) -> Config:
    """Return the configuration with its files named absolutely, so that a run can be resumed from any folder."""
    model, data = cfg.model, cfg.data
    if model.weights:
        model = model.model_copy(update={"weights": str(Path(model.weights).resolve())})
    for name in ("fixes", "pseudo"):
        if file := getattr(data, name):
            data = data.model_copy(update={name: str(Path(file).resolve())})
    separate = {task: _absolute_weights(config.flatten(changes)) for task, changes in cfg.separate.items()}
    return cfg.model_copy(update={"model": model, "data": data, "separate": separate})


def _absolute_weights(changes: dict[str, Any]) -> dict[str, Any]:
    weights = changes.get("model.weights")
    return changes | ({"model.weights": str(Path(weights).resolve())} if weights else {})


def check_experiment(experiment: Experiment, report: Reporter) -> None:
    """Find what would stop the training later: backbones, weights, optimizers, labels nothing can be learnt from."""
    for member in experiment.kinds:
        check_backbone(member.cfg.model.backbone)
        network, about = fresh_network(member, 0, 0)
        report.note(f"{member.task or 'network'}: {about}")
        for _, share in member.cfg.train.stages:
            check_size(network, member.cfg.model.backbone, staged(member.cfg.transforms.size, share))
        optimizer_of(network, member.cfg.optim)
        check_dropped(experiment, member)
    if experiment.cfg.model.heads == "joint":
        check_joint_labels(experiment, report)
    if experiment.pseudo is not None:
        tell_pseudo(experiment, report)
    if experiment.cfg.predict.groups == "look":
        shared_tasks(experiment.manifest, experiment.cfg.space, where="predict.groups=look")


def check_dropped(experiment: Experiment, member: Member) -> None:
    """Raise DataError where the ages that are left out of training are all that a class has."""
    task, dropped = member.cfg.binned, member.cfg.age.drop
    if task is None or not dropped:
        return
    label_N, kept_N = experiment.labels[task.name], ~np.isin(experiment.values[task.name], dropped)
    empty = []
    for k in range(experiment.cfg.folds.k):
        trains_N = experiment.fold != k
        lost = set(label_N[trains_N].tolist()) - set(label_N[trains_N & kept_N].tolist()) - {UNKNOWN}
        empty += [f"fold {k}: no row of {task.classes[label]} is left" for label in sorted(lost)]
    if empty:
        raise DataError(
            "age.drop leaves a class nothing to learn from",
            where="age.drop",
            got=", ".join(map(str, dropped)),
            offenders=empty,
            fix="leave fewer ages out",
        )


def with_photos(
    experiment: Experiment, accelerator: Accelerator, report: Reporter, *, build: bool = True
) -> Experiment:
    """Return the experiment with its photos in the cache, or known to be readable; DataError lists those that are not.

    build  False: write no cache, only use one that is there.
    """
    root, paths, cfg = experiment.photo_root, experiment.photo_paths, experiment.cfg
    specs = [view_spec(member.cfg) for member in experiment.kinds]
    views = cached_views(root, paths, specs, cfg, accelerator, report, build=build)
    if not views and accelerator.is_local_main_process:
        check_photos(root, paths, cfg, report)
    accelerator.wait_for_everyone()
    return replace(experiment, views=views)


def check_joint_labels(experiment: Experiment, report: Reporter) -> None:
    """Say how many rows a joint head cannot learn from; DataError when a fold would leave it none at all."""
    real = pseudo_rows.real_rows(experiment.manifest)
    known = experiment.cfg.space.encode(experiment.labels) >= 0
    empty = [f"fold {k}" for k in range(experiment.cfg.folds.k) if not known[experiment.fold != k].any()]
    if empty:
        raise DataError(
            "no row has a label for every task, so a joint head has nothing to learn from",
            where="model.heads=joint",
            offenders=empty,
            fix="set model.heads=multi, or complete the labels",
        )
    if not known[real].all():
        lacking = (~known[real]).sum()
        report.note(f"{lacking} of {real.sum()} rows lack a label of some task and do not teach the joint head")


def tell_pseudo(experiment: Experiment, report: Reporter) -> None:
    """Say how many pseudo-labelled photos train, and what they cannot teach."""
    pseudo, cfg = experiment.pseudo, experiment.cfg
    assert pseudo is not None
    counts = [len(rows) for k, rows in pseudo.sets.items() if k != REFIT or pseudo.leaky]
    span = " to ".join(f"{count}" for count in dict.fromkeys((min(counts), max(counts))))
    report.note(f"{span} pseudo-labelled photos train in a fold")
    for member in experiment.kinds:
        if (task := pseudo_rows.unteachable(member.cfg)) is not None:
            report.note(f"pseudo labels teach the {task} head nothing: it learns from whole numbers, which they lack")
    if pseudo.leaky:
        report.note(f"the pseudo labels are leaky, so there will be no out-of-fold score: {cfg.data.pseudo}")


def without_scores(result: EpochResult) -> EpochResult:
    """Return an epoch's result as it is shown where its scores mean nothing."""
    return replace(result, val=dict.fromkeys(result.val, math.nan))


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


def train_fold(experiment: Experiment, member: Member, k: int, accelerator: Accelerator, report: Reporter) -> None:
    """Train one network on one fold, from its saved state if there is one, and commit all it leaves behind."""
    folder, cfg, plan = experiment.fold_dir(member, k), member.cfg, experiment.plans[member.task]
    rows = experiment.rows(member, k, bare=augments_on_device(cfg.device, view_spec(cfg), accelerator.device))
    alone = k == REFIT or member.continued  # nothing is trained beside it, so it has the threads of all folds
    torch.set_num_threads(plan.threads * (plan.fold_jobs if alone else 1))
    network, _ = fresh_network(member, cfg.seed, k)
    if member.continued:
        judged = checkpoint.load_speaker(experiment.run.fold(k, member.name).best).network
        network.load_state_dict(judged.state_dict(), strict=False)  # it answers; what only teaches starts anew
    total_steps = cfg.train.epochs * Course(rows, cfg).steps_per_epoch
    session = open_session(network, cfg, member.space, accelerator, plan, total_steps=total_steps)
    if folder.state.exists():
        restore_session(session, *checkpoint.load_state(folder.state))
        _save_results(session, member, folder)
    title = member.title(k) + (", leaky" if experiment.leaky else "")
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
    course = Course(rows, member.cfg)
    step = course.steps(0)[0]
    step = step.take(np.arange(min(SHEET_IMAGES, len(step.rows))))
    return contact_sheet(list(course.images(step, 0)), _captions(step, rows, member))


def _captions(step: Step, rows: FoldRows, member: Member) -> list[list[str]]:
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
    """Commit an epoch: first the state it can be continued from, then what can be made again from that state."""
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
    tensors = session.judged.answering_state()
    checkpoint.save_weights(folder.last, tensors, member.blueprint, epoch=last, scores=scores)
    if session.best_epoch == last:
        checkpoint.save_weights(folder.best, tensors, member.blueprint, epoch=last, scores=scores)
    if member.cfg.average.soup > 1:
        chosen = best_epochs(session.history, member.cfg.average.soup)
        if last in chosen:
            checkpoint.save_weights(folder.soup / str(last), tensors, member.blueprint, epoch=last, scores=scores)
        for epoch in set(range(last)) - set(chosen):
            shutil.rmtree(folder.soup / str(epoch), ignore_errors=True)


def best_epochs(history: Sequence[Mapping[str, Any]], count: int) -> list[int]:
    """Return the epochs of the best validation scores, at most `count`, in their order; one without a score is none."""
    scored = [(-line["val/macro_f1"], epoch) for epoch, line in enumerate(history) if line["val/macro_f1"] is not None]
    return sorted(epoch for _, epoch in sorted(scored)[:count])


def _stir(experiment: Experiment, member: Member, folder: FoldDir, rows: FoldRows, accelerator: Accelerator) -> None:
    """Put the average of the best epochs in the place of the best one, if it scores higher on the fold's own rows.

    Wortsman et al. 2022, arXiv:2203.05482. Done once: the place then says what it holds.
    """
    meta = files.read_json(folder.best / checkpoint.META)
    epochs = sorted(int(path.name) for path in folder.soup.iterdir()) if folder.soup.is_dir() else []
    if len(epochs) < 2 or "soup" in meta:
        return
    tensors = soup([checkpoint.load_speaker(folder.soup / str(epoch)).network.state_dict() for epoch in epochs])
    speaker = checkpoint.load_speaker(folder.best)
    speaker.network.load_state_dict(tensors)
    reader, execution = validation_reader(rows, member.cfg, accelerator), experiment.plans[member.task].infer
    (prob,) = infer([speaker], reader, accelerator=accelerator, execution=execution)
    truth = {name: rows.labels[name][rows.valid] for name in member.space.names}
    scores = flat_scores(score(prob, truth, member.space), prob, truth, member.space)
    if accelerator.is_main_process and scores["macro_f1"] > meta["scores"]["macro_f1"]:
        blueprint, epoch = member.blueprint, meta["epoch"]
        checkpoint.save_weights(folder.best, tensors, blueprint, epoch=epoch, scores=scores, soup=epochs)
    accelerator.wait_for_everyone()


def _finish_fold(experiment: Experiment, member: Member, k: int, rows: FoldRows, accelerator: Accelerator) -> None:
    """Read the best weights back, predict the fold's own rows with them, score them, and mark the fold as done.

    Nobody judges a network that was trained on all rows, so it is only marked.
    """
    folder, cfg = experiment.fold_dir(member, k), member.cfg
    accelerator.wait_for_everyone()
    if not len(rows.valid):
        if accelerator.is_main_process:
            files.commit(folder.done, (files.read_json(folder.best / checkpoint.META)["sha256"] + "\n").encode())
        return
    _stir(experiment, member, folder, rows, accelerator)
    if experiment.leaky:
        _finish_leaky(folder, accelerator)
        return
    speaker = checkpoint.load_speaker(folder.best)
    reader = validation_reader(rows, cfg, accelerator)
    execution = experiment.plans[member.task].infer
    (prob,) = infer([speaker], reader, accelerator=accelerator, execution=execution)
    if not accelerator.is_main_process:
        return
    meta = files.read_json(folder.best / checkpoint.META)
    lineage = {"fold": k, "member": member.task, "weights": meta["sha256"], "views": cfg.predict.views}
    lineage |= {"seed": cfg.seed} if member.seeded else {}
    ids = experiment.manifest["id"].to_numpy()[rows.valid]
    Predictions(ids, prob, member.space, lineage).save(folder.oof)
    scores = score(prob, {n: rows.labels[n][rows.valid] for n in member.space.names}, member.space)
    soup_of = {"soup": meta["soup"]} if "soup" in meta else {}
    files.commit_json(folder.summary, {"best_epoch": meta["epoch"]} | soup_of | scores.to_json())
    files.commit(folder.done, (meta["sha256"] + "\n").encode())
    shutil.rmtree(folder.soup, ignore_errors=True)


def _finish_leaky(folder: FoldDir, accelerator: Accelerator) -> None:
    """Mark a fold as done without rows or scores: its network may have learnt about the people that judge it."""
    if accelerator.is_main_process:
        meta = files.read_json(folder.best / checkpoint.META)
        files.commit_json(folder.summary, {"best_epoch": meta["epoch"], "leaky": True})
        files.commit(folder.done, (meta["sha256"] + "\n").encode())
        shutil.rmtree(folder.soup, ignore_errors=True)
    accelerator.wait_for_everyone()
