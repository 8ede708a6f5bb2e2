"""Reading files: what is no regular file, too large, or on a disk that fails."""

import errno
import os
import socket
from pathlib import Path

import pytest

from maskcls.errors import DataError, MaskclsError, ResourceError, ResultError, WeightsError
from maskcls.files import SIDECAR_FILE, FileKind, file_sha256, opened, read_file, read_json, reading, size_text

LIST = FileKind("the list", DataError, 1000, "name a list")


def refused(path: Path, kind: FileKind = LIST) -> MaskclsError:
    with pytest.raises(MaskclsError) as caught:
        read_file(path, kind)
    with pytest.raises(type(caught.value)) as again:
        file_sha256(path, kind)
    with pytest.raises(type(caught.value)) as third, opened(path, kind):
        pass
    assert str(again.value) == str(third.value) == str(caught.value)
    return caught.value


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


ODD = {
    "pipe": (os.mkfifo, "a pipe, not a regular file"),
    "folder": (Path.mkdir, "a folder, not a regular file"),
    "socket": (make_socket, "No such device or address"),
    "endless": (lambda path: path.symlink_to("/dev/zero"), "a device, not a regular file"),
    "nothing": (lambda path: None, "No such file or directory"),
    "link to itself": (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    "link to nothing": (lambda path: path.symlink_to("none"), "No such file or directory"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's name may have 107 bytes
    make, got = ODD[name]
    make(Path("x"))
    error = refused(Path("x"))
    assert type(error) is DataError
    assert (error.what, error.where, error.got, error.fix) == ("cannot read the list", "x", got, "name a list")


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "half\ud800", "a/" * 3000])
def test_a_name_that_no_file_can_have_is_refused(name: str) -> None:
    assert refused(Path(name)).what == "cannot read the list"


def test_a_file_may_have_the_largest_size_and_no_byte_more(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"a" * 1000)
    assert read_file(tmp_path / "x", LIST) == b"a" * 1000
    with (tmp_path / "x").open("r+b") as file:
        file.truncate(1 << 40)  # without data: nothing may be read or reserved
    error = refused(tmp_path / "x")
    assert (error.got, error.expected) == ("too large, 1024 GiB", "at most 1000 bytes")


def test_the_bytes_are_those_of_the_opened_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that is swapped after the check leads nowhere else: the check is of what was opened."""
    (tmp_path / "x").write_bytes(b"right")
    (tmp_path / "other").write_bytes(b"wrong")
    real = os.fstat

    def swapping(handle: int) -> os.stat_result:
        (tmp_path / "other").replace(tmp_path / "x") if (tmp_path / "other").exists() else None
        return real(handle)

    monkeypatch.setattr(os, "fstat", swapping)
    assert read_file(tmp_path / "x", LIST) == b"right"


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("failures", [1, 3, 4])
def test_a_disk_that_fails_is_read_again_and_then_is_an_error_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int, number: int
) -> None:
    """The same file three times more, after growing pauses; another file is never read instead."""
    (tmp_path / "x").write_bytes(b"text")
    pauses, tries, real = list[float](), list[str](), os.open

    def failing(path: str | Path, *rest: int) -> int:
        tries.append(os.fspath(path))
        if len(tries) <= failures:
            raise OSError(number, os.strerror(number))
        return real(path, *rest)

    monkeypatch.setattr(os, "open", failing)
    monkeypatch.setattr(reading.time, "sleep", pauses.append)
    if failures < 4:
        assert read_file(tmp_path / "x", LIST) == b"text"
    else:
        with pytest.raises(ResourceError, match="the machine cannot read the list") as caught:
            read_file(tmp_path / "x", LIST)
        assert caught.value.got == os.strerror(number)
    assert pauses == [0.05, 0.2, 0.8][:failures]
    assert set(tries) == {str(tmp_path / "x")}


def test_an_error_in_the_middle_of_a_file_is_tried_again_from_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_bytes(b"abcdef")
    real, calls = os.read, list[int]()

    def failing(handle: int, count: int) -> bytes:
        calls.append(count)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")
        return real(handle, min(count, 4))

    monkeypatch.setattr(os, "read", failing)
    monkeypatch.setattr(reading.time, "sleep", lambda seconds: None)
    assert read_file(tmp_path / "x", LIST) == b"abcdef"
    assert calls == [6, 2, 6, 2]


def test_few_file_handles_are_the_machines_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "open", failing)
    with pytest.raises(ResourceError, match="the machine cannot read the weights"):
        read_file(tmp_path, FileKind("the weights", WeightsError, 10))


def test_a_handle_is_closed_where_a_file_is_refused(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    (tmp_path / "x").write_bytes(b"a" * 1001)
    for path in (tmp_path, tmp_path / "x"):
        refused(path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_sizes_have_a_unit() -> None:
    assert [size_text(n) for n in (0, 1023, 1024, 1 << 20, 5 << 30)] == [
        "0 bytes",
        "1023 bytes",
        "1 KiB",
        "1 MiB",
        "5 GiB",
    ]


def test_only_a_file_of_a_run_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    for read, what in (
        (lambda: file_sha256(tmp_path / "output.csv"), "cannot read a file"),
        (lambda: read_json(tmp_path / "output.json", SIDECAR_FILE), "cannot read a sidecar"),
        (lambda: read_json(tmp_path / "a.json", SIDECAR_FILE), "a JSON file cannot be read"),
        (lambda: read_json(tmp_path / "env.json"), "cannot read a file of the run"),
    ):
        with pytest.raises(ResultError) as caught:
            read()
        assert caught.value.what == what
        assert ("train" in str(caught.value.fix)) == ("run" in what)
