"""The classifier of a fold answers as the run does, also for views that crop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny import train

from maskcls.data.photos.images import read_image
from maskcls.data.views.transforms import eval_view
from maskcls.engine.device import start
from maskcls.results.predictions import Predictions
from maskcls.rundir import RunDir
from maskcls.synth.rows.fold_classifier import open_fold_classifier
from maskcls.training.stored_experiment import open_experiment


@pytest.mark.parametrize("crop", ["[1.0, 1.0]", "[0.8, 0.7]"])
def test_images_that_are_cropped_already_get_the_labels_of_the_photos(drawn: Path, tmp_path: Path, crop: str) -> None:
    run = RunDir(tmp_path / "run")
    words = (f"transforms.crop={crop}", "predict.views=none", "train.epochs=1", "optim.lr=1e-2")
    assert train(drawn, run.path, *words) == 0
    experiment, env = open_experiment(run)
    classifier = open_fold_classifier(experiment, env.folds, 0, start(experiment.cfg.device))
    oof, spec = Predictions.load(run.oof), classifier.ready[0].spec
    fold_of = dict(zip(experiment.manifest["id"], experiment.fold, strict=True))
    path_of = dict(zip(experiment.manifest["id"], experiment.photo_paths, strict=True))
    chosen = [place for place, name in enumerate(oof.ids.tolist()) if fold_of[name] == 0][:20]
    folder = Path(experiment.photo_root)
    views = np.stack([eval_view(read_image(folder / path_of[oof.ids[place]]), spec) for place in chosen])
    assert classifier.labels(views).tolist() == oof.labels()[chosen].tolist()
