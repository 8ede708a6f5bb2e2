"""Photos that the same networks explain: their probabilities per fold and view, and their maps.

N photos, C classes of a task, h x w places of a feature map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from maskcls.data.photos.rgb import Pixels
from maskcls.engine.device import Accelerator
from maskcls.labels import Floats, Ints
from maskcls.results.predictions import Predictions
from maskcls.schema import Config
from maskcls.show.terminal.progress import Reporter
from maskcls.training.explaining.cams import grids_of, networks_of, photo_views
from maskcls.training.predicting.loaded_networks import LoadedNetwork
from maskcls.training.prediction import joint, predict_each
from maskcls.viewnames import parse_views

ALL_VIEWS = ""  # the mean over the views


@dataclass(frozen=True, eq=False)
class PhotoBatch:
    """Photos and the networks that explain them. frame: rows to predict, with paths relative to root."""

    cfg: Config
    root: Path
    frame: pd.DataFrame
    networks: Sequence[LoadedNetwork]
    accelerator: Accelerator
    report: Reporter

    @property
    def folds(self) -> tuple[int, ...]:
        """The networks' folds, each once."""
        return tuple(dict.fromkeys(network.fold for network in self.networks))


def network_probabilities(batch: PhotoBatch, views: str) -> list[Floats]:
    """Return each network's joint probabilities (N, J), the mean over the views, exactly as `predict` computes them."""
    cfg = batch.cfg.model_copy(update={"predict": batch.cfg.predict.model_copy(update={"views": views})})
    return predict_each(batch.networks, batch.frame, cfg, batch.root, {}, batch.accelerator, batch.report)


def mean_prediction(batch: PhotoBatch, probs: Sequence[Floats], fold: int | None = None) -> Predictions:
    """Return the joint predictions of the networks, or of those of one fold: the mean over folds and seeds."""
    chosen = [(n, prob) for n, prob in zip(batch.networks, probs, strict=True) if fold is None or n.fold == fold]
    networks, parts = [one for one, _ in chosen], [prob for _, prob in chosen]
    return joint(networks, parts, batch.frame["id"].to_numpy(np.str_), batch.cfg.space)


def task_probabilities(batch: PhotoBatch, probs: Sequence[Floats]) -> dict[int, dict[str, dict[str, Floats]]]:
    """Return {fold: {view: {task: (N, C)}}}, where ALL_VIEWS is the mean over the views, given as `probs`."""
    views = parse_views(batch.cfg.predict.views)
    by_view = {ALL_VIEWS: probs}
    by_view |= {view: probs if len(views) == 1 else network_probabilities(batch, view) for view in views}
    space = batch.cfg.space
    return {
        fold: {view: space.marginals(mean_prediction(batch, found, fold).prob) for view, found in by_view.items()}
        for fold in batch.folds
    }


def maps_by_fold(batch: PhotoBatch, task: str, label: Mapping[str, Ints]) -> dict[int, Floats]:
    """Return {fold: (N, h, w)} in [0, 1], the mean over seeds. label: as for `grids_of`."""
    found: dict[int, list[Floats]] = {}
    for network in networks_of(batch.networks, task):
        grids = grids_of(network, batch.frame, batch.root, task, label, batch.accelerator.device)
        found.setdefault(network.fold, []).append(grids)
    return {fold: np.mean(parts, axis=0) for fold, parts in found.items()}


def given_task(batch: PhotoBatch, task: str) -> str | None:
    """Return the task on whose class the head of this task depends, if any."""
    head = networks_of(batch.networks, task)[0].predictor.network.specs.get(task)
    return head.given if head else None


def task_views(batch: PhotoBatch, task: str) -> Pixels:
    """Return the validation views (N, H, W, 3) uint8 of the task's network."""
    return photo_views(networks_of(batch.networks, task)[0].predictor.spec, batch.frame, batch.root)
