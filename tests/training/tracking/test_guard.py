"""A tracker that raises, whatever and wherever, or does not answer, is off after one warning."""

from __future__ import annotations

import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from maskcls.errors import ResourceError
from maskcls.rundir import RunDir
from maskcls.schema import Config
from maskcls.training.tracking import guard as guarding
from maskcls.training.tracking import logs
from maskcls.training.tracking.guard import Guard
from maskcls.training.tracking.log import Place

METHODS = ("settings", "epoch", "scores", "picture", "file", "close")


class Told:
    """A reporter that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def once(self, text: str) -> None:
        self.lines.append(text)


class FakeLog:
    """A log that counts its calls, and fails in one method."""

    held = 0

    def __init__(self, fails: str, error: BaseException) -> None:
        self.calls: list[str] = []
        self.fails, self.error = fails, error

    def __getattr__(self, name: str) -> Any:
        def call(*_: object, **__: object) -> None:
            self.calls.append(name)
            if name == self.fails:
                raise self.error

        return call


def use_all(log: Any) -> list[Any]:
    """Return what a training does with a log, in its order."""
    values = {"train/loss": 1.0}
    return [
        lambda one: one.settings({"seed": "0"}),
        lambda one: one.epoch(0, values),
        lambda one: one.scores(values),
        lambda one: one.picture("a", Path("a.png")),
        lambda one: one.file("b", Path("b")),
    ]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device"),
        (ConnectionError("server\ngone"), "ConnectionError: server gone"),
        (ResourceError("cannot write a file", got="no room"), "cannot write a file (no room)"),
        (AssertionError(), "AssertionError"),
    ],
)
def test_a_tracker_that_raises_is_off_after_one_warning(
    monkeypatch: pytest.MonkeyPatch, method: str, error: Exception, words: str
) -> None:
    bad, good, told = FakeLog(method, error), FakeLog("", error), Told()
    monkeypatch.setattr(logs, "new_log", lambda name, place, epochs: bad if name == "wandb" else good)
    place = Place(RunDir(Path("never")), "fold0", Config().tracking)
    with Guard(["wandb", "csv"], told) as guard:  # type: ignore[arg-type]
        with logs.Logs(guard, place, 0, ["wandb", "csv"]) as opened:
            for work in use_all(opened):
                opened.each(work)
        assert guard.working == ["csv"]
        with logs.Logs(guard, place, 0, ["wandb", "csv"]) as again:  # the next fold
            assert list(again.logs) == ["csv"]
    assert told.lines == [f"warning: no more tracking with wandb, training continues: {words}"]
    assert bad.calls == list(METHODS[: METHODS.index(method) + 1])
    assert good.calls == [*METHODS, "close"]


def test_a_tracker_that_cannot_be_opened_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Any:
        raise ImportError("a broken package")

    monkeypatch.setattr(logs, "new_log", refuse)
    told = Told()
    with Guard(["mlflow"], told) as guard:  # type: ignore[arg-type]
        opened = logs.Logs(guard, Place(RunDir(Path("never")), "fold0", Config().tracking), 0, ["mlflow"])
        assert opened.logs == {}
    assert told.lines == ["warning: no more tracking with mlflow, training continues: ImportError: a broken package"]


def test_a_tracker_that_does_not_answer_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarding, "ANSWER_S", 0.01)
    told, stop = Told(), threading.Event()
    with Guard(["wandb", "csv"], told) as guard:  # type: ignore[arg-type]
        assert guard.call("wandb", stop.wait) is None
        monkeypatch.setattr(guarding, "ANSWER_S", 60.0)
        assert guard.call("csv", partial(int, "7")) == 7
        assert guard.working == ["csv"]
    stop.set()
    assert told.lines == ["warning: no more tracking with wandb, training continues: TimeoutError: no answer in 0 s"]


def test_a_process_ends_while_a_tracker_still_waits() -> None:
    code = """
import threading
from maskcls.training.tracking import guard
from maskcls.show.terminal.progress import Reporter
guard.ANSWER_S = 0.01
with guard.Guard(["wandb"], Reporter()) as one:
    one.call("wandb", threading.Event().wait)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0
    assert "no more tracking with wandb" in ended.stderr
