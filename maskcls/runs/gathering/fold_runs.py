"""The runs that are gathered: each has trained some folds of one cross-validation."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maskcls import config
from maskcls.errors import BusyError, ResultError, UsageError
from maskcls.rundir import RunDir
from maskcls.runs.environment import FORMAT, Environment, read_environment
from maskcls.runs.identity import changed_files
from maskcls.runs.integrity.run_checks import run_checks
from maskcls.runs.integrity.run_in_use import use_of
from maskcls.runs.networks import RunNetwork, run_networks
from maskcls.schema import Config

RESTORE = "restore them from a copy, or train these folds again"


@dataclass(frozen=True)
class FoldRun:
    """A run that is gathered, with its environment and configuration."""

    run: RunDir
    env: Environment
    cfg: Config

    @property
    def name(self) -> str:
        """What it is called in messages: its path as it was given."""
        return str(self.run.path)

    @property
    def networks(self) -> tuple[RunNetwork, ...]:
        """The networks that are gathered: those with a validation fold, without those that were trained further."""
        return tuple(network for network in run_networks(self.cfg, self.env.folds) if network.scored)


def read_fold_run(run: RunDir) -> FoldRun:
    """Read a run that is to be gathered.

    Raises ResultError for what is no run, was changed, is of an earlier version or is not finished; UsageError for
    retrained heads; BusyError while a command works on it.
    """
    env = read_environment(run)
    if (use := use_of(run)).holder is not None:
        raise BusyError(
            "another process is working on this run", where=str(run.path), got=use.holder, fix="wait for it"
        )
    if changed := changed_files(run, env.hashes):
        raise ResultError("files of the run were changed", where=str(run.path), offenders=changed, fix=RESTORE)
    if env.format < FORMAT or env.plans is None or env.code is None:
        got, fix = f"maskcls {env.maskcls}", "train these folds again"
        raise ResultError("the run was made by an earlier maskcls", where=str(run.path), got=got, fix=fix)
    if run.heads_origin.exists():
        raise UsageError(
            "a run of retrained heads cannot be gathered",
            where=str(run.path),
            expected="runs of maskcls train --folds",
            fix="gather the runs that the networks are from, then fit the heads of the new run",
        )
    found = FoldRun(run, env, config.of_run(run.config))
    if undone := [one.title for one in found.networks if not one.folder(run).done.exists()]:
        fix = shlex.join(["maskcls", "resume", found.name])
        raise ResultError("networks of the run are not finished", where=found.name, offenders=undone, fix=fix)
    return found


def refuse_damaged(part: FoldRun) -> None:
    """Raise ResultError that names the files of a run that are not as maskcls wrote them; everything is read."""
    wrong = [f"{check.name}: {'; '.join(check.faults)}" for check in run_checks(part.run) if check.verdict == "FAILED"]
    if wrong:
        raise ResultError(
            "files of the run are not as maskcls wrote them", where=part.name, offenders=wrong, fix=RESTORE
        )


def refuse_shared_folds(parts: Sequence[FoldRun]) -> None:
    """Raise UsageError when two runs have the same fold."""
    seen: dict[int, FoldRun] = {}
    for part in parts:
        for fold in part.env.folds:
            if fold in seen:
                raise UsageError(
                    f"fold {fold} is in two runs",
                    where=f"{seen[fold].name} and {part.name}",
                    expected="every fold once",
                    fix="leave out one of the two runs",
                )
            seen[fold] = part


def gathered_folds(parts: Sequence[FoldRun]) -> tuple[int, ...]:
    """Return the folds of all runs together, in their order."""
    return tuple(sorted(fold for part in parts for fold in part.env.folds))


def missing_folds(parts: Sequence[FoldRun], output: Path) -> list[str]:
    """Return, for each fold that is in none of the runs, a line with the commands that add it to `output`."""
    first, there = parts[0], gathered_folds(parts)
    lines = []
    for fold in sorted(set(range(first.cfg.folds.k)) - set(there)):
        elsewhere = ["train", first.env.data, "--config", str(first.run.config), "--folds", str(fold), "--run", "NEW"]
        here = shlex.join(["maskcls", "resume", str(output), "--folds", str(fold)])
        again = shlex.join(["maskcls", *elsewhere])
        lines.append(f"fold {fold} is in none of the runs; train it with {here}; or with {again}, then gather again")
    return lines
