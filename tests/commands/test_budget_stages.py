"""The stages of a time limit, with surrogates for trainings and for the clock."""

from __future__ import annotations

import math
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from surrogate_stages import LADDER, finish

from maskcls import config, files
from maskcls.commands.budget import train_stages
from maskcls.commands.budget.train_stages import StageWork, begin_stages, continue_stages
from maskcls.errors import BusyError, ResourceError, ResultError, Stopped
from maskcls.machine.time_limit import TimeLimit
from maskcls.rundir import RunDir, StagesDir
from maskcls.runs.stages import kept_time
from maskcls.runs.stages.answering import answering_run
from maskcls.runs.stages.forecasting import StageCost
from maskcls.runs.stages.kept_time import time_kept
from maskcls.runs.stages.ladder import CHOSEN, StageSettings, stage_work
from maskcls.runs.stages.record import read_stages, refuse_begun_stages
from maskcls.schema import Config
from maskcls.show.runs.stages import StagesOutcome, print_stages, refuse_without_stage
from maskcls.show.terminal.progress import Reporter
from maskcls.training.forecasting.stage_ladder import StageLadder

CFG = config.load(None, ["folds.k=2", "train.epochs=16"])[0]
PHOTOS = 100
HEADS, HEADS_S = StageSettings(size=(128, 96), epochs=0, folds=2, seeds=1), 30.0


@dataclass
class Machine:
    """A clock, and trainings that take `epoch_s` per epoch and reach `scores`, one after the other.

    ladder   the settings of the stages; heads are fitted in HEADS_S seconds. why: why no stage fits heads.
    until_s  when the time is up. trained, resumed: the stages that were, with their epochs. dies_at: the number of the
             stage after which, before its summary, the process is killed.
    """

    epoch_s: float = 10.0
    scores: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5)
    ladder: tuple[StageSettings, ...] = LADDER
    why: str = ""
    until_s: float = math.inf
    now_s: float = 0.0
    spent_s: dict[Path, float] = field(default_factory=dict)
    trained: list[tuple[str, int]] = field(default_factory=list)
    resumed: list[str] = field(default_factory=list)
    limit: FakeLimit | None = None

    def work(self) -> StageWork:
        return StageWork(self.train, self.resume)

    def train(self, cfg: Config, run: RunDir, planned: Callable[[float | None], None]) -> None:
        epochs = cfg.train.epochs if cfg.model.train == "all" else 0
        self.trained.append((run.path.name, epochs))
        run.path.mkdir(exist_ok=True)
        planned(epochs * self.epoch_s if epochs else None)
        run.env.write_text(str(epochs))
        self.go_on(run)

    def resume(self, run: RunDir) -> None:
        self.resumed.append(run.path.name)
        self.go_on(run)

    def go_on(self, run: RunDir) -> None:
        needed_s = (int(run.env.read_text()) * self.epoch_s or HEADS_S) - self.spent_s.get(run.path, 0.0)
        if self.now_s + needed_s > self.until_s:
            self.spent_s[run.path] = self.until_s - self.now_s
            self.now_s = self.until_s
            assert self.limit is not None
            self.limit.is_up = True
            raise Stopped
        self.now_s += needed_s
        finish(run, self.scores[int(run.path.name[5:])])


class FakeLimit(TimeLimit):
    """A limit on a machine's clock, which stops the training itself."""

    def __init__(self, machine: Machine, seconds: float) -> None:
        super().__init__(seconds, began_s=0.0, give_up=lambda: None)
        self.machine, self.start_s = machine, machine.now_s
        machine.limit, machine.until_s = self, machine.now_s + seconds

    @property
    def passed_s(self) -> float:
        return self.machine.now_s - self.start_s

    @property
    def left_s(self) -> float:
        return self.seconds - self.passed_s

    def __enter__(self) -> FakeLimit:
        return self


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Let commands see the surrogate clock, ladder and costs."""
    made = Machine()

    def cost(run: RunDir, settings: StageSettings, cfg: Config, photos: int, whole_s: float) -> StageCost:
        seconds = settings.epochs * made.epoch_s
        return StageCost(stage_work(settings, cfg, photos), 2, seconds, seconds, seconds)

    monkeypatch.setattr(train_stages, "time", SimpleNamespace(monotonic=lambda: made.now_s))
    monkeypatch.setattr(train_stages, "stage_ladder", lambda *_: StageLadder(made.ladder, PHOTOS, CHOSEN, made.why))
    monkeypatch.setattr(train_stages, "measured_cost", cost)
    return made


def begin(machine: Machine, path: Path, seconds: float) -> StagesOutcome:
    limit = FakeLimit(machine, seconds)
    with Reporter() as report:
        return begin_stages(
            StagesDir(path), Path("data"), CFG, CHOSEN, folds=None, limit=limit, work=machine.work(), report=report
        )


def go_on(machine: Machine, path: Path, seconds: float) -> StagesOutcome:
    with Reporter() as report:
        return continue_stages(StagesDir(path), limit=FakeLimit(machine, seconds), work=machine.work(), report=report)


def test_stages_grow_while_they_fit(machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # 1 epoch: 10 s. 8 epochs are 80 s = 8 times 10, and 100 with the margin. 160 s would fit into the 210 left then.
    found = begin(machine, tmp_path / "r", 300)

    assert machine.trained == [("stage0", 1), ("stage1", 8), ("stage2", 16)]
    assert (found.chosen, found.time_up, found.unfinished) == (2, False, None)
    assert found.scores == {0: 0.1, 1: 0.2, 2: 0.3}
    assert answering_run(tmp_path / "r") == tmp_path / "r" / "stage2"
    record = read_stages(StagesDir(tmp_path / "r"))
    assert [(one.forecast_s, one.left_s, one.took_s) for one in record.stages] == [
        (None, 300, 10),
        (80, 290, 80),
        (160, 210, 160),
    ]
    assert (record.limits_s, record.photos, record.free) == ((300,), PHOTOS, CHOSEN)
    said = capsys.readouterr().err
    assert "stage 1: 64x48, 8 epochs, 2 folds: forecast 80 s of 4.8 min left" in said
    assert "no larger stage" in said


def test_nothing_is_begun_that_does_not_fit(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = begin(machine, tmp_path / "r", 34)  # 24 s are left, and 2 epochs need 25 with the margin

    assert machine.trained == [("stage0", 1)]
    assert (found.chosen, found.time_up) == (0, False)
    assert "needs 25 s with the margin, and 24 s are left" in capsys.readouterr().err


def test_a_worse_stage_does_not_answer(machine: Machine, tmp_path: Path) -> None:
    machine.scores = (0.3, 0.2, 0.25)
    assert begin(machine, tmp_path / "r", 300).chosen == 0


def test_a_stage_that_the_limit_stops_is_kept_and_the_one_before_answers(machine: Machine, tmp_path: Path) -> None:
    slow = Machine.go_on

    def slower(self: Machine, run: RunDir) -> None:
        self.epoch_s = 10.0 if run.path.name == "stage0" else 20.0  # than forecast
        slow(self, run)
        self.epoch_s = 10.0

    machine.go_on = slower.__get__(machine)  # type: ignore[method-assign]
    found = begin(machine, tmp_path / "r", 115)

    assert machine.trained == [("stage0", 1), ("stage1", 8)]
    assert (found.chosen, found.time_up) == (0, True)
    assert found.unfinished == StagesDir(tmp_path / "r").stage(1)
    assert machine.now_s == 115

    machine.epoch_s = 20.0
    found = go_on(machine, tmp_path / "r", math.inf)  # without a limit: finished, and no further stage

    assert machine.resumed == ["stage1"]
    assert machine.trained == [("stage0", 1), ("stage1", 8)]
    assert (found.chosen, found.unfinished) == (1, None)
    record = read_stages(StagesDir(tmp_path / "r"))
    assert record.limits_s == (115, None)
    assert record.stages[1].took_s == 160


def test_a_longer_limit_goes_on_with_further_stages(machine: Machine, tmp_path: Path) -> None:
    begin(machine, tmp_path / "r", 34)
    found = go_on(machine, tmp_path / "r", 1000)

    # No time has passed in this command: the smallest stage that fits, then the largest within 8 times that.
    assert machine.trained == [("stage0", 1), ("stage1", 2), ("stage2", 16)]
    assert found.chosen == 2


def test_the_first_stage_is_tried_where_it_does_not_fit(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = begin(machine, tmp_path / "r", 6)

    assert (found.chosen, found.time_up) == (None, True)
    assert "warning: stage 0 is forecast to need 10 s more, and 6 s are left" in capsys.readouterr().err
    with pytest.raises(ResourceError, match="no usable run") as error:
        refuse_without_stage(found)
    assert "maskcls resume" in str(error.value.fix)

    assert go_on(machine, tmp_path / "r", 6).chosen == 0
    assert machine.resumed == ["stage0"]


def test_fitted_heads_come_first_and_the_smallest_training_after_them_measures(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Heads: 30 s. 1 epoch: 10 s. 40 s are over, 260 are left: 16 epochs are 160 s, and 200 with the margin.
    machine.ladder, machine.scores = (HEADS, *LADDER), (0.3, 0.1, 0.2)
    found = begin(machine, tmp_path / "r", 300)

    assert machine.trained == [("stage0", 0), ("stage1", 1), ("stage2", 16)]
    record = read_stages(StagesDir(tmp_path / "r"))
    assert [(one.forecast_s, one.left_s, one.took_s) for one in record.stages] == [
        (None, 300, 30),
        (None, 270, 10),
        (160, 260, 160),
    ]
    assert found.chosen == 0  # no training is better
    said = capsys.readouterr().err
    assert "stage 0: 128x96, fitted heads, 2 folds: trains no backbone; 5.0 min left" in said
    assert "stage 1: 64x48, 1 epoch, 2 folds: measures this machine; 4.5 min left" in said
    assert "no stage of fitted heads" not in said
    print_stages(found, None)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["0", "128x96,", "fitted", "heads,", "2", "folds", "-", "30", "s", "*", "0.3000"] in lines

    machine.scores = (0.3, 0.1, 0.3)
    assert begin(machine, tmp_path / "as_good", 300).chosen == 2


def test_heads_answer_where_the_first_training_does_not_end(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.ladder = (HEADS, *LADDER)
    found = begin(machine, tmp_path / "r", 34)

    assert (found.chosen, found.time_up) == (0, True)
    assert found.unfinished == StagesDir(tmp_path / "r").stage(1)
    assert "warning: stage 1 is forecast to need 10 s more, and 4 s are left" in capsys.readouterr().err

    found = go_on(machine, tmp_path / "r", 100)
    assert machine.resumed == ["stage1"]
    assert machine.trained == [("stage0", 0), ("stage1", 1), ("stage2", 4)]  # 6 s are over: of at most 48
    assert found.chosen == 2


def test_heads_that_the_limit_stops_are_continued(machine: Machine, tmp_path: Path) -> None:
    machine.ladder = (HEADS, *LADDER)
    assert begin(machine, tmp_path / "r", 20).chosen is None
    assert go_on(machine, tmp_path / "r", math.inf).chosen == 0
    assert (machine.resumed, machine.trained) == (["stage0"], [("stage0", 0)])
    assert go_on(machine, tmp_path / "r", 9).unfinished == StagesDir(tmp_path / "r").stage(1)


def test_a_folder_with_a_space_is_quoted_in_commands(machine: Machine, tmp_path: Path) -> None:
    machine.ladder = (HEADS, *LADDER)
    folder = tmp_path / "my run"
    with pytest.raises(ResourceError) as raised:
        refuse_without_stage(begin(machine, folder, 20))
    assert f"maskcls resume '{folder}'; or " in str(raised.value.fix)
    with pytest.raises(ResultError) as unanswered:
        answering_run(folder)
    assert unanswered.value.fix == f"finish it with: maskcls resume '{folder}'"
    files.commit(StagesDir(folder).stage(0).env, b"{}")
    with pytest.raises(BusyError) as begun:
        refuse_begun_stages(StagesDir(folder))
    assert str(begun.value.fix).endswith(f"maskcls resume '{folder}' --budget 30m")


def test_why_no_heads_are_fitted_is_said(machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine.why = "the backbone has random weights"
    begin(machine, tmp_path / "r", 12)
    assert "no stage of fitted heads: the backbone has random weights" in capsys.readouterr().err


def test_an_interrupt_of_the_user_is_not_the_limit(machine: Machine, tmp_path: Path) -> None:
    def stopped(run: RunDir) -> None:
        raise Stopped

    machine.go_on = stopped  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        begin(machine, tmp_path / "r", 300)
    assert read_stages(StagesDir(tmp_path / "r")).stages[0].took_s is None


@pytest.mark.parametrize("heads", [(), (HEADS,)], ids=["training", "heads"])
def test_the_time_of_a_stage_that_is_killed_is_on_disk(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heads: tuple[StageSettings, ...]
) -> None:
    """Also of fitted heads, which have no epochs; a folder copied in the middle of a stage is what a kill leaves."""
    monkeypatch.setattr(kept_time, "KEEP_S", 0.001)
    machine.ladder = (*heads, *LADDER)
    record, killed = StagesDir(tmp_path / "r").record, tmp_path / "killed"

    def written(run: RunDir) -> None:
        machine.now_s += 7.0
        end_s = time.monotonic() + 60
        while '"passed_s": 7.0' not in (text := record.read_text()):
            assert time.monotonic() < end_s, "the time was not written"
        shutil.copytree(run.path, killed / run.path.name)  # not the whole folder, in which the record is being replaced
        shutil.copy(StagesDir(record.parent).config, killed)
        StagesDir(killed).record.write_text(text)
        raise Stopped

    machine.go_on = written  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        begin(machine, tmp_path / "r", 300)
    del machine.go_on
    assert read_stages(StagesDir(killed)).stages[0].passed_s == 7.0
    began_s = machine.now_s
    go_on(machine, killed, math.inf)
    assert read_stages(StagesDir(killed)).stages[0].took_s == 7.0 + machine.now_s - began_s


def test_a_time_that_cannot_be_written_is_tried_again_and_ends_with_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_time, "KEEP_S", 0.001)
    calls, twice = [], threading.Event()

    def write() -> None:
        calls.append(threading.current_thread().name)
        if len(calls) == 2:
            twice.set()
        raise OSError("no space left")

    with time_kept(write):
        assert twice.wait(60)
    count = len(calls)
    assert set(calls) == {"time of the stage"}
    assert "time of the stage" not in [thread.name for thread in threading.enumerate()]
    assert len(calls) == count


class Killed(BaseException):
    """Stands for SIGKILL right before a commit."""


@pytest.mark.parametrize("heads", [(), (HEADS,)], ids=["trainings", "heads first"])
def test_a_kill_before_any_commit_leaves_the_best_finished_stage(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heads: tuple[StageSettings, ...]
) -> None:
    machine.ladder = (*heads, *LADDER)
    replace, commits, dies_at = os.replace, 0, math.inf

    def counted(source: Path, target: Path) -> None:
        nonlocal commits
        if commits >= dies_at:
            raise Killed
        commits += 1
        replace(source, target)

    monkeypatch.setattr(os, "replace", counted)
    begin(machine, tmp_path / "whole", 300)
    total = commits
    assert total >= 10
    seen = set()
    for dies_at in range(total):
        commits, path = 0, tmp_path / str(dies_at)
        machine.now_s, machine.trained, machine.resumed = 0.0, [], []
        with pytest.raises(Killed):
            begin(machine, path, 300)
        finished = [n for n in range(3) if StagesDir(path).stage(n).summary.exists()]
        if finished:
            assert answering_run(path) == path / f"stage{finished[-1]}"
        seen.add(len(finished))
        dies_at, machine.now_s = math.inf, 0.0
        if StagesDir(path).record.exists():
            found = go_on(machine, path, 300)
        else:
            found = begin(machine, path, 300)
        assert found.chosen is not None
        assert answering_run(path) == path / f"stage{found.chosen}"
        assert found.unfinished is None
    assert seen == {0, 1, 2, 3}


def test_what_is_printed_names_every_stage(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = begin(machine, tmp_path / "r", 300)
    capsys.readouterr()

    print_stages(found, None)
    lines = capsys.readouterr().out.splitlines()
    assert any(
        line.split() == ["2", "64x48,", "16", "epochs,", "2", "folds", "2.7", "min", "2.7", "min", "*", "0.3000"]
        for line in lines
    )
    print_stages(found, None, json=True)
    assert '"chosen": "stage2"' in capsys.readouterr().out
