"""A run on disk: the only place that knows its file names, and how a file is committed.

Commit = temporary file in the same folder, fsync, rename, fsync the folder: a reader sees the old file or the new one,
never a part. A killed process loses the file it was writing and nothing else.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import platform
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from maskcls.errors import BusyError, ResourceError, ResultError, UsageError

REFIT = -1  # stands for a fold's number where a network is trained on all rows
TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")


@dataclass(frozen=True)
class FoldDir:
    """The files of one trained network: one member of the run on one fold."""

    path: Path

    @property
    def log(self) -> Path:
        """One JSON line per epoch."""
        return self.path / "log.jsonl"

    @property
    def first_batch(self) -> Path:
        """A picture of what entered the network first, with its labels."""
        return self.path / "first_batch.png"

    @property
    def best(self) -> Path:
        """Folder of the best weights and their meta.json."""
        return self.path / "best"

    @property
    def last(self) -> Path:
        """Folder of the last weights and their meta.json."""
        return self.path / "last"

    @property
    def soup(self) -> Path:
        """Folder of the epochs that are averaged in the end; gone when the fold is finished."""
        return self.path / "soup"

    @property
    def state(self) -> Path:
        """Everything needed to continue after the last finished epoch, one file so that it is one commit."""
        return self.path / "resume" / "state.safetensors"

    @property
    def continued(self) -> FoldDir:
        """The network that went on from the best weights."""
        return FoldDir(self.path / "continued")

    @property
    def oof(self) -> Path:
        """Predictions for the fold's own validation rows."""
        return self.path / "oof.npz"

    @property
    def summary(self) -> Path:
        """Scores of the best weights."""
        return self.path / "summary.json"

    @property
    def done(self) -> Path:
        """Present when the fold is finished; its content names the weights' hash."""
        return self.path / "DONE"


@dataclass(frozen=True)
class RunDir:
    """The files of one run."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def labels(self) -> Path:
        """The label space."""
        return self.path / "labels.json"

    @property
    def manifest(self) -> Path:
        """The training table."""
        return self.path / "manifest.csv"

    @property
    def folds(self) -> Path:
        """Row id, person and fold."""
        return self.path / "folds.csv"

    @property
    def pseudo(self) -> Path:
        """A copy of the pseudo labels, where the run has some; a .json beside it says where they are from."""
        return self.path / "pseudo.csv"

    @property
    def looks(self) -> Path:
        """Who looks like whom, learned from the labelled photos, where predict.groups asks for it."""
        return self.path / "looks.npz"

    @property
    def env(self) -> Path:
        """Machine, versions, command, data root, hashes, and the folds asked for."""
        return self.path / "env.json"

    @property
    def oof(self) -> Path:
        """Out-of-fold predictions of the composed joint classes, every trained row once."""
        return self.path / "oof.npz"

    @property
    def summary(self) -> Path:
        """Scores per fold and pooled; its presence marks the run as finished."""
        return self.path / "summary.json"

    @property
    def lock_file(self) -> Path:
        """What `lock` holds; present as soon as a command has begun to write here."""
        return self.path / ".lock"

    def fold(self, k: int, member: str = "") -> FoldDir:
        """Return the folder of fold k, or REFIT; `member` names the network where a fold has several."""
        return FoldDir(
            (self.path / "members" / member if member else self.path) / ("refit" if k == REFIT else f"fold{k}")
        )

    def test(self, data: str, views: str, networks: str, groups: str) -> Path:
        """Predictions for another data set; the name says where they are not those of the folds, each photo alone."""
        others, together = "" if networks == "folds" else f"-{networks}", "" if groups == "none" else f"-{groups}"
        return self.path / "test" / f"{data}-{views}{others}{together}.npz"


def sha256(data: bytes) -> str:
    """Return the hex digest of bytes."""
    return hashlib.sha256(data).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the hex digest of a file's content, read in pieces."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def commit(path: Path, data: bytes) -> str:
    """Write bytes to `path` whole or not at all and return their hash; raises ResourceError when the disk refuses.

    The folder is made if needed. An existing regular file is replaced, through a symbolic link its target; anything
    else at `path` is refused.
    """
    try:
        target = path.resolve()
        if target.is_symlink() or (target.exists() and not target.is_file()):  # a link that remains is a loop
            raise ResourceError("the output is not a regular file", where=str(target), fix="choose another path")
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, data)
    except (OSError, ValueError, RuntimeError) as error:  # the latter two: NUL in the name, a loop before 3.13
        raise _unwritten(path, data, error, "what was there before is unchanged") from None
    try:
        _sync_folder(target.parent)
    except OSError as error:
        raise _unwritten(
            path, data, error, "the new file is complete, but may be lost if the power fails now"
        ) from None
    return sha256(data)


def commit_json(path: Path, value: Any) -> str:
    """Commit plain data as indented JSON, one newline at the end; NaN is refused with ValueError."""
    return commit(path, (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read JSON that `commit_json` wrote; raises ResultError when it is missing or damaged."""
    try:
        return json.loads(path.read_bytes(), parse_constant=_refuse)
    except FileNotFoundError:
        raise ResultError("a file of the run is missing", where=str(path), fix="restore it or train again") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ResultError("a file of the run cannot be read", where=str(path), got=str(error)) from None


def sidecar_path(path: Path) -> Path:
    """Return where the JSON that tells a file's origin stands, beside it; UsageError when that is the file itself."""
    sidecar = path.with_suffix(".json")
    if sidecar == path:
        fix = "name it .csv; the .json beside it is its origin"
        raise UsageError("a file with its origin beside it cannot end in .json", where=str(path), fix=fix)
    return sidecar


@contextmanager
def lock(run: RunDir) -> Iterator[None]:
    """Hold the run for this process; BusyError at once when another holds it. The kernel frees it at any death."""
    try:
        run.path.mkdir(parents=True, exist_ok=True)
        handle = os.open(run.lock_file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise _unlocked(run, error) from None
    _held.add(handle)
    try:
        _take(run, handle)
        yield
    finally:
        if handle in _held:
            _held.remove(handle)
            os.close(handle)


def sweep(run: RunDir) -> None:
    """Remove what killed processes left half-written; the caller holds the lock. Only test/ is written without it."""
    for path in run.path.rglob(".*.tmp"):
        if TEMPORARY.fullmatch(path.name) and path.relative_to(run.path).parts[0] != "test":
            path.unlink(missing_ok=True)


def _take(run: RunDir, handle: int) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        since = datetime.now().astimezone().isoformat(timespec="seconds")
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} on {platform.node()} since {since}".encode(), 0)
    except BlockingIOError:
        raise BusyError(
            "another process is working on this run",
            where=str(run.path),
            got=os.pread(handle, 200, 0).decode(errors="replace") or "an unknown process",
            fix="wait for it, or choose another --run",
        ) from None
    except OSError as error:
        raise _unlocked(run, error) from None


def _forget_locks() -> None:
    """Drop a forked child's copies of the locks: a loader worker that outlives its parent must not hold the run."""
    while _held:
        os.close(_held.pop())


_held: set[int] = set()
os.register_at_fork(after_in_child=_forget_locks)


def _replace(target: Path, data: bytes) -> None:
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")  # short: the target's name may be as long as allowed
    try:
        _write_synced(temporary, data)
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _write_synced(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network disks cannot sync folders at all
            raise
    finally:
        os.close(handle)


def _unwritten(path: Path, data: bytes, error: Exception, state: str) -> ResourceError:
    reason = getattr(error, "strerror", None) or str(error)
    return ResourceError(
        "cannot write a file",
        where=str(path),
        got=f"{reason} ({len(data)} bytes)",
        fix=f"free disk space or choose another folder; {state}",
    )


def _unlocked(run: RunDir, error: OSError) -> ResourceError:
    return ResourceError(
        "cannot lock the run folder",
        where=str(run.path),
        got=error.strerror or str(error),
        fix="choose a folder that can be written, on a disk with file locks",
    )


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not allowed")
