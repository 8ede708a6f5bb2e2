"""What train and resume print of a run's summary."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskcls.results.scores.intervals import Interval
from maskcls.runs.summary import RunSummary, SavedScores
from maskcls.show.runs.training import print_training


def test_a_score_that_is_missing_is_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    """A summary.json may say null for any number; the line must not fail."""
    pooled = SavedScores(macro_f1=None, tasks={})
    interval = Interval(low=0.1, high=0.2, level=0.95)
    summary = RunSummary(pooled=pooled, interval=interval, folds={}, sd={}, seeds={"0": {}})
    print_training(Path("runs/a"), summary)
    out = capsys.readouterr().out
    assert "out-of-fold macro-F1 - (95 % interval 0.1000 to 0.2000)" in out
    assert "seed 0 -" in out
