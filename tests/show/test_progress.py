"""Bars in a terminal: they leave room for ^C, show what has no share, and are gone at the end."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from maskcls.engine.fit import EpochResult
from maskcls.show.terminal import progress, waiting
from maskcls.show.terminal.pace import TrainingPace
from maskcls.show.terminal.progress import Reporter


class Screen(io.StringIO):
    """A terminal that keeps what is written to it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> Reporter:
    """A reporter on a terminal of 80 columns."""
    screen = Screen()
    monkeypatch.setattr(
        progress, "Console", lambda **_: Console(file=screen, width=80, force_terminal=True, highlight=False)
    )
    return Reporter()


def drawn(report: Reporter) -> list[str]:
    """Return the bars as they are drawn just now."""
    assert report.bars is not None
    with report.console.capture() as caught:
        report.console.print(report.bars.get_renderable())
    return [line.rstrip() for line in Console(file=io.StringIO()).render_str(caught.get()).plain.splitlines() if line]


def test_a_bar_leaves_room_for_the_interrupt_of_a_terminal(report: Reporter) -> None:
    report.begin("all folds", 10)
    report.fold("a network with a name that is far too long for a terminal of eighty columns, fold 0", 3, 0)
    assert report.bars is not None
    lines = report.console.render_lines(report.bars.get_renderable(), report.console.options, pad=False)
    assert len(lines) == 2
    assert max(sum(segment.cell_length for segment in line) for line in lines) <= 80 - len("^C") - 1


def test_ended_bars_are_drawn_no_more_and_lines_still_are(report: Reporter) -> None:
    assert report.bars is not None
    with report:
        assert report.bars.live.is_started
        report.end_bars()
        assert not report.bars.live.is_started
        with report.console.capture() as caught:
            report.note("listening")
        assert caught.get() == "listening\n"


def test_what_has_no_share_is_shown_while_it_runs(report: Reporter) -> None:
    with report.busy("loading libraries"):
        (line,) = drawn(report)
        assert line.startswith("loading libraries")
        assert "%" not in line
    assert drawn(report) == []


def test_a_starting_process_is_shown_until_its_fold_begins(report: Reporter) -> None:
    report.starting("fold 1")
    assert drawn(report)[0].startswith("fold 1 starting a process")
    report.fold("fold 1", 3, 0)
    (line,) = drawn(report)
    assert line.startswith("fold 1 ")
    assert "starting" not in line
    report.fold_done("fold 1")
    assert drawn(report) == []


def test_the_bar_over_all_folds_is_closed_at_the_end(report: Reporter) -> None:
    report.begin("all folds", 10)
    assert len(drawn(report)) == 1
    report.end()
    assert drawn(report) == []


def test_a_file_gets_a_line_for_a_starting_process(capsys: pytest.CaptureFixture[str]) -> None:
    with Reporter() as report, report.busy("loading libraries"):
        report.starting("fold 1")
    assert capsys.readouterr().err == "fold 1: starting a process\n"


# ---- how long it still takes -----------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock that progress reads, in its first entry."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(progress, "PLAIN_FIRST_S", 2.0)
    monkeypatch.setattr(progress, "PLAIN_EVERY_S", 15.0)
    return now


def test_without_a_terminal_photos_are_told_after_two_seconds_and_then_now_and_then(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    report = Reporter()
    for seconds, done in ((0, 0), (1, 500), (3, 1500), (10, 5000), (19, 9500), (20, 10_000)):
        clock[0] = 1000.0 + seconds
        report.images("reading photos", done, 10_000)
    assert capsys.readouterr().err.splitlines() == [
        "reading photos: 1,500 of 10,000, about 17 s left",
        "reading photos: 9,500 of 10,000, about 1 s left",
    ]


def test_photos_that_were_done_before_say_nothing_about_the_speed(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    report = Reporter()
    report.images("predicting", 8000, 10_000)
    clock[0] += 4
    report.images("predicting", 8400, 10_000)
    assert capsys.readouterr().err == "predicting: 8,400 of 10,000, about 16 s left\n"


def test_a_wait_without_a_share_is_told_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = threading.Event()
    monkeypatch.setattr(progress, "PLAIN_FIRST_S", 0.01)
    with Reporter() as report:
        note = report.note
        monkeypatch.setattr(report, "note", lambda text: (note(text), told.set()))
        with report.busy("loading libraries"):
            assert told.wait(60)
    assert capsys.readouterr().err.splitlines()[0] == "loading libraries: 0 s so far"


def test_a_short_wait_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    with Reporter() as report, report.busy("loading libraries"):
        pass
    assert capsys.readouterr().err == ""


def tick(epoch: int, images: int) -> Any:
    return SimpleNamespace(epoch=epoch, images=images, of_images=100, images_per_second=10.0, loss=1.0)


def result(epoch: int) -> Any:
    return EpochResult(epoch, epoch, 0.1, {"loss": 1.0}, {"macro_f1": 0.5, "loss": 1.0}, 10.0, 10.0, False)


def test_the_time_of_the_whole_training_is_that_of_all_folds(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    report = Reporter()
    report.begin("all folds", 10, expected_s=120.0)
    report.skip(2)  # of a fold that is finished
    report.fold("fold 1", 4, 0)
    report.fold("fold 2", 4, 0)  # at the same time
    clock[0] += 16
    report.tick("fold 1", tick(0, 50))
    report.tick("fold 2", tick(0, 30))
    err = capsys.readouterr().err.splitlines()
    assert err[0] == "all folds: 10 epochs, about 2.0 min"
    # 0.5 and then 0.8 of 8 epochs in 16 s; 2 of 10 were done before.
    assert err[1] == "fold 1 epoch 1/4: 50/100 images, 10 img/s, loss 1.0000; all folds 25%, about 4.0 min left"
    assert err[2] == "fold 2 epoch 1/4: 30/100 images, 10 img/s, loss 1.0000; all folds 28%, about 2.4 min left"
    clock[0] += 24
    report.epoch("fold 1", result(0))  # 1.3 of 8 epochs in 40 s
    assert capsys.readouterr().err.splitlines()[-1] == "all folds 33%, about 3.4 min left"


def test_before_anything_is_trained_the_forecast_is_shown() -> None:
    pace = TrainingPace(of=10, started_s=0.0, expected_s=100.0)
    assert pace.left_s(now_s=3.0) == 100.0
    pace.skip(5)
    assert pace.left_s(now_s=3.0) == 50.0
    pace.tick("fold 0", 0.05)  # less than one percent of all
    assert pace.left_s(now_s=3.0) == pytest.approx(49.5)
    pace.tick("fold 0", 0.5)
    assert pace.left_s(now_s=3.0) == pytest.approx(27.0)
    for _ in range(5):
        pace.epoch("fold 0")
    assert (pace.left_s(now_s=30.0), pace.share) == (0.0, 1.0)


def test_what_was_done_of_an_epoch_before_says_nothing_about_the_speed() -> None:
    pace = TrainingPace(of=10, started_s=0.0)
    pace.skip(3)
    pace.begun("fold 0", 0.75)
    pace.tick("fold 0", 0.8)
    assert pace.share == pytest.approx(0.38)
    assert pace.left_s(now_s=5.0) == pytest.approx(6.2 * 5 / 0.05)
    pace.epoch("fold 0")
    assert (pace.done, pace.share) == (0.25, 0.4)
    pace.tick("fold 0", 0.5)  # the next one has begun at its start
    assert pace.done == 0.75


def test_a_terminal_shows_the_time_left_of_the_whole_training(report: Reporter, clock: list[float]) -> None:
    report.begin("all folds", 4)
    report.fold("fold 0", 2, 0)
    clock[0] += 60
    report.tick("fold 0", tick(0, 50))
    total, fold = drawn(report)
    assert total.startswith("all folds")
    assert "about 7.0 min left" in total
    assert "50%" in fold
    clock[0] += 30  # it is counted down until the next report
    assert "about 6.5 min left" in drawn(report)[0]


def test_what_is_not_a_terminal_gets_no_control_codes(capsys: pytest.CaptureFixture[str], clock: list[float]) -> None:
    with Reporter() as report:
        report.begin("all folds", 2, 10.0)
        report.starting("fold 0")
        report.fold("fold 0", 2, 1)
        for seconds, images in ((20, 50), (40, 100)):
            clock[0] = 1000.0 + seconds
            report.tick("fold 0", tick(1, images))
            report.images("reading photos", images, 200)
        report.epoch("fold 0", result(1))
        with report.busy("scoring"):
            report.note("a line of more than eighty columns " * 5)
        report.fold_done("fold 0")
        report.end()
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") >= 7
    assert [code for code in said.err if not code.isprintable() and code != "\n"] == []
    assert any(len(line) > 150 for line in said.err.splitlines())


def test_the_first_line_comes_after_two_seconds() -> None:
    """Read from the source: the tests themselves run with no limit."""
    sources = [Path(module.__file__).read_text() for module in (progress, waiting)]
    assert "PLAIN_FIRST_S, PLAIN_EVERY_S = 2.0, 15.0" in sources[0]
    assert "FIRST_S = 2.0" in sources[1]


def test_a_quick_verb_says_what_it_does_when_it_takes_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = threading.Event()
    note = Reporter.note
    monkeypatch.setattr(Reporter, "note", lambda self, text: (note(self, text), told.set()))
    monkeypatch.setattr(progress, "PLAIN_FIRST_S", 0.01)
    monkeypatch.setattr(waiting, "FIRST_S", 0.01)
    with waiting.waiting("scoring"):
        assert told.wait(60)
    assert capsys.readouterr().err.splitlines()[0] == "scoring: 0 s so far"


@pytest.mark.parametrize("terminal", [True, False])
def test_an_error_in_the_display_is_one_warning(
    terminal: bool, report: Reporter, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The work that reports its progress goes on; with MASKCLS_DEBUG the error is raised."""
    report.console, report.bars = Console(file=io.StringIO()), report.bars if terminal else None
    monkeypatch.setattr(progress, "PLAIN_FIRST_S", -1.0)

    def broken(*_: object, **__: object) -> None:
        raise ValueError("no colour \x1b")

    monkeypatch.setattr(report.bars or report.console, "update" if terminal else "print", broken)
    for done in (1, 2, 3):
        report.images("reading", done, 3)
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "warning: no more progress is shown, the work continues: ValueError: no colour \\x1b",
    ]
    report.failed = False
    monkeypatch.setenv("MASKCLS_DEBUG", "1")
    with pytest.raises(ValueError, match="no colour"):
        report.images("checking", 1, 3)
