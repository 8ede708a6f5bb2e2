"""Bars in a terminal: they leave room for ^C, show what has no share, and are gone at the end."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from maskcls.show.terminal import progress
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
