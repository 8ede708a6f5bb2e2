"""Folds in processes of their own: the same bytes as one after the other, and no process that outlives its parent."""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import children
import psutil
import pytest
from processes import lives
from tiny import contents, log_lines, outcome, resume, train

from maskcls import cli
from maskcls.errors import DivergedError, ResourceError, ResultError
from maskcls.rundir import RunDir
from maskcls.training import side_by_side
from maskcls.training.side_by_side import train_side_by_side

TWO = ("train.fold_jobs=2",)


def survivors() -> list[list[str]]:
    """Return the command lines of training processes below this one."""
    found = list[list[str]]()
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it may end meanwhile
            found.append(process.cmdline())
    return [words for words in found if any("spawn_main" in word for word in words)]


# ---- the real thing --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def serial(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run whose folds were trained one after the other."""
    run = tmp_path_factory.mktemp("serial") / "run"
    assert train(drawn, run) == 0
    return run


def test_two_at_a_time_leave_the_same_bytes(drawn: Path, serial: Path, tmp_path: Path) -> None:
    run, told = tmp_path / "run", io.StringIO()
    with contextlib.redirect_stderr(told):
        assert train(drawn, run, *TWO) == 0
    assert contents(run) == contents(serial)
    assert len(outcome(run)) == 3 + 2 * 7
    words = [line.split()[:3] for line in told.getvalue().splitlines()]
    for fold in ("0", "1"):
        assert [words.count(["fold", fold, f"{n}/2"]) for n in (1, 2, 3)] == [1, 1, 0]
        assert f"fold {fold}: starting a process\n" in told.getvalue()
    assert "2 folds at the same time" in told.getvalue()
    plans = [json.loads((made / "env.json").read_text())["plans"][""] for made in (serial, run)]
    assert [plan["fold_jobs"] for plan in plans] == [1, 2]
    assert survivors() == []


@pytest.mark.slow
def test_a_killed_process_is_told_and_the_run_can_be_resumed(
    drawn: Path,
    serial: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(side_by_side, "_child", children.killed_after_an_epoch)
        assert train(drawn, run, *TWO) == 6
    message = capsys.readouterr().err
    assert "a training process died" in message
    assert "where: fold 0" in message
    assert "got: signal SIGKILL" in message
    assert "train.fold_jobs=1" in message
    assert survivors() == []
    assert not (run / "summary.json").exists()
    assert len(log_lines(run / "fold0")) == 1
    assert resume(run) == 0
    assert contents(run) == contents(serial)
    assert [len(log_lines(run / f"fold{k}")) for k in (0, 1)] == [2, 2]


@pytest.mark.slow
def test_a_child_that_diverges_ends_the_run_with_8(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(drawn, tmp_path / "run", *TWO, "optim.lr=1e30", "schedule.warmup_epochs=0") == 8
    message = capsys.readouterr().err
    assert "error[diverged] training diverged" in message
    assert "where: epoch 1, step 2" in message
    assert "lower optim.lr" in message
    assert survivors() == []


def test_members_are_trained_one_after_the_other_their_folds_side_by_side(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each member has jobs of its own; a single fold that is left is trained in this process."""
    asked: list[tuple[str, list[int], int]] = []

    def record(experiment: Any, member: Any, folds: Any, jobs: int, report: Any) -> None:
        asked.append((member.name, list(folds), jobs))

    def nothing_to_assemble(*_: Any) -> None:
        raise ResultError("nothing was trained")

    trained: list[tuple[str, int]] = []
    monkeypatch.setattr("maskcls.training.folds.train_side_by_side", record)
    monkeypatch.setattr("maskcls.training.folds.train_fold", lambda e, m, k, *_: trained.append((m.name, k)))
    monkeypatch.setattr("maskcls.training.folds.finish_folds", lambda *_: None)
    monkeypatch.setattr("maskcls.training.folds.assemble", nothing_to_assemble)
    words = ("model.heads=separate", "folds.k=3", "train.fold_jobs=2", "separate.age.train.fold_jobs=1")
    assert train(drawn, tmp_path / "run", *words) == 9
    assert asked == [("mask", [0, 1, 2], 2), ("gender", [0, 1, 2], 2)]
    assert trained == [("age", 0), ("age", 1), ("age", 2)]
    asked.clear()
    assert train(drawn, tmp_path / "one", "train.fold_jobs=2", "--folds", "1") == 9
    assert (asked, trained[3:]) == ([], [("", 1)])


# ---- the processes alone, with stand-ins that start quickly ----------------------------------------------------------


class Ears:
    """A reporter that keeps what it hears, and may do something about it."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.heard: list[str] = []
        self.started: list[str] = []
        self.most = 0
        self.then = then

    def starting(self, title: str) -> None:
        self.started.append(title)

    def note(self, text: str) -> None:
        self.heard.append(text)
        self.most = max(self.most, len(multiprocessing.active_children()))
        self.then()


def side(
    monkeypatch: pytest.MonkeyPatch, child: Any, *, folds: list[int], jobs: int, ears: Ears | None = None, **views: Any
) -> Ears:
    monkeypatch.setattr(side_by_side, "_child", child)
    ears = ears or Ears()
    experiment: Any = SimpleNamespace(
        run=RunDir(Path("faces-run")), data=Path("faces"), views=views, title=lambda member, k: f"{member.name} {k}"
    )
    member: Any = SimpleNamespace(name="age")
    train_side_by_side(experiment, member, folds, jobs, ears)  # type: ignore[arg-type]
    return ears


def test_never_more_than_the_jobs_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    ears = side(monkeypatch, children.telling, folds=[4, 0, 2], jobs=2)
    assert sorted(ears.heard) == [f"faces-run age {fold} False" for fold in (0, 2, 4)]
    assert ears.started == ["age 4", "age 0", "age 2"]
    assert 1 <= ears.most <= 2
    assert multiprocessing.active_children() == []


def test_a_child_is_told_whether_there_is_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    ears = side(monkeypatch, children.telling, folds=[3], jobs=1, views={"any": "view"})
    assert ears.heard == ["faces-run age 3 True"]


def test_an_error_of_a_child_arrives_whole_and_stops_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DivergedError) as caught:
        side(monkeypatch, children.failing, folds=[0, 1, 2], jobs=2)
    error = caught.value
    assert (error.what, error.where, error.got, error.fix) == ("it diverged", "epoch 1, step 2", "NaN", "lower it")
    assert error.exit_code == 8
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    ("child", "got"),
    [
        (children.killed, "signal SIGKILL"),
        (children.killed_while_speaking, "signal SIGKILL"),
        (children.leaving, "exit code 3"),
    ],
)
def test_a_death_without_a_word(monkeypatch: pytest.MonkeyPatch, child: Any, got: str) -> None:
    with pytest.raises(ResourceError, match="a training process died") as caught:
        side(monkeypatch, child, folds=[5], jobs=1)
    assert (caught.value.where, caught.value.got) == ("fold 5", got)


@pytest.fixture
def helpers() -> Iterator[list[psutil.Process]]:
    """Processes to be killed in the end."""
    found: list[psutil.Process] = []
    yield found
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


@pytest.mark.parametrize("fold", [0, 1])
def test_the_end_of_a_child_is_noticed_though_others_hold_its_pipe(
    monkeypatch: pytest.MonkeyPatch, helpers: list[psutil.Process], fold: int
) -> None:
    """Be it killed from outside (fold 1) or told to end (fold 0); all it said is heard before."""
    monkeypatch.setattr(side_by_side, "GRACE_S", 600.0)  # longer than anybody holds the pipe
    ears = Ears()

    def listen() -> None:
        if len(ears.heard) == 1:
            helpers.append(psutil.Process(int(ears.heard[0])))
        elif fold == 0:
            raise KeyboardInterrupt

    ears.then = listen
    with pytest.raises((ResourceError, KeyboardInterrupt)) as caught:
        side(monkeypatch, children.outlived, folds=[fold], jobs=1, ears=ears)
    assert lives(helpers[0])  # nobody waited for it
    assert ears.heard[1:] == ["last"]
    assert multiprocessing.active_children() == []
    if fold == 1:
        assert isinstance(caught.value, ResourceError)
        assert caught.value.got == "signal SIGKILL"


@pytest.mark.slow  # the child imports all of torch; errors and deaths of children that do not are told above
def test_a_bug_in_a_child_is_told_as_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the traceback of the child, so that the file the command line keeps is worth reporting."""
    with pytest.raises(side_by_side.ChildError, match="fold 7") as caught:
        side(monkeypatch, children.stumbling, folds=[7], jobs=1)
    told = str(caught.value)
    assert "open_experiment" in told
    assert "AttributeError: 'Connection' object has no attribute" in told
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, cli.Stopped)])
def test_a_parent_that_is_stopped_leaves_no_child(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals, raised: type[BaseException]
) -> None:
    """SIGTERM arrives as the exception the command line makes of it."""
    before = signal.signal(signal.SIGTERM, cli._terminate)
    ears = Ears(then=lambda: os.kill(os.getpid(), number))
    try:
        with pytest.raises(raised):
            side(monkeypatch, children.sleeping, folds=[0, 1], jobs=2, ears=ears)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert len(ears.heard) == 1
    assert survivors() == []


def test_a_child_that_does_not_stop_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "GRACE_S", 0.2)
    ears = Ears(then=lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        side(monkeypatch, children.deaf, folds=[0], jobs=1, ears=ears)
    assert survivors() == []


def test_a_child_whose_parent_is_gone_ends_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended(BaseException):
        pass

    def leave(code: int) -> None:
        raise Ended(code)

    monkeypatch.setattr(side_by_side.os, "_exit", leave)
    ours, theirs = multiprocessing.Pipe(duplex=False)
    sender: Any = side_by_side._Sender(theirs)
    sender.tick("fold 0", "a tick")
    assert ours.recv() == ("tick", ("fold 0", "a tick"))
    ours.close()
    with pytest.raises(Ended):
        sender.tick("fold 0", "a tick")
