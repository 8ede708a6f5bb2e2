"""How a choice is reported where there is no terminal."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from maskcls.show.terminal import progress
from maskcls.show.terminal.progress import Reporter
from maskcls.training.plans import listener_of, measured_fold_seconds


def test_a_long_measurement_reports_after_two_seconds_and_then_every_quarter_of_a_minute(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(progress, "PLAIN_FIRST_S", 2.0)
    monkeypatch.setattr(progress, "PLAIN_EVERY_S", 15.0)
    with Reporter() as report:
        listener = listener_of(report)
        listener.note("timing small in training: up to 4 candidates, at most 15 s")
        for seconds, done in ((0.0, 0), (1.9, 1), (2.1, 2), (6.0, 3), (17.2, 4), (20.0, 9)):
            now[0] = 100.0 + seconds
            listener.progress("timing small in training", done, 9)
    assert capsys.readouterr().err.splitlines() == [
        "timing small in training: up to 4 candidates, at most 15 s",
        "timing small in training: 2 of 9, about 7 s left",  # 2.1 s for 2, 7 more
        "timing small in training: 4 of 9, about 22 s left",
    ]


def measured(images_per_second: float | None) -> Any:
    """A measurement that chose something of this speed; None: it was not timed."""
    speed = math.inf if images_per_second is None else images_per_second
    return SimpleNamespace(best="fp32", speed=lambda candidate: speed)


@pytest.mark.parametrize(
    ("training", "predicting", "seconds"), [(100.0, 200.0, 15.0), (100.0, None, 10.0), (None, 200.0, math.nan)]
)
def test_the_time_of_a_fold_follows_from_the_measured_speeds(
    training: float | None, predicting: float | None, seconds: float
) -> None:
    work: Any = SimpleNamespace(images=1000, predicted=1000)
    choice: Any = SimpleNamespace(train=measured(training), infer=measured(predicting))
    assert measured_fold_seconds(work, choice) == pytest.approx(seconds, nan_ok=True)


def test_in_a_terminal_a_bar_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[str, int, int]] = []
    monkeypatch.setattr(Reporter, "images", lambda self, what, done, of: shown.append((what, done, of)))
    listener_of(Reporter()).progress("timing", 3, 9)
    assert shown == [("timing", 3, 9)]
