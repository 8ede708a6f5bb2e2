"""Features of all photos of an experiment from a backbone that is not trained: computed once, for all folds.

N rows of the manifest, V views, D features.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

import maskcls
from maskcls.data.photos.cache_folder import FEATURES as ENDING
from maskcls.data.photos.cache_folder import cache_folder
from maskcls.engine.checkpoint import load_state, save_state
from maskcls.engine.device import Accelerator, worker_count
from maskcls.engine.features import view_features
from maskcls.engine.infer import Predictor, open_reader
from maskcls.errors import MaskclsError, ResourceError
from maskcls.labels import Floats, Ints
from maskcls.nn.network import Network
from maskcls.show.terminal.progress import Reporter
from maskcls.training.experiment import Experiment, Member, view_spec
from maskcls.training.plans import fresh_network
from maskcls.viewnames import parse_views, view_mean

FORMAT = 1  # of the stored features
FEATURES, SECONDS = "features", "seconds"  # names in the file: of the tensor, and of what it took to compute


@dataclass(frozen=True)
class FrozenFeatures:
    """Features of all rows.

    network     the network they are from, whose heads are not fitted yet.
    eval_VND    float32, of the views of predict.views; more_AND: of the augmented views, A may be 0.
    averaged    whether photos are predicted from their mean features over predict.views: with a geometric mean of the
                views, and linear heads.
    seconds     what they took to compute, also where they were read from the cache.
    """

    network: Network
    eval_VND: Floats
    more_AND: Floats
    averaged: bool
    seconds: float

    @property
    def all_views(self) -> Floats:
        """The features that heads are fitted on, (V + A, N, D), or (1 + A, N, D).

        Where photos are predicted from their mean features, heads are fitted on these.
        """
        if self.averaged:
            eval_VND: Floats = self.eval_VND.mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32)
        else:
            eval_VND = self.eval_VND
        return np.concatenate([eval_VND, self.more_AND]) if len(self.more_AND) else eval_VND


def frozen_features(
    experiment: Experiment, member: Member, accelerator: Accelerator, report: Reporter
) -> FrozenFeatures:
    """Return the features of all rows of an experiment for one of its networks.

    They are kept in the cache folder, unless data.cache=off, under a name that everything they depend on is part of: a
    run that is continued, and other runs with the same backbone and photos, find them there. A damaged file is made
    again.
    """
    network, _ = fresh_network(member, member.cfg.seed, 0)
    place = _place(experiment, member, network, accelerator)
    stored = _read(place) if place is not None else None
    if stored is None:
        began_s = time.monotonic()
        stored = _computed(experiment, member, network, accelerator, report), time.monotonic() - began_s
        if place is not None:
            _keep(place, *stored, report)
    feature_VND, seconds = stored
    views = len(parse_views(member.cfg.predict.views))
    averaged = view_mean(member.cfg.predict.views) == "geometric" and member.cfg.heads.kind != "mlp"
    return FrozenFeatures(network.eval(), feature_VND[:views], feature_VND[views:], averaged, seconds)


def _computed(
    experiment: Experiment, member: Member, network: Network, accelerator: Accelerator, report: Reporter
) -> Floats:
    cfg, row_N, done = member.cfg, np.arange(len(experiment.manifest)), 0
    rounds = [(cfg.predict.views, -1), *(("none", epoch) for epoch in range(cfg.heads.augmented))]

    def count(images: int) -> None:
        nonlocal done
        done += images
        report.images("computing features", done, len(row_N) * len(rounds))

    found = [
        pass_features(experiment, member, network, accelerator, row_N, views, epoch=epoch, on_images=count)
        for views, epoch in rounds
    ]
    return np.concatenate(found)


def pass_features(
    experiment: Experiment,
    member: Member,
    network: Network,
    accelerator: Accelerator,
    row_N: Ints,
    views: str,
    *,
    epoch: int,
    on_images: Callable[[int], None] = lambda count: None,
) -> Floats:
    """Return the features (V, n, D) float32 of some rows in the given views; epoch: see `open_reader`."""
    cfg, photos = member.cfg, experiment.rows(member, 0).photos
    reader = open_reader(
        photos,
        row_N,
        accelerator=accelerator,
        views=views,
        batch_size=cfg.predict.batch_size,
        workers=worker_count(cfg.device, accelerator, cached=bool(photos.cached)),
        epoch=epoch,
    )
    predictor = Predictor(network.eval(), member.space, view_spec(cfg))
    execution = experiment.plans[member.task].infer
    return view_features(predictor, reader, accelerator=accelerator, execution=execution, on_images=on_images)


def _place(experiment: Experiment, member: Member, network: Network, accelerator: Accelerator) -> Path | None:
    """Return the file of these features; None where they are not stored."""
    cfg, photos = member.cfg, experiment.photos
    if cfg.data.cache == "off" or photos is None:
        return None
    digest, ids = hashlib.sha256(), experiment.manifest["id"].tolist()
    about = {
        "format": FORMAT,
        "maskcls": maskcls.__version__,
        "torch": torch.__version__,
        "device": [str(accelerator.device.type), torch.backends.cpu.get_cpu_capability()],
        "backbone": network.backbone,  # with its options
        "view": asdict(view_spec(cfg)),
        "views": parse_views(cfg.predict.views),
        "augmented": [cfg.heads.augmented, cfg.seed if cfg.heads.augmented else 0],
        "batch": cfg.predict.batch_size,
        "execution": asdict(experiment.plans[member.task].infer),
        "ids": ids,
    }
    digest.update(json.dumps(about, sort_keys=True).encode())
    digest.update(photos.of(ids).digest_ND.tobytes())
    for name, tensor in network.trunk.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    try:
        return cache_folder() / f"{digest.hexdigest()[:24]}{ENDING}"
    except ResourceError:
        return None


def _read(place: Path) -> tuple[Floats, float] | None:
    """Return the features of a file, and the seconds they took: 0 in a file of an earlier version."""
    if not place.is_file():
        return None
    try:
        tensors, about = load_state(place)
    except MaskclsError:  # damaged, or deleted meanwhile: the features are computed again
        return None
    with contextlib.suppress(OSError):
        os.utime(place)  # the time of use, by which `data cache prune` keeps it
    return tensors[FEATURES].numpy(), float(about.get(SECONDS, 0.0))


def _keep(place: Path, feature_VND: Floats, seconds: float, report: Reporter) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        save_state(place, {FEATURES: torch.from_numpy(feature_VND)}, {SECONDS: round(seconds, 3)})
    except (OSError, MaskclsError) as error:
        report.note(f"the features are not kept for other runs: {error}")
