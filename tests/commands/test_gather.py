"""Runs of single folds that are gathered: one run, as if one command had trained all folds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from tiny import hashes, outcome, train

from maskcls.cli import run_app

WORDS = ("folds.k=3", "train.epochs=3", "average.kind=none", "optim.lr=3e-3", "model.backbone=test_convnext")
QUICK = ("folds.k=3", "train.epochs=1", "schedule.warmup_epochs=0", "average.kind=none", "model.backbone=test_convnext")


def one_line(text: str) -> str:
    return " ".join(text.split())


def gather(output: Path, runs: Sequence[Path], *words: str) -> int:
    return run_app(["runs", "gather", *map(str, runs), "-o", str(output), *words])


def train_parts(drawn: Path, home: Path, *words: str, folds: Sequence[str] = ("0", "1", "2")) -> list[Path]:
    """Train one run per entry of `folds`."""
    runs = [home / f"part{fold.replace(',', '')}" for fold in folds]
    for run, fold in zip(runs, folds, strict=True):
        assert train(drawn, run, *words, "--folds", fold) == 0
    return runs


@pytest.fixture(scope="module")
def whole(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one command."""
    run = tmp_path_factory.mktemp("whole") / "run"
    assert train(drawn, run, *WORDS) == 0
    return run


@pytest.fixture(scope="module")
def trained(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A run per fold; not to be changed."""
    return train_parts(drawn, tmp_path_factory.mktemp("trained"), *WORDS)


def test_three_runs_of_one_fold_become_the_run_of_one_command(
    whole: Path, trained: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, before = tmp_path / "run", [hashes(part) for part in trained]
    capsys.readouterr()
    assert gather(run, trained) == 0
    said = one_line(capsys.readouterr().out)
    assert f"gathered: fold 0 of {trained[0]}, fold 1 of {trained[1]}, fold 2 of {trained[2]}" in said
    assert outcome(run) == outcome(whole)
    assert set(hashes(run)) | {".lock"} == set(hashes(whole))
    assert [hashes(part) for part in trained] == before
    used = list(json.loads((run / "summary.json").read_text())["selection"]["epochs"].values())
    assert used != [2, 2, 2]  # a run of one fold uses the last epoch: the choice was made anew
    gathered = json.loads((run / "env.json").read_text())["gathered"]
    assert [one["folds"] for one in gathered["runs"]] == [[0], [1], [2]]
    assert [one["run"] for one in gathered["runs"]] == [str(part) for part in trained]
    assert "accepted" not in gathered or gathered["accepted"] == []
