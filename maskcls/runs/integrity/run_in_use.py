"""Whether another process works on a run, such as a training, and which of the run's files it does not change."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from maskcls.errors import ResultError
from maskcls.files.file_locks import is_held
from maskcls.results.submissions.checks import Check
from maskcls.rundir import FoldDir, RunDir
from maskcls.runs.environment import Environment
from maskcls.runs.integrity.done_file import read_done

WRITING = "a command is working on this run, and may be writing it: verify the run again when the command has ended"


@dataclass(frozen=True)
class RunUse:
    """The lock of a run at one moment. holder: what the process that holds it says; None: nobody does.

    taken_ns  when it was last taken; -1: never.
    """

    holder: str | None
    taken_ns: int


def use_of(run: RunDir) -> RunUse:
    """Return who works on this run; nothing is written, and a lock is held by no more than the question.

    Jobs of the run count too, each with a lock of its own: they may be at work while no command watches them.
    """
    found = [use_of_lock(path) for path in (run.lock_file, *(job.lock_file for job in run.jobs.all_jobs()))]
    holder = next((use.holder for use in found if use.holder is not None), None)
    return RunUse(holder, max(use.taken_ns for use in found))


def use_of_lock(path: Path) -> RunUse:
    """Return who holds a lock; nobody, where there is none."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe would wait
    except OSError:
        return RunUse(None, -1)
    try:
        taken_ns = os.fstat(handle).st_mtime_ns
        if is_held(handle):
            return RunUse(os.pread(handle, 200, 0).decode(errors="replace") or "an unknown process", taken_ns)
        return RunUse(None, taken_ns)
    except OSError:  # a folder, or a disk without locks
        return RunUse(None, -1)
    finally:
        os.close(handle)


def settled_files(run: RunDir, env: Environment, networks: Iterable[FoldDir]) -> set[str]:
    """Return the paths in the run of what no training changes: its identity, and the files of finished networks."""
    found = set(env.hashes)
    for folder in networks:
        try:
            done = read_done(folder)
        except ResultError:
            continue  # its own check says what is wrong
        if done is not None:
            found |= {run.place(path) for path in (folder.done, *(folder.path / name for name in done.files))}
    return found


def checks_beside(
    checks: Sequence[Check], run: RunDir, settled: set[str], before: RunUse, after: RunUse
) -> list[Check]:
    """Return the checks of a run that another process may have written to from `before` to `after`.

    A file that is not right, and that such a process changes, is not compared; a warning says who works on the run.
    """
    if before == after and after.holder is None:
        return list(checks)
    who = after.holder or before.holder or "another process, which has ended"
    lock = Check(run.place(run.lock_file), "warning", "in use", (f"{WRITING} ({who})",))
    kept = [
        check if check.verdict in ("ok", "skipped") or check.name in settled else Check(check.name, "skipped", WRITING)
        for check in checks
        if check.name != lock.name
    ]
    return [lock, *kept]
