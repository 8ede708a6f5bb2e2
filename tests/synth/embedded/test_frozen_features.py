"""Features of photos: equal to a plain loop over files, of the right network, and never of one that saw the fold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from maskcls.data.photos.images import read_image
from maskcls.data.views.transforms import eval_view
from maskcls.engine.checkpoint import load_predictor
from maskcls.errors import ResultError
from maskcls.nn.network import Network
from maskcls.rundir import REFIT, RunDir
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.embedded import frozen_features
from maskcls.synth.embedded.frozen_features import FoldFeatures, file_features, fold_features, image_features, uncropped
from maskcls.training.experiment import Experiment
from maskcls.training.plans import fresh_network
from maskcls.training.stored_experiment import open_experiment

QUIET = Reporter(quiet=True)
CLOSE = {"rtol": 1e-4, "atol": 1e-5}  # fused batch norms and another length of batch round differently
WORDS = ("train.epochs=1", "transforms.crop=[0.8,0.9]", "data.cache=off")


@pytest.fixture(scope="module")
def trained(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    run = RunDir(tmp_path_factory.mktemp("features") / "run")
    assert tiny.train(drawn, run.path, *WORDS) == 0
    return run


@pytest.fixture(scope="module")
def stored(trained: RunDir) -> Experiment:
    return open_experiment(trained)[0]


@pytest.fixture(scope="module")
def of_fold_1(stored: Experiment, trained: RunDir) -> FoldFeatures:
    return fold_features(stored, 1, run=trained, report=QUIET)


@torch.inference_mode()
def _by_hand(experiment: Experiment, network: Network, row: int, *, crop: bool = True) -> np.ndarray:
    """Return the features of one photo: decoded, cropped, resized, normalised, through the trunk, alone."""
    spec = experiment.members[0].blueprint.spec if crop else uncropped(experiment.members[0].blueprint.spec)
    image = read_image(experiment.photo_root / experiment.photo_paths[row], at_least=spec.decode_size)
    pixels = torch.from_numpy(eval_view(image, spec)).permute(2, 0, 1)[None] / 255
    mean, std = (torch.tensor(one).reshape(1, 3, 1, 1) for one in (spec.mean, spec.std))
    return network.eval().trunk((pixels - mean) / std)[0].numpy()


def test_rows_of_a_fold_are_split_by_people_and_carry_what_the_manifest_says(
    stored: Experiment, of_fold_1: FoldFeatures
) -> None:
    manifest, fold = stored.manifest, of_fold_1
    np.testing.assert_array_equal(fold.valid.row_n, np.flatnonzero(stored.fold == 1))
    np.testing.assert_array_equal(fold.train.row_n, np.flatnonzero(stored.fold != 1))
    assert not set(fold.train.person_n) & set(fold.valid.person_n)
    for part in (fold.train, fold.valid):
        assert part.ids.tolist() == manifest["id"].to_numpy()[part.row_n].tolist()
        assert part.feature_nD.shape == (len(part.row_n), of_fold_1.train.feature_nD.shape[1])
        assert part.feature_nD.dtype == np.float32
        for name in ("mask", "gender", "age"):
            np.testing.assert_array_equal(part.labels[name], stored.labels[name][part.row_n])


def test_features_are_those_of_the_folds_own_network(
    stored: Experiment, trained: RunDir, of_fold_1: FoldFeatures
) -> None:
    own, other = (load_predictor(trained.fold(k).best).network for k in (1, 0))
    for part in (of_fold_1.train, of_fold_1.valid):
        for place in (0, len(part.row_n) - 1):
            np.testing.assert_allclose(part.feature_nD[place], _by_hand(stored, own, part.row_n[place]), **CLOSE)
    difference = np.abs(of_fold_1.train.feature_nD[0] - _by_hand(stored, other, of_fold_1.train.row_n[0]))
    assert difference.max() > 1e-3


def test_without_a_run_they_are_those_of_the_starting_weights(stored: Experiment) -> None:
    fold = fold_features(stored, 0, run=None, report=QUIET)
    network, _ = fresh_network(stored.members[0], stored.cfg.seed, 0)
    np.testing.assert_allclose(fold.valid.feature_nD[2], _by_hand(stored, network, fold.valid.row_n[2]), **CLOSE)


def test_every_photo_is_read_once(stored: Experiment, trained: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    batches = frozen_features.open_reader
    monkeypatch.setattr(
        frozen_features, "open_reader", lambda photos, rows, **rest: asked.extend(rows) or batches(photos, rows, **rest)
    )
    fold_features(stored, 0, run=trained, report=QUIET)
    assert sorted(asked) == list(range(len(stored.manifest)))


def test_a_network_that_saw_the_folds_people_is_refused(stored: Experiment, trained: RunDir) -> None:
    exchanged = stored.folds.assign(fold=1 - stored.folds["fold"])
    moved = replace(stored, folds=exchanged, run=RunDir(Path("elsewhere")))
    with pytest.raises(ResultError, match="trained on people who validate this fold"):
        fold_features(moved, 0, run=trained, report=QUIET)
    same = replace(stored, run=RunDir(Path("elsewhere")))
    assert len(fold_features(same, 0, run=trained, report=QUIET).valid.ids)


def test_a_network_that_is_not_finished_is_refused(stored: Experiment, trained: RunDir) -> None:
    with pytest.raises(ResultError, match="not finished"):
        fold_features(stored, REFIT, run=trained, report=QUIET)


def test_files_and_images_give_the_same_features_as_the_rows(
    stored: Experiment, trained: RunDir, of_fold_1: FoldFeatures
) -> None:
    extractor = frozen_features.open_extractor(stored, stored.members[0], 1, run=trained)
    rows = of_fold_1.valid.row_n[:3]
    paths = [stored.photo_root / stored.photo_paths[row] for row in rows]
    found = file_features(extractor, paths, QUIET, cropped=False)
    np.testing.assert_allclose(found, of_fold_1.valid.feature_nD[:3], **CLOSE)
    whole = file_features(extractor, paths, QUIET, cropped=True)
    network = load_predictor(trained.fold(1).best).network
    np.testing.assert_allclose(whole[0], _by_hand(stored, network, rows[0], crop=False), **CLOSE)
    assert np.abs(whole - found).max() > 1e-3
    spec = extractor.spec
    views = np.stack([eval_view(read_image(path, at_least=spec.decode_size), spec) for path in paths])
    np.testing.assert_allclose(image_features(extractor, views, QUIET), found, **CLOSE)
    assert image_features(extractor, views[:0], QUIET).shape == (0, found.shape[1])
