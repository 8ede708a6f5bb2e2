"""The stages of a training with a time limit, as they are printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskcls.runs.stages.ladder import StageSettings
from maskcls.runs.stages.record import StageEntry
from maskcls.show.runs.stages import LadderForecast, StagesOutcome, print_ladder, print_stages


def test_the_stage_that_is_used_is_marked_and_scores_are_one_below_the_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = StageSettings(size=(64, 48), epochs=1, folds=2, seeds=1)
    stages = tuple(StageEntry(settings=settings, forecast_s=None, left_s=60.0, took_s=2.0) for _ in range(2))
    found = StagesOutcome(tmp_path, stages, {0: 0.25, 1: 0.125}, 0, True, 60.0, 50.0)
    print_stages(found, None, json=False)
    head, first, second, *rest = capsys.readouterr().out.splitlines()
    assert first.split()[-2:] == ["*", "0.2500"]
    assert head.index("macro-F1") + len("macro-F1") == first.index("0.2500") + 6 == second.index("0.1250") + 6
    assert " ".join(" ".join(rest).split()).endswith("use its stage 0 (*)")


def test_of_folds_that_were_asked_for_their_numbers_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = StageSettings(size=(64, 48), epochs=1, folds=5, seeds=1)
    stages = tuple(StageEntry(settings=settings, forecast_s=None, left_s=60.0) for _ in range(2))
    print_stages(StagesOutcome(tmp_path, stages, {}, None, True, 60.0, 50.0, "0,2"), None)
    _, first, *_ = capsys.readouterr().out.splitlines()
    assert first.split() == ["0", "64x48,", "1", "epoch,", "folds", "0,", "2", "of", "5", "-", "-", "not", "finished"]
    ladder = LadderForecast((settings,), (1.0,), (0,), (), 60.0, ("photos",), folds="0")
    print_ladder(ladder, tmp_path)
    assert "64x48, 1 epoch, fold 0 of 5" in capsys.readouterr().out
