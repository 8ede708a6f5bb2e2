"""Photos predicted with the networks of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import maskcls
from maskcls import config, files
from maskcls.data.layouts.source import image_root, read_unlabelled
from maskcls.data.photos.crops import cropping
from maskcls.data.rows import manifest as tables
from maskcls.data.views.transforms import ViewSpec
from maskcls.engine.checkpoint import load_predictor
from maskcls.engine.device import Accelerator, start, worker_count
from maskcls.engine.execution import Execution
from maskcls.engine.infer import Predictor, infer, open_reader
from maskcls.engine.precision import Work, infer_execution
from maskcls.engine.processes import decided_by_first
from maskcls.errors import ConfigError, DataError, ResultError, UsageError
from maskcls.labels import LabelSpace
from maskcls.results.people.groups import read_groups
from maskcls.results.predictions import Predictions
from maskcls.rundir import REFIT, RunDir
from maskcls.runs.group_averaging import Together, shared_tasks
from maskcls.runs.submission_file import data_name
from maskcls.schema import Config
from maskcls.show.progress import Reporter
from maskcls.training.experiment import Experiment, Member, open_experiment
from maskcls.training.grouping import photos_together
from maskcls.training.photos import Views, cached_views, open_photos
from maskcls.training.readable_photos import check_photos

TRAINING_ONLY = ("device.compile", "device.augment")


@dataclass(frozen=True)
class Voice:
    """One trained network of the run: its task ("" when it speaks about all), seed and fold, its weights' hash."""

    task: str
    seed: int
    fold: int
    sha256: str
    predictor: Predictor


@dataclass(frozen=True)
class Predicted:
    """What a run says of photos. rows: their manifest, in the order of their table; `lineage`: of a submission."""

    cfg: Config
    rows: pd.DataFrame
    predictions: Predictions
    lineage: dict[str, Any]


def predict_rows(
    run: RunDir, data: Path, *, overrides: list[str], groups: Path | None = None, report: Reporter
) -> Predicted | None:
    """Predict the photos with the run's networks and keep that in the run; None in processes that do not write.

    What is kept are the answers by predict.groups; those by the file `groups` are for the caller alone.
    """
    experiment, env = open_experiment(run)
    cfg = with_overrides(experiment.cfg, [*overrides, *(["predict.groups=none"] if groups is not None else [])])
    frame = read_unlabelled(data, cfg.data.format, cfg.space)
    by_file, by_look = Together(), Together()
    if groups is not None:
        given = read_groups(groups, frame["id"].tolist())
        tasks = shared_tasks(experiment.manifest, cfg.space, where=str(run.manifest))
        by_file = Together(given, None, tasks, given.weights)
    voices = load_voices(experiment, chosen(experiment, env["folds"], cfg.predict.networks))
    accelerator = start(cfg.device)
    root, paths = image_root(data, cfg.data.format), frame["path"].tolist()
    tell_other_cropping(experiment, env, root, report)
    if cfg.predict.groups == "look" and accelerator.is_main_process:
        by_look = photos_together(experiment, env["folds"], frame, root, report)
    specs = [voice.predictor.spec for voice in voices]
    views = cached_views(root, paths, specs, cfg, accelerator, report)
    report.note(f"{len(frame)} photos, {len(voices)} networks, views {cfg.predict.views}")
    try:
        probs = speak(voices, frame, cfg, root, views, accelerator, report)
    except DataError:
        # Photos were decoded on the way, once; the first bad one ended that, and the message should list them all.
        check_photos(root, paths, cfg, report)
        raise
    prob = joint_mean(voices, probs, cfg.space)
    if not accelerator.is_main_process:
        return None
    lineage = _lineage(experiment, env, voices, frame, data, cfg) | {"groups": by_look.about}
    predictions = by_look.of_photos(Predictions(frame["id"].to_numpy(np.str_), prob, cfg.space))
    predictions = replace(predictions, lineage=lineage)
    kept = run.test(data_name(data), cfg.predict.views, cfg.predict.networks, cfg.predict.groups)
    lineage["predictions"] = predictions.save(kept)
    if groups is not None:
        lineage["groups"] = by_file.about
        predictions = by_file.of_photos(predictions)
    return Predicted(cfg, frame, predictions, lineage)


def tell_other_cropping(experiment: Experiment, env: Mapping[str, Any], root: Path, report: Reporter) -> None:
    """Note it when the photos below root were cropped to faces in another way than those the run learnt from."""
    if cropping(root) != env.get("cropping"):
        report.note(f"these photos are not cropped like those the run learnt from: {root}, {experiment.photo_root}")


def with_overrides(cfg: Config, overrides: list[str]) -> Config:
    """Return the run's configuration with `predict.*`, `device.*`, `data.cache` changed; ConfigError for other keys.

    Those of `device` that say how a network is trained are refused as well: nothing would come of them.
    """
    plain = cfg.model_dump(mode="json")
    for key, value in map(config.parse_override, overrides):
        if key.split(".")[0] not in ("predict", "device") and key != "data.cache":
            raise ConfigError(
                "this setting belongs to the training of the run",
                where=key,
                expected="a key of predict or device, or data.cache",
                fix="train a new run with it",
            )
        for leaf, part in config.flatten({key: value}).items():
            if leaf in TRAINING_ONLY:
                raise ConfigError(
                    "this setting has no part in prediction",
                    where=leaf,
                    got=str(part),
                    fix="leave it out",
                )
            config.put(plain, leaf, part)
    return config.validate(plain, where="command line")


def refuse_answering(overrides: Sequence[str], what: str) -> None:
    """Raise UsageError for settings of who answers, and how, where the command itself says that."""
    if given := config.setting(overrides, "predict.views", "predict.networks", "predict.groups"):
        raise UsageError(what, where=given[0], fix="leave it out")


def chosen(experiment: Experiment, folds: Sequence[int], networks: str) -> list[tuple[Member, int]]:
    """Return the networks that predict, each with its fold, by the name `predict.networks` gives them."""
    kinds = {"folds": ("folds",), "continued": ("continued",), "refit": ("refit",), "all": ("folds", "refit")}

    def kind(member: Member, k: int) -> str:
        return "refit" if k == REFIT else "continued" if member.continued else "folds"

    return [(member, k) for member, k in experiment.trainings(folds) if kind(member, k) in kinds[networks]]


def load_voices(experiment: Experiment, networks: Sequence[tuple[Member, int]]) -> list[Voice]:
    """Load the best weights of every network that predicts; ResultError when one of them is not finished."""
    left = [member.title(k) for member, k in networks if not experiment.fold_dir(member, k).done.exists()]
    if left:
        raise ResultError(
            "the run is not finished",
            where=str(experiment.run.path),
            offenders=left,
            fix=f"maskcls resume {experiment.run.path}",
        )
    voices = []
    for member, k in networks:
        folder = experiment.fold_dir(member, k)
        predictor = load_predictor(folder.best)
        if predictor.space.fingerprint != member.space.fingerprint:
            raise ResultError("the weights speak about other classes than the run", where=str(folder.best))
        digest = files.file_sha256(folder.best / "weights.safetensors")
        voices.append(Voice(member.task, member.cfg.seed, k, digest, predictor))
    return voices


def joint_mean(voices: list[Voice], probs: list[Any], space: LabelSpace) -> Any:
    """Return the mean (N, J) of all joint probabilities; networks of one fold and seed, a task each, are multiplied."""
    total = None
    sources = sorted({(voice.fold, voice.seed) for voice in voices})
    for source in sources:
        parts = {v.task: prob for v, prob in zip(voices, probs, strict=True) if (v.fold, v.seed) == source}
        joint = parts[""] if "" in parts else space.compose(parts)
        total = joint.astype(np.float64) if total is None else total + joint
    assert total is not None
    return (total / len(sources)).astype(np.float32)


def speak(
    voices: list[Voice],
    frame: pd.DataFrame,
    cfg: Config,
    root: Path,
    views: Views,
    accelerator: Accelerator,
    report: Reporter,
) -> list[Any]:
    """Return what every network says of the rows of a manifest: its probabilities (N, C), the views averaged."""
    specs: list[ViewSpec] = list(dict.fromkeys(voice.predictor.spec for voice in voices))
    photos = open_photos(root, frame, specs, views, seed=cfg.seed)
    predictors = [voice.predictor for voice in voices]
    reader = open_reader(
        photos,
        np.arange(len(frame)),
        accelerator=accelerator,
        views=cfg.predict.views,
        batch_size=cfg.predict.batch_size,
        workers=worker_count(cfg.device, accelerator, cached=bool(views)),
    )
    execution = _execution(predictors, cfg, accelerator)
    done = 0

    def count(images: int) -> None:
        nonlocal done
        done += images * accelerator.num_processes
        report.images("predicting", min(done, len(frame)), len(frame))

    return infer(predictors, reader, accelerator=accelerator, execution=execution, on_images=count)


def _execution(predictors: Sequence[Predictor], cfg: Config, accelerator: Accelerator) -> Execution:
    """Return how the networks are computed here, decided on the first of them by the first process."""
    first = predictors[0]
    work = Work(cfg.model.backbone, first.network, first.spec.size, cfg.predict.batch_size, images=0, jobs=1)
    return decided_by_first(lambda: infer_execution(work, cfg, accelerator.device), accelerator)


def _lineage(
    experiment: Experiment, env: dict[str, Any], voices: list[Voice], frame: pd.DataFrame, data: Path, cfg: Config
) -> dict[str, Any]:
    pooled = files.read_json(experiment.run.summary)["pooled"] if experiment.run.summary.exists() else None
    return {
        "maskcls": maskcls.__version__,
        "run": experiment.run.path.resolve().name,
        "run_hashes": env["hashes"],
        "oof_macro_f1": pooled["macro_f1"] if pooled else None,
        "weights": [{"member": v.task, "seed": v.seed, "fold": v.fold, "sha256": v.sha256} for v in voices],
        "data": data.resolve().name,
        "data_sha256": tables.sha256(frame),
        "views": cfg.predict.views,
        "networks": cfg.predict.networks,
    }
