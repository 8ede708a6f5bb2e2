"""A run on disk: the only place that knows its file names, and how a file is committed.

Commit = temporary file in the same folder, fsync, rename, fsync the folder: a reader sees the old file or the new one,
never a part. A killed process loses the file it was writing and nothing else.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskcls.errors import BusyError, ResourceError, ResultError


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
    def state(self) -> Path:
        """Everything needed to continue after the last finished epoch, one file so that it is one commit."""
        return self.path / "resume" / "state.safetensors"

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

    def fold(self, k: int, member: str = "") -> FoldDir:
        """Return the folder of fold k; `member` is the task when the run has one network a task."""
        return FoldDir((self.path / "members" / member if member else self.path) / f"fold{k}")

    def test(self, data: str, views: str) -> Path:
        """Predictions for another data set."""
        return self.path / "test" / f"{data}-{views}.npz"


def sha256(data: bytes) -> str:
    """Return the hex digest of bytes."""
    return hashlib.sha256(data).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the hex digest of a file's content, read in pieces."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def commit(path: Path, data: bytes) -> str:
    """Write bytes to `path` whole or not at all and return their hash; raises ResourceError when the disk refuses.

    The folder is made if needed. An existing regular file is replaced; anything else at `path` is refused.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise ResourceError("the output is not a regular file", where=str(path), fix="choose another path")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_synced(temporary, data)
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ResourceError(
            "cannot write a file",
            where=str(path),
            got=f"{error.strerror or error} ({len(data)} bytes)",
            fix="free disk space or choose another folder; what was there before is unchanged",
        ) from None
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return sha256(data)


def commit_json(path: Path, value: Any) -> str:
    """Commit plain data as indented JSON, one newline at the end; NaN is refused with ValueError."""
    return commit(path, (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read JSON that `commit_json` wrote; raises ResultError when it is missing or damaged."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ResultError("a file of the run is missing", where=str(path), fix="restore it or train again") from None
    except (OSError, ValueError) as error:
        raise ResultError("a file of the run cannot be read", where=str(path), got=str(error)) from None


@contextmanager
def lock(run: RunDir) -> Iterator[None]:
    """Hold the run for this process; BusyError at once when another holds it. The kernel frees it at any death."""
    try:
        run.path.mkdir(parents=True, exist_ok=True)
        handle = os.open(run.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise ResourceError("cannot open the run folder", where=str(run.path), got=error.strerror) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(handle, 100, 0).decode(errors="replace") or "unknown"
        os.close(handle)
        raise BusyError(
            "another process is working on this run",
            where=str(run.path),
            got=holder,
            fix="wait for it, or choose another --run",
        ) from None
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()}".encode(), 0)
        yield
    finally:
        os.close(handle)


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
    finally:
        os.close(handle)
