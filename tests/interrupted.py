"""A run that is copied after each of its commits, as a kill at that moment would leave it; and how it must end."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny import hashes, log_lines, outcome, train

from maskcls.engine.saving import SaveClock

TIMES = {"seconds", "images_per_second", "digest"}  # the digest of a log is of its times too
STATE = "resume/state.safetensors"


def ending(run: Path) -> dict[str, Any]:
    """Return all a run must end with: bytes of weights, OOF rows and scores, and the log but for its times."""
    logs = {
        path.relative_to(run).as_posix(): [{k: v for k, v in line.items() if k not in TIMES} for line in lines]
        for path in sorted(run.rglob("log.jsonl"))
        if (lines := log_lines(path.parent))
    }
    return {**outcome(run), **logs, "files": sorted(hashes(run))}


def copied(source: Path, target: Path) -> Path:
    """Copy a run as it stands. Its files are replaced, never changed, so links do; the lock alone is written to."""
    shutil.copytree(source, target, copy_function=os.link)
    (target / ".lock").unlink()
    shutil.copy(source / ".lock", target / ".lock")
    return target


class Moments:
    """A run, and copies of its folder as a kill right after each commit would leave it."""

    def __init__(self, root: Path) -> None:
        self.root, self.run = root, root / "run"
        self.commits: list[str] = []

    def record(self, data: Path, patch: pytest.MonkeyPatch, *words: str) -> None:
        """Train the run, in this process."""
        replace = os.replace

        def and_copy(source: Path, target: Path) -> None:
            replace(source, target)
            if Path(target).is_relative_to(self.run):
                copied(self.run, self.root / str(len(self.commits)))
                self.commits.append(Path(target).relative_to(self.run).as_posix())

        patch.setattr(os, "replace", and_copy)
        assert train(data, self.run, *words) == 0

    def after(self, index: int) -> Path:
        """Return a copy of the folder after commit `index` that may be written to."""
        return copied(self.root / str(index), self.root / f"{index}-resumed")


def save_every_step(patch: pytest.MonkeyPatch) -> None:
    """Save a training after each of its steps, whatever train.save_minutes is."""
    patch.setattr(SaveClock, "due", True)
