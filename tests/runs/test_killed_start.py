"""A folder in which a command was killed before its run began is used again; what may be a user's file is kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from made_run import make_run
from tiny import hashes, recipe

from maskcls import config, files
from maskcls.cli import run_app
from maskcls.config import written_settings
from maskcls.config.yaml12 import dump_yaml
from maskcls.errors import BusyError, Exit, ResultError
from maskcls.rundir import RepeatsDir, RunDir, StagesDir, SynthDir
from maskcls.runs.checks import refuse_existing
from maskcls.runs.folders.killed_start import strange_files
from maskcls.runs.generators.synth_checks import refuse_existing_generators
from maskcls.runs.identity import required_files
from maskcls.runs.locks import run_lock
from maskcls.runs.locks.run_lock import last_holder

HELD = "process 7 on node1 since 2026-11-30T03:00:00+00:00"


@pytest.fixture
def run(drawn: Path, tmp_path: Path) -> RunDir:
    """What a training leaves that is killed right before it writes env.json."""
    made, run = make_run(tmp_path / "made", drawn), RunDir(tmp_path / "run")
    run.path.mkdir()
    for path in required_files(made):
        shutil.copy(path, run.path)
    run.lock_file.write_text(HELD)
    return run


def test_a_start_is_begun_again_after_each_of_its_commits(run: RunDir, tmp_path: Path) -> None:
    for path in (None, *reversed(required_files(run))):
        if path is not None:
            path.unlink()
        assert strange_files(run) == []
        refuse_existing(run, tmp_path / "data")
    assert [path.name for path in run.path.iterdir()] == [".lock"]


def of_another_version(settings: Path) -> None:
    """Remove a setting, rename one and add one: what another version has otherwise."""
    found = written_settings(settings)
    assert found is not None
    del found["train"]["epochs"]
    found["optim"]["rate"] = found["optim"].pop("lr")
    found["new_section"] = {"a": [1, 2]}
    settings.write_text(dump_yaml(found))
    with pytest.raises(ResultError, match="of another version of maskcls"):
        config.of_run(settings)


def test_a_killed_start_of_another_version_is_begun_again(run: RunDir, tmp_path: Path) -> None:
    of_another_version(run.config)
    for path in (None, *reversed(required_files(run))):
        if path is not None:
            path.unlink()
        assert strange_files(run) == []
        refuse_existing(run, tmp_path / "data")


@pytest.mark.parametrize("of", [RepeatsDir, StagesDir])
def test_a_killed_start_of_runs_of_another_version_is_begun_again(
    run: RunDir, tmp_path: Path, of: type[RepeatsDir] | type[StagesDir]
) -> None:
    of_another_version(run.config)
    folder = of(tmp_path / "runs")
    files.commit(folder.config, run.config.read_bytes())
    refuse_existing(RunDir(folder.path), tmp_path / "data")


def test_settings_that_a_person_wrote_are_no_killed_start_of_another_version(run: RunDir) -> None:
    """Not in the form of maskcls, a few alone, or with tasks of another form."""
    found = written_settings(run.config)
    assert found is not None
    some = {"model": found["model"], "optim": found["optim"]}
    for text in (dump_yaml(found) + "\n", json.dumps(found), dump_yaml(some), "", "[1]\n", "\xff"):
        run.config.write_text(text)
        assert written_settings(run.config) is None
        assert len(strange_files(run)) == 4
    for tasks in (None, 3, ["mask"], [{"name": "mask"}], [{"name": "mask", "classes": ["a"], "bins": []}]):
        run.config.write_text(dump_yaml(found | {"tasks": tasks}))
        assert len(strange_files(run)) == 4


def test_the_refusal_says_whose_the_files_can_be(run: RunDir, tmp_path: Path) -> None:
    files.commit(run.fold(0).done, b"mine")
    with pytest.raises(BusyError) as caught:
        refuse_existing(run, tmp_path / "data")
    begun = "a command of maskcls began here (process 7 on node1), but no start that was killed leaves these files"
    assert caught.value.got == f"no run, as it has no env.json; {begun}"
    assert caught.value.offenders == ("fold0",)
    run.lock_file.unlink()
    with pytest.raises(BusyError) as caught:
        refuse_existing(run, tmp_path / "data")
    assert caught.value.got == "no run, as it has no env.json, and no sign of a start that was killed"


def test_files_of_a_run_whose_lock_nobody_took_are_kept(run: RunDir) -> None:
    for text in ("", "\0" * 60, "4711"):
        run.lock_file.write_text(text)
        assert len(strange_files(run)) == 4
    run.lock_file.unlink()
    assert len(strange_files(run)) == 4


@pytest.mark.parametrize(
    "change",
    [
        lambda run: run.config.write_text("{"),
        lambda run: run.config.write_text("optim: {lr: 0.1}\n"),
        lambda run: run.config.write_text(run.config.read_text() + "# mine\n"),
        lambda run: run.labels.write_text("[]"),
        lambda run: run.manifest.write_text("a,b\n1,2\n"),
        lambda run: run.folds.write_text("a,b\n1,2\n"),
        lambda run: run.config.unlink(),
        lambda run: run.folds.unlink() or run.photos.write_text("mine"),
    ],
)
def test_a_file_that_no_training_writes_there_is_not_replaced(
    run: RunDir, tmp_path: Path, change: Callable[[RunDir], object]
) -> None:
    change(run)
    before = hashes(run.path)
    with pytest.raises(BusyError, match="the folder holds files that a run would replace"):
        refuse_existing(run, tmp_path / "data")
    assert hashes(run.path) == before


@pytest.mark.parametrize(
    "name", ["summary.json", "oof.npz", "times.json", "report/index.html", "tracking/a", "fold0/DONE", "refit/a"]
)
def test_results_without_the_files_that_a_run_begins_with_are_not_replaced(
    run: RunDir, tmp_path: Path, name: str
) -> None:
    """Also what a user has under such a name, in a folder that was chosen for the run."""
    files.commit(run.path / name, b"mine")
    assert len(strange_files(run)) == 1
    for path in required_files(run):
        path.unlink()
    assert len(strange_files(run)) == 1
    run.lock_file.unlink()
    with pytest.raises(BusyError, match="files that a run would replace"):
        refuse_existing(run, tmp_path / "data")


def test_a_folder_with_the_name_of_the_jobs_is_kept(tmp_path: Path) -> None:
    files.commit(tmp_path / "run" / "jobs" / "mine.txt", b"mine")
    with pytest.raises(BusyError, match="files that a run would replace") as caught:
        refuse_existing(RunDir(tmp_path / "run"), tmp_path / "data")
    assert list(caught.value.offenders) == ["jobs"]


def test_train_leaves_an_empty_lock_and_settings_that_cannot_be_read_as_they_are(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".lock").touch()
    (folder / "config.yaml").write_text("{{ mine }}\n")
    before = hashes(folder)
    assert run_app(["train", str(drawn), "--run", str(folder), *recipe()]) == Exit.BUSY
    assert "config.yaml" in capsys.readouterr().err
    assert hashes(folder) == before


def test_a_lock_of_another_program_keeps_its_content(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.lock_file.write_text("4711\n")
    with pytest.raises(BusyError, match="a file of another program"), run_lock.lock(run):
        pytest.fail("it was taken")
    assert run.lock_file.read_text() == "4711\n"
    for text in ("", "\0" * 60):  # a command that was killed, a machine that lost power
        run.lock_file.write_text(text)
        assert last_holder(run) is None
        with run_lock.lock(run):
            assert last_holder(run) is not None
    assert last_holder(run) is not None
    assert last_holder(RunDir(tmp_path / "nothing")) is None


@pytest.mark.parametrize("of", [RepeatsDir, StagesDir])
def test_a_folder_of_runs_replaces_only_settings_that_a_command_wrote(
    tmp_path: Path, of: type[RepeatsDir] | type[StagesDir]
) -> None:
    folder, run = of(tmp_path / "run"), RunDir(tmp_path / "run")
    record = folder.record if isinstance(folder, StagesDir) else folder.scores
    files.commit(folder.config, config.to_yaml(config.load(None, [])[0]).encode())
    refuse_existing(run, tmp_path / "data")
    files.commit_json(record, files.with_digest({"a": 1}))
    refuse_existing(run, tmp_path / "data")
    files.commit_json(record, {"a": 1})
    with pytest.raises(BusyError, match="files that a training would replace") as caught:
        refuse_existing(run, tmp_path / "data")
    assert list(caught.value.offenders) == [record.name]
    record.unlink()
    folder.config.write_text("model: {}\n")
    with pytest.raises(BusyError, match="files that a training would replace") as caught:
        refuse_existing(run, tmp_path / "data")
    assert list(caught.value.offenders) == [folder.config.name]


def test_generators_replace_only_what_a_killed_start_of_theirs_left(run: RunDir) -> None:
    folder = SynthDir(run.path)
    files.commit_json(folder.facts, files.with_digest({"schema": 1}))
    refuse_existing_generators(folder, [])
    files.commit_json(folder.facts, {"mine": 1})
    with pytest.raises(BusyError, match="files that generators would replace") as caught:
        refuse_existing_generators(folder, [])
    assert list(caught.value.offenders) == ["synth.json"]
    files.commit_json(folder.facts, files.with_digest({"schema": 1}))
    run.lock_file.write_text("")
    with pytest.raises(BusyError, match="files that generators would replace"):
        refuse_existing_generators(folder, [])
