"""What can be done with a run of fitted heads: the verbs that read a run, and those that start one."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny import outcome, recipe, train

import maskcls
from maskcls.cli import run_app
from maskcls.data.photos.images import read_image
from maskcls.engine.checkpoint import load_predictor
from maskcls.errors import Exit
from maskcls.export.open_model import open_model
from maskcls.labels import CONTEST
from maskcls.results.predictions import Predictions
from maskcls.rundir import RunDir
from maskcls.show.terminal.progress import Reporter

WORDS = ("model.train=heads", "folds.k=3", "predict.views=hflip")
# The same for maskcls.train, where settings have types.
SETTINGS: dict[str, Any] = {
    "model.train": "heads",
    "model.backbone": "test_efficientnet",
    "transforms.size": [32, 32],
    "folds.k": 3,
    "predict.views": "hflip",
    "device.type": "cpu",
    "device.threads": 1,
    "device.workers": 0,
    "device.precision": "fp32",
    "device.memory_format": "channels_last",
    "train.report": False,
}
FOLDS = [f"fold{k}/best/weights.safetensors" for k in range(3)]


@pytest.fixture(scope="module")
def trained(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("after") / "run"
    assert train(drawn, path, *WORDS) == 0
    return path


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy, as verbs write into a run."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def app(*words: object) -> int:
    return run_app([str(word) for word in words])


def eval_photos(drawn: Path) -> list[Path]:
    return sorted((drawn / "eval/images").iterdir())[:3]


def expected_rows(run: Path, drawn: Path, out: Path) -> dict[str, dict[str, str]]:
    """Return what `predict` writes about each photo."""
    assert app("predict", run, "--data", drawn, "-o", out / "s.csv", "--probabilities", out / "p.csv") == 0
    with (out / "p.csv").open() as file:
        return {row["ImageID"]: row for row in csv.DictReader(file)}


def test_from_python_it_is_the_same_run(drawn: Path, trained: Path, tmp_path: Path) -> None:
    made = maskcls.train(drawn, tmp_path / "run", settings=SETTINGS, progress=False)
    mine, theirs = (Predictions.load(RunDir(path).oof) for path in (made.path, trained))
    assert mine.ids.tolist() == theirs.ids.tolist()
    np.testing.assert_array_equal(mine.prob, theirs.prob)


def test_a_served_model_and_explain_predict_what_predict_does(
    drawn: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, paths = expected_rows(run, drawn, tmp_path), eval_photos(drawn)
    with Reporter(quiet=True) as report:
        model = open_model(run, report=report)
    marginals = CONTEST.marginals(model.predict([read_image(path, at_least=model.decode_size) for path in paths]))
    for number, path in enumerate(paths):
        for task in CONTEST.tasks:
            expected = [float(rows[path.name][f"{task.name}/{name}"]) for name in task.classes]
            found = marginals[task.name][number]
            np.testing.assert_allclose(found, expected, atol=2e-5)  # batches of another length
    capsys.readouterr()
    assert app("explain", run, paths[0], "-o", tmp_path / "why.png", "--folds", "0,1,2", "--json") == 0
    assert json.loads(capsys.readouterr().out)
    assert (tmp_path / "why.png").stat().st_size > 1000


def test_pseudo_labels_of_it_are_trained_on(drawn: Path, run: Path, tmp_path: Path) -> None:
    labels = tmp_path / "pseudo.csv"
    assert app("pseudo-label", run, "--data", drawn, "-o", labels, "--min-confidence", "0.2", "--agree", "0") == 0
    assert train(drawn, tmp_path / "more", *WORDS, f"data.pseudo={labels}") == 0
    mine, theirs = outcome(run), outcome(tmp_path / "more")
    assert all(mine[name] != theirs[name] for name in FOLDS)


def test_parts_are_gathered_to_the_same_networks(drawn: Path, run: Path, tmp_path: Path) -> None:
    parts = [tmp_path / name for name in ("a", "b")]
    for part, folds in zip(parts, ("0", "1,2"), strict=True):
        assert train(drawn, part, *WORDS, "--folds", folds) == 0
    assert app("runs", "gather", *parts, "-o", tmp_path / "whole") == 0
    whole = outcome(tmp_path / "whole")
    assert [whole[name] for name in FOLDS] == [outcome(run)[name] for name in FOLDS]
    assert app("verify", tmp_path / "whole") == 0


def test_two_runs_are_compared(drawn: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(drawn, tmp_path / "ridge", *WORDS, "heads.kind=ridge") == 0
    capsys.readouterr()
    assert app("runs", "compare", run, tmp_path / "ridge") == 0
    assert re.search(r"heads.kind\s+lda\s+ridge", capsys.readouterr().out)


def test_a_rule_is_fitted_and_similar_photos_are_found(drawn: Path, tmp_path: Path) -> None:
    run = tmp_path / "look"
    assert train(drawn, run, *WORDS, "predict.groups=look") == 0
    assert app("calibrate", run) == 0
    assert app("predict", run, "--data", drawn, "-o", tmp_path / "look.csv", "--decide") == 0
    with (tmp_path / "look.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(list((drawn / "eval/images").iterdir()))


def test_checkpoints_for_timm(run: Path, tmp_path: Path) -> None:
    assert app("export", run, "--to", "safetensors", "-o", tmp_path / "timm") == 0
    for k in range(3):
        heads = load_file(tmp_path / f"timm/networks/seed0-fold{k}/heads.safetensors")
        fitted = load_predictor(RunDir(run).fold(k).best).network.heads["age"]
        assert torch.equal(heads["age.weight"], fitted.weight)


def test_a_dry_run_measures_features_and_names_no_rates(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(drawn, tmp_path / "run", *WORDS, "train.refit=true", "--dry-run", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["learning_rates"] == []
    assert plan["forecast"]["measured"] == "4 batches of photos (the fitting of heads is not counted)"
    assert plan["forecast"]["seconds"] > 0
    weights = tmp_path / "one"
    assert train(drawn, weights, *WORDS, "--folds", "0") == 0
    size = sum(path.stat().st_size for path in weights.rglob("weights.safetensors"))
    # A fold holds its weights twice, best and last; three folds and the network of all rows hold four times as much.
    assert plan["forecast"]["disk_bytes"] == pytest.approx(4 * size, rel=0.2)


def test_a_search_of_settings_without_effect_is_refused(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("tune", drawn, *recipe(*WORDS), "--study", tmp_path / "study")
    assert app(*words, "--space", "quick") == Exit.CONFIG
    assert 'optim.lr has no effect: model.train is "heads"' in capsys.readouterr().err


def test_the_page_has_no_curves_of_epochs(run: Path) -> None:
    assert app("report", run) == 0
    page = (run / "report/index.html").read_text(encoding="utf8")
    assert "Strengths of heads were chosen within each fold's training people" in page.replace("&#39;", "'")
    assert 'id="score"' in page
    assert 'id="confusion"' in page
    assert 'id="curves"' not in page
    assert "epoch was chosen" not in page


@pytest.mark.slow
def test_jobs_a_search_a_time_limit_and_pages(
    drawn: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(drawn, tmp_path / "jobs", *WORDS, "--on", "local:2") == 0
    assert [outcome(tmp_path / "jobs")[name] for name in FOLDS] == [outcome(run)[name] for name in FOLDS]
    space = tmp_path / "space.yaml"
    space.write_text("heads.strength: {low: 0.05, high: 0.8, log: true}\n")
    study = tmp_path / "study"
    assert app("tune", drawn, *recipe(*WORDS), "--space", space, "--study", study, "--trials", "2") == 0
    assert "heads:" in (study / "best.yaml").read_text()
    assert train(drawn, tmp_path / "stages", *WORDS, "--budget", "1h") == 0
    assert sorted(path.name for path in (tmp_path / "stages").glob("stage*") if path.is_dir()) == ["stage0"]
    assert app("report", run, tmp_path / "jobs", "-o", tmp_path / "both.html") == 0
