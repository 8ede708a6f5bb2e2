"""maskcls tta: the views are scored on the run's own out-of-fold rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny import train

from maskcls.cli import run_app
from maskcls.results.predictions import Predictions


def test_the_command_agrees_with_the_run_s_own_rows(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert train(drawn, run, "train.epochs=1", "predict.views=hflip") == 0
    oof = Predictions.load(run / "oof.npz")
    capsys.readouterr()
    assert run_app(["tta", str(run), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    scores = {one["name"]: one["macro_f1"] for one in found["tried"]}
    summary = json.loads((run / "summary.json").read_text())
    assert scores["hflip"] == pytest.approx(summary["pooled"]["macro_f1"], abs=1e-9)
    assert found["rows"] == len(oof)
    assert run_app(["tta", str(run)]) == 0
    told = capsys.readouterr()
    assert "views are chosen on the other folds" in told.out
    assert told.err.splitlines() == [f"{run}: predicting {len(oof)} photos in 12 views"]  # one line for all of them
    assert run_app(["tta", str(run), "predict.views=none"]) == 2
    one = tmp_path / "one"
    assert train(drawn, one, "train.epochs=1", "--folds", "0") == 0
    assert run_app(["tta", str(one)]) == 9
