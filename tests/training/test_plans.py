"""How a choice is reported where there is no terminal."""

from __future__ import annotations

import pytest

from maskcls.show.terminal.progress import Reporter
from maskcls.training import plans
from maskcls.training.plans import NOTE_EVERY_S, listener_of


def test_a_long_measurement_reports_every_few_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert NOTE_EVERY_S <= 5
    now = [100.0]
    monkeypatch.setattr(plans.time, "monotonic", lambda: now[0])
    with Reporter() as report:
        listener = listener_of(report)
        listener.note("timing small in training: up to 4 candidates, at most 15 s")
        for seconds, done in ((4.0, 1), (5.1, 2), (6.0, 3), (10.3, 4), (20.0, 9)):
            now[0] = 100.0 + seconds
            listener.progress("timing small in training", done, 9)
    assert capsys.readouterr().err.splitlines() == [
        "timing small in training: up to 4 candidates, at most 15 s",
        "timing small in training: 2 of at most 9 passes",
        "timing small in training: 4 of at most 9 passes",
    ]


def test_in_a_terminal_a_bar_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[str, int, int]] = []
    monkeypatch.setattr(Reporter, "images", lambda self, what, done, of: shown.append((what, done, of)))
    listener_of(Reporter()).progress("timing", 3, 9)
    assert shown == [("timing", 3, 9)]
