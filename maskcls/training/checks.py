"""Checks before a training: problems that would stop it later, or make its score wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from maskcls import config, files
from maskcls.data.layouts.source import layout_named, read_unlabelled
from maskcls.data.photos.images import each_image
from maskcls.data.photos.same_photos import Groups, equal_keys, rows_of_common_size
from maskcls.data.rows import manifest
from maskcls.data.rows.repeated_photos import SamePhoto, same_photos
from maskcls.data.views.transforms import ViewSpec
from maskcls.engine.device import Accelerator
from maskcls.engine.normalisation import normalisation_notes, with_normalisation
from maskcls.engine.session import optimizer_of
from maskcls.engine.step import staged
from maskcls.errors import ConfigError, DataError
from maskcls.groupnouns import PEOPLE, rows_or
from maskcls.labels import UNKNOWN
from maskcls.machine import reading_threads
from maskcls.nn.backbone_facts import nearest_whole, patch_size
from maskcls.nn.network import Network, check_backbone, check_size
from maskcls.rundir import REFIT, RunDir
from maskcls.runs.group_averaging import shared_tasks
from maskcls.runs.integrity.table_photos import refuse_other_added
from maskcls.schema import Config
from maskcls.schema.group_noun import group_noun
from maskcls.show.pictures.fonts import missing_note
from maskcls.show.terminal.progress import Reporter
from maskcls.show.terminal.text import plural
from maskcls.training.added.added_rows import unteachable
from maskcls.training.added.added_source import AddedSource, added_files
from maskcls.training.added.sample_copies import validated_copies, without_samples
from maskcls.training.experiment import Experiment, Member, view_spec
from maskcls.training.known_photos import refuse_other_photos, refuse_other_sizes, with_sealed
from maskcls.training.photos import cached_views
from maskcls.training.plans import fresh_network
from maskcls.training.readable_photos import check_photos
from maskcls.training.starting_weights import backbone_note
from maskcls.training.tracking.mlflow_log import absolute_store

NEAR_SHARES = 3  # of train.stages, named where one cannot be used
ONE_MACHINE = "use the run on one machine at a time; see docs/several_machines.md"
FIX_OR_ALLOW = "correct the data set; or train on it as it is with data.same_photos=allow"


def with_absolute_paths(cfg: Config) -> Config:
    """Return the configuration with its files named absolutely, so that a run can be resumed from any folder."""
    model, data = cfg.model, cfg.data
    if model.weights:
        model = model.model_copy(update={"weights": str(Path(model.weights).resolve())})
    for name in ("fixes", "pseudo", "synth"):
        if file := getattr(data, name):
            data = data.model_copy(update={name: str(Path(file).resolve())})
    separate = {task: _absolute_weights(config.flatten(changes)) for task, changes in cfg.separate.items()}
    tracking = cfg.tracking.model_copy(update={"mlflow": absolute_store(cfg.tracking.mlflow)})
    return cfg.model_copy(update={"model": model, "data": data, "tracking": tracking, "separate": separate})


def has_settings(run: RunDir, cfg: Config) -> bool:
    """Return whether a run was begun with this configuration; `auto` in it may be what the run has instead."""
    stored, given = config.of_run(run.config), with_normalisation(with_absolute_paths(cfg))
    if given.data.group == "auto" and stored.data.group == "none":
        given = given.model_copy(update={"data": given.data.model_copy(update={"group": "none"})})
    return stored == given


def _absolute_weights(changes: dict[str, Any]) -> dict[str, Any]:
    weights = changes.get("model.weights")
    return changes | ({"model.weights": str(Path(weights).expanduser().resolve())} if weights else {})


def check_experiment(experiment: Experiment, report: Reporter) -> None:
    """Raise what would stop the training later: backbones, weights, optimizers, labels that cannot be trained on."""
    report.notes(experiment.notes)
    if kind := files.network_type(experiment.run.path):
        report.note(f"warning: {experiment.run.path} is on a network disk ({kind}): {ONE_MACHINE}")
    for member in experiment.kinds:
        check_backbone(member.cfg.model.backbone)
        network, about = fresh_network(member, 0, 0)
        for line in filter(None, (about, backbone_note(member.cfg.model), *normalisation_notes(member.cfg))):
            report.note(f"{member.task or 'network'}: {line}")
        check_stages(network, member.cfg)
        optimizer_of(network, member.cfg.optim)
        check_dropped(experiment, member)
        check_start_heads(member)
    space = experiment.cfg.space
    if note := missing_note(name for task in space.tasks for name in task.classes):
        report.note(note)
    if experiment.sealed is not None:
        people = experiment.sealed["person"].nunique()
        many, photos = group_noun(experiment.cfg)[1], len(experiment.sealed)
        report.note(f"{people} {many} with {photos} photos are sealed; maskcls unseal scores them")
    if experiment.cfg.model.heads == "joint":
        check_joint_labels(experiment, report)
    for one in experiment.added:
        note_added(one, experiment, report)
    if experiment.cfg.predict.groups == "look":
        shared_tasks(experiment.manifest, space, where="predict.groups=look")


def check_stages(network: Network, cfg: Config) -> None:
    """Raise ConfigError for a stage whose images the network does not accept; of patches it names shares that work."""
    backbone, full, patch = cfg.model.trunk, cfg.transforms.size, patch_size(network.trunk)
    for _, share in cfg.train.stages:
        size = staged(full, share)
        if patch is not None and nearest_whole(size, patch) != size:
            shares = sorted({round(side / full[0], 4) for side in range(patch[0], full[0] + 1, patch[0])})
            working = [one for one in shares if nearest_whole(staged(full, one), patch) == staged(full, one)]
            near = sorted(sorted(working, key=lambda one: abs(one - share))[:NEAR_SHARES])
            raise ConfigError(
                "the images of a stage are no whole number of the backbone's patches",
                where=f"train.stages (model.backbone={backbone.name})",
                got=f"a share of {share} of {full[0]} x {full[1]} pixels: {size[0]} x {size[1]} pixels",
                expected=f"multiples of {patch[0]} x {patch[1]} pixels",
                fix=f"use a share such as {', '.join(map(str, near))}",
            )
        check_size(network, backbone, size)


def check_start_heads(member: Member) -> None:
    """Raise ConfigError where heads are to be fitted on the features of random weights, which differ between folds."""
    model = member.cfg.model
    if member.cfg.train.start_heads == "fitted" and model.train == "all" and not (model.pretrained or model.weights):
        raise ConfigError(
            "heads cannot be fitted on the features of random weights",
            where="train.start_heads=fitted" + (f" of {member.task}" if member.task else ""),
            fix="give the backbone weights: model.weights=FILE or model.pretrained=true",
        )


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
    experiment: Experiment,
    accelerator: Accelerator,
    report: Reporter,
    *,
    build: bool = True,
    specs: Sequence[ViewSpec] | None = None,
) -> Experiment:
    """Return the experiment with its photos in the cache, or known to be readable; DataError lists those that are not.

    Which photos are the same is found on the way, on the first process of a machine: by the pixels of their views in
    the cache, or of the photos where these are decoded to check them.

    build  False: write no cache, only use one that exists.
    specs  the views that are needed; None: those of the experiment's networks.

    Of a run on disk, raises WeightsError that names photos whose content is not what it was; of a new one, DataError
    that names those that are not what was pseudo-labelled or made, and the experiment then knows what its photos are.
    """
    root, paths, cfg = experiment.photo_root, experiment.photo_paths, experiment.cfg
    specs = specs or [view_spec(member.cfg) for member in experiment.kinds]
    refuse_other_sizes(experiment)
    views = cached_views(root, paths, specs, cfg, accelerator, report, build=build)
    same, known, ids = list[tuple[int, ...]](), experiment.photos, experiment.manifest["id"].tolist()
    if accelerator.is_local_main_process:
        if views:
            same, now = views[specs[0]].equal, views[specs[0]].photo_digests(ids)
        else:
            same, now = check_photos(root, paths, cfg, report, ids)
        if known is None:
            for one in experiment.added:
                refuse_other_added(one.source, added_files(cfg)[one.source], one.contents, now)
            known = with_sealed(now, experiment)
        else:
            refuse_other_photos(experiment, known.of(ids), now, paths)
    accelerator.wait_for_everyone()
    return replace(experiment, views=views, same_photos=same, photos=known)


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


def note_added(added: AddedSource, experiment: Experiment, report: Reporter) -> None:
    """Print how many added rows of one file are trained on, and which heads cannot use them."""
    counts = [len(rows) for k, rows in added.sets.items() if k != REFIT or added.leaky]
    span = " to ".join(f"{count}" for count in dict.fromkeys((min(counts), max(counts))))
    report.note(f"{span} {added.text.rows} are trained on per fold")
    for member in experiment.kinds:
        if (task := unteachable(member.cfg)) is not None:
            report.note(
                f"the {task} head does not use {added.text.labels}: it is trained on whole numbers, which they lack"
            )
    if added.leaky:
        path = added_files(experiment.cfg)[added.source]
        report.note(f"{added.text.leaky} leaky, so there will be no out-of-fold score: {path}")


def check_same_photos(experiment: Experiment, report: Reporter) -> None:
    """Raise DataError if one photo is of several people in different folds, or has different labels; note the rest.

    `data.same_photos=allow` turns the error into a note.
    """
    cfg = experiment.cfg
    frame = experiment.manifest.assign(path=experiment.photo_paths)
    _check_copies(experiment, report)
    found = same_photos(frame, without_samples(experiment.same_photos, frame["source"].tolist()), cfg.space)
    one_group, many = rows_or(group_noun(cfg))
    harmful = [fault for one in found if (fault := _harm(one, experiment))]
    if harmful and cfg.data.same_photos == "refuse":
        raise DataError(
            f"the same photo is of several {many} in different folds, or has different labels",
            where=str(experiment.data),
            offenders=harmful,
            expected=f"one {one_group} and one label for every photo",
            fix=FIX_OR_ALLOW,
        )
    if harmful:
        report.note(f"warning: {_counted(len(harmful))} of several {many} or with different labels: {harmful[0]}")
    if rest := [one for one in found if not _harm(one, experiment)]:
        report.note(f"{_counted(len(rest))} repeated in one fold, with equal labels: {rest[0]}")
    _check_sealed(experiment, report)
    _note_eval(experiment, report)


def _check_copies(experiment: Experiment, report: Reporter) -> None:
    """Raise DataError if a sample is a photo that its fold validates; `data.same_photos=allow`: note it."""
    if experiment.leaky:  # such a run has no score
        return
    ids, sources = (experiment.manifest[name].tolist() for name in ("id", "source"))
    copies = list(validated_copies(experiment.added, ids, sources, experiment.fold, experiment.same_photos))
    if copies and experiment.cfg.data.same_photos == "refuse":
        raise DataError(
            f"samples are photos of {group_noun(experiment.cfg)[1]} that their fold validates",
            where="data.synth",
            offenders=copies,
            fix="make the samples again with maskcls synth sample, without these photos",
        )
    if copies:
        report.note(f"warning: {plural(len(copies), 'sample')} of a fold that validates the same photo: {copies[0]}")


def _check_sealed(experiment: Experiment, report: Reporter) -> None:
    """Raise DataError if a photo of a sealed person is also trained on; `data.same_photos=allow`: note it."""
    if experiment.sealed is None:
        return
    paths = [*experiment.photo_paths, *experiment.sealed["path"].tolist()]
    first, cfg = len(experiment.manifest), experiment.cfg
    one, many = rows_or(group_noun(cfg))
    who = "who" if (one, many) == PEOPLE else "that"
    groups = _equal_in_both(experiment.photo_root, paths, first, cfg)
    both = [" = ".join(paths[row] for row in rows) for rows in groups if min(rows) < first <= max(rows)]
    if both and cfg.data.same_photos == "refuse":
        raise DataError(
            f"photos of sealed {many} are also photos of {many} {who} are trained on",
            where="folds.sealed",
            offenders=both,
            fix=FIX_OR_ALLOW,
        )
    if both:
        report.note(f"warning: {_counted(len(both))} of a sealed {one} and of one {who} is trained on: {both[0]}")


def _harm(one: SamePhoto, experiment: Experiment) -> str:
    """Return what is wrong with rows of one photo; "" if it changes no score."""
    folds = sorted(set(experiment.fold[list(one.rows)].tolist()))
    why = [f"different labels of {', '.join(one.labels)}"] if one.labels else []
    if one.people and len(folds) > 1 and not experiment.leaky:  # a leaky run has no score
        why.append("in different folds")
    return f"{one}: {', '.join(why)}" if why else ""


def _note_eval(experiment: Experiment, report: Reporter) -> None:
    """Note which photos to predict are also trained on; the data set's rows to predict need not be there, or right."""
    cfg, data, train = experiment.cfg, experiment.data, experiment.manifest.assign(path=experiment.photo_paths)
    train = train[manifest.real_rows(train)]  # pseudo-labelled photos are meant to be both, and samples may be copies
    if not layout_named(cfg.data.format).has_unlabelled(data):
        return
    try:
        frame = pd.concat([train, read_unlabelled(data, cfg.data.format, cfg.space)], ignore_index=True)
        groups = _equal_in_both(experiment.photo_root, frame["path"].tolist(), len(train), cfg)
    except DataError as error:
        report.note(f"photos to predict were not compared with those trained on: {error.what} ({error.where})")
        return
    if both := [one for one in same_photos(frame, groups, cfg.space) if one.eval]:
        report.note(f"warning: {_counted(len(both))} trained on and also to be predicted: {both[0]}")


def _equal_in_both(root: Path, paths: list[str], first: int, cfg: Config) -> Groups:
    """Return the groups of equal files among the first ones and the rest; raises DataError for unreadable files."""
    rows, digests = rows_of_common_size(root, paths, first), dict[int, bytes]()

    def read(place: int, data: bytes) -> None:
        digests[rows[place]] = hashlib.sha256(data).digest()

    each_image(root, [paths[row] for row in rows], read, threads=reading_threads(cfg.device.workers))
    return equal_keys(digests)


def _counted(photos: int) -> str:
    return f"{plural(photos, 'photo')} {'is' if photos == 1 else 'are'}"
