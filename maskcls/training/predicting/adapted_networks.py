"""The networks of a run adapted, without labels, to the photos they are to predict: predict.adapt.

N photos, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from maskcls import files
from maskcls.data.dataset import Photos, batches
from maskcls.data.photos.identity.photo_digests import PhotoDigests
from maskcls.engine.adaptation.batch_statistics import has_batch_norm, with_batch_statistics
from maskcls.engine.adaptation.recolouring import feature_moments, with_feature_map
from maskcls.engine.compute.plan import Execution
from maskcls.engine.device import Accelerator, normalise, worker_count
from maskcls.engine.infer import Predictor, Reader, open_reader
from maskcls.errors import ConfigError, DataError
from maskcls.labels import Ints
from maskcls.machine import refuse_several
from maskcls.nn.network import Network
from maskcls.results.shift.coral import FeatureMoments, coral_map, coral_shrinkage
from maskcls.runs.lineage import UsedAdaptation
from maskcls.schema import Config
from maskcls.show.terminal.progress import Reporter
from maskcls.training.checks import with_photos
from maskcls.training.experiment import Experiment
from maskcls.training.known_photos import cured_by_restoring
from maskcls.training.photos import Views, open_photos
from maskcls.training.predicting.loaded_networks import LoadedNetwork, prediction_execution
from maskcls.training.stored_experiment import refuse_missing_data
from maskcls.viewnames import parse_views

LEAST_PHOTOS = 20  # to predict; of fewer, statistics say more about who happens to be on them than about the camera
MOST_PHOTOS = 4_000  # to predict, and of a fold's validation photos: for their covariances
BATCH_PHOTOS = 256  # that batch norms are measured on, in one batch


@dataclass(frozen=True)
class AdaptingRows:
    """Photos that statistics are taken of: rows of `photos`, in the order of their ids, and the ids (N,)."""

    photos: Photos
    row_N: Ints
    id_N: NDArray[np.str_]

    @staticmethod
    def of(photos: Photos, row_N: Ints, id_N: NDArray[np.str_]) -> AdaptingRows:
        """Sort rows by id, so that statistics do not depend on the order of a table."""
        order_N = np.argsort(id_N, kind="stable")
        return AdaptingRows(photos, row_N[order_N], id_N[order_N])

    def some(self, most: int) -> AdaptingRows:
        """Return at most so many rows: those whose ids have the lowest digests, in the order of the ids."""
        if len(self.row_N) <= most:
            return self
        digests = [files.sha256(name.encode()) for name in self.id_N.tolist()]
        kept_N = np.sort(np.argsort(np.array(digests), kind="stable")[:most])
        return AdaptingRows(self.photos, self.row_N[kept_N], self.id_N[kept_N])

    @property
    def sha256(self) -> str:
        """A digest of the ids."""
        return files.sha256("\0".join(self.id_N.tolist()).encode())


def adapt_networks(
    experiment: Experiment,
    networks: Sequence[LoadedNetwork],
    frame: pd.DataFrame,
    cfg: Config,
    root: Path,
    views: Views,
    accelerator: Accelerator,
    report: Reporter,
    known: PhotoDigests | None = None,
) -> tuple[list[LoadedNetwork], UsedAdaptation]:
    """Return the networks adapted to these photos by cfg.predict.adapt, which is not `none`, and what was done.

    frame, root, views, known  the photos to predict, as `predict_each` takes them. With coral, the photos that
                               validated each network are read as well.

    Raises DataError for fewer than LEAST_PHOTOS photos, and for a run whose data set is not there; ConfigError for
    adabn with a backbone without batch norm; UsageError in several processes.
    """
    check_adaptable(networks, len(frame), cfg)
    coral = cfg.predict.adapt == "coral"
    if coral:
        refuse_missing_data(experiment, takes_data=False)
        with cured_by_restoring(takes_data=False):
            experiment = with_photos(experiment, accelerator, report, build=False)
    id_N = frame["id"].to_numpy(np.str_)
    execution = prediction_execution([one.predictor for one in networks], len(frame), cfg, accelerator, report)
    adapted, shrinkage, train_photos = [], [], 0
    done, what = 0, f"adapting to {len(frame):,} photos (predict.adapt={cfg.predict.adapt})"

    def count(images: int) -> None:
        nonlocal done
        done += images
        report.images(what, min(done, of), of)

    sources = [unseen_rows(experiment, network) if coral else None for network in networks]
    of = sum(min(len(frame), MOST_PHOTOS) + len(rows.row_N) if rows is not None else BATCH_PHOTOS for rows in sources)
    for network, source in zip(networks, sources, strict=True):
        spec = network.predictor.spec
        mine = {spec: views[spec]} if views else {}
        photos = open_photos(root, frame, [spec], mine, seed=cfg.seed, known=known)
        new = AdaptingRows.of(photos, np.arange(len(frame)), id_N)
        moments = None
        if source is not None:
            moments = moments_of(network.predictor, source, cfg, accelerator, execution, count)
        predictor, shrunk = adapt_network(network.predictor, new, moments, cfg, accelerator, execution, count)
        adapted.append(replace(network, predictor=predictor))
        if source is not None:
            shrinkage.append(shrunk)
            train_photos = max(train_photos, len(source.row_N))
    used = UsedAdaptation(
        method=cfg.predict.adapt,
        photos=len(frame),
        ids_sha256=files.sha256("\0".join(sorted(id_N.tolist())).encode()),
        train_photos=train_photos,
        shrinkage=tuple(shrinkage),
    )
    return adapted, used


def adapt_network(
    predictor: Predictor,
    new: AdaptingRows,
    source: FeatureMoments | None,
    cfg: Config,
    accelerator: Accelerator,
    execution: Execution,
    on_images: Callable[[int], None] = lambda count: None,
) -> tuple[Predictor, float]:
    """Return a network adapted to new photos, and the shrinkage of its covariances, 0 with adabn.

    source  for coral, the moments of its features of photos that it has not seen, without a shift.
    """
    if source is None:
        return replace(predictor, network=_with_their_statistics(predictor, new, accelerator, execution)), 0.0
    moments = moments_of(predictor, new.some(MOST_PHOTOS), cfg, accelerator, execution, on_images)
    photos = min(moments.count, source.count) // len(parse_views(cfg.predict.views))
    shrinkage = coral_shrinkage(photos, len(source.mean_D))
    mapping = coral_map(source, moments, shrinkage=shrinkage)
    return replace(predictor, network=with_feature_map(predictor.network, mapping)), shrinkage


def moments_of(
    predictor: Predictor,
    rows: AdaptingRows,
    cfg: Config,
    accelerator: Accelerator,
    execution: Execution,
    on_images: Callable[[int], None] = lambda count: None,
) -> FeatureMoments:
    """Return the moments of a network's features of photos, in the views of the prediction."""
    reader = _reader(rows, cfg, accelerator, cfg.predict.batch_size)
    return feature_moments(predictor, reader, accelerator=accelerator, execution=execution, on_images=on_images)


def unseen_rows(experiment: Experiment, network: LoadedNetwork) -> AdaptingRows:
    """Return the photos that validated a network of a fold, at most MOST_PHOTOS: of people it has not seen.

    Photos that it was trained on have other features: they are further apart than those of new people.
    """
    member = next(m for m in experiment.members if (m.task, m.cfg.seed) == (network.task, network.seed))
    rows = experiment.rows(member, network.fold)
    id_N = experiment.manifest["id"].to_numpy(np.str_)[rows.valid]
    return AdaptingRows.of(rows.photos, rows.valid, id_N).some(MOST_PHOTOS)


def check_adaptable(networks: Sequence[LoadedNetwork], photos: int, cfg: Config) -> None:
    """Raise what is wrong with an adaptation before photos are read; see `adapt_networks`."""
    where = f"predict.adapt={cfg.predict.adapt}" if cfg.predict.adapt != "none" else "--adapt"
    refuse_several("the adaptation of networks", where)
    if photos < LEAST_PHOTOS:
        raise DataError(
            "there are too few photos to adapt to",
            where=where,
            got=str(photos),
            expected=f"at least {LEAST_PHOTOS}",
            fix="predict them with predict.adapt=none, or together with more photos of the same source",
        )
    if cfg.predict.adapt == "adabn" and (lacking := [n for n in networks if not has_batch_norm(n.predictor.network)]):
        raise ConfigError(
            "a backbone has no batch norm, whose statistics adabn re-estimates",
            where=where,
            got=f"networks of {cfg.model.trunk}",
            offenders=list(dict.fromkeys(network.task or "all tasks" for network in lacking)),
            fix="use predict.adapt=coral, which fits every backbone",
        )


def _with_their_statistics(
    predictor: Predictor, new: AdaptingRows, accelerator: Accelerator, execution: Execution
) -> Network:
    rows, spec = new.some(BATCH_PHOTOS), predictor.spec
    (images,) = next(iter(batches(_reader(rows, None, accelerator, len(rows.row_N)).source)))  # one batch, one spec
    device = accelerator.device
    network = predictor.network.to(device).to(memory_format=execution.layout)
    floats_BCHW = normalise(images.to(device), mean=spec.mean, std=spec.std, execution=execution)
    with execution.autocast(device):
        return with_batch_statistics(network, floats_BCHW)


def _reader(rows: AdaptingRows, cfg: Config | None, accelerator: Accelerator, batch_size: int) -> Reader:
    return open_reader(
        rows.photos,
        rows.row_N,
        accelerator=accelerator,
        views="none" if cfg is None else cfg.predict.views,
        batch_size=batch_size,
        workers=0 if cfg is None else worker_count(cfg.device, accelerator, cached=bool(rows.photos.cached)),
    )
