"""What train and resume print of a run's summary."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from maskcls.results.comparison.difference import Difference
from maskcls.results.scores.intervals import Interval
from maskcls.results.scores.metrics import ClassScore
from maskcls.runs.summary import EpochSelection, GroupGain, RunSummary, SavedScores
from maskcls.show.report.after_training import AfterTraining
from maskcls.show.training.finished import print_training


def test_a_score_that_is_missing_is_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    """A summary.json may say null for any number; the line must not fail."""
    pooled = SavedScores(macro_f1=None, tasks={})
    interval = Interval(low=0.1, high=0.2, level=0.95)
    summary = RunSummary(pooled=pooled, interval=interval, folds={}, sd={}, seeds={"0": {}})
    print_training(Path("runs/a"), summary)
    out = capsys.readouterr().out
    assert "out-of-fold macro-F1 - (95 % interval 0.1000 to 0.2000)" in out
    assert "seed 0 -" in out


GAIN = Difference(0.0123, 0.0012, 0.0234, 0.98, 0.95)


def shown(capsys: pytest.CaptureFixture[str], **given: object) -> list[str]:
    """Return the lines of a run with groups or a selection, without the first two."""
    pooled, interval = SavedScores(macro_f1=0.5, tasks={}), Interval(low=0.1, high=0.2, level=0.95)
    print_training(Path("a"), RunSummary(pooled=pooled, interval=interval, folds={}, sd={}, **given))  # type: ignore[arg-type]
    return capsys.readouterr().out.splitlines()[2:]


def groups(*, averaged: bool, expected: float, low: float) -> GroupGain:
    """Return a gain of 0.0123, the smaller of two."""
    return GroupGain(
        by="look",
        averaged=averaged,
        tasks=("gender", "age"),
        weights=None,
        alone=0.5,
        gain=GAIN,
        cut=replace(GAIN, value=0.02),
        whole=GAIN,
        photos=210,
        expected=expected,
        low=low,
        pair_precision=0.99,
        pair_recall=0.95,
    )


def test_each_gain_of_averaging_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, groups=groups(averaged=True, expected=0.01, low=0.001)) == [
        "  gender and age averaged over similar photos: macro-F1 0.5000 without averaging",
        "  gain measured in two ways: groups inside one fold +0.0200, groups over all folds +0.0123; "
        "the smaller is used, 95 % interval +0.0012 to +0.0234",
        "  expected among 210 new photos: gain +0.0100, 95 % interval from +0.0010",
        "  pair precision 0.9900, pair recall 0.9500",
    ]


@pytest.mark.parametrize(
    ("expected", "why"),
    [(0.01, "the gain is not certain (the interval includes 0)"), (-0.01, "no gain is expected")],
)
def test_why_photos_are_not_averaged(capsys: pytest.CaptureFixture[str], expected: float, why: str) -> None:
    lines = shown(capsys, groups=groups(averaged=False, expected=expected, low=-0.02))
    assert f"  among 210 new photos {why}; every photo is scored and predicted alone" in lines


def test_the_epochs_used_name_their_folds(capsys: pytest.CaptureFixture[str]) -> None:
    selection = EpochSelection(by="macro_f1", epochs={"fold 0": 9, "fold 1": 12}, last=0.0899, gain=GAIN)
    assert shown(capsys, selection=selection) == [
        "  epochs used in folds 0, 1: 10, 13, chosen by macro_f1 of the other folds",
        "  with every fold's last epoch: macro-F1 0.0899 (difference +0.0123, 95 % interval +0.0012 to +0.0234)",
    ]


@pytest.mark.parametrize(
    ("epochs", "said"),
    [
        ({"fold 0": 2}, "epochs used in fold 0: 3 (the last)"),
        ({"age fold 0": 2, "mask fold 0": 1}, "epochs used in fold 0: age 3; mask 2 (the last)"),
    ],
)
def test_one_fold_has_no_others_that_choose_its_epochs(
    epochs: dict[str, int], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    selection = EpochSelection(by="macro_f1", epochs=epochs, last=0.5, gain=None)
    assert shown(capsys, selection=selection) == [f"  {said}"]


@pytest.mark.parametrize(("scored", "said"), [(15, ", 15 of 18 classes scored"), (18, "")])
def test_a_macro_f1_of_fewer_classes_says_so(scored: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    one = ClassScore("a", 0.5, 0.5, 0.5, 1, 1)
    pooled = SavedScores(macro_f1=0.5, classes_scored=scored, classes=(one,) * 18, tasks={})
    interval = Interval(low=0.1, high=0.2, level=0.95)
    print_training(Path("runs/a"), RunSummary(pooled=pooled, interval=interval, folds={}, sd={}))
    assert f"(95 % interval 0.1000 to 0.2000){said}\n" in capsys.readouterr().out


def test_report_and_next_command_are_lines_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    pooled, interval = SavedScores(macro_f1=0.5, tasks={}), Interval(low=0.1, high=0.2, level=0.95)
    summary = RunSummary(pooled=pooled, interval=interval, folds={}, sd={})
    print_training(Path("a"), summary, AfterTraining(Path("a/report.html"), "maskcls predict a"))
    assert capsys.readouterr().out.splitlines()[-2:] == ["report: a/report.html", "next: maskcls predict a"]
    print_training(Path("a"), summary, AfterTraining(None, "maskcls predict a"))
    out = capsys.readouterr().out.splitlines()
    assert out[-1] == "next: maskcls predict a"
    assert not any(line.startswith("report") for line in out)
