"""Features of a frozen backbone for all photos: two photo sizes, earlier layers, and the photos to predict.

N labelled photos, M photos to predict, D features; every feature is the mean over the views of `predict.views`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from head_variants.aligned import aligned_copy
from maskcls.cli import run_app
from maskcls.data.layouts.source import image_root, read_unlabelled
from maskcls.engine.device import Accelerator, start, worker_count
from maskcls.engine.features import view_features
from maskcls.engine.infer import Predictor, open_reader
from maskcls.labels import Floats
from maskcls.nn.network import Network
from maskcls.rundir import RunDir
from maskcls.show.terminal.progress import Reporter
from maskcls.training.checks import with_photos
from maskcls.training.experiment import Experiment, Member, view_spec
from maskcls.training.heads.frozen_features import frozen_features, pass_features
from maskcls.training.photos import cached_views, open_photos
from maskcls.training.plans import fresh_network
from maskcls.training.stored_experiment import open_with_photos

RECIPE = "faces_frozen"
LARGER = "[160,120]"


class LayerMeans(nn.Module):
    """Images (B, 3, H, W) to the spatial means of every stage of a timm trunk, and its last features, side by side."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return (B, D)."""
        last, stages = self.trunk.forward_intermediates(images_BCHW)  # type: ignore[operator]
        return torch.cat([one.mean(dim=(2, 3)) for one in stages] + [self.trunk.forward_head(last)], dim=1)  # type: ignore[operator]


def prepared(data: Path, out: Path, weights: str) -> tuple[RunDir, Path]:
    """Make what is not there yet; returns the run of the recipe, and the file with all features.

    The file has `last` (N, D), of the recipe's photo size; `layers` (N, E), the stages' means in order, of `widths`;
    `larger` (N, D), of the larger photo size; `eval` (M, D).
    """
    run, larger, file = RunDir(out / "recipe"), RunDir(out / "larger"), out / "features.npz"
    _train(run, data, weights)
    _train(larger, data, weights, f"transforms.size={LARGER}", "predict.groups=none")
    if not file.exists():
        layers, widths = _layers(run)
        last, larger_size, new = _last(run), _last(larger), _to_predict(run, data)
        np.savez(file, layers=layers, widths=widths, last=last, larger=larger_size, eval=new)
    return run, file


def aligned_features(data: Path, out: Path, weights: str, detector: Path) -> Floats:
    """Return the last features (N, D) of the recipe on aligned photos, in the order of the recipe's run; made once."""
    run, copy_of, file = RunDir(out / "aligned_run"), out / "aligned", out / "aligned.npy"
    if not file.exists():
        whole, _ = open_with_photos(RunDir(out / "recipe"), None)
        if not (copy_of / "train" / "train.csv").exists():
            print(f"{aligned_copy(data, whole, copy_of, detector)} photos have a face")
        _train(run, copy_of, weights, "predict.groups=none")
        experiment, _ = open_with_photos(run, None)
        assert experiment.manifest["id"].tolist() == whole.manifest["id"].tolist()
        np.save(file, _last(run))
    found: Floats = np.load(file)
    return found


def other_features(run: RunDir, ids: Sequence[str]) -> Floats:
    """Return the last features (N, any width) of a run on another backbone, in the order of the photos' ids."""
    experiment, _ = open_with_photos(run, None)
    place = {one: row for row, one in enumerate(experiment.manifest["id"].tolist())}
    found: Floats = _last(run)[[place[one] for one in ids]].astype(np.float64)
    return found


def _train(run: RunDir, data: Path, weights: str, *more: str) -> None:
    """Train the recipe with some more settings, if the run is not there yet."""
    if run.summary.exists():
        return
    words = ["train", str(data), "--run", str(run.path), "--config", RECIPE]
    words += [f"model.weights={weights}", "train.report=false", *more]
    if code := run_app(words):
        raise SystemExit(f"maskcls {' '.join(words)} ended with {code}")


def _opened(run: RunDir) -> tuple[Experiment, Member, Accelerator, Reporter]:
    experiment, _ = open_with_photos(run, None)
    accelerator, report = start(experiment.cfg.device), Reporter(quiet=True)
    experiment = with_photos(experiment, accelerator, report)
    torch.set_num_threads(1)
    return experiment, experiment.kinds[0], accelerator, report


def _last(run: RunDir) -> Floats:
    experiment, member, accelerator, report = _opened(run)
    return _view_mean(frozen_features(experiment, member, accelerator, report).eval_VND)


def _layers(run: RunDir) -> tuple[Floats, Floats]:
    experiment, member, accelerator, _ = _opened(run)
    network = copy.copy(_network(member))
    network._modules = dict(network._modules)
    trunk = network.trunk
    network.trunk = LayerMeans(trunk)
    row_N, views = np.arange(len(experiment.manifest)), member.cfg.predict.views
    every = _view_mean(pass_features(experiment, member, network, accelerator, row_N, views, epoch=-1))
    widths = [one["num_chs"] for one in trunk.feature_info]  # type: ignore[union-attr]
    return every[:, : sum(widths)], np.array(widths)


def _to_predict(run: RunDir, data: Path) -> Floats:
    experiment, member, accelerator, report = _opened(run)
    cfg = experiment.cfg
    frame, root, spec = read_unlabelled(data, cfg.data.format, cfg.space), image_root(data, cfg.data.format), None
    spec = view_spec(cfg)
    views = cached_views(root, frame["path"].tolist(), [spec], cfg, accelerator, report)
    reader = open_reader(
        open_photos(root, frame, [spec], views, seed=cfg.seed),
        np.arange(len(frame)),
        accelerator=accelerator,
        views=cfg.predict.views,
        batch_size=cfg.predict.batch_size,
        workers=worker_count(cfg.device, accelerator, cached=bool(views)),
    )
    predictor = Predictor(_network(member), member.space, spec)
    execution = experiment.plans[member.task].infer
    return _view_mean(view_features(predictor, reader, accelerator=accelerator, execution=execution))


def _network(member: Member) -> Network:
    return fresh_network(member, member.cfg.seed, 0)[0].eval()


def _view_mean(feature_VND: Floats) -> Floats:
    mean_ND: Floats = feature_VND.mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean_ND
