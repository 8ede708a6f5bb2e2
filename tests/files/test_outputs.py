"""Files that belong together: what is refused, completed, replaced; a kill and a fault at every operation."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from write_boundaries import Disk, break_at, content_below, killed, operations, watched

from maskcls import files
from maskcls.errors import BusyError, ResourceError
from maskcls.files import OutputFile, atomic, file_locks, outputs

NAMES = ("recipe", "sidecar", "main")
FAULTS = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS)
Write = Callable[[Path, bytes, bool], None]


def three(folder: Path, content: bytes) -> list[OutputFile]:
    return [OutputFile(folder / name, content + name.encode()) for name in NAMES]


def together(folder: Path, content: bytes, force: bool) -> None:
    files.commit_outputs(three(folder, content), force=force)


def large(folder: Path, content: bytes, force: bool) -> None:
    """The main file is written aside, as it may be larger than memory."""
    with files.written_aside(folder / "main", lambda file: file.write(content + b"main") and None) as aside:
        files.commit_outputs([*three(folder, content)[:2], OutputFile(folder / "main", aside)], force=force)


def whole_folder(folder: Path, content: bytes, force: bool) -> None:
    with files.as_unwritten(folder), files.folder_aside(folder / "made") as draft:
        for name in NAMES:
            files.commit(draft / name, content + name.encode())
        files.put_folder(draft, folder / "made", force=force)


WRITERS: dict[str, Write] = {"together": together, "large": large, "folder": whole_folder}


def beginning(folder: Path, write: Write, *, old: bool) -> Path:
    folder.mkdir()
    if old:
        write(folder, b"old ", False)
    return folder


# --- killed ---


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("name", WRITERS)
def test_a_kill_at_any_operation_and_the_same_again(tmp_path: Path, name: str, old: bool) -> None:
    write = WRITERS[name]
    wanted = beginning(tmp_path / "wanted", write, old=old)
    write(wanted, b"new ", old)
    whole, n = content_below(wanted), 0
    assert len(whole) == {"together": 3, "large": 3, "folder": 4}[name] * (1 + old)
    while True:
        n += 1
        folder = beginning(tmp_path / str(n), write, old=old)
        if not killed(lambda folder=folder: write(folder, b"new ", old), folder, n):
            break
        write(folder, b"new ", old)
        assert content_below(folder) == whole, n
    counted = beginning(tmp_path / "counted", write, old=old)
    assert n - 1 == len(operations(lambda: write(counted, b"new ", old), counted)) > 12


@pytest.mark.parametrize(
    ("name", "code"), [*(("together", code) for code in FAULTS), ("large", FAULTS[0]), ("folder", FAULTS[0])]
)
def test_a_fault_of_the_disk_at_any_operation_changes_nothing(tmp_path: Path, name: str, code: int) -> None:
    write, n, failed = WRITERS[name], 0, 0
    while True:
        n += 1
        folder = beginning(tmp_path / str(n), write, old=True)
        before = content_below(folder)
        error = None
        with watched(Disk(folder, break_at(n, code))) as disk:
            try:
                write(folder, b"new ", True)
            except ResourceError as caught:
                error = caught
        if disk.count < n:
            break
        if error is None:  # tidying up may fail
            assert disk.names[n - 1].startswith(("unlink", "rmdir", "mkdir", "link")), disk.names[n - 1]
            continue
        failed += 1
        assert str(folder) in str(error.where)
        assert os.strerror(code) in str(error.got)
        after = {place: raw for place, raw in content_below(folder).items() if ".bak" not in place}
        if "complete" not in str(error.fix) and (name != "folder" or "made/" in after):
            assert after == before, (n, disk.names[n - 1])
    assert failed >= 6


# --- what is refused ---


@pytest.mark.parametrize(
    ("there", "refused"),
    [
        ((), False),
        (("recipe",), False),
        (("recipe", "sidecar"), False),
        (("sidecar", "main"), False),  # an earlier version wrote the recipe last
        (("main",), True),  # written last: no kill leaves it alone
        (NAMES, True),
    ],
)
def test_only_what_a_kill_cannot_leave_is_refused_before_the_work(
    tmp_path: Path, there: Sequence[str], refused: bool
) -> None:
    places = [tmp_path / name for name in NAMES]
    for name in there:
        (tmp_path / name).write_bytes(b"new " + name.encode())
    if refused:
        with pytest.raises(BusyError, match="the output exists") as caught:
            files.refuse_finished(*places, inputs=[])
        assert caught.value.where == " and ".join(str(tmp_path / name) for name in there)
    else:
        files.refuse_finished(*places, inputs=[])
    files.refuse_finished(*places, inputs=[], force=True)
    together(tmp_path, b"new ", False)
    assert content_below(tmp_path) == {name: b"new " + name.encode() for name in NAMES}


@pytest.mark.parametrize("other", NAMES)
def test_a_file_with_other_bytes_is_named_and_nothing_is_written(tmp_path: Path, other: str) -> None:
    (tmp_path / other).write_bytes(b"mine")
    with pytest.raises(BusyError, match="other content") as caught:
        together(tmp_path, b"new ", False)
    assert caught.value.where == str(tmp_path / other)
    assert content_below(tmp_path) == {other: b"mine"}


@pytest.mark.parametrize("main", [False, True])
def test_a_leftover_is_replaced_only_without_its_main_file(tmp_path: Path, main: bool) -> None:
    (tmp_path / "card").write_bytes(b"ours, of another time")
    if main:
        (tmp_path / "main").write_bytes(b"new")
    made = [
        OutputFile(tmp_path / "card", b"card", lambda found: found.startswith(b"ours")),
        OutputFile(tmp_path / "main", b"new"),
    ]
    if main:
        with pytest.raises(BusyError, match="other content"):
            files.commit_outputs(made, force=False)
    else:
        files.commit_outputs(made, force=False)
        assert content_below(tmp_path) == {"card": b"card", "main": b"new"}


def test_force_writes_nothing_that_is_there_already_and_keeps_the_older_backup(tmp_path: Path) -> None:
    together(tmp_path, b"old ", False)
    together(tmp_path, b"new ", True)
    before = content_below(tmp_path)
    assert before["main.bak"] == b"old main"
    together(tmp_path, b"new ", True)
    assert content_below(tmp_path) == before


def test_two_commands_at_once_do_not_mix_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second begins while the first has written two of three files: it waits, and then finds the output there."""
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        os.close(held.pop())  # the first one ends
        (tmp_path / "main").write_bytes(b"one main")

    held = [os.open(tmp_path, os.O_RDONLY)]
    fcntl.flock(held[0], fcntl.LOCK_EX)
    for name in NAMES[:2]:
        (tmp_path / name).write_bytes(b"one " + name.encode())
    monkeypatch.setattr(file_locks.time, "sleep", sleep)
    with pytest.raises(BusyError, match="other content"):
        together(tmp_path, b"two ", False)
    assert len(waited) == 1
    assert content_below(tmp_path) == {name: b"one " + name.encode() for name in NAMES}


def test_a_folder_that_is_held_for_long_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "LOCK_S", 0.02)
    handle = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    together(tmp_path, b"new ", False)
    os.close(handle)
    assert len(content_below(tmp_path)) == 3


# --- places ---


def test_a_place_that_cannot_be_written_is_said_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe", "loop"):
        with pytest.raises(ResourceError, match=r"not a regular file|cannot write"):
            files.refuse_finished(tmp_path / name, inputs=[], force=True)
    with pytest.raises(ResourceError, match="not a regular file"):
        files.refuse_finished(Path(os.devnull), inputs=[], force=True)
    with pytest.raises(ResourceError, match="below a file") as caught:
        files.refuse_finished(tmp_path / "file" / "a" / "b.csv", inputs=[])
    assert caught.value.where == str(tmp_path / "file")
    with pytest.raises(ResourceError, match="cannot write a file"):
        files.refuse_finished(tmp_path / ("x" * 300), inputs=[])
    files.refuse_finished(tmp_path / "new" / "deeper" / "b.csv", inputs=[])
    assert not (tmp_path / "new").exists()
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK | os.X_OK)  # a test may run as root
    with pytest.raises(ResourceError, match="the folder cannot be written"):
        files.refuse_finished(tmp_path / "new" / "b.csv", inputs=[])


def test_of_a_link_the_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "main").symlink_to(tmp_path / "far" / "real")
    together(tmp_path, b"new ", False)
    assert (tmp_path / "main").is_symlink()
    assert (tmp_path / "far" / "real").read_bytes() == b"new main"
    assert Path(os.devnull).is_char_device()


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_files_and_folders_have_the_mode_that_the_umask_allows(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        together(tmp_path, b"new ", False)
        large(tmp_path / "large", b"new ", False)
        whole_folder(tmp_path, b"new ", False)
    finally:
        os.umask(before)
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in NAMES} == {0o666 & ~mask}
    assert (tmp_path / "large" / "main").stat().st_mode & 0o777 == 0o666 & ~mask
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o777 & ~mask


@pytest.mark.parametrize("name", WRITERS)
def test_temporaries_are_in_the_folder_of_the_output(tmp_path: Path, name: str) -> None:
    """A rename between two file systems would be a copy: not atomic."""
    folder = tmp_path / "there"
    folder.mkdir()
    done = operations(lambda: WRITERS[name](folder, b"new ", False), tmp_path)
    opened = [one.split()[1] for one in done if one.startswith("open")]
    assert len(opened) == 3
    assert all(place.startswith("there/.") for place in opened)


def test_a_backup_without_hard_links_is_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    together(tmp_path, b"old ", False)
    monkeypatch.setattr(os, "link", link)
    together(tmp_path, b"new ", True)
    assert content_below(tmp_path)["main.bak"] == b"old main"


def test_a_sync_that_fails_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that the disk could not keep is not reported as written."""

    def fsync(handle: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(atomic.os, "fsync", fsync)
    for write in (lambda: files.commit(tmp_path / "a", b"x"), lambda: together(tmp_path, b"new ", False)):
        with pytest.raises(ResourceError, match="Input/output error"):
            write()
    assert content_below(tmp_path) == {}
