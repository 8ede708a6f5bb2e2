"""A run's networks predict photos in memory as `predict` predicts their files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from tiny import train

from maskcls.cli import run_app
from maskcls.data.photos.images import read_image
from maskcls.errors import DataError, UsageError
from maskcls.results.predictions import Predictions
from maskcls.rundir import RunDir
from maskcls.show.terminal.progress import Reporter
from maskcls.training.predicting.run_model import RunModel, open_run_model

QUICK = ("model.backbone=test_convnext", "train.epochs=1", "schedule.warmup_epochs=0", "average.kind=none")


@pytest.fixture(scope="module")
def run(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folds of three networks; the one for gender gets larger photos. Its predictions of eval/ are stored."""
    made = tmp_path_factory.mktemp("separate") / "run"
    own = "separate={gender: {transforms.size: [48, 36], transforms.mean: [0.1, 0.2, 0.3]}}"
    assert train(drawn, made, "model.heads=separate", own, *QUICK) == 0
    output = str(made.parent / "s.csv")
    assert run_app(["predict", str(made), "--data", str(drawn), "-o", output, "predict.views=hflip"]) == 0
    return made


def opened(run: Path, *overrides: str) -> RunModel:
    with Reporter() as report:
        return open_run_model(RunDir(run), overrides, report=report)


def test_arrays_give_the_probabilities_of_their_files(run: Path, drawn: Path) -> None:
    (stored,) = (run / "test").glob("*hflip.npz")
    wanted, model = Predictions.load(stored), opened(run, "predict.views=hflip")
    photos = [read_image(drawn / "eval" / "images" / name) for name in wanted.ids.tolist()]

    found = model.predict(photos)

    assert found.shape == (len(wanted), 18)
    # Files may be decoded at a lower resolution, and the last bits depend on the number of photos in a batch.
    np.testing.assert_allclose(found, wanted.prob, atol=0.02)
    np.testing.assert_allclose(model.predict(photos[:1]), found[:1], atol=1e-5)
    assert (model.decide(found) == found.argmax(axis=1)).all()


def test_the_model_names_its_networks_and_sizes(run: Path) -> None:
    model = opened(run)

    assert model.decode_size == tuple(max(sizes) for sizes in zip(*(s.decode_size for s in model.specs), strict=True))
    assert len(model.specs) == 2
    assert len(model.origin["weights"]) == 6
    assert model.origin["views"] == "none"
    assert model.origin["decision"] is None


@pytest.mark.parametrize(
    "photo",
    [
        np.zeros((20, 20, 3), np.float32),
        np.zeros((20, 20), np.uint8),
        np.zeros((20, 20, 4), np.uint8),
        np.zeros((0, 20, 3), np.uint8),
    ],
)
def test_an_array_that_is_no_photo_is_refused_by_name(run: Path, photo: np.ndarray) -> None:
    good = np.zeros((20, 20, 3), np.uint8)

    with pytest.raises(DataError, match="not a photo") as caught:
        opened(run).predict([good, photo])

    assert caught.value.where == "photo 1"


def test_the_origin_names_the_rule_that_decides(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from maskcls.runs.decision import Decision
    from maskcls.training.predicting import run_model

    space = opened(run).space
    decision = Decision(space, dict.fromkeys(space.names, 1.0), None, (1 / 18,) * 18, "")
    monkeypatch.setattr(run_model, "read_decision", lambda run: decision)
    RunDir(run).decision.write_bytes(b"a rule")
    try:
        with Reporter() as report:
            model = open_run_model(RunDir(run), decide=True, report=report)
    finally:
        RunDir(run).decision.unlink()
    assert model.origin["decision"] == hashlib.sha256(b"a rule").hexdigest()


def test_a_rule_for_all_photos_together_cannot_decide_on_one(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from maskcls.results.decisions.rule import DecisionRule
    from maskcls.runs.decision import Decision
    from maskcls.training.predicting import run_model

    model = opened(run)
    rule = DecisionRule("shift", (0.0,) * 18)
    decision = Decision(model.space, dict.fromkeys(model.space.names, 1.0), rule, (1 / 18,) * 18, "")
    monkeypatch.setattr(run_model, "read_decision", lambda run: decision)

    with pytest.raises(UsageError, match="all photos together"), Reporter() as report:
        open_run_model(RunDir(run), decide=True, report=report)
