"""Several seeds as one run: each network is that of a run of its own, and together they answer with their mean."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny import hashes, in_a_fold, outcome, resume, train

from maskcls.cli import run_app
from maskcls.results.predictions import Predictions

WORDS = ("model.backbone=test_convnext", "train.epochs=1", "seed=3", "folds.seed=0")


@pytest.fixture(scope="module")
def both(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("seeds") / "run"
    assert train(drawn, run, *WORDS, "train.seeds=2") == 0
    return run


@pytest.fixture(scope="module")
def second(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("second") / "run"
    assert train(drawn, run, *WORDS, "seed=4") == 0
    return run


def test_each_network_is_that_of_a_run_with_its_seed(both: Path, second: Path) -> None:
    for k in range(2):
        ours = hashes(both / f"members/seed4/fold{k}")
        assert set(ours) == in_a_fold(1)
        assert ours["best/weights.safetensors"] == hashes(second / f"fold{k}")["best/weights.safetensors"]
        theirs = Predictions.load(second / f"fold{k}/oof.npz")
        assert np.array_equal(Predictions.load(both / f"members/seed4/fold{k}/oof.npz").prob, theirs.prob)
    assert sorted(path.name for path in (both / "members").iterdir()) == ["seed3", "seed4"]


def test_their_mean_is_what_is_scored(both: Path, second: Path) -> None:
    parts = [Predictions.load(both / f"members/seed{seed}/fold0/oof.npz") for seed in (3, 4)]
    assert abs(parts[0].prob - parts[1].prob).max() > 1e-3
    whole = Predictions.load(both / "oof.npz").prob
    rows = np.isin(Predictions.load(both / "oof.npz").ids, parts[0].ids)
    np.testing.assert_allclose(whole[rows], (parts[0].prob + parts[1].prob) / 2, atol=1e-6)
    summary, alone = (json.loads((run / "summary.json").read_text()) for run in (both, second))
    assert list(summary["seeds"]) == ["3", "4"]
    assert summary["seeds"]["4"]["macro_f1"] == alone["pooled"]["macro_f1"]
    assert summary["seeds"]["4"]["age"] == alone["pooled"]["tasks"]["age"]["macro_f1"]
    assert "seeds" not in alone


def test_all_of_them_predict(both: Path, drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    assert run_app(["predict", str(both), "--data", str(drawn), "-o", str(out)]) == 0
    lineage = json.loads(out.with_suffix(".json").read_text())["lineage"]
    assert sorted((w["seed"], w["fold"]) for w in lineage["weights"]) == [(3, 0), (3, 1), (4, 0), (4, 1)]


def test_resume_makes_the_seed_that_is_missing(both: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(both, run)
    shutil.rmtree(run / "members/seed4/fold1")
    (run / "summary.json").unlink()
    assert resume(run) == 0
    assert outcome(run) == outcome(both)


def test_one_network_a_task_and_seed(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    words = ("train.epochs=1", "model.heads=separate", "train.seeds=2", "--folds", "0")
    assert train(drawn, run, *words) == 0
    names = {f"{task}-seed{seed}" for task in ("mask", "gender", "age") for seed in (0, 1)}
    assert {path.name for path in (run / "members").iterdir()} == names
    assert "each seed alone: seed 0 0." in capsys.readouterr().out
    out = tmp_path / "a.csv"
    assert run_app(["predict", str(run), "--data", str(drawn), "-o", str(out)]) == 0
    assert len(json.loads(out.with_suffix(".json").read_text())["lineage"]["weights"]) == 6
