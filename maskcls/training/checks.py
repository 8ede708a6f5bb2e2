"""Checks before a training: problems that would stop it later."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from maskcls import config
from maskcls.data.rows import manifest
from maskcls.engine.device import Accelerator
from maskcls.engine.session import optimizer_of
from maskcls.engine.step import staged
from maskcls.errors import BusyError, DataError
from maskcls.labels import UNKNOWN
from maskcls.nn.network import check_backbone, check_size
from maskcls.rundir import REFIT, RunDir
from maskcls.runs.group_averaging import shared_tasks
from maskcls.runs.identity import identity_files
from maskcls.schema import Config
from maskcls.show.terminal.progress import Reporter
from maskcls.training import pseudo_rows
from maskcls.training.experiment import Experiment, Member, view_spec
from maskcls.training.photos import cached_views
from maskcls.training.plans import fresh_network
from maskcls.training.readable_photos import check_photos


def refuse_existing(run: RunDir) -> None:
    """Raise BusyError when the folder holds a run, or files that a run would replace.

    A run begins with env.json, the last file of its identity. What a killed process wrote before that is replaced.
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
    """Raise what would stop the training later: backbones, weights, optimizers, labels that cannot be trained on."""
    for member in experiment.kinds:
        check_backbone(member.cfg.model.backbone)
        network, about = fresh_network(member, 0, 0)
        report.note(f"{member.task or 'network'}: {about}")
        for _, share in member.cfg.train.stages:
            check_size(network, member.cfg.model.backbone, staged(member.cfg.transforms.size, share))
        optimizer_of(network, member.cfg.optim)
        check_dropped(experiment, member)
    if experiment.sealed is not None:
        people = experiment.sealed["person"].nunique()
        report.note(f"{people} people with {len(experiment.sealed)} photos are sealed; maskcls unseal scores them")
    if experiment.cfg.model.heads == "joint":
        check_joint_labels(experiment, report)
    if experiment.pseudo is not None:
        note_pseudo(experiment, report)
    if experiment.cfg.predict.groups == "look":
        shared_tasks(experiment.manifest, experiment.cfg.space, where="predict.groups=look")


def check_dropped(experiment: Experiment, member: Member) -> None:
    """Raise DataError when age.drop leaves out every age of a class."""
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
            "age.drop leaves a class without training rows",
            where="age.drop",
            got=", ".join(map(str, dropped)),
            offenders=empty,
            fix="leave fewer ages out",
        )


def with_photos(
    experiment: Experiment, accelerator: Accelerator, report: Reporter, *, build: bool = True
) -> Experiment:
    """Return the experiment with its photos in the cache, or known to be readable; DataError lists those that are not.

    build  False: write no cache, only use one that exists.
    """
    root, paths, cfg = experiment.photo_root, experiment.photo_paths, experiment.cfg
    specs = [view_spec(member.cfg) for member in experiment.kinds]
    views = cached_views(root, paths, specs, cfg, accelerator, report, build=build)
    if not views and accelerator.is_local_main_process:
        check_photos(root, paths, cfg, report)
    accelerator.wait_for_everyone()
    return replace(experiment, views=views)


def check_joint_labels(experiment: Experiment, report: Reporter) -> None:
    """Print how many rows a joint head cannot be trained on; DataError when a fold leaves it none."""
    real = manifest.real_rows(experiment.manifest)
    known = experiment.cfg.space.encode(experiment.labels) >= 0
    empty = [f"fold {k}" for k in range(experiment.cfg.folds.k) if not known[experiment.fold != k].any()]
    if empty:
        raise DataError(
            "no row has a label for every task, so a joint head cannot be trained",
            where="model.heads=joint",
            offenders=empty,
            fix="set model.heads=multi, or complete the labels",
        )
    if not known[real].all():
        lacking = (~known[real]).sum()
        report.note(f"{lacking} of {real.sum()} rows lack a label of some task and are not used by the joint head")


def note_pseudo(experiment: Experiment, report: Reporter) -> None:
    """Print how many pseudo-labelled photos are trained on, and which heads cannot use them."""
    pseudo, cfg = experiment.pseudo, experiment.cfg
    assert pseudo is not None
    counts = [len(rows) for k, rows in pseudo.sets.items() if k != REFIT or pseudo.leaky]
    span = " to ".join(f"{count}" for count in dict.fromkeys((min(counts), max(counts))))
    report.note(f"{span} pseudo-labelled photos are trained on per fold")
    for member in experiment.kinds:
        if (task := pseudo_rows.unteachable(member.cfg)) is not None:
            report.note(f"the {task} head does not use pseudo labels: it is trained on whole numbers, which they lack")
    if pseudo.leaky:
        report.note(f"the pseudo labels are leaky, so there will be no out-of-fold score: {cfg.data.pseudo}")
