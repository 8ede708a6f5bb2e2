"""Trainings with trackers: every tracker holds each epoch once, whenever the training was killed."""

from __future__ import annotations

import csv
import json
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from project import PROJECT_DIR
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny import contents, log_lines, resume, train

from maskcls.config import installed_trackers as trackers
from maskcls.engine import fit as fitting
from maskcls.errors import Exit
from maskcls.rundir import RunDir
from maskcls.schema import TrackerName
from maskcls.training import side_by_side
from maskcls.training.tracking import logs
from maskcls.training.tracking.csv_log import CsvLog
from maskcls.training.tracking.log import Place
from maskcls.training.tracking.tensorboard_log import TensorBoardLog

BOTH = "track=csv,tensorboard"
Series = dict[str, list[tuple[int, float]]]


@pytest.fixture(scope="module")
def untracked(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("untracked") / "run"
    assert train(drawn, run) == 0
    assert not (run / "tracking").exists()
    return run


@pytest.fixture(scope="module")
def tracked(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("tracked") / "run"
    assert train(drawn, run, BOTH) == 0
    return run


def in_log(fold: Path) -> Series:
    """Return the numbers of log.jsonl by name, each with its epoch."""
    lines = log_lines(fold)
    names = [name for name in lines[0] if name != "epoch"]
    return {n: [(line["epoch"], float(line[n])) for line in lines if line[n] is not None] for n in names}


def in_csv(run: Path, place: str) -> Series:
    rows = table(run, place, "scalars")
    return {n: [(int(row["epoch"]), float(row[n])) for row in rows if row[n]] for n in rows[0] if n != "epoch"}


def table(run: Path, place: str, name: str) -> list[dict[str, str]]:
    with (run / "tracking/csv" / place / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def events(run: Path, place: str) -> EventAccumulator:
    everything = {"scalars": 0, "images": 0, "tensors": 0}
    return EventAccumulator(str(run / "tracking/tensorboard" / place), size_guidance=everything).Reload()


def in_tensorboard(run: Path, place: str) -> Series:
    found = events(run, place)
    return {name: [(e.step, e.value) for e in found.Scalars(name)] for name in found.Tags()["scalars"]}


def check_complete(run: Path, folds: int = 2) -> None:
    """Compare both trackers with the log of each fold."""
    for k in range(folds):
        expected = in_log(run / f"fold{k}")
        assert in_csv(run, f"fold{k}") == expected
        found = in_tensorboard(run, f"fold{k}")
        assert set(found) == set(expected)
        for name, series in found.items():
            assert [epoch for epoch, _ in series] == [epoch for epoch, _ in expected[name]], name
            # An event file holds float32.
            assert [value for _, value in series] == pytest.approx([value for _, value in expected[name]], rel=1e-6)


def test_every_tracker_has_the_numbers_of_the_log_under_the_same_names(tracked: Path) -> None:
    check_complete(tracked)
    assert {"train/loss", "val/macro_f1", "val/age", "lr", "step", "seconds"} <= set(in_csv(tracked, "fold0"))


def test_trackers_change_no_byte_of_the_result(tracked: Path, untracked: Path) -> None:
    assert contents(tracked) == contents(untracked)


def test_the_settings_and_the_first_batch_are_there(tracked: Path) -> None:
    settings = {row["key"]: row["value"] for row in table(tracked, "fold1", "settings")}
    assert settings["model.backbone"] == '"test_efficientnet"'
    assert settings["train.epochs"] == "2"
    assert table(tracked, "fold1", "files") == [{"name": "first_batch", "path": str(tracked / "fold1/first_batch.png")}]
    found = events(tracked, "fold1")
    (image,) = found.Images("first_batch")
    assert image.encoded_image_string[:4] == b"\x89PNG"
    (text,) = found.Tensors("settings/text_summary")
    assert b"| `train.epochs` | `2` |" in text.tensor_proto.string_val[0]


def test_the_scores_of_run_and_folds_and_the_confusion_are_there_at_the_end(tracked: Path) -> None:
    summary = json.loads((tracked / "summary.json").read_text())
    scores = {row["name"]: float(row["value"]) for row in table(tracked, "run", "scores")}
    assert scores["oof/macro_f1"] == summary["pooled"]["macro_f1"]
    assert scores["oof/age"] == summary["pooled"]["tasks"]["age"]["macro_f1"]
    assert scores["oof/macro_f1_low"] == summary["interval"]["low"]
    assert scores["fold1/macro_f1"] == summary["folds"]["1"]["macro_f1"]
    assert {name: value for name, ((_, value),) in in_tensorboard(tracked, "run").items()} == pytest.approx(
        scores, rel=1e-6
    )
    listed = {row["name"]: Path(row["path"]) for row in table(tracked, "run", "files")}
    pictures = {f"confusion/{name}" for name in ("mask", "gender", "age", "joint")}
    assert set(listed) == pictures | {"file/summary", "file/oof", "file/config"}
    assert all(path.is_file() for path in listed.values())
    assert set(events(tracked, "run").Tags()["images"]) == pictures


def stop_in_epoch(monkeypatch: pytest.MonkeyPatch, epoch: int) -> None:
    """Press Ctrl-C in the middle of an epoch of fold 0."""
    real = fitting.train_step

    def train_step(session: Any, *rest: Any) -> Any:
        if session.epoch == epoch and session.step % 3 == 1:
            raise KeyboardInterrupt
        return real(session, *rest)

    monkeypatch.setattr(fitting, "train_step", train_step)


def stop_before_the_trackers(monkeypatch: pytest.MonkeyPatch, epoch: int) -> None:
    """Press Ctrl-C when an epoch is saved, but no tracker has it."""
    real = logs.NetworkLogs.update

    def update(self: logs.NetworkLogs, history: Any) -> None:
        if len(history) == epoch + 1:
            raise KeyboardInterrupt
        real(self, history)

    monkeypatch.setattr(logs.NetworkLogs, "update", update)


@pytest.mark.parametrize("stop", [stop_in_epoch, stop_before_the_trackers])
def test_a_killed_and_resumed_training_has_each_epoch_once(
    drawn: Path, tmp_path: Path, stop: Callable[[pytest.MonkeyPatch, int], None]
) -> None:
    run = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        stop(patch, 1)
        assert train(drawn, run, BOTH, "train.epochs=3", "--folds", "0") == Exit.INTERRUPTED
    assert len(in_csv(run, "fold0")["lr"]) == 1
    assert resume(run) == 0
    check_complete(run, folds=1)
    assert len(in_csv(run, "fold0")["lr"]) == 3


def test_a_part_of_an_epoch_in_an_event_file_is_replaced(tmp_path: Path) -> None:
    place = Place(RunDir(tmp_path), "fold0", logs.Config().tracking)
    for loss in (2.0, 1.0):
        log = logs.new_log("tensorboard", place, 1)
        assert log.held == int(loss < 2)
        if loss == 2.0:
            log.epoch(0, {"val/age": 0.25, "train/loss": loss})
            log.epoch(1, {"val/age": 9.0})  # the process was killed here
        else:
            log.epoch(1, {"val/age": 0.5, "train/loss": loss})
        log.close(complete=True)
    expected = {"val/age": [(0, 0.25), (1, 0.5)], "train/loss": [(0, 2.0), (1, 1.0)]}
    assert in_tensorboard(tmp_path, "fold0") == expected


@pytest.mark.parametrize("tracker", ["csv", "tensorboard"])
def test_a_log_of_a_training_that_was_deleted_begins_again(tmp_path: Path, tracker: Any) -> None:
    place = Place(RunDir(tmp_path), "refit", logs.Config().tracking)
    log = logs.new_log(tracker, place, 0)
    for epoch in range(3):
        log.epoch(epoch, {"train/loss": 5.0})
    log.close(complete=True)
    log = logs.new_log(tracker, place, 1)
    assert log.held == 0
    log.epoch(0, {"train/loss": 4.0})
    log.close(complete=True)
    read = in_csv if tracker == "csv" else in_tensorboard
    assert read(tmp_path, "refit") == {"train/loss": [(0, 4.0)]}


def test_every_network_has_a_place_of_its_own(drawn: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(drawn, run, "track=csv", "model.heads=separate", "train.epochs=1", "--folds", "0") == 0
    places = {path.parent.relative_to(run / "tracking/csv").as_posix() for path in run.rglob("scalars.csv")}
    assert places == {f"members/{task}/fold0" for task in ("mask", "gender", "age")}
    for place in places:
        assert in_csv(run, place) == in_log(run / place)


class Pipe:
    """The end of a pipe that keeps what a training process sends."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []

    def send(self, message: tuple[str, Any]) -> None:
        self.sent.append(message)


def test_a_fold_in_a_process_of_its_own_is_tracked(
    tracked: Path, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, pipe = tmp_path / "run", Pipe()
    shutil.copytree(tracked, run)
    shutil.rmtree(run / "fold1")
    shutil.rmtree(run / "tracking")
    monkeypatch.setattr(side_by_side.signal, "signal", lambda *_: None)
    side_by_side._child(pipe, RunDir(run), "", 1, False, drawn)  # type: ignore[arg-type]
    assert {name for name, _ in pipe.sent} & {"error", "crash"} == set()
    assert in_csv(run, "fold1") == in_log(run / "fold1")
    assert not (run / "tracking/csv/fold0").exists()


def test_a_tracker_that_fails_stops_no_training(
    drawn: Path, untracked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(self: CsvLog, epoch: int, values: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(CsvLog, "epoch", full)
    run = tmp_path / "run"
    assert train(drawn, run, BOTH) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert said == [
        "warning: no more tracking with csv, training continues: OSError: [Errno 28] No space left on device"
    ]
    assert contents(run) == contents(untracked)
    assert in_tensorboard(run, "fold1")["step"] == [(0, 3.0), (1, 6.0)]


def test_a_tracker_that_is_not_installed_is_an_error_before_training(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    assert train(drawn, tmp_path / "run", "track=csv,wandb,mlflow") == Exit.CONFIG
    said = capsys.readouterr().err
    assert "wandb and mlflow are not installed" in said
    assert "pip install 'wandb>=0.19' 'mlflow>=3'" in said
    assert not (tmp_path / "run").exists()


def test_a_lost_tracker_is_an_error_before_a_run_is_resumed(
    tracked: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    assert resume(tracked) == Exit.CONFIG
    assert "tensorboard is not installed" in capsys.readouterr().err


def test_the_extras_name_the_versions_that_the_error_names() -> None:
    extras = tomllib.loads((PROJECT_DIR / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {name: extras[name] for name in trackers.REQUIREMENTS} == {
        name: [text] for name, text in trackers.REQUIREMENTS.items()
    }
    assert set(trackers.REQUIREMENTS) | {"csv"} == set(get_args(TrackerName))


def test_an_event_that_cannot_be_written_is_an_error_of_its_call(tmp_path: Path) -> None:
    log = TensorBoardLog(Place(RunDir(tmp_path), "fold0", logs.Config().tracking), 0)
    log.events.close()  # every write fails from now on
    with pytest.raises(ValueError, match="closed file"):
        log.epoch(0, {"train/loss": 1.0})
    assert log.held == 0
