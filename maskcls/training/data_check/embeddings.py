"""Embeddings and probabilities of a data set's photos by one network. This module imports torch.

N rows of a manifest, D features of the network's trunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from maskcls import config
from maskcls.data.photos.images import read_image
from maskcls.data.views.transforms import ViewSpec, eval_view
from maskcls.engine.infer import joint_probabilities
from maskcls.labels import Floats, LabelSpace
from maskcls.nn.network import Network, build_network, load_trunk
from maskcls.rundir import RunDir
from maskcls.schema import Config
from maskcls.show.terminal.progress import Reporter
from maskcls.training.data_check.folds import joined_folds
from maskcls.training.data_check.shift import NetworkRows
from maskcls.training.experiment import view_spec
from maskcls.training.stored_experiment import open_experiment

BATCH = 32


@dataclass(frozen=True)
class _Embedder:
    """A network with its view; space: the classes of its heads, None for a network without trained heads."""

    network: Network
    spec: ViewSpec
    space: LabelSpace | None


def run_rows(
    run: RunDir, root: Path, frame: pd.DataFrame, readable_N: NDArray[np.bool_], report: Reporter
) -> NetworkRows:
    """Embed and predict the readable photos with the networks of the run's first fold, one per task.

    Their embeddings are those of the first task's network. Raises ResultError for a run that is not finished or was
    changed.
    """
    from maskcls.training.predicting.loaded_networks import load_networks

    experiment, env = open_experiment(run)
    fold = env.folds[0]
    chosen = [
        (member, k) for member, k in experiment.predicting([fold], "folds") if member.cfg.seed == experiment.cfg.seed
    ]
    loaded = load_networks(experiment, chosen)
    parts = [
        _rows(
            _Embedder(one.predictor.network, one.predictor.spec, one.predictor.space), root, frame, readable_N, report
        )
        for one in loaded
    ]
    prob = {name: values for _, probs in parts for name, values in probs.items()}
    fold_N = joined_folds(frame, experiment.folds)
    eval_N = (frame["split"] == "eval").to_numpy(dtype=bool)
    return NetworkRows(parts[0][0], prob, eval_N | (fold_N == fold))


def weights_rows(
    weights: Path, cfg: Config, root: Path, frame: pd.DataFrame, readable_N: NDArray[np.bool_], report: Reporter
) -> NetworkRows:
    """Embed the readable photos with the backbone of the configuration and the trunk's weights in a file.

    Raises WeightsError for a file that does not fit the backbone.
    """
    first = next(iter(config.members(cfg).values()))
    network = build_network(first.model.trunk, {}, size=first.transforms.size)
    report.note(f"embeddings: {first.model.trunk}, {load_trunk(network, weights)}")
    embedding_ND, _ = _rows(_Embedder(network, view_spec(first), None), root, frame, readable_N, report)
    return NetworkRows(embedding_ND, {}, np.ones(len(frame), dtype=bool))


@torch.inference_mode()
def _rows(
    embedder: _Embedder, root: Path, frame: pd.DataFrame, readable_N: NDArray[np.bool_], report: Reporter
) -> tuple[Floats, dict[str, Floats]]:
    """Return the embeddings (N, D), and the probabilities (N, C) of each task; rows that cannot be read are 0."""
    network, space = embedder.network.eval(), embedder.space
    rows, paths = np.flatnonzero(readable_N), frame["path"].tolist()
    features: list[Floats] = []
    joint: list[Floats] = []
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH].tolist()
        features_BD = network.trunk(_images([root / paths[row] for row in batch], embedder.spec))
        features.append(features_BD.float().numpy())
        if space is not None:
            logits = {name: head(features_BD) for name, head in network.heads.items()}
            joint.append(joint_probabilities(logits, network.specs, space))
        report.images("embedding photos", start + len(batch), len(rows))
    embedding_ND = np.zeros((len(frame), features[0].shape[1] if features else 1), np.float32)
    embedding_ND[rows] = np.concatenate(features) if features else embedding_ND[rows]
    if space is None or not joint:
        return embedding_ND, {}
    prob_NJ = np.zeros((len(frame), space.size), np.float32)
    prob_NJ[rows] = np.concatenate(joint)
    return embedding_ND, {name: np.asarray(value, np.float32) for name, value in space.marginals(prob_NJ).items()}


def _images(paths: Sequence[Path], spec: ViewSpec) -> Tensor:
    """Return the normalised validation views (B, 3, H, W) float32."""
    views = np.stack([eval_view(read_image(path, at_least=spec.decode_size), spec) for path in paths])
    images_BCHW = torch.from_numpy(views).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(one).reshape(1, 3, 1, 1) for one in (spec.mean, spec.std))
    return (images_BCHW - mean) / std
