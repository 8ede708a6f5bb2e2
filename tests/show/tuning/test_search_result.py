"""What a search prints: trials as they end, and its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskcls.results.scores.intervals import Interval
from maskcls.results.search.score import SearchScore
from maskcls.results.search.study import SearchStudy, SearchTrial
from maskcls.show.tuning.search_result import print_search
from maskcls.show.tuning.trial_lines import TrialLines

TRIALS = (
    SearchTrial(0, "done", {"optim.lr": 0.004}, 0.4, seconds=2.0),
    SearchTrial(1, "failed", {"optim.lr": 0.02}, why="the memory is full"),
    SearchTrial(2, "done", {"optim.lr": 0.01}, 0.5, seconds=2.0),
    SearchTrial(3, "running", {"optim.lr": 0.03}),
)
SCORE = SearchScore("corrected", 0.41, Interval(0.38, 0.44, 0.95), 0.43, Interval(0.4, 0.46, 0.95), 20, 300)


def _study(*trials: SearchTrial) -> SearchStudy:
    return SearchStudy("study", "tpe", (), trials)


def test_trials_are_counted_in_the_order_in_which_they_end() -> None:
    said: list[str] = []
    lines = TrialLines(said.append, 4)
    lines.begin(_study())
    lines.update(_study(TRIALS[2]))  # two workers: the second trial may end first
    lines.update(_study(*TRIALS))
    assert [line.split("  ")[:2] for line in said] == [
        ["1 of 4", "trial 2"],
        ["2 of 4", "trial 0 (base)"],
        ["3 of 4", "trial 1"],
    ]


def test_commands_can_be_copied_when_folders_have_spaces(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path("my runs")
    kept = ("my runs/trials/0002", "my runs/trials/0000")
    print_search(_study(*TRIALS), SCORE, kept, folder=folder, winner=folder / "best.yaml", page=None, data="my faces")
    said = capsys.readouterr().out
    assert "maskcls train 'my faces' --config 'my runs/best.yaml' --run runs/best" in said
    assert "maskcls ensemble 'my runs/trials/0002' 'my runs/trials/0000' --data 'my faces' -o submission.csv" in said
    assert "0 (base)" in said
