"""Photos predicted with the networks of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import maskcls
from maskcls import files, owned
from maskcls.data.layouts.source import image_root, read_unlabelled
from maskcls.data.photos.identity.photo_digests import PhotoDigests
from maskcls.data.rows import manifest as tables
from maskcls.data.views.transforms import ViewSpec
from maskcls.engine.device import Accelerator, start, worker_count
from maskcls.engine.infer import infer, open_reader
from maskcls.errors import DataError
from maskcls.labels import Floats, LabelSpace
from maskcls.results.people.group_file import read_groups
from maskcls.results.predictions import Predictions
from maskcls.rundir import RunDir
from maskcls.runs.environment import Environment
from maskcls.runs.group_averaging import GroupAveraging, shared_tasks
from maskcls.runs.integrity.table_photos import refuse_other_groups
from maskcls.runs.joint import joint_predictions
from maskcls.runs.lineage import RunLineage
from maskcls.runs.overrides import with_overrides
from maskcls.runs.records.sealed_people import refuse_groups_of_sealed, refuse_sealed_photos
from maskcls.runs.records.versions import other_versions, versions_in_words
from maskcls.runs.submission_file import data_name
from maskcls.runs.summary import read_summary
from maskcls.schema import Config
from maskcls.show.answers.group import doubt_about
from maskcls.show.terminal.progress import Reporter
from maskcls.show.terminal.text import plural
from maskcls.training.experiment import Experiment
from maskcls.training.person_clustering import averaging_for
from maskcls.training.photos import Views, cached_views, digests_of_rows, open_photos
from maskcls.training.predicting.adapted_networks import adapt_networks
from maskcls.training.predicting.loaded_networks import LoadedNetwork, load_networks, prediction_execution
from maskcls.training.readable_photos import check_photos
from maskcls.training.stored_experiment import open_experiment
from maskcls.viewnames import parse_views


@dataclass(frozen=True)
class Predicted:
    """A run's predictions for new photos.

    rows     the photos' manifest, in its order.
    lineage  for a submission.
    photos   what the files are; None where nobody looked.
    """

    cfg: Config
    rows: pd.DataFrame
    predictions: Predictions
    lineage: RunLineage
    photos: PhotoDigests | None


def predict_rows(
    run: RunDir,
    data: Path,
    *,
    overrides: list[str],
    groups: Path | None = None,
    frame: pd.DataFrame | None = None,
    report: Reporter,
) -> Predicted | None:
    """Predict photos with the run's networks and store the result in the run; None in processes that do not write.

    groups  a file of groups to average predictions in. The stored predictions are without it, by predict.groups.
    frame   the table of the photos, where it is read already; None: it is read here, and its notes are printed.

    Raises DataError for photos of people who are still sealed, and for groups that were learned from them.
    """
    with report.busy("reading the run"):
        experiment, env = open_experiment(run)
    cfg = with_overrides(experiment.cfg, [*overrides, *(["predict.groups=none"] if groups is not None else [])])
    if frame is None:
        frame = read_unlabelled(data, cfg.data.format, cfg.space)
        report.notes(tables.notes(frame))
    root = image_root(data, cfg.data.format)
    refuse_sealed_photos(run, experiment.photo_root, root, frame["path"].tolist())
    by_file, by_look = GroupAveraging(), GroupAveraging()
    if groups is not None:
        given = read_groups(groups, frame["id"].tolist())
        tasks = shared_tasks(experiment.manifest, cfg.space, where=str(run.manifest))
        by_file = GroupAveraging(given, None, tasks, given.weights)
        refuse_groups_of_sealed([run], groups, given)
        if doubt := doubt_about(groups, given):
            report.note(doubt)
    with report.busy("loading networks"):
        networks = load_networks(experiment, experiment.predicting(env.folds, cfg.predict.networks))
    accelerator = start(cfg.device)
    note_other_versions(run, report)
    if cfg.predict.groups == "look" and accelerator.is_main_process:
        by_look = averaging_for(experiment, env.folds, frame, root, report)
    read = by_file.photos is not None and bool(by_file.photos.contents)
    views, photos = cached_rows(networks, frame, cfg, root, accelerator, report, read=read)
    if groups is not None and by_file.photos is not None and photos is not None:
        refuse_other_groups(groups, by_file.photos, [photos])
    adapt = None
    if cfg.predict.adapt != "none":
        with _every_fault_listed(root, frame, cfg, report):
            networks, adapt = adapt_networks(experiment, networks, frame, cfg, root, views, accelerator, report, photos)
    predictions = _predicted(experiment.run.path, networks, frame, cfg, root, views, accelerator, report, photos)
    if not accelerator.is_main_process:
        return None
    content = photos.sha256 if photos is not None else None
    lineage = _lineage(experiment, env, networks, frame, data, cfg, content)
    lineage = lineage.with_adaptation(adapt).with_groups(by_look.lineage)
    predictions = replace(by_look.average_photos(predictions), lineage=lineage.to_json())
    kept = run.test(data_name(data), cfg.predict.views, cfg.predict.networks, cfg.predict.groups, cfg.predict.adapt)
    named = replace(predictions, lineage={**predictions.lineage, **owned.owner_entry(kept, run.path)})
    with files.filling(run.path):
        lineage = lineage.with_predictions(named.save(kept))
    if groups is not None:
        lineage = lineage.with_groups(by_file.lineage)
        predictions = by_file.average_photos(predictions)
    return Predicted(cfg, frame, predictions, lineage, photos)


def work_in_words(photos: int, networks: int, views: str) -> str:
    """Say how much is predicted.

    >>> work_in_words(70, 1, "hflip")
    '70 photos, 1 network, 2 views per photo (predict.views=hflip)'
    """
    per_photo = f"{plural(len(parse_views(views)), 'view')} per photo (predict.views={views})"
    return f"{plural(photos, 'photo')}, {plural(networks, 'network')}, {per_photo}"


def predict_sealed(experiment: Experiment, env: Environment, report: Reporter) -> Predictions | None:
    """Predict the photos of the sealed people as `predict` would; None in processes that do not write.

    Nothing is kept: no photo in the cache, no predictions in the run. The lineage names the networks.
    """
    assert experiment.sealed is not None
    note_other_versions(experiment.run, report)
    cfg, frame, root = experiment.cfg, experiment.sealed, experiment.photo_root
    cfg = cfg.model_copy(update={"data": cfg.data.model_copy(update={"cache": "off"})})
    networks = load_networks(experiment, experiment.predicting(env.folds, cfg.predict.networks))
    accelerator, together = start(cfg.device, settable=False), GroupAveraging()
    if cfg.predict.groups == "look" and accelerator.is_main_process:
        together = averaging_for(experiment, env.folds, frame, root, report)
    predictions = _predicted(
        experiment.run.path, networks, frame, cfg, root, {}, accelerator, report, known=experiment.photos
    )
    if not accelerator.is_main_process:
        return None
    lineage = {"weights": [network.used.to_json() for network in networks]}
    return replace(together.average_photos(predictions), lineage=lineage)


def _predicted(
    run: Path,
    networks: Sequence[LoadedNetwork],
    frame: pd.DataFrame,
    cfg: Config,
    root: Path,
    views: Views,
    accelerator: Accelerator,
    report: Reporter,
    known: PhotoDigests | None,
) -> Predictions:
    """Return the mean of the networks' predictions for the rows of a manifest; a note names the run.

    known  what the files of these rows are, see `open_photos`.
    """
    report.note(f"{run}: {work_in_words(len(frame), len(networks), cfg.predict.views)}")
    with _every_fault_listed(root, frame, cfg, report):
        probs = predict_each(networks, frame, cfg, root, views, accelerator, report, known)
    return joint(networks, probs, frame["id"].to_numpy(np.str_), cfg.space)


def cached_rows(
    networks: Sequence[LoadedNetwork],
    frame: pd.DataFrame,
    cfg: Config,
    root: Path,
    accelerator: Accelerator,
    report: Reporter,
    *,
    read: bool,
) -> tuple[Views, PhotoDigests | None]:
    """Return the cached views of these rows, {} without a cache, and what their files are; None in other processes than
    the first.

    read  read the files for that where there is no cache; otherwise it is None there.
    """
    specs = [network.predictor.spec for network in networks]
    views = cached_views(root, frame["path"].tolist(), specs, cfg, accelerator, report)
    if not accelerator.is_main_process or not (views or read):
        return views, None
    with _every_fault_listed(root, frame, cfg, report):
        return views, digests_of_rows(root, frame, views, cfg)


@contextmanager
def _every_fault_listed(root: Path, frame: pd.DataFrame, cfg: Config, report: Reporter) -> Iterator[None]:
    """Turn an error about one photo that was decoded while predicting into one that lists all that cannot be read."""
    try:
        yield
    except DataError:
        check_photos(root, frame["path"].tolist(), cfg, report)
        raise


def note_other_versions(run: RunDir, report: Reporter) -> None:
    """Print a note, once, when packages that change probabilities have other versions than at the training."""
    if found := other_versions(run):
        report.once(versions_in_words(run, found))


def joint(
    networks: Sequence[LoadedNetwork], probs: Sequence[Floats], ids_N: NDArray[np.str_], space: LabelSpace
) -> Predictions:
    """Return the joint predictions of these networks, averaged over folds and seeds; `probs` are (N, C) of each."""
    sources: dict[tuple[int, int], dict[str, Predictions]] = {}
    for network, prob in zip(networks, probs, strict=True):
        part = Predictions(ids_N, prob, network.predictor.space)
        sources.setdefault((network.fold, network.seed), {})[network.task] = part
    return joint_predictions({f"fold {k}, seed {seed}": sources[k, seed] for k, seed in sorted(sources)}, space)


def predict_each(
    networks: Sequence[LoadedNetwork],
    frame: pd.DataFrame,
    cfg: Config,
    root: Path,
    views: Views,
    accelerator: Accelerator,
    report: Reporter,
    known: PhotoDigests | None = None,
) -> list[Any]:
    """Return each network's probabilities (N, C) for the rows of a manifest, averaged over the views."""
    specs: list[ViewSpec] = list(dict.fromkeys(network.predictor.spec for network in networks))
    photos = open_photos(root, frame, specs, views, seed=cfg.seed, known=known)
    predictors = [network.predictor for network in networks]
    reader = open_reader(
        photos,
        np.arange(len(frame)),
        accelerator=accelerator,
        views=cfg.predict.views,
        batch_size=cfg.predict.batch_size,
        workers=worker_count(cfg.device, accelerator, cached=bool(views)),
    )
    execution = prediction_execution(predictors, len(frame), cfg, accelerator, report)
    done = 0

    def count(images: int) -> None:
        nonlocal done
        done += images * accelerator.num_processes
        report.images("predicting", min(done, len(frame)), len(frame))

    return infer(predictors, reader, accelerator=accelerator, execution=execution, on_images=count)


def _lineage(
    experiment: Experiment,
    env: Environment,
    networks: Sequence[LoadedNetwork],
    frame: pd.DataFrame,
    data: Path,
    cfg: Config,
    photos_sha256: str | None,
) -> RunLineage:
    summary = read_summary(experiment.run)
    return RunLineage(
        maskcls=maskcls.__version__,
        run=experiment.run.path.resolve().name,
        run_hashes=env.hashes,
        oof_macro_f1=summary.pooled.macro_f1 if summary and summary.pooled else None,
        weights=tuple(network.used for network in networks),
        data=data.resolve().name,
        data_sha256=tables.sha256(frame),
        photos_sha256=photos_sha256,
        views=cfg.predict.views,
        networks=cfg.predict.networks,
    )
