"""A run that is deleted, renamed or made anew while it is written does not come back in parts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from finished_run import finish_run
from made_run import predictions_for
from write_boundaries import content_below

from maskcls import files
from maskcls.commands.runs.prune import prune
from maskcls.engine.compute.plan import Plan
from maskcls.errors import BusyError, ResourceError
from maskcls.rundir import RunDir
from maskcls.runs.environment import read_environment, write_environment
from maskcls.runs.locks import run_lock
from maskcls.runs.records.notes import Note, add_note, read_notes


def renamed(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def made_anew(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.mkdir()


@pytest.mark.parametrize("vanish", [shutil.rmtree, renamed, made_anew])
def test_no_commit_makes_the_folder_again(tmp_path: Path, vanish: Callable[[Path], None]) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with files.filling(folder):
        files.commit(folder / "a" / "b" / "c", b"x")
        vanish(folder)
        before = content_below(tmp_path)
        for path in (folder / "d", folder / "a" / "e", folder / "f" / "g" / "h"):
            with pytest.raises(ResourceError) as caught:
                files.commit(path, b"x")
            assert str(folder) in str(caught.value.where)
            with pytest.raises(ResourceError):
                files.commit_outputs([files.OutputFile(path, b"x")], force=True)
        files.commit(tmp_path / "other" / "file", b"x")  # outside, folders are made
        after = content_below(tmp_path)
    assert after.keys() - before.keys() == {"other/", "other/file"}
    files.commit(folder / "f" / "g", b"x")  # the block is over


def test_the_folder_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="deleted"), files.filling(tmp_path / "run"):
        pass


def test_a_locked_run_does_not_come_back(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    with run_lock.lock_new(run):
        files.commit(run.fold(0).log, b"x")
        shutil.rmtree(run.path)
        for path in (run.env, run.fold(0).best.tensors, run.tracker("csv", "fold0").scalars, run.decision):
            with pytest.raises(ResourceError):
                files.commit(path, b"x")
    assert not run.path.exists()
    with pytest.raises(ResourceError, match="cannot lock"), run_lock.lock(run):
        pass
    assert not run.path.exists()


def test_notes_and_predictions_of_a_deleted_run(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    with pytest.raises(ResourceError):
        add_note(run, Note(date="2026-01-01", text="x"))
    with pytest.raises(ResourceError), files.filling(run.path):
        predictions_for(3).save(run.test("faces", "none", "folds", "none", "none"))
    assert list(tmp_path.iterdir()) == []


def test_the_same_note_again_is_not_added(tmp_path: Path) -> None:
    run = finish_run(tmp_path / "run", people=8)
    for second, text in enumerate(("a", "a", "b", "a")):
        add_note(run, Note(date=datetime(2026, 1, 1, 0, 0, second).isoformat(), text=text))
    assert [(note.text, note.date[-1]) for note in read_notes(run)] == [("a", "0"), ("b", "2"), ("a", "3")]


def test_a_run_that_is_read_is_not_taken_alone(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    with run_lock.reading(run), run_lock.reading(run):
        with pytest.raises(BusyError, match="another process reads the run"), run_lock.alone(run):
            pass
        with run_lock.lock(run):  # it can be calibrated and trained further
            pass
    with run_lock.alone(run):
        pass


def test_prune_leaves_a_run_that_is_being_read(tmp_path: Path) -> None:
    run = finish_run(tmp_path / "run", people=8)
    write_environment(run, read_environment(run).model_copy(update={"plans": {"": Plan()}}))
    for k in (0, 1):
        files.commit(run.fold(k).best.tensors, b"weights")
        files.commit(run.fold(k).state, b"state")
    before = content_below(run.path)
    with run_lock.reading(run):
        found = prune(tmp_path, keep=0, budget=None, whole=True, yes=True, now=datetime(2026, 1, 1))
    assert [one.kept_because for one in found.parts] == ["another process is working on it"] * 2
    assert {name: raw for name, raw in content_below(run.path).items() if name != ".lock"} == before
    prune(tmp_path, keep=0, budget=None, whole=True, yes=True, now=datetime(2026, 1, 1))
    assert not run.path.exists()
