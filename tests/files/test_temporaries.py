"""Temporary files and folders: held by their process, swept when nobody holds them, never when somebody does."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from write_boundaries import content_below

from maskcls import files
from maskcls.files import temporaries
from maskcls.files.temporaries import temporary_file, temporary_folder

LEFT = f".{'0a' * 8}.tmp"
OTHERS = (f".{'0A' * 8}.tmp", f"{'0a' * 8}.tmp", ".notes.tmp", f".{'0a' * 8}.tmp.bak", ".lock", f".{'0a' * 7}.tmp")


def leave(folder: Path) -> None:
    """Make what a killed process leaves, and what only looks like it."""
    for name in (LEFT, *OTHERS):
        (folder / name).write_bytes(b"x")


def test_only_leftovers_are_swept(tmp_path: Path) -> None:
    leave(tmp_path)
    (tmp_path / "below").mkdir()
    leave(tmp_path / "below")
    (tmp_path / f".{'1b' * 8}.tmp" / "deep").mkdir(parents=True)
    files.sweep(tmp_path)
    assert set(content_below(tmp_path)) == {*OTHERS, "below/", *(f"below/{name}" for name in (LEFT, *OTHERS))}


def test_what_a_process_holds_is_kept(tmp_path: Path) -> None:
    with temporary_file(tmp_path) as (one, handle), temporary_folder(tmp_path) as two:
        os.write(handle, b"half")
        (two / "photo").write_bytes(b"x")
        files.sweep(tmp_path)
        assert one.read_bytes() == b"half"
        assert (two / "photo").exists()
    assert content_below(tmp_path) == {}


HOLDS = """
import sys
from pathlib import Path
from maskcls.files.temporaries import temporary_file, temporary_folder
with temporary_file(Path(sys.argv[1])) as (one, _), temporary_folder(Path(sys.argv[1])) as two:
    print(one, two, flush=True)
    sys.stdin.read()  # until it is killed
"""


def test_those_of_another_process_are_swept_when_it_was_killed(tmp_path: Path) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLDS, str(tmp_path)], stdin=pipe, stdout=pipe, text=True) as child:
        assert child.stdout is not None
        made = child.stdout.readline().split()
        assert len(made) == 2
        files.sweep(tmp_path)
        assert all(Path(path).exists() for path in made)
        child.send_signal(signal.SIGKILL)
    files.sweep(tmp_path)
    assert content_below(tmp_path) == {}


def test_links_pipes_and_names_of_devices_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "kept").write_bytes(b"x")
    (tmp_path / LEFT).symlink_to(tmp_path / "mine")
    (tmp_path / f".{'1b' * 8}.tmp").symlink_to(tmp_path / "folder")
    os.mkfifo(tmp_path / f".{'2c' * 8}.tmp")
    files.sweep(tmp_path)
    assert (tmp_path / "mine").read_bytes() == b"mine"
    assert (tmp_path / "folder" / "kept").exists()


def test_without_locks_files_are_written_and_leftovers_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(handle: int, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    leave(tmp_path)
    monkeypatch.setattr(temporaries.fcntl, "flock", flock)
    files.commit(tmp_path / "a", b"new")
    files.commit_outputs([files.OutputFile(tmp_path / "b", b"new")], force=False)
    files.sweep(tmp_path)
    assert set(content_below(tmp_path)) == {"a", "b", LEFT, *OTHERS}


def test_a_temporary_that_is_swept_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = fcntl.flock, []

    def flock(handle: int, how: int) -> None:
        calls.append(os.readlink(f"/proc/self/fd/{handle}"))
        if len(calls) == 1:
            os.unlink(calls[0])
        if len(calls) == 2:
            raise BlockingIOError
        real(handle, how)

    monkeypatch.setattr(temporaries.fcntl, "flock", flock)
    files.commit(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert len(set(calls)) == 3


def test_every_write_sweeps_the_folder_it_writes_in(tmp_path: Path) -> None:
    def one(folder: Path) -> None:
        files.commit(folder / "a", b"new")

    def several(folder: Path) -> None:
        files.commit_outputs([files.OutputFile(folder / "b", b"new")], force=False)

    def large(folder: Path) -> None:
        with files.written_aside(folder / "c", lambda file: None) as aside:
            files.commit_outputs([files.OutputFile(folder / "c", aside)], force=False)

    def whole(folder: Path) -> None:
        with files.folder_aside(folder / "d") as draft:
            files.put_folder(draft, folder / "d")

    for write in (one, several, large, whole):
        leave(tmp_path)
        write(tmp_path)
        assert set(content_below(tmp_path)) >= set(OTHERS)
        assert not (tmp_path / LEFT).exists(), write.__name__
    assert set(content_below(tmp_path)) == {"a", "b", "c", "d/", *OTHERS}
