"""The checks without training, on tiny networks through the training path: each finds its fault, and only that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny
from torch import nn

from maskcls.diagnosis.baselines import colour_histogram, out_of_fold, predict_simply
from maskcls.diagnosis.opened import open_probes
from maskcls.diagnosis.probe import Probe, different_rows
from maskcls.diagnosis.with_training.shuffled import check_shuffled, with_shuffled_labels
from maskcls.diagnosis.without_training.evaluation import check_evaluation, predicted_twice
from maskcls.diagnosis.without_training.fitting_labels import check_fitting_labels
from maskcls.diagnosis.without_training.gradient import check_gradient, gradient_sizes
from maskcls.diagnosis.without_training.inputs import blank_share, check_inputs
from maskcls.diagnosis.without_training.layers import check_layers, trained_share
from maskcls.diagnosis.without_training.normalisation import check_normalisation, expected_images
from maskcls.diagnosis.without_training.quick import quick_checks, some_rows
from maskcls.diagnosis.without_training.split import check_split, equal_pairs
from maskcls.engine import step
from maskcls.groupnouns import PHOTOS
from maskcls.nn import losses
from maskcls.results.diagnosis.chance import Chance
from maskcls.results.diagnosis.close_photos import ClosePhotos
from maskcls.results.diagnosis.finding import CheckName, Finding
from maskcls.show.terminal.progress import Reporter

CLOSE = ClosePhotos((), 0.05, 100)


def probe_of(data: Path, *words: str) -> Probe:
    with Reporter(quiet=True) as report:
        return open_probes(data, tiny(*words), report)[0]


def found_by(probe: Probe, name: CheckName) -> Finding:
    (found,) = quick_checks(probe, [name], Reporter(quiet=True))
    assert found.check == name
    return found


@pytest.fixture(scope="module")
def probe(drawn: Path) -> Probe:
    return probe_of(drawn)


CHEAP: tuple[CheckName, ...] = ("inputs", "normalisation", "split", "first loss", "evaluation", "layers", "gradient")


@pytest.mark.parametrize("name", CHEAP)
def test_a_healthy_set_up_passes(probe: Probe, name: CheckName) -> None:
    found = found_by(probe, name)
    assert found.verdict == "pass", found
    assert found.cause == ""


@pytest.mark.parametrize(
    ("words", "name", "cause"),
    [
        (["transforms.mean=[0,0,0]", "transforms.std=[1,1,1]"], "normalisation", "no normalisation"),
        (["transforms.std=[0.004,0.004,0.004]"], "normalisation", "no normalisation"),
        (["optim.freeze_layers=6"], "layers", "frozen backbone"),
    ],
)
def test_a_broken_setting_is_found(drawn: Path, words: list[str], name: CheckName, cause: str) -> None:
    found = found_by(probe_of(drawn, *words), name)
    assert (found.verdict, found.cause) == ("fail", cause)
    assert found.next


def test_layers_counts_what_gets_a_gradient(drawn: Path) -> None:
    whole, part = (trained_share(probe_of(drawn, f"optim.freeze_layers={count}")) for count in (0, 3))
    assert whole == 1
    assert 0 < part < 1
    assert check_layers(part, "").verdict == "pass"
    assert check_layers(0.005, "").verdict == "fail"


def test_freeze_epochs_count_in_the_last_epoch(drawn: Path) -> None:
    assert trained_share(probe_of(drawn, "optim.freeze_epochs=1", "train.epochs=2")) == 1


def test_a_negative_loss_is_found(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    right = losses.cross_entropy
    monkeypatch.setattr(losses, "cross_entropy", lambda *given: -right(*given))
    found = found_by(probe, "first loss")
    assert (found.verdict, found.cause) == ("fail", "loss sign")


def test_a_loss_of_another_scale_is_found(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    right = losses.cross_entropy
    monkeypatch.setattr(losses, "cross_entropy", lambda *given: 1.1 * right(*given))
    found = found_by(probe, "first loss")
    assert (found.verdict, found.cause) == ("fail", "loss scale or heads")


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        (["loss.all=smooth(epsilon=0.2)"], "pass"),
        (["loss.all=focal(gamma=2)", "balance.weights={age: 2}"], "pass"),
        (["loss.all=bce"], "pass"),
        (["loss.all=ce(weights=inverse)"], "pass"),
        (["loss.all=0.5*ce+0.5*f1"], "unknown"),
        (["loss.all=la"], "unknown"),
        (["age.head=ordinal"], "pass"),  # mask and gender are compared
        (["model.heads=joint"], "pass"),
        (["mix.kind=cutmix", "mix.prob=1"], "pass"),
    ],
)
def test_the_first_loss_of_every_loss(drawn: Path, words: list[str], verdict: str) -> None:
    assert found_by(probe_of(drawn, *words), "first loss").verdict == verdict


def test_dropout_in_prediction_is_found(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(self: nn.Dropout, given: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(given, self.p, training=True)

    dropping = probe_of(drawn, "model.drop=0.3")
    assert found_by(dropping, "evaluation").verdict == "pass"
    monkeypatch.setattr(nn.Dropout, "forward", forward)
    found = found_by(dropping, "evaluation")
    assert (found.verdict, found.cause) == ("fail", "dropout at evaluation")
    first, second = predicted_twice(dropping)
    assert check_evaluation(first, first, "").verdict == "pass"
    assert not np.array_equal(first, second)


class Mixed(nn.Module):
    """Add the mean over the batch to every row."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.trunk(images)
        return features + features.mean(dim=0)


def test_rows_that_are_mixed_are_found(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = some_rows(probe, 3)
    sizes = gradient_sizes(probe, rows)
    assert (np.diag(sizes) > 0).all()
    assert (sizes - np.diag(np.diag(sizes)) == 0).all()
    plain = Probe.network

    def mixing(self: Probe) -> nn.Module:
        network = plain(self)
        network.trunk = Mixed(network.trunk)
        return network

    monkeypatch.setattr(Probe, "network", mixing)
    found = check_gradient(gradient_sizes(probe, rows), "")
    assert (found.verdict, found.cause) == ("fail", "rows are mixed")
    assert check_gradient(np.diag([1.0, 0.0]), "").cause == "dead network"


def images(*levels: int) -> np.ndarray:
    return np.stack([np.full((8, 8, 3), level, np.uint8) for level in levels])


def test_blank_and_equal_images_are_found() -> None:
    rng = np.random.default_rng(0)
    noisy = rng.integers(255, size=(10, 8, 8, 3)).astype(np.uint8)
    varied = rng.normal(size=(10, 3, 8, 8)).astype(np.float32)
    assert check_inputs(varied, noisy, "").verdict == "pass"
    assert check_inputs(varied, images(*range(10)), "").cause == "dead input"
    assert check_inputs(np.repeat(varied[:1], 10, axis=0), noisy, "").cause == "dead input"
    assert check_inputs(varied * np.nan, noisy, "").cause == "dead input"
    assert blank_share(np.concatenate([noisy, images(0)])) == pytest.approx(1 / 11)


def test_other_constants_are_a_fault_of_trained_weights_alone() -> None:
    views = np.random.default_rng(0).integers(255, size=(6, 8, 8, 3)).astype(np.uint8)
    imagenet = expected_images(views, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    half = expected_images(views, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert check_normalisation(imagenet, half, "", trained=False).verdict == "pass"
    assert check_normalisation(imagenet, half, "", trained=True).verdict == "fail"
    assert check_normalisation(half * 1.1, half, "", trained=True).verdict == "pass"
    assert check_normalisation(half * 0, half * 0, "", trained=True).verdict == "unknown"


def test_a_split_that_leaks_is_found() -> None:
    assert check_split([], CLOSE, "ab", "").verdict == "pass"
    assert check_split(["ann"], CLOSE, "ab", "").cause == "leaking split"
    assert check_split([], replace(CLOSE, copies=((0, 1),)), "ab", "").cause == "leaking split"
    assert check_split([], replace(CLOSE, nearer=0.5), "ab", "").cause == "leaking split"
    assert check_split([], ClosePhotos((), 0.5, 10), "ab", "").verdict == "pass"  # too few photos to tell


def test_very_similar_single_photos_are_reported_and_equal_ones_fail() -> None:
    none, near = ClosePhotos((), float("nan"), 0), ClosePhotos(((0, 1),), float("nan"), 0)
    assert check_split([], none, "ab", "", PHOTOS).verdict == "pass"
    found = check_split([], near, "ab", "", PHOTOS)
    assert found.verdict == "unknown"
    assert "a = b" in found.found
    assert any("data check" in word for word in found.next)
    assert check_split([], near, "ab", "", ("patient", "patients")).verdict == "fail"  # one photo per patient
    assert check_split([], near, "ab", "", PHOTOS, [(0, 1)]).cause == "leaking split"


def test_equal_photos_of_two_folds_are_pairs() -> None:
    views = images(5, 6, 5, 5)
    assert equal_pairs(views, np.array([0, 0, 1, 1])) == ((0, 2), (0, 3))
    assert equal_pairs(views, np.array([0, 1, 0, 0])) == ()


def test_people_on_both_sides_are_named(probe: Probe) -> None:
    everybody = np.sort(np.append(probe.rows.train, probe.rows.valid))
    found = found_by(probe.on(everybody, probe.rows.valid), "split")
    assert found.cause == "leaking split"
    assert "are both trained on and held out" in found.found


def test_shuffled_labels_move_between_people_and_keep_their_counts(probe: Probe) -> None:
    made = with_shuffled_labels(probe, 1).rows
    for task in ("mask", "gender", "age"):
        before, after = probe.rows.labels[task], made.labels[task]
        assert (before != after).any()
        if task != "mask":
            assert all(len(set(after[made.people == person])) == 1 for person in np.unique(made.people))
    assert np.bincount(made.labels["mask"]).tolist() == np.bincount(probe.rows.labels["mask"]).tolist()
    age = probe.member.space.task("age")
    assert age.band(made.values["age"]).tolist() == made.labels["age"].tolist()


def test_shuffled_labels_must_score_as_chance() -> None:
    assert check_shuffled({"mask": Chance(0.4, 0.35, 0.02)}, "").verdict == "pass"
    assert check_shuffled({"mask": Chance(0.5, 0.35, 0.02)}, "").cause == "leaking split"


@pytest.mark.parametrize(
    ("score", "sd", "verdict"),
    [(0.6, 0.02, "pass"), (0.36, 0.02, "fail"), (0.41, 0.02, "unknown"), (0.36, 0.1, "unknown")],
)
def test_labels_are_compared_with_chance(score: float, sd: float, verdict: str) -> None:
    found = check_fitting_labels({"mask": {"colours": Chance(score, 0.35, sd), "neighbour": Chance(0.3, 0.35, sd)}}, "")
    assert found.verdict == verdict
    assert found.cause == ("shuffled labels" if verdict == "fail" else "")


def test_simple_models_learn_what_is_simple() -> None:
    rng = np.random.default_rng(0)
    label = np.arange(60) % 3
    features = (np.eye(3)[label] * 4 + rng.normal(0, 0.5, (60, 3))).astype(np.float32)
    fold = (np.arange(60) // 3 % 3).astype(np.int8)
    found = out_of_fold({"neighbour": features, "colours": features, "constant": features}, label, fold)
    assert (found["neighbour"] == label).all()
    assert (found["colours"] == label).mean() > 0.95
    assert set(found["constant"].tolist()) == {0}
    unknown = np.where(np.arange(60) < 3, -1, label)
    assert set(predict_simply("neighbour", features, unknown, features).tolist()) == {0, 1, 2}


def test_a_histogram_counts_colours_of_both_halves() -> None:
    view = np.zeros((8, 4, 3), np.uint8)
    view[4:, :, 0] = 255
    found = colour_histogram(view)
    assert found.shape == (128,)
    assert found[0] == 1
    assert found[64 + 3 * 16] == 1
    assert found.sum() == 2


def test_rows_of_a_batch_are_of_different_classes() -> None:
    labels = np.array([0] * 50 + [1, 2, 3] + [-1] * 5)
    rows = different_rows(labels, np.arange(58), 6, seed=0)
    assert sorted(set(labels[rows].tolist())) == [0, 1, 2, 3]
    assert len(rows) == 6


def test_a_gradient_with_the_wrong_sign_is_found(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from maskcls.diagnosis.without_training import one_batch

    probe = probe_of(drawn, "optim.lr=0.03")

    balanced: Callable[..., torch.Tensor] = step._balanced
    monkeypatch.setattr(step, "_balanced", lambda *given: -balanced(*given))
    monkeypatch.setattr(one_batch, "STEPS", 12)
    monkeypatch.setattr(one_batch, "MOST_STEPS", 12)
    found = found_by(probe, "one batch")
    assert (found.verdict, found.cause) == ("fail", "loss sign")
