"""Simple models of held-out people: what a network must be better than, and what shows whether labels fit the photos.

n photos to train on, m photos to predict, F features.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Literal, get_args

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from maskcls.data.photos.rgb import Pixels
from maskcls.diagnosis.probe import Probe
from maskcls.diagnosis.without_training.split import descriptors_of
from maskcls.engine.device import normalise
from maskcls.labels import Floats, Ints

Baseline = Literal["constant", "colours", "neighbour", "backbone"]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)
ABOUT: Mapping[Baseline, str] = {
    "constant": "always the most frequent class",
    "colours": "colour histogram + logistic regression",
    "neighbour": "nearest neighbour of thumbnails",
    "backbone": "frozen backbone + logistic regression",
}
LEVELS = 4  # of each channel in a colour histogram: 64 colours, for the upper and the lower half
MOST_ROWS = 2000  # a logistic regression is fitted to at most
BATCH = 64


def colour_histogram(view_HWC: Pixels) -> Floats:
    """Return the shares of 64 colours in the upper and in the lower half of an image, (128,) float32."""
    half = len(view_HWC) // 2
    shape, ranges = [LEVELS] * 3, [0, 256] * 3
    parts = [cv2.calcHist([part], [0, 1, 2], None, shape, ranges) for part in (view_HWC[:half], view_HWC[half:])]
    return np.concatenate([part.ravel() / max(1.0, float(part.sum())) for part in parts]).astype(np.float32)


def features(probe: Probe, rows: Ints) -> dict[Baseline, Floats]:
    """Return the features (n, F) of these rows by model."""
    views = probe.views(rows)
    return {
        "constant": np.zeros((len(rows), 1), np.float32),
        "colours": np.stack([colour_histogram(view) for view in views]),
        "neighbour": descriptors_of(views),
        "backbone": backbone_features(probe, views),
    }


@torch.inference_mode()
def backbone_features(probe: Probe, views_nHWC: Pixels) -> Floats:
    """Return the features (n, F) of the backbone before any training."""
    session = probe.session(probe.network(), 1)
    session.model.eval()
    spec, execution, device = probe.rows.photos.specs[0], session.plan.infer, session.accelerator.device
    found = []
    for first in range(0, len(views_nHWC), BATCH):
        views = torch.from_numpy(views_nHWC[first : first + BATCH]).to(device)
        images = normalise(views, mean=spec.mean, std=spec.std, execution=execution)
        found.append(session.network.trunk(images).float().cpu().numpy())
    return np.concatenate(found)


def predict_simply(model: Baseline, known_nF: Floats, label_n: Ints, wanted_mF: Floats) -> Ints:
    """Return the classes (m,) a simple model predicts; label_n: (n,) classes, -1 for rows to leave out."""
    known_nF, label_n = known_nF[label_n >= 0], label_n[label_n >= 0]
    if model == "neighbour":
        square_m = (wanted_mF**2).sum(axis=1)[:, None] + (known_nF**2).sum(axis=1) - 2 * wanted_mF @ known_nF.T
        nearest_m: Ints = label_n[square_m.argmin(axis=1)]
        return nearest_m
    if model == "constant" or len(np.unique(label_n)) == 1:
        return np.full(len(wanted_mF), np.bincount(label_n).argmax(), dtype=np.int64)
    return _regression(known_nF, label_n)(wanted_mF)


def _regression(known_nF: Floats, label_n: Ints) -> Callable[[Floats], Ints]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    few = np.random.default_rng(0).permutation(len(label_n))[:MOST_ROWS]
    mean_F, std_F = known_nF.mean(axis=0), known_nF.std(axis=0)
    std_F[std_F < 1e-6 * (np.abs(mean_F) + 1e-6)] = np.inf  # a feature that never varies says nothing
    model = LogisticRegression(C=0.05, max_iter=200, class_weight="balanced")
    with warnings.catch_warnings():  # a fit that is nearly at its optimum is good enough for a comparison
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit((known_nF[few] - mean_F) / std_F, label_n[few])
    return lambda wanted_mF: model.predict((wanted_mF - mean_F) / std_F).astype(np.int64)


def out_of_fold(found: Mapping[Baseline, Floats], label_n: Ints, fold_n: NDArray[np.int8]) -> dict[Baseline, Ints]:
    """Return each model's classes (n,) for every row, predicted from the rows of the other folds."""
    predicted = {model: np.zeros(len(label_n), np.int64) for model in found}
    for fold in np.unique(fold_n):
        held = fold_n == fold
        if not (label_n[~held] >= 0).any():
            continue
        for model, rows in found.items():
            predicted[model][held] = predict_simply(model, rows[~held], label_n[~held], rows[held])
    return predicted
