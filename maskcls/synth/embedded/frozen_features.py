"""Features of photos before the heads of a network that is not trained further.

n rows, D features, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maskcls.data.dataset import Photos
from maskcls.data.rows.batches import Rows
from maskcls.data.views.transforms import ViewSpec, eval_view
from maskcls.engine.checkpoint import load_predictor, read_meta
from maskcls.engine.compute.plan import Execution
from maskcls.engine.device import Accelerator, start, worker_count
from maskcls.engine.features import view_features
from maskcls.engine.infer import Predictor, open_reader
from maskcls.engine.step_plan import FoldRows
from maskcls.errors import ResultError, shell_word
from maskcls.labels import Floats, Ints
from maskcls.rundir import REFIT, RunDir
from maskcls.runs.integrity.done_file import check_finished_with
from maskcls.runs.locks import run_lock
from maskcls.schema import Config
from maskcls.schema.group_noun import group_noun
from maskcls.show.terminal.progress import Reporter
from maskcls.training.experiment import Experiment, Member, view_spec
from maskcls.training.plans import fresh_network
from maskcls.training.stored_experiment import open_experiment


@dataclass(frozen=True)
class FeatureRows:
    """Photos with their features.

    row_n     int64, their rows in the manifest; ids: str, their ids.
    feature_nD  float32, of their eval view.
    labels    {task: (n,) int64} class indices, -1 = unknown.
    person_n  int64, the person of each as a number, the same in all parts of an experiment.
    weight_n  float32, their weight in training.
    """

    row_n: Ints
    ids: NDArray[np.str_]
    feature_nD: Floats
    labels: dict[str, Ints]
    person_n: Ints
    weight_n: Floats

    def at(self, places: Ints) -> FeatureRows:
        """Return the photos at these places."""
        labels = {name: label_n[places] for name, label_n in self.labels.items()}
        return FeatureRows(
            self.row_n[places],
            self.ids[places],
            self.feature_nD[places],
            labels,
            self.person_n[places],
            self.weight_n[places],
        )


@dataclass(frozen=True)
class FoldFeatures:
    """The photos that a fold trains on, and those of its validation people, with features of the fold's network."""

    train: FeatureRows
    valid: FeatureRows


@dataclass(frozen=True)
class Extractor:
    """A network with the device that it computes features on; see `open_extractor`."""

    predictor: Predictor
    cfg: Config
    accelerator: Accelerator
    execution: Execution

    @property
    def spec(self) -> ViewSpec:
        """The view of a photo that it sees."""
        return self.predictor.spec


def open_extractor(
    experiment: Experiment, member: Member, k: int, *, run: RunDir | None, accelerator: Accelerator | None = None
) -> Extractor:
    """Return what computes the features of fold k, or REFIT.

    run  whose network of this member and fold has the best weights; None: the trunk of model.weights, or of the hub,
         or of the seed, which has seen no photo of the experiment.

    Raises ResultError for a network that is not finished, and where it was trained on validation people of the fold.
    """
    accelerator = accelerator or start(member.cfg.device)
    plan = experiment.plans.get(member.task)
    execution = plan.infer if plan is not None else Execution()
    if run is None:
        network, _ = fresh_network(member, member.cfg.seed, k)
        predictor = Predictor(network.eval(), member.space, view_spec(member.cfg))
    else:
        _refuse_leak(experiment, run, k)
        folder = run.fold(k, member.name)
        folder = folder.continued if member.continued else folder
        if not folder.done.exists():
            raise ResultError(
                "the run is not finished",
                where=str(folder.path),
                fix=f"maskcls resume {shell_word(run.path)}, then try again",
            )
        with run_lock.reading(run):
            predictor = load_predictor(folder.best)
            check_finished_with(folder, read_meta(folder.best).sha256)
    return Extractor(predictor, member.cfg, accelerator, execution)


def _refuse_leak(experiment: Experiment, run: RunDir, k: int) -> None:
    """Raise ResultError if a run's network of fold k was trained on people who validate that fold here."""
    if run.path == experiment.run.path or k == REFIT:
        return
    stored, _ = open_experiment(run)
    trained = set(stored.manifest["person"][stored.fold != k])
    leaked = sorted(trained & set(experiment.manifest["person"][experiment.fold == k]))
    if leaked:
        many = group_noun(experiment.cfg)[1]
        raise ResultError(
            f"the network of fold {k} was trained on {many} who validate this fold",
            where=str(run.path),
            offenders=[str(name) for name in leaked],
            fix="use a run with the same folds",
        )


def fold_features(
    experiment: Experiment,
    k: int,
    *,
    run: RunDir | None,
    report: Reporter,
    member: Member | None = None,
    accelerator: Accelerator | None = None,
) -> FoldFeatures:
    """Return the features of fold k's photos, each read once.

    run     see `open_extractor`; its folds must be those of the experiment.
    member  the network; None: the first one of the experiment.

    The photos come from `experiment.views` where it has the cache, else from the files.
    """
    member = member or experiment.kinds[0]
    rows = experiment.rows(member, k)
    extractor = open_extractor(experiment, member, k, run=run, accelerator=accelerator)
    whole = feature_rows(experiment, rows, np.concatenate([rows.train, rows.valid]), extractor, report)
    count = len(rows.train)
    return FoldFeatures(whole.at(np.arange(count)), whole.at(np.arange(count, len(whole.row_n))))


def feature_rows(
    experiment: Experiment, rows: FoldRows, row_n: Rows, extractor: Extractor, report: Reporter
) -> FeatureRows:
    """Return these rows of a fold with their features."""
    return with_features(experiment, rows, row_n, photo_features(extractor, rows.photos, row_n, report))


def with_features(experiment: Experiment, rows: FoldRows, row_n: Rows, feature_nD: Floats) -> FeatureRows:
    """Return these rows of a fold with features that were computed."""
    labels = {name: rows.labels[name][row_n] for name in experiment.cfg.space.names}
    ids_n = experiment.manifest["id"].to_numpy(np.str_)[row_n]
    return FeatureRows(row_n, ids_n, feature_nD, labels, rows.people[row_n], rows.weight[row_n])


def photo_features(extractor: Extractor, photos: Photos, rows_n: Rows, report: Reporter) -> Floats:
    """Return features (n, D) float32 of these rows' eval views, in their order. n may be 0.

    photos  opened with one view, the extractor's or that view without its crop.
    """
    accelerator, done, (spec,) = extractor.accelerator, 0, photos.specs

    def count(images: int) -> None:
        nonlocal done
        done += images
        report.images("embedding photos", done, len(rows_n))

    reader = open_reader(
        photos,
        rows_n,
        accelerator=accelerator,
        views="none",
        batch_size=extractor.cfg.predict.batch_size,
        workers=worker_count(extractor.cfg.device, accelerator, cached=bool(photos.cached)),
    )
    predictor = replace(extractor.predictor, spec=spec)
    (feature_nD,) = view_features(
        predictor, reader, accelerator=accelerator, execution=extractor.execution, on_images=count
    )
    return np.ascontiguousarray(feature_nD)


def file_features(extractor: Extractor, paths: Sequence[Path], report: Reporter, *, cropped: bool) -> Floats:
    """Return features (n, D) float32 of image files, each read once.

    cropped  whether they show what the view crops a photo to, as generated images do.
    """
    spec = uncropped(extractor.spec) if cropped else extractor.spec
    names = [str(path.resolve()) for path in paths]
    photos = Photos(Path(), names, names, [spec], seed=0)
    return photo_features(extractor, photos, np.arange(len(names)), report)


def image_features(extractor: Extractor, images_NHWC: NDArray[np.uint8], report: Reporter) -> Floats:
    """Return features (n, D) float32 of images (n, H, W, 3) uint8 that show what the view crops a photo to."""
    spec = uncropped(extractor.spec)
    views = np.zeros((len(images_NHWC), *spec.size, 3), np.uint8)
    for place, image_HWC in enumerate(images_NHWC):
        views[place] = eval_view(image_HWC, spec)
    names = [str(place) for place in range(len(views))]
    return photo_features(
        extractor, Photos(Path(), names, names, [spec], seed=0, cached=[views]), np.arange(len(views)), report
    )


def uncropped(spec: ViewSpec) -> ViewSpec:
    """Return the view without its first crop, for images that are cropped already."""
    return replace(spec, crop=(1.0, 1.0), crop_centre=(0.5, 0.5))
