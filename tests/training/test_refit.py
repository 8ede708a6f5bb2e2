"""One more network on all rows: how long it trains, who is asked, and that it can be resumed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny import UNSCORED, experiment, hashes, log_lines, resume, train

from maskcls import files
from maskcls.cli import run_app
from maskcls.results.predictions import Predictions
from maskcls.rundir import REFIT, RunDir
from maskcls.training.folds import refitting

WORDS = ("train.refit=true", "model.backbone=test_convnext")


@pytest.fixture(scope="module")
def whole(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("refit") / "run"
    assert train(drawn, run, *WORDS) == 0
    return run


def test_all_rows_train_and_none_scores(drawn: Path) -> None:
    plan = experiment(drawn)
    rows = plan.rows(plan.members[0], REFIT)
    assert rows.train.tolist() == list(range(84))
    assert rows.valid.tolist() == []


def test_it_trains_for_the_median_of_the_best_epochs(drawn: Path, tmp_path: Path) -> None:
    plan = experiment(drawn, "folds.k=3", "train.epochs=9", "train.patience=3")
    plan = type(plan)(plan.cfg, plan.data, plan.manifest, plan.folds, RunDir(tmp_path))
    for k, best in enumerate((6, 0, 3)):
        files.commit_json(plan.run.fold(k).summary, {"best_epoch": best})
    assert refitting(plan, plan.members[0], [0, 1, 2]).cfg.train.epochs == 4
    assert refitting(plan, plan.members[0], [0, 2]).cfg.train.epochs == round((7 + 4) / 2)
    assert refitting(plan, plan.members[0], [0]).cfg.train.patience is None


def test_what_it_leaves(whole: Path) -> None:
    folder = whole / "refit"
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == UNSCORED
    assert len(UNSCORED) == 8
    epochs = [json.loads((whole / f"fold{k}/summary.json").read_text())["best_epoch"] + 1 for k in range(2)]
    lines = log_lines(folder)
    assert len(lines) == round(np.median(epochs))
    assert all(line["val/macro_f1"] is None for line in lines)
    assert json.loads((folder / "best/meta.json").read_text())["epoch"] == len(lines) - 1
    summary = json.loads((whole / "summary.json").read_text())
    assert list(summary["folds"]) == ["0", "1"]


def test_more_folds_train_it_anew(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It stops at the median of all folds' best epochs, also of those that came later."""
    run, once = tmp_path / "run", tmp_path / "once"
    words = ("train.refit=true", "train.epochs=1")
    assert train(drawn, run, *words, "--folds", "0") == 0
    before = (run / "refit" / "DONE").stat().st_mtime_ns
    capsys.readouterr()
    assert resume(run, "--folds", "1") == 0
    assert "is trained again" in capsys.readouterr().err
    assert (run / "refit" / "DONE").stat().st_mtime_ns > before
    assert train(drawn, once, *words) == 0
    assert hashes(run / "refit" / "best") == hashes(once / "refit" / "best")


def predictions(run: Path, drawn: Path, tmp_path: Path, networks: str) -> Predictions:
    out = tmp_path / f"{networks}.csv"
    assert run_app(["predict", str(run), "--data", str(drawn), "-o", str(out), f"predict.networks={networks}"]) == 0
    sidecar = json.loads(out.with_suffix(".json").read_text())
    assert sidecar["lineage"]["networks"] == networks
    ending = "" if networks == "folds" else f"-{networks}"
    return Predictions.load(run / "test" / f"faces-none{ending}.npz")


def test_who_predicts_can_be_chosen(whole: Path, drawn: Path, tmp_path: Path) -> None:
    found = {name: predictions(whole, drawn, tmp_path, name) for name in ("folds", "refit", "all")}
    np.testing.assert_allclose(found["all"].prob, (2 * found["folds"].prob + found["refit"].prob) / 3, atol=1e-6)
    assert abs(found["folds"].prob - found["refit"].prob).max() > 1e-3


def test_a_run_without_it_cannot_ask_for_it(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert train(drawn, run, "train.epochs=1", "--folds", "0") == 0
    words = ["predict", str(run), "--data", str(drawn), "-o", str(tmp_path / "a.csv")]
    assert run_app([*words, "predict.networks=refit"]) == 3
    assert "train.refit=true with predict.networks=refit" in capsys.readouterr().err


def test_resume_trains_what_is_left(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    shutil.rmtree(run / "refit")
    assert resume(run) == 0
    before, after = hashes(whole), hashes(run)
    same = {name for name in before if name.startswith("refit/") and not name.endswith((".jsonl", "state.safetensors"))}
    assert len(same) == 6
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    capsys.readouterr()
    assert resume(run) == 0
    assert "nothing to do" in capsys.readouterr().err


def test_one_network_a_task(drawn: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(drawn, run, "train.refit=true", "model.heads=separate", "train.epochs=1", "--folds", "0") == 0
    assert {path.parent.name for path in run.glob("members/*/refit")} == {"mask", "gender", "age"}
    assert predictions(run, drawn, tmp_path, "refit").prob.shape == (21, 18)
