"""Round after round: labels by the round before, honest scores, and the old run kept where nothing is gained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny import outcome, recipe

from maskcls.cli import run_app
from maskcls.commands import self_train
from maskcls.show.training.self_training import Round

WORDS = ("model.backbone=test_convnext", "train.epochs=1")
REAL = self_train._round
RULE = ("--min-confidence", "0", "--agree", "0")


def start(data: Path, run: Path, *words: str) -> int:
    """Run `maskcls self-train` with the tiny recipe, taking every photo."""
    return run_app(["self-train", str(data), "--run", str(run), *recipe(*WORDS, *RULE, *words)])


def scored(monkeypatch: pytest.MonkeyPatch, scores: list[float]) -> None:
    """Let the rounds have these scores."""
    given = iter(scores)

    def round_of(*args: Any) -> Round:
        found = REAL(*args)
        return Round(found.run, found.photos, next(given), found.gain)

    monkeypatch.setattr(self_train, "_round", round_of)


def test_its_rounds_are_bounded_and_it_stops_when_the_score_falls_and_keeps_the_old_run(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check_one_round(drawn, tmp_path, capsys)
    # More rounds go on from there, now with scores that are made up.
    scored(monkeypatch, [0.5, 0.6, 0.4])
    assert start(drawn, tmp_path, "--rounds", "5") == 0
    assert f"use {tmp_path / 'round1'}; round2 did not score higher" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["round0", "round1", "round2"]
    found = json.loads((tmp_path / "rounds.json").read_text())
    assert (found["best"], [one["photos"] for one in found["rounds"]]) == ("round1", [0, 21, 21])
    # Each round is labelled by the best one before it.
    for number, teacher in ((1, "round0"), (2, "round1")):
        lineage = json.loads((tmp_path / f"round{number}.json").read_text())["lineage"]
        assert [one["run"] for one in lineage["runs"]] == [teacher]
        config = (tmp_path / f"round{number}/config.yaml").read_text()
        assert f"round{number}.csv" in config
    before = outcome(tmp_path / "round1")
    scored(monkeypatch, [0.5, 0.6, 0.4])
    assert start(drawn, tmp_path, "--rounds", "5") == 0  # all is there: nothing is trained again
    assert outcome(tmp_path / "round1") == before
    assert start(drawn, tmp_path, "--rounds", "5", "optim.lr=1e-5") == 7
    assert "other settings" in capsys.readouterr().err
    scored(monkeypatch, [0.5])
    assert start(drawn, tmp_path, "--rounds", "5", "--soft") == 7
    assert "labels made with other settings" in capsys.readouterr().err


def check_one_round(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Check that one round is one, and that the scores are those of the runs."""
    assert start(drawn, tmp_path, "--rounds", "1", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["rounds"]) == 2
    for one in found["rounds"]:
        summary = json.loads((tmp_path / one["run"] / "summary.json").read_text())
        assert one["macro_f1"] == pytest.approx(summary["pooled"]["macro_f1"])
    gain = found["rounds"][1]["gain"]
    assert gain["value"] == pytest.approx(found["rounds"][1]["macro_f1"] - found["rounds"][0]["macro_f1"])


def test_settings_it_makes_itself_are_refused(drawn: Path, tmp_path: Path) -> None:
    assert start(drawn, tmp_path, "data.pseudo=a.csv") == 2
    assert start(drawn, tmp_path, "--min-confidence", "sure") == 2
    assert not (tmp_path / "round0").exists()
