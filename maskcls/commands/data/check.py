"""maskcls data check: what is wrong with a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from maskcls import config
from maskcls.data.findings import DataFinding, Item, sorted_findings
from maskcls.data.layouts.source import image_root, layout_named, read_labelled, read_unlabelled
from maskcls.data.photos.inspection import inspect
from maskcls.data.rows import folds as folding
from maskcls.data.rows import manifest as tables
from maskcls.data.rows.repeated_photos import same_photos
from maskcls.errors import ConfigError
from maskcls.groupnouns import PHOTOS, Noun
from maskcls.labels import Ints
from maskcls.machine import reading_threads
from maskcls.rundir import RunDir
from maskcls.runs.integrity.photos_now import run_photos
from maskcls.schema import Config
from maskcls.schema.group_noun import group_noun
from maskcls.show.data.check import DataCheck
from maskcls.show.terminal.progress import Reporter
from maskcls.training.data_check.duplicates import near_duplicates
from maskcls.training.data_check.findings import (
    changed_findings,
    label_findings,
    near_findings,
    photo_findings,
    same_photo_findings,
)
from maskcls.training.data_check.folds import NOWHERE, configured_folds, joined_folds
from maskcls.training.data_check.shift import NetworkRows, measure_shift, shift_findings


@dataclass(frozen=True)
class NetworkSource:
    """Where embeddings come from: a run, or a file with the weights of the configuration's backbone."""

    run: Path | None = None
    weights: Path | None = None


def check(data: Path, cfg: Config, report: Reporter, *, network: NetworkSource | None = None) -> DataCheck:
    """Return the tables of a data set and all findings about its photos, people, classes and parts.

    network  also compares embeddings; of a run, the folds and the estimated class shares are the run's.

    Raises DataError for a table with wrong rows, ConfigError for a run of other classes, ResultError for a run that is
    not finished, WeightsError for weights that do not fit.
    """
    network = network or NetworkSource()
    fixes = Path(cfg.data.fixes) if cfg.data.fixes else None
    layout = layout_named(cfg.data.format)
    frames = {"train": read_labelled(data, cfg.data.format, cfg.space, fixes, cfg.data.group)}
    noun = _noun(cfg, frames["train"])
    if layout.has_unlabelled(data):
        frames["eval"] = read_unlabelled(data, cfg.data.format, cfg.space)
    report.notes(dict.fromkeys(note for frame in frames.values() for note in tables.notes(frame)))
    root, frame = image_root(data, cfg.data.format), pd.concat(frames.values(), ignore_index=True)
    threads = reading_threads(cfg.device.workers)
    train_fold_N, no_folds = _folds(frames["train"], cfg, network.run)
    fold_N = np.concatenate([train_fold_N, np.full(len(frame) - len(train_fold_N), NOWHERE)])
    paths = frame["path"].tolist()
    seen = inspect(
        root, paths, threads=threads, on_progress=lambda done: report.images("checking photos", done, len(paths))
    )
    rows = _network_rows(network, cfg, root, frame, seen.readable_N, report)
    near = near_duplicates(
        root, frame, seen, None if rows is None else rows.embedding_ND, seed=cfg.seed, threads=threads, report=report
    )
    shift = measure_shift(frame, seen, rows, cfg.space, seed=cfg.seed, report=report)
    same = same_photos(frame, seen.equal_pixels, cfg.space)
    found = [
        *photo_findings(paths, seen),
        *changed_findings(None if network.run is None else run_photos(RunDir(network.run)), frames["train"], seen),
        *same_photo_findings(same, fold_N, seen.equal_files, allow=cfg.data.same_photos == "allow", noun=noun),
        *near_findings(near, frame, fold_N, cfg.space, noun),
        *label_findings(frames["train"], cfg.space, layout.profile_ids(data), cfg.folds.k, noun),
        *(shift_findings(shift) if shift else []),
        DataFinding("no-folds", (Item((), no_folds),) if no_folds else ()),
    ]
    return DataCheck(frames, cfg.space, root, sorted_findings(found), near, shift, tuple(same), noun)


def _noun(cfg: Config, train: pd.DataFrame) -> Noun:
    """Return what the groups are called; data.group=auto may have found none, so that every photo is its own."""
    return PHOTOS if train["person"].equals(train["id"]) else group_noun(cfg)


def _folds(train: pd.DataFrame, cfg: Config, run: Path | None) -> tuple[Ints, str]:
    if run is None:
        return configured_folds(train, cfg)
    of_run = config.of_run(RunDir(run).config)
    if of_run.space.fingerprint != cfg.space.fingerprint:
        raise ConfigError(
            "the run is about other classes than the configuration",
            where=str(run),
            got=", ".join(of_run.space.names),
            expected=", ".join(cfg.space.names),
            fix=f"give the tasks of the run: --config {RunDir(run).config}",
        )
    return joined_folds(train, folding.from_csv(RunDir(run).folds)), ""


def _network_rows(
    network: NetworkSource,
    cfg: Config,
    root: Path,
    frame: pd.DataFrame,
    readable_N: NDArray[np.bool_],
    report: Reporter,
) -> NetworkRows | None:
    """Return what the network says about the photos; None without one, and then torch is not imported."""
    if network.run is not None:
        from maskcls.training.data_check.embeddings import run_rows

        return run_rows(RunDir(network.run), root, frame, readable_N, report)
    if network.weights is not None:
        from maskcls.training.data_check.embeddings import weights_rows

        return weights_rows(network.weights, cfg, root, frame, readable_N, report)
    return None
