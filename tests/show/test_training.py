"""What train and resume print of a run's summary."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskcls.results.scores.intervals import Interval
from maskcls.results.scores.metrics import ClassScore
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


@pytest.mark.parametrize(("scored", "said"), [(15, ", 15 of 18 classes scored"), (18, "")])
def test_a_macro_f1_of_fewer_classes_says_so(scored: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    one = ClassScore("a", 0.5, 0.5, 0.5, 1, 1)
    pooled = SavedScores(macro_f1=0.5, classes_scored=scored, classes=(one,) * 18, tasks={})
    interval = Interval(low=0.1, high=0.2, level=0.95)
    print_training(Path("runs/a"), RunSummary(pooled=pooled, interval=interval, folds={}, sd={}))
    assert f"(95 % interval 0.1000 to 0.2000){said}\n" in capsys.readouterr().out
