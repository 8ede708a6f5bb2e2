"""Class activation maps of photos, by a run's networks. N photos, h x w places of a feature map, H x W view pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from maskcls.data.dataset import Key, Photos
from maskcls.data.photos.rgb import Pixels
from maskcls.data.views.transforms import ViewSpec
from maskcls.engine.cam import cam_grids, enlarged
from maskcls.engine.device import start
from maskcls.errors import MaskclsError, UsageError
from maskcls.labels import Floats, Ints
from maskcls.runs.environment import Environment
from maskcls.runs.integrity.oof_file import read_run_oof
from maskcls.training.experiment import Experiment
from maskcls.training.known_photos import refuse_changed_rows
from maskcls.training.predicting.loaded_networks import LoadedNetwork, load_networks


def cams_of(
    experiment: Experiment, env: Environment, rows: Sequence[int] | Ints, task: str, *, class_n: Ints | None = None
) -> list[Floats]:
    """Return one map per row of the run's table, (H, W) float32 in [0, 1], on the view of the task's network.

    Each row is explained by the networks of the fold that left it out, the mean over seeds; see `engine.cam`.

    rows     n row numbers of the manifest.
    class_n  int64, the class of the task to explain per row; None: the class predicted out of fold.

    Raises UsageError for a row that no finished fold left out, ResultError for a run that is not finished.
    """
    places = np.asarray(rows, dtype=np.int64)
    fold_n = experiment.fold[places]
    if unseen := sorted({str(experiment.manifest["id"].iloc[row]) for row in places[~np.isin(fold_n, env.folds)]}):
        fix = "name rows of a fold that is trained"
        raise UsageError(
            "every network trained on these photos", where=str(experiment.run.path), offenders=unseen, fix=fix
        )
    refuse_changed_rows(experiment, places.tolist())
    label = out_of_fold_labels(experiment, places)
    label |= {} if class_n is None else {task: np.asarray(class_n, dtype=np.int64)}
    device = start(experiment.cfg.device, settable=False).device
    frame = experiment.manifest.assign(path=experiment.photo_paths).iloc[places].reset_index(drop=True)
    found: dict[int, Floats] = {}
    for k in np.unique(fold_n):
        mine = np.flatnonzero(fold_n == k)
        part = {name: label_n[mine] for name, label_n in label.items()}
        networks = networks_of(load_networks(experiment, experiment.predicting((int(k),), "folds")), task)
        grids = [grids_of(network, frame.iloc[mine], experiment.photo_root, task, part, device) for network in networks]
        size = networks[0].predictor.spec.size
        found |= dict(zip(mine.tolist(), (enlarged(g, size) for g in np.mean(grids, axis=0)), strict=True))
    return [found[place] for place in range(len(places))]


def row_views(experiment: Experiment, rows: Sequence[int] | Ints, task: str) -> list[Pixels]:
    """Return the network's view (H, W, 3) uint8 of each row of the run's table, on which `cams_of` lays its map."""
    frame = experiment.manifest.assign(path=experiment.photo_paths).iloc[np.asarray(rows, dtype=np.int64)]
    member = next(one for one in experiment.members if one.task in ("", task))
    return list(photo_views(member.blueprint.spec, frame, experiment.photo_root))


def networks_of(networks: Sequence[LoadedNetwork], task: str) -> list[LoadedNetwork]:
    """Return the networks that predict this task."""
    return [network for network in networks if network.task in ("", task)]


def grids_of(
    network: LoadedNetwork,
    frame: pd.DataFrame,
    root: Path,
    task: str,
    label: Mapping[str, Ints],
    device: torch.device,
) -> Floats:
    """Return one network's maps (N, h, w) float32 in [0, 1] of the photos of a frame.

    label  {task: (N,) int64}: the class to explain, and for a head that depends on another task, that task's class.
    """
    predictor = network.predictor
    images_NHWC = torch.from_numpy(photo_views(predictor.spec, frame, root))
    head = predictor.network.specs.get(task)
    given_N = label[head.given] if head and head.given else np.zeros(len(frame), dtype=np.int64)
    return cam_grids(predictor, images_NHWC, task, label[task], given_N, device)


def photo_views(spec: ViewSpec, frame: pd.DataFrame, root: Path) -> Pixels:
    """Return the validation views (N, H, W, 3) uint8 of the photos of a frame, decoded now; raises DataError."""
    photos = Photos(root, frame["path"].tolist(), frame["id"].tolist(), [spec], seed=0)
    views = photos.__getitems__([Key(row) for row in range(len(frame))])
    if isinstance(views, MaskclsError):
        raise views
    return views[0]


def out_of_fold_labels(experiment: Experiment, rows: NDArray[np.int64]) -> dict[str, Ints]:
    """Return the classes {task: (n,)} predicted out of fold for these rows; raises ResultError without predictions."""
    found, ids = read_run_oof(experiment.run), experiment.manifest["id"].to_numpy(np.str_)[rows]
    row_of = {name: place for place, name in enumerate(found.ids.tolist())}
    joint = found.labels()[[row_of[name] for name in ids.tolist()]]
    return dict(experiment.cfg.space.decode(joint))
