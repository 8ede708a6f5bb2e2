"""A search with trials of milliseconds: which trials there are, what is recorded of them, and what comes of it."""

from __future__ import annotations

import csv
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from finished_run import finish_run
from sqlalchemy import event
from sqlalchemy.engine import Engine
from surrogate_trials import SPACE, begin, do_trials, events, finish, quality, states, train_trial, train_whole, values

from maskcls import config
from maskcls.config.yaml12 import parse_yaml
from maskcls.errors import BusyError, ConfigError, ResourceError, ResultError, Stopped
from maskcls.rundir import RunDir, StagesDir, StudyDir
from maskcls.runs.checks import refuse_existing
from maskcls.runs.choices.register import read_register
from maskcls.runs.environment import read_environment
from maskcls.runs.locks import run_lock
from maskcls.runs.records.finding import checked_run
from maskcls.tuning import claims, worker
from maskcls.tuning.open_study import open_study
from maskcls.tuning.trial_table import search_study


@pytest.fixture(autouse=True)
def _fast_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave out SQLite's waits for the disk too: here no machine loses its power."""

    def relax(connection: Any, record: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    event.listen(Engine, "connect", relax)
    yield
    event.remove(Engine, "connect", relax)


def test_the_first_trial_is_the_base_and_the_others_are_drawn(tmp_path: Path) -> None:
    opened = begin(tmp_path / "s", "optim.lr=0.002", trials=4)
    do_trials(opened, 4)
    assert states(opened) == ["COMPLETE"] * 4
    assert values(opened)[0] == {"optim.lr": 0.002, "loss.all": "ce"}
    assert len({one["optim.lr"] for one in values(opened)}) == 4
    assert sorted(path.name for path in (tmp_path / "s" / "trials").iterdir() if path.is_dir()) == [
        *("0000", "0001", "0002", "0003")
    ]


def test_a_base_outside_the_space_is_the_first_trial_all_the_same(tmp_path: Path) -> None:
    opened = begin(tmp_path / "s", "optim.lr=5.0", trials=12, sampler="tpe")
    do_trials(opened, 12)
    assert values(opened)[0] == {}
    found = search_study(opened)
    assert found.trials[0].values == {"optim.lr": 5.0, "loss.all": "ce"}
    assert found.trials[0].score == pytest.approx(quality(opened.base))
    assert len(found.done) == 12


@pytest.mark.parametrize("sampler", ["tpe", "random", "zoom", "grid"])
def test_a_search_in_two_commands_is_the_search_in_one(tmp_path: Path, sampler: str) -> None:
    space = {**SPACE, "optim.lr": [1e-3, 1e-2, 1e-1, 1.0]} if sampler == "grid" else SPACE
    one, two = (begin(tmp_path / name, sampler=sampler, space=space, trials=10) for name in "ab")
    do_trials(one, 10)
    for count in (3, 10):
        do_trials(begin(tmp_path / "b", sampler=sampler, space=space, trials=10), count)
    assert values(one) == values(two)
    assert len(values(one)) == 10


def test_the_grid_has_every_point_once_and_ends(tmp_path: Path) -> None:
    space = {"optim.lr": [3e-4, 1e-2], "loss.all": ["ce", "focal(gamma=2)"]}
    opened = begin(tmp_path / "s", sampler="grid", space=space, trials=None)
    do_trials(opened, None)
    found = [(one["optim.lr"], one["loss.all"]) for one in values(opened)]
    assert found[0] == (3e-4, "ce")  # the base
    assert sorted(found) == [(3e-4, "ce"), (3e-4, "focal(gamma=2)"), (0.01, "ce"), (0.01, "focal(gamma=2)")]


def test_zoom_narrows_the_space_around_the_best_and_says_so(tmp_path: Path) -> None:
    opened = begin(tmp_path / "s", sampler="zoom", trials=20)
    do_trials(opened, 20)
    first, second = opened.study.user_attrs[claims.STAGE_SPACES]
    for stage, trials in ((first, opened.trials[10:15]), (second, opened.trials[15:])):
        low, high = stage["optim.lr"]["low"], stage["optim.lr"]["high"]
        assert 1e-4 <= low < high <= 1.0
        assert all(low <= one.user_attrs["values"]["optim.lr"] <= high for one in trials)
    assert first["optim.lr"]["low"] <= second["optim.lr"]["low"]
    assert second["optim.lr"]["high"] - second["optim.lr"]["low"] < 1.0 - 1e-4


def test_tpe_ends_nearer_to_the_best_than_it_began(tmp_path: Path) -> None:
    opened = begin(tmp_path / "s", "optim.lr=0.9", sampler="tpe", trials=24)
    do_trials(opened, 24)
    scores = [one.value or 0.0 for one in opened.trials]
    assert max(scores[10:]) >= max(scores[:10])
    late = [abs(json.loads(str(one["optim.lr"])) - 0.01) for one in values(opened)[16:]]
    assert sorted(late)[len(late) // 2] < 0.1  # of a range up to 1


def test_the_table_the_winner_and_the_score(tmp_path: Path) -> None:
    opened = begin(tmp_path / "s", trials=6)
    do_trials(opened, 6, train=train_whole)
    found = finish(opened)
    rows = list(csv.DictReader((tmp_path / "s" / "trials.csv").read_text().splitlines()))
    assert [row["trial"] for row in rows] == [str(number) for number in range(6)]
    best = max(rows, key=lambda row: float(row["macro_f1"]))
    text = (tmp_path / "s" / "best.yaml").read_text()
    cfg, _ = config.load(tmp_path / "s" / "best.yaml")
    assert cfg.optim.lr == pytest.approx(float(best["optim.lr"]))
    assert cfg.loss.all == best["loss.all"]
    assert found.score is not None
    assert found.score.naive == pytest.approx(float(best["macro_f1"]))
    assert found.score.macro_f1 < found.score.naive
    assert f"# expected  macro-F1 for new people: {found.score.macro_f1:.4f}" in text
    assert "chosen from 6 trials" in text
    assert parse_yaml(text, where="best.yaml")["optim"]["lr"] == cfg.optim.lr
    result = json.loads((tmp_path / "s" / "result.json").read_text())
    assert result["best"]["trial"] == int(best["trial"])
    assert result["trials"] == {"done": 6, "pruned": 0, "failed": 0, "running": 0}


def test_every_trial_is_a_choice_among_the_runs_beside_the_study(tmp_path: Path) -> None:
    opened = begin(tmp_path / "s", trials=3)
    do_trials(opened, 3, train=train_whole)
    for _ in range(2):
        finish(opened)
    found = read_register(RunDir(tmp_path / "s")).attempts
    assert sorted(one.name for one in found) == [f"s/trials/000{number}" for number in range(3)]
    assert read_register(opened.folder.trial("0000")).attempts


# ---- a command that differs


def test_a_command_that_differs_is_refused_by_name(tmp_path: Path) -> None:
    begin(tmp_path / "s")
    with pytest.raises(BusyError) as caught:
        begin(tmp_path / "s", "optim.clip_norm=1.0", seed=1, sampler="tpe", prune_folds="wilcoxon")
    assert list(caught.value.offenders) == [
        "--sampler tpe (the study has random)",
        "--seed 1 (the study has 0)",
        "--prune-folds wilcoxon (the study has none)",
        "optim.clip_norm=1.0 (the study has 5.0)",
    ]
    with pytest.raises(BusyError, match="--space"):
        begin(tmp_path / "s", space={"optim.lr": [1e-3, 1e-2]})
    with pytest.raises(BusyError, match="--prune-epochs"):
        begin(tmp_path / "s", prune_epochs="median")
    assert states(begin(tmp_path / "s", trials=100)) == []  # more trials are no other study


def test_a_study_of_zoom_keeps_its_number_of_trials(tmp_path: Path) -> None:
    begin(tmp_path / "s", sampler="zoom", trials=20)
    with pytest.raises(BusyError, match="--trials"):
        begin(tmp_path / "s", sampler="zoom", trials=40)


@pytest.mark.parametrize(
    ("name", "said"),
    [("env.json", "holds a run"), ("stages.yaml", "holds a run"), ("trials.csv", "replace"), ("best.yaml", "replace")],
)
def test_a_folder_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path, name: str, said: str) -> None:
    name = StagesDir(tmp_path).config.name if name == "stages.yaml" else name
    (tmp_path / name).write_text("{}")
    with pytest.raises(BusyError, match=said):
        begin(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_start_that_was_killed_is_begun_again(tmp_path: Path) -> None:
    study = StudyDir(tmp_path)
    study.lock_file.touch()
    study.base.write_text("model: {backbone: mine}\n")  # as a person writes it
    with pytest.raises(BusyError, match="files that a search would replace") as caught:
        begin(tmp_path)
    assert list(caught.value.offenders) == ["base.yaml"]
    study.base.write_text(config.to_yaml(config.load(None, [])[0]))
    assert states(begin(tmp_path)) == []


def test_a_search_that_lost_its_record_says_what_it_is_and_is_not_begun_again(tmp_path: Path) -> None:
    study = StudyDir(tmp_path / "s")
    begin(study.path)
    finish_run(study.trial("0000").path)
    study.facts.unlink()
    with pytest.raises(ResultError, match="the trials of a search for settings") as caught:
        checked_run(study.path)
    assert caught.value.where == str(study.facts)
    assert str(study.trial("0000").path) in (caught.value.fix or "")
    with pytest.raises(BusyError, match="files that a search would replace"):
        begin(study.path)


def test_the_folder_of_a_search_is_no_run_and_takes_none(tmp_path: Path) -> None:
    begin(tmp_path / "s")
    with pytest.raises(BusyError, match="holds a search for settings"):
        refuse_existing(RunDir(tmp_path / "s"), tmp_path / "data")
    for read in (lambda: checked_run(tmp_path / "s"), lambda: read_environment(RunDir(tmp_path / "s"))):
        with pytest.raises(ResultError, match="holds a search for settings") as caught:
            read()
        assert str(tmp_path / "s" / "trials" / "0000") in (caught.value.fix or "")


# ---- trials that fail, and too many of them


def test_a_trial_that_fails_is_recorded_and_the_search_goes_on(tmp_path: Path) -> None:
    def train(cfg: Any, run: RunDir, report: Any, *, begun: bool) -> None:
        if run.path.name == "0001":
            raise ResourceError("the memory of the GPU is full", got="8 GiB")
        if run.path.name == "0002":
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        if run.path.name == "0003":
            raise ConfigError("a setting is wrong", where="model.backbone", got="resnet5")
        assert cfg.train.baseline is False  # a search compares trials; the baseline would be that of each again
        train_trial(cfg, run, report, begun=begun)

    opened = begin(tmp_path / "s", trials=5)
    do_trials(opened, 5, train=train)
    found = search_study(opened)
    assert [one.state for one in found.trials] == ["done", "failed", "failed", "failed", "done"]
    assert found.trials[1].why == "the memory of the GPU is full; got: 8 GiB"
    assert found.trials[2].why.startswith("the memory of the GPU is full; got: CUDA out of memory")
    assert found.trials[3].why == "a setting is wrong; where: model.backbone; got: resnet5"


def test_too_many_failures_in_a_row_end_the_search(tmp_path: Path) -> None:
    def train(cfg: Any, run: RunDir, report: Any, *, begun: bool) -> None:
        raise ResourceError("the disk is full")

    opened = begin(tmp_path / "s", trials=50)
    with pytest.raises(ResultError, match="5 trials failed one after the other"):
        do_trials(opened, 50, train=train)
    assert states(opened) == ["FAIL"] * worker.MOST_FAILURES


def test_a_bug_is_recorded_and_raised(tmp_path: Path) -> None:
    def train(cfg: Any, run: RunDir, report: Any, *, begun: bool) -> None:
        raise AssertionError("strange")

    opened = begin(tmp_path / "s")
    with pytest.raises(AssertionError):
        do_trials(opened, 8, train=train)
    assert states(opened) == ["FAIL"]


# ---- interrupted, out of time


@pytest.mark.parametrize("stop", [KeyboardInterrupt, Stopped])
def test_an_interrupted_trial_is_continued_by_the_same_command(tmp_path: Path, stop: type[BaseException]) -> None:
    def interrupted(cfg: Any, run: RunDir, report: Any, *, begun: bool) -> None:
        if run.path.name == "0002" and not begun:
            run.path.mkdir(parents=True)
            run.env.write_text("{}")
            raise stop
        train_trial(cfg, run, report, begun=begun)

    for name in ("s", "whole"):
        opened = begin(tmp_path / name, trials=4)
        if name == "s":
            with pytest.raises(stop):
                do_trials(opened, 4, train=interrupted)
            assert states(opened) == ["COMPLETE", "COMPLETE", "WAITING"]
            assert not list(opened.folder.workers.iterdir())
        do_trials(opened, 4)
        assert states(opened) == ["COMPLETE"] * 4
    assert values(opened) == values(begin(tmp_path / "s", trials=4))
    assert [line[:2] for line in events(tmp_path / "s") if line[0] == "resume"] == [["resume", "0002"]]


def test_time_ends_between_trials_and_stops_the_running_one_after_an_epoch(tmp_path: Path) -> None:
    opened = begin(tmp_path / "s", trials=8)
    do_trials(opened, 8, deadline=time.monotonic())  # the first trial is done whatever the time
    assert states(opened) == ["COMPLETE"]

    def slow(cfg: Any, run: RunDir, report: Any, *, begun: bool) -> None:
        train_trial(cfg, run, report, begun=begun, sleep_s=3.0)

    do_trials(opened, 8, deadline=time.monotonic() + 0.5, train=slow)
    assert states(opened) == ["COMPLETE", "WAITING"]  # stopped where its second fold would have begun
    do_trials(opened, 2)
    assert states(opened) == ["COMPLETE", "COMPLETE"]
    assert [line[:2] for line in events(tmp_path / "s")][-2:] == [["resume", "0001"], ["end", "0001"]]


# ---- dead workers


def leave_running(opened: Any, owner: str | None) -> None:
    """Take a trial as a worker does that dies in it."""
    claim = claims.next_claim(opened, owner or "x", 8)
    assert isinstance(claim, claims.Claim)


def test_the_trial_of_a_dead_worker_is_resumed_once_and_then_failed(tmp_path: Path) -> None:
    opened = begin(tmp_path / "s", trials=2)
    dead = f"{claims.lives.__globals__['platform'].node()}-1-dead"
    leave_running(opened, dead)
    assert states(opened) == ["RUNNING"]
    leave_running(opened, dead)  # the second attempt is of the same trial
    assert states(opened) == ["RUNNING"]
    do_trials(opened, 2)
    assert states(opened) == ["FAIL", "COMPLETE"]
    assert search_study(opened).trials[0].why == claims.KILLED


def test_a_worker_on_another_host_is_dead_when_it_gave_no_sign_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = begin(tmp_path / "s", trials=2)
    leave_running(opened, "elsewhere-1-beef")
    assert claims.next_claim(opened, "here-1-x", 1) == claims.Wait()
    monkeypatch.setattr(opened.storage, "grace_period", -1)
    claim = claims.next_claim(opened, "here-1-x", 1)
    assert isinstance(claim, claims.Claim)
    assert (claim.number, claim.attempts) == (0, 2)


def test_a_worker_that_comes_back_after_its_trial_was_taken_over_changes_nothing(tmp_path: Path) -> None:
    opened = begin(tmp_path / "s", trials=1)

    def taken_over(cfg: Any, run: RunDir, report: Any, *, begun: bool) -> None:
        from optuna.trial import TrialState

        train_trial(cfg, run, report, begun=begun)
        other = open_study(opened.folder, None)
        other.storage.set_trial_state_values(other.trials[0]._trial_id, TrialState.COMPLETE, [0.25])

    do_trials(opened, 1, train=taken_over)
    assert [(one.state.name, one.value) for one in opened.trials] == [("COMPLETE", 0.25)]


# ---- pruning


def test_epochs_prune_trials_that_say_why(tmp_path: Path) -> None:
    opened = begin(tmp_path / "s", "train.epochs=4", "optim.lr=0.01", prune_epochs="median", trials=20)

    def train(cfg: Any, run: RunDir, report: Any, *, begun: bool) -> None:
        train_trial(cfg, run, report, begun=begun, epochs=4)

    do_trials(opened, 20, train=train)
    pruned = [one for one in search_study(opened).trials if one.state == "pruned"]
    assert pruned
    assert all("of fold 0 scored" in one.why and one.epochs < 8 for one in pruned)
    others = begin(tmp_path / "t", "train.epochs=4", "optim.lr=0.01", prune_epochs="none", trials=20)
    do_trials(others, 20, train=train)
    assert states(others) == ["COMPLETE"] * 20


def test_epochs_are_not_compared_where_their_number_is_searched(tmp_path: Path) -> None:
    space = {**SPACE, "train.epochs": [2, 3]}
    opened = begin(tmp_path / "s", "optim.lr=0.01", prune_epochs="median", space=space, trials=20)
    do_trials(opened, 20)
    assert states(opened) == ["COMPLETE"] * 20


# ---- what is kept


def test_the_best_keep_their_weights(tmp_path: Path) -> None:
    stripped: dict[str, bool] = {}

    def train(cfg: Any, run: RunDir, report: Any, *, begun: bool) -> None:
        train_trial(cfg, run, report, begun=begun, whole=True)
        run.fold(0).best.path.mkdir(parents=True)
        run.fold(0).best.tensors.write_bytes(b"weights")
        run.fold(0).resume.mkdir()

    def strip(run: RunDir, weights: bool) -> None:
        with run_lock.lock(run):
            if run.fold(0).resume.exists():
                run.fold(0).resume.rmdir()
            if weights:
                run.fold(0).best.tensors.unlink(missing_ok=True)
        stripped[run.path.name] = weights

    from maskcls.commands.tuning.tune import run_worker
    from maskcls.tuning.worker import Limits

    opened = begin(tmp_path / "s", trials=6)
    run_worker(opened, Limits(6), keep=2, train=train, strip=strip, show=lambda _: None, quiet=True)
    ranked = [f"{one.number:04d}" for one in search_study(opened).ranked]
    have = {name for name in ranked if opened.folder.trial(name).fold(0).best.tensors.exists()}
    assert have == set(ranked[:2])
    assert len(stripped) == 6
    assert all(opened.folder.trial(name).oof.exists() for name in ranked)


def test_quality_is_what_it_says() -> None:
    at = [quality(config.load(None, [f"optim.lr={lr}"])[0]) for lr in (0.001, 0.01, 0.1)]
    assert at[1] == pytest.approx(0.8)
    assert at[0] == pytest.approx(at[2])
    assert at[0] < at[1]
    assert signal.getsignal(signal.SIGTERM) is not None
