"""What a run's files say about it: status, scores, times, size and settings, read without torch.

A damaged run is a record as well, with a description of what is wrong.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from maskcls import config
from maskcls.errors import MaskclsError, ResultError
from maskcls.files.file_locks import is_locked
from maskcls.rundir import RunDir
from maskcls.runs.environment import Environment, read_environment
from maskcls.runs.identity import changed_files
from maskcls.runs.networks import RunNetwork, run_networks
from maskcls.runs.records.disk_use import DiskUse, disk_use
from maskcls.runs.records.notes import Note, read_notes
from maskcls.runs.records.running_epoch import running_epoch
from maskcls.runs.records.scored_rows import rows_scored
from maskcls.runs.records.settings import settings_of
from maskcls.runs.records.training_seconds import training_seconds
from maskcls.runs.records.unsealed import SealedScore, read_sealed_score
from maskcls.runs.summary import RunSummary, read_summary

T = TypeVar("T")


@dataclass(frozen=True)
class RunRecord:
    """What a run's files say about it; what could not be read is empty, and `fault` says why.

    left      what remains to be trained, in words; "" for a finished run.
    busy      whether a process is working on an unfinished run just now.
    leaky     whether its networks may have trained on people of their validation fold: there is no score then.
    score     pooled out-of-fold macro-F1; None without one. interval, sd and tasks belong to it.
    seconds   of all epochs of all networks; folds trained side by side share theirs.
    links     symbolic links inside, relative.
    scored_on identifies the scored rows: scores can be compared where it is equal.
    unsealed  its score on the sealed people; None where `maskcls unseal` did not score it.
    """

    run: RunDir
    fault: str = ""
    left: str = ""
    busy: bool = False
    leaky: bool = False
    score: float | None = None
    interval: tuple[float, float] | None = None
    sd: float | None = None
    tasks: Mapping[str, float | None] = field(default_factory=dict)
    seconds: float = 0.0
    bytes: int = 0
    date: datetime | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    folds: tuple[int, ...] = ()
    notes: tuple[Note, ...] = ()
    networks: tuple[RunNetwork, ...] = ()
    weights: bool = False
    links: tuple[str, ...] = ()
    scored_on: str = ""
    unsealed: SealedScore | None = None

    @property
    def state(self) -> str:
        """`finished`, `unfinished` or `broken`."""
        return "broken" if self.fault else "unfinished" if self.left else "finished"

    @property
    def status(self) -> str:
        """The state with its reason, and what is special about the run."""
        if self.fault:
            return f"broken: {self.fault}"
        if self.left:
            return f"{'in training' if self.busy else 'unfinished'}: {self.left}"
        k = self.settings.get("folds.k", 0)
        part = f", {len(self.folds)} of {k} folds" if len(self.folds) < k else ""
        return "finished" + part + ", leaky: no score" * self.leaky + ", weights deleted" * (not self.weights)

    @property
    def leaderboard(self) -> dict[str, float]:
        """The last score noted for each leaderboard."""
        return {name: score for note in self.notes for name, score in note.leaderboard.items()}

    @property
    def kept(self) -> bool:
        """Whether the last note about this says that `runs prune` must leave the run alone."""
        said = [note.keep for note in self.notes if note.keep is not None]
        return bool(said) and said[-1]


def read_record(run: RunDir) -> RunRecord:
    """Read a run folder as far as possible; faults are part of the result, and nothing is raised."""
    faults: list[str] = []

    def part(read: Callable[[], T], instead: T) -> T:
        try:
            return read()
        except MaskclsError as error:
            faults.append(_one_line(error, run))
        except OSError as error:
            faults.append(f"{Path(error.filename or run.path).name}: {error.strerror}")
        return instead

    none: tuple[Note, ...] = ()
    size, notes = part(lambda: disk_use(run.path), DiskUse()), part(lambda: read_notes(run), none)
    env = part(lambda: read_environment(run), None)
    cfg = part(lambda: config.of_run(run.config), None)
    summary = part(lambda: read_summary(run), None)
    trained = run_networks(cfg, env.folds) if env and cfg else ()
    if env:
        part(lambda: _check_identity(run, env), None)
        part(lambda: _check_plans(env), None)
    left = part(lambda: _left(run, env, trained, summary), "") if env else ""
    jobs = {task: plan.fold_jobs for task, plan in (env.plans or {}).items()} if env else {}
    seconds = part(lambda: training_seconds(run, trained, jobs), 0.0)
    date = part(lambda: _last_written(run, trained), None)
    busy = bool(left) and part(lambda: _is_worked_on(run), False)
    scored_on = part(lambda: rows_scored(run, env, cfg), "") if env and cfg else ""
    unsealed = part(lambda: read_sealed_score(run), None)
    interval = summary.interval if summary else None
    pooled = summary.pooled if summary else None
    return RunRecord(
        run,
        fault="; ".join(dict.fromkeys(faults)),
        left=left,
        busy=busy,
        leaky=summary.leaky if summary else False,
        score=pooled.macro_f1 if pooled else None,
        interval=(interval.low, interval.high) if interval else None,
        sd=summary.sd.get("macro_f1") if summary else None,
        tasks={name: one.macro_f1 for name, one in pooled.tasks.items()} if pooled else {},
        seconds=seconds,
        bytes=size.bytes,
        date=date,
        settings=settings_of(cfg) if cfg else {},
        folds=env.folds if env else (),
        notes=notes,
        networks=trained,
        weights=bool(trained) and all(one.folder(run).best.tensors.is_file() for one in trained),
        links=size.links,
        scored_on=scored_on,
        unsealed=unsealed,
    )


def _is_worked_on(run: RunDir) -> bool:
    """Tell whether a command or a job works on a run."""
    return any(is_locked(path) for path in (run.lock_file, *(job.lock_file for job in run.jobs.all_jobs())))


def _check_identity(run: RunDir, env: Environment) -> None:
    if changed := changed_files(run, env.hashes):
        raise ResultError(f"gone, or changed by hand: {', '.join(changed)}")


def _check_plans(env: Environment) -> None:
    if env.plans is None:
        raise ResultError("made by an earlier maskcls, cannot be continued: no plans in env.json")


def _left(run: RunDir, env: Environment, trained: Sequence[RunNetwork], summary: RunSummary | None) -> str:
    undone = [one for one in trained if not one.folder(run).done.exists()]
    folds = {one.fold for one in undone if one.scored}
    if folds:
        return f"{len(env.folds) - len(folds)} of {len(env.folds)} folds are complete{_within_epochs(run, undone)}"
    if undone:
        more = f"{len(undone)} further network{'s' * (len(undone) > 1)} to train"
        return f"all folds are complete, {more}{_within_epochs(run, undone)}"
    if summary is None or summary.fold_numbers != list(env.folds):
        return "all folds are complete, but not put together"
    return ""


def _within_epochs(run: RunDir, undone: Sequence[RunNetwork]) -> str:
    """Say which networks were saved within an epoch; "" for none."""
    found = [(one.title, running_epoch(one.folder(run))) for one in undone]
    return "".join(f", {title} is in epoch {at.epoch} after step {at.steps}" for title, at in found if at)


def _last_written(run: RunDir, trained: Sequence[RunNetwork]) -> datetime | None:
    """Return when the training last wrote something; notes and predictions do not count."""
    written = [
        path.stat().st_mtime for path in (run.env, run.summary, *_written_in_training(run, trained)) if path.exists()
    ]
    return datetime.fromtimestamp(max(written)).astimezone() if written else None


def _written_in_training(run: RunDir, trained: Sequence[RunNetwork]) -> Iterator[Path]:
    for folder in (one.folder(run) for one in trained):
        yield from (folder.log, folder.state)


def _one_line(error: MaskclsError, run: RunDir) -> str:
    left_out = ("  fix: ", f"  where: {run.path}\n")
    lines = "; ".join(line.strip() for line in error.lines() if not f"{line}\n".startswith(left_out))
    return lines.removeprefix(f"error[{error.code}] ").replace(f"{run.path}{os.sep}", "")
