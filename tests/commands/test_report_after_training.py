"""What train leaves for the report: the page, origins of settings, seconds of its parts; and activation maps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from finished_run import finish_run
from tiny import recipe

from maskcls import cli, config
from maskcls.errors import Exit
from maskcls.results.rows_by_id import rows_of
from maskcls.rundir import RunDir
from maskcls.runs.records.times import CHECKING, NETWORKS, PEOPLE, PHOTOS, PLANS, READING, read_times
from maskcls.runs.reported.reported_run import read_reported_run
from maskcls.show.pages.photos import jpeg_uri
from maskcls.show.pictures.overlay import overlay
from maskcls.show.report import after_training as module
from maskcls.show.report import page as page_module
from maskcls.show.report.after_training import after_training, next_command
from maskcls.show.report.mistakes import photos_to_explain
from maskcls.show.report.sections import OF_EACH
from maskcls.show.terminal.progress import Reporter
from maskcls.training.explaining.cams import cams_of, row_views
from maskcls.training.explaining.mistake_cams import mistake_cams
from maskcls.training.stored_experiment import open_experiment

SECRET = "hunter2-hunter2"  # in the environment of a training


@pytest.fixture(autouse=True)
def mistakes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave one section without figures: drawing all takes seconds."""
    monkeypatch.setattr(page_module, "OF_EACH", tuple(one for one in OF_EACH if one.id == "mistakes"))


@pytest.fixture(scope="module")
def trained(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDir, str]:
    """Train one fold with a page at the end; returns the run and what was printed as JSON."""
    run = RunDir(tmp_path_factory.mktemp("runs") / "my run")
    words = [
        "train",
        str(drawn),
        "--run",
        str(run.path),
        *recipe("train.report=true", "train.epochs=1"),
        "--folds",
        "0",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("API_TOKEN", SECRET)
        patch.setattr(page_module, "OF_EACH", OF_EACH[:1])
        printed: list[str] = []
        patch.setattr("builtins.print", lambda text="", **_: printed.append(text))
        assert cli.run_app([*words, "--json"]) == Exit.OK
    return run, "\n".join(printed)


def test_train_writes_the_page_and_names_the_next_command(trained: tuple[RunDir, str], drawn: Path) -> None:
    run, printed = trained
    found = json.loads(printed)
    assert found["report"] == str(run.report)
    assert run.report.read_text().startswith("<!doctype html>")
    assert found["next"] == f"maskcls predict '{run.path}' --data {drawn} -o 'my run.csv'"


def test_the_first_batch_is_the_only_picture_of_people_in_a_run(trained: tuple[RunDir, str]) -> None:
    """No other file holds a picture, be it as bytes or in the text of a page."""
    starts = [b"\x89PNG\r\n", b"\xff\xd8\xff", b"image/png", b"image/jpeg", b"image/webp"]
    found = [path for path in trained[0].path.rglob("*") if path.is_file()]
    assert len(found) > 12
    with_pictures = [path for path in found if any(start in path.read_bytes() for start in starts)]
    assert with_pictures == [trained[0].fold(0).first_batch]


def test_no_file_of_a_run_holds_the_environment(trained: tuple[RunDir, str]) -> None:
    found = [path for path in trained[0].path.rglob("*") if path.is_file()]
    assert [path for path in found if SECRET.encode() in path.read_bytes()] == []
    assert SECRET not in trained[1]


def test_train_keeps_the_origins_of_settings(trained: tuple[RunDir, str]) -> None:
    origins = json.loads(trained[0].env.read_text())["origins"]
    assert origins["train.epochs"] == "command line"
    assert origins["transforms.mean"] == "backbone"
    assert "seed" not in origins


def test_train_keeps_the_seconds_of_its_parts(trained: tuple[RunDir, str]) -> None:
    times = read_times(trained[0])
    assert times is not None
    (command,) = times.commands
    assert command.command == "train"
    assert list(command.seconds) == [READING, CHECKING, PHOTOS, PLANS, PEOPLE, NETWORKS]
    assert command.seconds[NETWORKS] > 0


def test_maps_are_of_the_network_that_left_the_person_out(trained: tuple[RunDir, str]) -> None:
    reported = read_reported_run(trained[0])
    assert reported.rows is not None
    maps, (experiment, env) = mistake_cams(reported), open_experiment(reported.run)
    listed = list(photos_to_explain(reported.rows))
    assert set(maps) == {(reported.run.path, task, photo.row) for task, photo in listed}
    task, photo = listed[0]
    rows = rows_of(experiment.manifest["id"].tolist(), [reported.rows.labelled.ids[photo.row]])
    (cam,), (view,) = cams_of(experiment, env, rows, task), row_views(experiment, rows, task)
    first = maps[(reported.run.path, task, photo.row)]
    assert list(first) == [f"map of {photo.predicted} (predicted)", f"map of {photo.true} (true)"]
    assert next(iter(first.values())) == jpeg_uri(overlay(view, cam), px=160)


def test_cam_puts_maps_into_the_page(trained: tuple[RunDir, str], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    words = ["report", str(trained[0].path), "-o", str(page), "--with-photos", "--cam"]
    assert cli.run_app(words) == Exit.OK
    reported = read_reported_run(trained[0])
    assert reported.rows is not None
    assert page.read_text().count('alt="map of ') == 2 * len(list(photos_to_explain(reported.rows)))


def test_a_page_that_cannot_be_written_is_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        raise ValueError("no colour")

    monkeypatch.setattr(module, "report_files", fails)
    run = finish_run(tmp_path / "a")
    with Reporter() as report:
        found = after_training(run, report)
    assert found.page is None
    assert found.command.startswith("maskcls predict ")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: the run is complete, but its report is not written: an error in the report")
    assert "ValueError: no colour" in line
    assert line.endswith(f"maskcls report {run.path}")


def test_the_setting_turns_the_page_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [finish_run(tmp_path / name, settings=(f"train.report={name}",)) for name in ("true", "false")]
    with Reporter() as report:
        pages = [after_training(run, report).page for run in runs]
    assert pages == [runs[0].report, None]
    assert [run.report.exists() for run in runs] == [True, False]


def test_a_data_set_without_photos_to_predict_needs_a_name(tmp_path: Path) -> None:
    cfg, _ = config.load(None)
    run = RunDir(tmp_path / "a")
    assert f" {run.path} PHOTOS " in next_command(run, tmp_path, cfg)
    look, _ = config.load(None, ["predict.groups=look"])
    assert " --data PHOTOS " in next_command(run, tmp_path, look)  # photos that are named by words are not averaged
    (tmp_path / "eval").mkdir()
    assert f" --data {tmp_path} " in next_command(run, tmp_path, cfg)
