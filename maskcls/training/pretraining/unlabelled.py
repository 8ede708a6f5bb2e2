"""The photos that a pretraining sees: train and eval, without labels; and those of one fold left out, if asked.

N photos.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from maskcls.data.layouts.source import layout_named, read_unlabelled
from maskcls.data.rows import manifest as tables
from maskcls.errors import UsageError
from maskcls.rundir import RunDir
from maskcls.schema import Config
from maskcls.training.experiment import read_experiment

COLUMNS = ["id", "path", "person"]


@dataclass(frozen=True)
class UnlabelledPhotos:
    """Photos to pretrain on.

    frame    id, path relative to root, and person ("" where not known) of N photos, in a fixed order.
    people   of the labelled photos among them, sorted.
    eval     number of photos to predict among them.
    """

    root: Path
    frame: pd.DataFrame
    people: tuple[str, ...]
    eval: int

    @property
    def sha256(self) -> str:
        """A digest of ids and paths."""
        digest = hashlib.sha256()
        for name, path in zip(self.frame["id"].tolist(), self.frame["path"].tolist(), strict=True):
            digest.update(f"{name}\0{path}\0".encode())
        return digest.hexdigest()


def unlabelled_photos(data: Path, cfg: Config, *, without_fold: int | None) -> UnlabelledPhotos:
    """Read the photos of a data set, sealed people left out.

    without_fold  leave out the validation people of this fold; None: everybody is in.

    Raises UsageError for a fold that does not exist, and what reading a data set raises.
    """
    experiment = read_experiment(cfg, data, RunDir(Path("never-written")))
    kept_N = tables.real_rows(experiment.manifest)
    if without_fold is not None:
        if not 0 <= without_fold < cfg.folds.k:
            raise UsageError(
                "there is no such fold",
                where="--without-fold",
                got=str(without_fold),
                expected=f"0 to {cfg.folds.k - 1}",
            )
        kept_N = kept_N & (experiment.fold != without_fold)
    train = experiment.manifest[kept_N][COLUMNS]
    parts = [train]
    if layout_named(cfg.data.format).has_unlabelled(data):
        parts.append(read_unlabelled(data, cfg.data.format, cfg.space)[COLUMNS])
    frame = pd.concat(parts, ignore_index=True)
    people = tuple(sorted(set(train["person"].tolist()) - {""}))
    return UnlabelledPhotos(experiment.photo_root, frame, people, len(frame) - len(train))


def step_rows(photos: int, batch: int, *, seed: int, epoch: int) -> np.ndarray:
    """Return the rows of each step of an epoch, (steps, batch) int64: every photo at most once, an own order per epoch.

    Photos that fill no batch are left out of this epoch, others of the next.
    """
    order_N = np.random.default_rng((seed, epoch, 0x515)).permutation(photos)
    steps = photos // batch
    rows: np.ndarray = order_N[: steps * batch].reshape(steps, batch)
    return rows
