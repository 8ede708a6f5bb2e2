"""Commits that are whole or absent, locks that die with their holder, and the names of a run's files."""

import errno
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from project import PROJECT_DIR

from maskcls import rundir
from maskcls.errors import BusyError, ResourceError, ResultError
from maskcls.files import commit, commit_json, file_sha256, read_json, sha256
from maskcls.rundir import REFIT, FoldDir, RunDir, WeightsDir, lock, lock_new

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

    monkeypatch.setattr(rundir.os, name, maybe)
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

    monkeypatch.setattr(rundir.os, "write", write_a_little)
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
    monkeypatch.setattr(rundir.os, "write", interrupted)
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

    monkeypatch.setattr(rundir.os, "fsync", note_fsync)
    monkeypatch.setattr(rundir.os, "replace", note_replace)
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


# --- lock

# Locks the run given as argument, says so, and sleeps; with a second argument a forked child sleeps on as well.
HOLDER = """
import os, sys, time
from pathlib import Path
from maskcls.rundir import RunDir, lock, lock_new
with lock(RunDir(Path(sys.argv[1]))):
    reader, writer = os.pipe()
    child = os.fork() if len(sys.argv) > 2 else -1
    if child <= 0:
        os.write(writer, b"x")
    if child:
        os.read(reader, 1)  # a child is up before anybody hears of it
        print(os.getpid(), child, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], int]]]:
    """Start a process that holds the run at `tmp_path`; whatever is left of it is killed after the test."""
    started: list[int] = []

    def start(*more: str) -> tuple[subprocess.Popen[str], int]:
        command = [sys.executable, "-c", HOLDER, str(tmp_path), *more]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT_DIR)
        started.append(process.pid)
        assert process.stdout is not None
        pid, child = map(int, process.stdout.readline().split())
        assert pid == process.pid
        if child > 0:
            started.append(child)
        return process, child

    yield start
    for pid in started:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def test_a_second_process_is_refused_at_once_and_told_who_holds_the_run(
    tmp_path: Path, hold: Callable[..., tuple[subprocess.Popen[str], int]]
) -> None:
    with hold()[0] as process:
        with pytest.raises(BusyError) as caught, lock(RunDir(tmp_path)):
            pytest.fail("two processes hold the run")
        assert caught.value.where == str(tmp_path)
        assert str(caught.value.got).startswith(f"process {process.pid} on ")
        process.kill()


@pytest.mark.parametrize("more", [(), ("fork",)], ids=["alone", "with a child that lives on"])
def test_kill_9_frees_the_run(
    tmp_path: Path, hold: Callable[..., tuple[subprocess.Popen[str], int]], more: tuple[str, ...]
) -> None:
    process, child = hold(*more)
    with process:
        process.kill()
        process.wait()
        with lock(RunDir(tmp_path)):
            assert (tmp_path / ".lock").read_text().startswith(f"process {os.getpid()} on ")
        if child > 0:
            os.kill(child, 0)  # it is still there, like a loader worker whose parent was killed


def test_the_lock_is_free_again_after_use_and_after_an_error(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "new" / "run")
    with lock_new(run), pytest.raises(BusyError), lock(run):
        pytest.fail("the run is held twice")
    with pytest.raises(ZeroDivisionError), lock(run):
        raise ZeroDivisionError
    with lock(run):
        pass
    assert list(tree(run.path)) == [".lock"]  # kept on purpose: deleting it would open a race
    assert not rundir._held


def test_a_lock_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(OLD)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").symlink_to(tmp_path / "victim")
    with pytest.raises(ResourceError, match="cannot lock"), lock(RunDir(tmp_path / "run")):
        pytest.fail("a link was accepted")
    assert (tmp_path / "victim").read_bytes() == OLD


def test_a_run_folder_that_cannot_be_made_or_locked_is_a_resource_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(OLD)
    with pytest.raises(ResourceError, match="cannot lock"), lock(RunDir(tmp_path / "file")):
        pytest.fail("a file was accepted as a folder")

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(rundir.fcntl, "flock", no_locks)
    with pytest.raises(ResourceError, match="No locks available"), lock(RunDir(tmp_path)):
        pytest.fail("a disk without locks was accepted")


# --- names


def test_every_file_of_a_run_has_the_written_name() -> None:
    run = RunDir(Path("r"))
    names = {name: getattr(run, name) for name, p in vars(RunDir).items() if isinstance(p, property)}
    assert {k: str(v) for k, v in names.items()} == {
        "times": "r/times.json",
        "tracking": "r/tracking",
        "onnx": "r/export/model.onnx",
        "onnx_int8": "r/export/model.int8.onnx",
        "torch_export": "r/export/model.pt2",
        "checkpoints": "r/export/checkpoints",
        "model_card": "r/export/model-card.md",
        "mlflow_store": "r/tracking/mlflow.db",
        "mlflow_files": "r/tracking/mlflow-files",
        "report": "r/report/index.html",
        "config": "r/config.yaml",
        "labels": "r/labels.json",
        "manifest": "r/manifest.csv",
        "folds": "r/folds.csv",
        "photos": "r/photos.csv",
        "pseudo": "r/pseudo.csv",
        "pseudo_origin": "r/pseudo.json",
        "person_clustering": "r/looks.npz",
        "env": "r/env.json",
        "oof": "r/oof.npz",
        "summary": "r/summary.json",
        "lock_file": "r/.lock",
        "decision": "r/decision.json",
        "notes": "r/notes.json",
        "notes_lock": "r/.notes.lock",
        "sealed": "r/sealed.csv",
        "unsealed": "r/unsealed.json",
        "choices": str(Path("choices.json").resolve()),
        "choices_lock": str(Path(".choices.lock").resolve()),
    }
    assert run.test("eval", "hflip", "folds", "none") == Path("r/test/eval-hflip.npz")
    assert run.test("eval", "hflip", "all", "none") == Path("r/test/eval-hflip-all.npz")
    assert run.test("eval", "hflip", "folds", "look") == Path("r/test/eval-hflip-look.npz")
    assert run.test("eval", "hflip", "refit", "look") == Path("r/test/eval-hflip-refit-look.npz")
    assert run.fold(REFIT, "age").log == Path("r/members/age/refit/log.jsonl")


def test_every_file_of_a_fold_has_the_written_name() -> None:
    fold = RunDir(Path("r")).fold(3)
    names = {name: getattr(fold, name) for name, p in vars(FoldDir).items() if isinstance(p, property)}
    assert {k: str(v.path if isinstance(v, FoldDir | WeightsDir) else v) for k, v in names.items()} == {
        "log": "r/fold3/log.jsonl",
        "first_batch": "r/fold3/first_batch.png",
        "best": "r/fold3/best",
        "last": "r/fold3/last",
        "candidates": "r/fold3/candidates",
        "soup": "r/fold3/candidates/soup",
        "resume": "r/fold3/resume",
        "state": "r/fold3/resume/state.safetensors",
        "continued": "r/fold3/continued",
        "oof": "r/fold3/oof.npz",
        "summary": "r/fold3/summary.json",
        "done": "r/fold3/DONE",
    }
    assert RunDir(Path("r")).fold(0, "age").path == Path("r/members/age/fold0")
    assert fold.candidate(7).meta == Path("r/fold3/candidates/7/meta.json")
    assert fold.epoch_rows(7) == Path("r/fold3/epochs/7.npy")
    assert fold.best.tensors == Path("r/fold3/best/weights.safetensors")


def test_the_fold_a_file_of_weights_left_out_is_read_from_its_place(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    assert run.fold_left_out(run.fold(3).best.tensors) == 3
    assert run.fold_left_out(run.fold(12, "age-seed1").last.tensors) == 12
    for other in (run.fold(REFIT).best, run.fold(3).continued.best, run.fold(3).candidate(1)):
        assert run.fold_left_out(other.tensors) is None
