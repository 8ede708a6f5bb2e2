"""Commits of one file, which are whole or absent, and JSON files."""

import errno
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from maskcls.errors import ResourceError, ResultError
from maskcls.files import atomic, commit, commit_json, file_sha256, read_json, sha256

OLD, NEW = b"old " * 100, b"new " * 5000


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its content."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# --- commit


@pytest.mark.parametrize("data", [b"", b"x", NEW, bytes(range(256)) * 300])
def test_commit_writes_exactly_the_bytes_and_returns_their_hash(tmp_path: Path, data: bytes) -> None:
    digest = commit(tmp_path / "a.bin", data)
    assert tree(tmp_path) == {"a.bin": data}
    assert digest == sha256(data) == file_sha256(tmp_path / "a.bin")


def test_the_hash_is_sha256() -> None:
    # The example of the standard, FIPS 180-2.
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_commit_makes_the_folder(tmp_path: Path) -> None:
    commit(tmp_path / "a" / "b" / "c.bin", NEW)
    assert tree(tmp_path) == {"a/b/c.bin": NEW}


def test_commit_replaces_the_file_and_leaves_an_open_reader_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    commit(path, OLD)
    with path.open("rb") as reader:
        commit(path, NEW)
        assert reader.read() == OLD  # written in place, the reader would see the new bytes
    assert tree(tmp_path) == {"a.bin": NEW}


def test_a_name_as_long_as_the_file_system_allows_can_be_committed(tmp_path: Path) -> None:
    name = "x" * 251 + ".npz"
    commit(tmp_path / name, NEW)
    assert tree(tmp_path) == {name: NEW}


def fail_on(monkeypatch: pytest.MonkeyPatch, name: str, when: Callable[..., bool], code: int) -> list[str]:
    """Make one function of `os` fail where `when` says so; the list returned grows with every failure."""
    real: Callable[..., Any] = getattr(os, name)
    hits: list[str] = []

    def maybe(*args: Any, **kwargs: Any) -> Any:
        if when(*args):
            hits.append(name)
            raise OSError(code, os.strerror(code))
        return real(*args, **kwargs)

    monkeypatch.setattr(atomic.os, name, maybe)
    return hits


def is_folder(handle: int) -> bool:
    return stat.S_ISDIR(os.fstat(handle).st_mode)


# Each operation of a commit up to the rename: function, which of its calls, error.
BEFORE_RENAME: list[tuple[str, Callable[..., bool], int]] = [
    ("mkdir", lambda *_: True, errno.EROFS),
    ("open", lambda path, flags, *_: bool(flags & os.O_CREAT), errno.EACCES),
    ("write", lambda *_: True, errno.ENOSPC),
    ("fsync", lambda handle: not is_folder(handle), errno.EIO),
    ("replace", lambda *_: True, errno.EDQUOT),
]


@pytest.mark.parametrize(("name", "when", "code"), BEFORE_RENAME, ids=[row[0] for row in BEFORE_RENAME])
@pytest.mark.parametrize("old", [None, OLD])
def test_a_failure_before_the_rename_leaves_the_folder_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, when: Callable[..., bool], code: int, old: bytes | None
) -> None:
    path = tmp_path / "a.bin"
    if old is not None:
        path.write_bytes(old)
    before = tree(tmp_path)
    if name == "mkdir":
        path = tmp_path / "new" / "a.bin"
    hits = fail_on(monkeypatch, name, when, code)
    with pytest.raises(ResourceError) as caught:
        commit(path, NEW)
    assert hits == [name]
    assert tree(tmp_path) == before
    assert caught.value.where == str(path)
    assert caught.value.got == f"{os.strerror(code)} (20000 bytes)"
    assert "unchanged" in str(caught.value.fix)


@pytest.mark.parametrize("name", ["open", "fsync"])
def test_a_folder_that_cannot_be_synced_is_an_error_that_says_the_file_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(OLD)
    on_folder: Callable[..., bool] = is_folder if name == "fsync" else lambda path, flags, *_: flags == os.O_RDONLY
    hits = fail_on(monkeypatch, name, on_folder, errno.EIO)
    with pytest.raises(ResourceError) as caught:
        commit(path, NEW)
    assert hits == [name]
    assert tree(tmp_path) == {"a.bin": NEW}
    assert "(20000 bytes)" in str(caught.value.got)
    assert "unchanged" not in str(caught.value)


def test_a_disk_that_knows_no_folder_sync_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hits = fail_on(monkeypatch, "fsync", is_folder, errno.EINVAL)
    commit(tmp_path / "a.bin", NEW)
    assert hits == ["fsync"]
    assert tree(tmp_path) == {"a.bin": NEW}


def test_the_disk_may_fill_up_at_any_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(tmp_path / "a.bin", OLD)
    real, left = os.write, 0

    def write_a_little(handle: int, data: memoryview) -> int:
        nonlocal left
        if left == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left -= 1
        return real(handle, data[:3000])

    monkeypatch.setattr(atomic.os, "write", write_a_little)
    for allowed in range(7):  # 20,000 bytes need seven writes of 3,000: fault at the first, the second, ...
        left = allowed
        with pytest.raises(ResourceError, match="cannot write"):
            commit(tmp_path / "a.bin", NEW)
        assert tree(tmp_path) == {"a.bin": OLD}
    left = 7
    commit(tmp_path / "a.bin", NEW)
    assert tree(tmp_path) == {"a.bin": NEW}


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_during_the_write_leaves_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]
) -> None:
    def interrupted(*_: object) -> int:
        raise stop

    commit(tmp_path / "a.bin", OLD)
    monkeypatch.setattr(atomic.os, "write", interrupted)
    with pytest.raises(stop):
        commit(tmp_path / "a.bin", NEW)
    assert tree(tmp_path) == {"a.bin": OLD}


def test_data_is_synced_before_the_rename_and_the_folder_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(handle: int) -> None:
        steps.append("sync folder" if is_folder(handle) else "sync file")
        fsync(handle)

    def note_replace(source: Path, target: Path) -> None:
        steps.append("rename")
        assert Path(source).parent == Path(target).parent  # another folder may be another file system
        replace(source, target)

    monkeypatch.setattr(atomic.os, "fsync", note_fsync)
    monkeypatch.setattr(atomic.os, "replace", note_replace)
    commit(tmp_path / "a.bin", NEW)
    assert steps == ["sync file", "rename", "sync folder"]


@pytest.fixture
def umask() -> Iterator[Callable[[int], object]]:
    """Set the umask for one test."""
    before = os.umask(0)
    os.umask(before)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_umask_decides_who_may_read(tmp_path: Path, umask: Callable[[int], object], mask: int, mode: int) -> None:
    umask(mask)
    commit(tmp_path / "a.bin", NEW)
    assert stat.S_IMODE((tmp_path / "a.bin").stat().st_mode) == mode


def test_a_link_stays_a_link_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.bin").write_bytes(OLD)
    (tmp_path / "link.bin").symlink_to("real/a.bin")
    commit(tmp_path / "link.bin", NEW)
    assert (tmp_path / "link.bin").is_symlink()
    assert (tmp_path / "real" / "a.bin").read_bytes() == NEW
    assert len(list(tmp_path.rglob("*"))) == 3


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("make", [Path.mkdir, make_fifo])
def test_anything_but_a_regular_file_is_refused_and_stays(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "odd"
    make(path)
    kind = stat.S_IFMT(path.stat().st_mode)
    with pytest.raises(ResourceError, match="not a regular file"):
        commit(path, NEW)
    assert stat.S_IFMT(path.stat().st_mode) == kind
    assert tree(tmp_path) == {}


def test_paths_that_cannot_exist_are_errors_with_a_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(OLD)
    (tmp_path / "loop").symlink_to("loop")
    bad = ["file/a.bin", "file/b/a.bin", "nul\0.bin", "loop", "loop/a.bin", "y" * 300]
    for name in bad:
        with pytest.raises(ResourceError, match=r"20000 bytes|not a regular file"):
            commit(tmp_path / name, NEW)
    assert tree(tmp_path) == {"file": OLD}
    assert (tmp_path / "loop").is_symlink()


# --- JSON


def test_json_is_readable_ends_with_a_newline_and_comes_back_equal(tmp_path: Path) -> None:
    value = {"score": 0.1 + 0.2, "사람": [1, None, True, "é\n"], "none": {}}
    digest = commit_json(tmp_path / "a.json", value)
    raw = (tmp_path / "a.json").read_bytes()
    assert digest == sha256(raw)
    assert raw.endswith(b"}\n")
    assert "사람".encode() in raw
    assert read_json(tmp_path / "a.json") == value == json.loads(raw)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_json_refuses_numbers_that_are_not_finite_and_keeps_the_old_file(tmp_path: Path, value: float) -> None:
    commit(tmp_path / "a.json", OLD)
    with pytest.raises(ValueError, match="not JSON compliant"):
        commit_json(tmp_path / "a.json", {"score": [value]})
    assert tree(tmp_path) == {"a.json": OLD}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b'{"a": 1} x',
        b"\xff\xfe\x00",
        b'{"a": NaN}',
        b"[" * 100_000,
        b"9" * 5000,
        b"<html>",
        b'{"a": 1, "a": 1}',
    ],
    ids=["empty", "cut", "more", "binary", "nan", "deep", "digits", "html", "twice"],
)
def test_damaged_json_is_a_result_error_that_names_the_file(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "a.json").write_bytes(raw)
    with pytest.raises(ResultError, match="cannot be read") as caught:
        read_json(tmp_path / "a.json")
    assert caught.value.where == str(tmp_path / "a.json")


def test_missing_json_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="No such file"):
        read_json(tmp_path / "a.json")
    with pytest.raises(ResultError, match="a folder"):
        read_json(tmp_path)
