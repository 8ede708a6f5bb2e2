"""The classifier of a fold, which never saw the people that the fold validates: features and labels of samples.

M images, H height, W width, D features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maskcls.data.dataset import Photos
from maskcls.data.views.transforms import eval_view
from maskcls.engine.device import Accelerator
from maskcls.engine.infer import Predictor, infer_prepared, open_reader, prepare
from maskcls.errors import ResultError, WeightsError
from maskcls.labels import Floats, Ints
from maskcls.rundir import REFIT
from maskcls.schema.group_noun import group_noun
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.embedded.frozen_features import Extractor, image_features, open_extractor, uncropped
from maskcls.training.added.added_source import folds_sha256
from maskcls.training.experiment import Experiment
from maskcls.training.predicting.loaded_networks import LoadedNetwork, load_networks
from maskcls.training.prediction import joint


@dataclass(frozen=True)
class FoldClassifier:
    """The networks of one fold of a finished run, with its first seed.

    experiment  of the run. networks: one, or one per task; ready: the same, on the device.
    extractor   computes the features of the first one.
    """

    experiment: Experiment
    networks: Sequence[LoadedNetwork]
    ready: Sequence[Predictor]
    extractor: Extractor

    @property
    def sha256(self) -> str:
        """The hash of the weights that make the features."""
        return self.networks[0].sha256

    def features(self, images_MHWC: NDArray[np.uint8], report: Reporter) -> Floats:
        """Return the features (M, D) float32 of images (M, H, W, 3) uint8 that are cropped already."""
        return image_features(self.extractor, images_MHWC, report)

    def labels(self, images_MHWC: NDArray[np.uint8]) -> Ints:
        """Return the most probable joint class (M,) int64 of images that are cropped already."""
        ids = [str(place) for place in range(len(images_MHWC))]
        cfg, accelerator, probs = self.experiment.cfg, self.extractor.accelerator, list[Floats]()
        for one in self.ready:
            spec = uncropped(one.spec)
            whole = replace(one, spec=spec)  # the views of a reader are found by the spec of the network
            views = np.stack([eval_view(image_HWC, spec) for image_HWC in images_MHWC])
            reader = open_reader(
                Photos(Path(), ids, ids, [spec], seed=0, cached=[views]),
                np.arange(len(ids)),
                accelerator=accelerator,
                views="none",
                batch_size=cfg.predict.batch_size,
                workers=0,
            )
            (prob,) = infer_prepared([whole], reader, accelerator=accelerator, execution=self.extractor.execution)
            probs.append(prob)
        prob_MJ = joint(self.networks, probs, np.array(ids, dtype=np.str_), cfg.space).prob
        label_M: Ints = prob_MJ.argmax(axis=1).astype(np.int64)
        return label_M


def check_classifier(experiment: Experiment, generators: Experiment) -> None:
    """Raise an error for a run whose networks cannot tell anything about the samples of these generators.

    WeightsError for other classes; ResultError for other folds, and for a run without a score: its networks may have
    seen the people that the samples' folds validate.
    """
    where, many = str(experiment.run.path), group_noun(generators.cfg)[1]
    if experiment.cfg.space.fingerprint != generators.cfg.space.fingerprint:
        got, expected = experiment.cfg.space.first_difference(generators.cfg.space)
        raise WeightsError(
            "the classifier has other classes than the generators",
            where=where,
            got=got,
            expected=expected,
            fix="name a run of the same tasks",
        )
    digests = [folds_sha256(one.manifest, one.folds) for one in (experiment, generators)]
    if digests[0] != digests[1] or experiment.leaky:
        raise ResultError(
            f"networks of the classifier may have seen {many} that the samples' folds validate",
            where=where,
            got="a run trained with data.leaky=true" if experiment.leaky else f"folds of sha256 {digests[0][:16]}…",
            expected=f"folds of sha256 {digests[1][:16]}…, as the generators have",
            fix="name a run of the same folds with --classifier",
        )


def open_fold_classifier(
    experiment: Experiment, trained: Sequence[int], k: int, accelerator: Accelerator
) -> FoldClassifier:
    """Return the classifier of fold k. Of REFIT, which validates nobody: that of all rows, or of the first fold.

    trained  the folds of the run.

    Raises ResultError for a network that is not finished.
    """
    has_all = experiment.cfg.train.refit and experiment.fold_dir(experiment.kinds[0], REFIT).done.exists()
    fold = k if k != REFIT or has_all else trained[0]
    networks = load_networks(experiment, [(member, fold) for member in experiment.kinds])
    extractor = open_extractor(experiment, experiment.kinds[0], fold, run=experiment.run, accelerator=accelerator)
    ready = [prepare(one.predictor, accelerator, extractor.execution) for one in networks]
    return FoldClassifier(experiment, networks, ready, extractor)
