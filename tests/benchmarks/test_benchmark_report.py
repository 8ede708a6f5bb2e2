"""The benchmark of the report page: its runs are complete, and a short measurement as a whole."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from project import BENCHMARKS_DIR

from maskcls.rundir import RunDir
from maskcls.runs.reported.reported_run import read_reported_run

REPORT = runpy.run_path(str(BENCHMARKS_DIR / "report.py"))


def test_a_drawn_run_can_be_reported(tmp_path: Path) -> None:
    shape = {"people": 20, "photos": 3, "folds": 2, "epochs": 4}
    found = [read_reported_run(REPORT["draw_run"](tmp_path / str(seed), **shape, seed=seed)) for seed in (0, 1)]
    for one in found:
        assert one.rows is not None
        assert len(one.rows.labelled.ids) == 60
        assert [len(log.lines) for log in one.logs] == [4, 4]
        assert (one.rows.values["age"] >= 18).all()
    first, second = (one.rows.labelled for one in found if one.rows)
    assert all((first.truth[name] == second.truth[name]).all() for name in first.truth)
    assert (first.pred_N != second.pred_N).any()


def test_about_a_third_of_the_answers_is_wrong() -> None:
    true_N = np.arange(3600) % 18
    prob_NJ = REPORT["draw_probabilities"](true_N, np.random.default_rng(0))
    assert prob_NJ.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert (prob_NJ.argmax(axis=1) != true_N).mean() == pytest.approx(1 / 3, abs=0.04)


def test_time_and_size_are_those_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(words: list[str], **_: object) -> None:
        assert words[3] == "report"
        assert RunDir(Path(words[4])).oof.exists()
        Path(words[words.index("-o") + 1]).write_bytes(b"x" * 1_500_000)

    monkeypatch.setattr(REPORT["subprocess"], "run", run)
    out = tmp_path / "found.json"
    shape = ["--people", "12", "--photos", "2", "--folds", "2", "--epochs", "2", "--rounds", "2"]
    monkeypatch.setattr(sys, "argv", ["report.py", *shape, "--json", str(out)])
    REPORT["main"]()
    written = json.loads(out.read_text())
    assert len(written["seconds"]) == len(written["cpu_seconds"]) == 2
    assert written["bytes"] == 1_500_000
    assert "1 x 2 folds x 24 rows" in capsys.readouterr().out
