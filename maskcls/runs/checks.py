"""Checks of a command line that need no torch, so that its errors come at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maskcls import config, files
from maskcls.config.installed_trackers import check_trackers
from maskcls.data.layouts.source import check_data
from maskcls.errors import BusyError, DataError, UsageError
from maskcls.results.predictions import Predictions
from maskcls.results.rows_by_id import check_same_ids
from maskcls.rundir import RunDir
from maskcls.runs.environment import read_environment
from maskcls.runs.identity import identity_files
from maskcls.runs.overrides import with_overrides
from maskcls.runs.records.record import read_record
from maskcls.schema import Config


def check_training(data: Path, cfg: Config, folds: str | None) -> None:
    """Raise UsageError for folds that do not exist, ConfigError for missing trackers, DataError for missing data."""
    wanted_folds(folds, cfg.folds.k)
    check_trackers(cfg)
    check_data(data, cfg.data.format)


def check_resuming(run: RunDir, folds: str | None) -> None:
    """Raise ResultError for what is no run, UsageError for folds that do not exist, ConfigError for lost trackers."""
    read_environment(run)
    cfg, _ = config.load(run.config)
    wanted_folds(folds, cfg.folds.k)
    check_trackers(cfg)


def check_prediction(run: RunDir, data: Path, output: Path, overrides: Sequence[str], *, force: bool) -> None:
    """Raise what is wrong with a prediction before it begins.

    BusyError when the output exists, unless `force`; ResultError for what is no run, ConfigError for settings that do
    not change predictions, DataError for missing data.
    """
    files.sidecar_path(output)  # refuses a name that has none
    if not force:
        files.refuse_taken(output)
    read_environment(run)
    cfg = with_overrides(config.load(run.config)[0], list(overrides))
    check_data(data, cfg.data.format)


def check_same_rows(runs: Sequence[RunDir]) -> None:
    """Raise DataError unless the runs have out-of-fold rows of the same ids; runs without such rows are left out."""
    scored = [(run, Predictions.load(run.oof).ids.tolist()) for run in runs if run.oof.exists()]
    for run, ids in scored[1:]:
        first, first_ids = scored[0]
        shares = [_sealed_share(one) for one in (first, run)]
        if set(first_ids) != set(ids) and shares[0] != shares[1]:
            raise DataError(
                "the runs have other sealed people, and so other out-of-fold rows",
                where=f"{first.path} and {run.path}",
                got=" and ".join(shares),
                expected="one value of folds.sealed and folds.sealed_seed",
                fix="combine runs of the same sealed people",
            )
        check_same_ids(ids, first_ids, names=(str(run.path), str(first.path)))


def _sealed_share(run: RunDir) -> str:
    folds = config.load(run.config)[0].folds
    return f"folds.sealed={folds.sealed}, folds.sealed_seed={folds.sealed_seed}"


def refuse_existing(run: RunDir) -> None:
    """Raise BusyError when the folder holds a run, or files that a run would replace.

    A run begins with env.json, the last file of its identity. What a killed process wrote before that is replaced.
    """
    if run.env.exists():
        if read_record(run).state == "finished":
            raise BusyError("the folder holds a finished run", where=str(run.path), fix="choose another --run")
        raise BusyError(
            "the folder holds an unfinished run",
            where=str(run.path),
            fix=f"choose another --run, or continue it with: maskcls resume {run.path}",
        )
    if not run.lock_file.exists() and (taken := [path.name for path in identity_files(run) if path.exists()]):
        raise BusyError(
            "the folder holds files that a run would replace",
            where=str(run.path),
            offenders=taken,
            fix="choose another --run",
        )


def wanted_folds(text: str | None, k: int) -> tuple[int, ...]:
    """Read `--folds 0,2`; None means all. Raises UsageError for anything but fold numbers 0..k-1."""
    if text is None:
        return tuple(range(k))
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) < k for part in parts):
        raise UsageError(
            "no such fold", where="--folds", got=repr(text), expected=f"numbers from 0 to {k - 1}, such as 0,2"
        )
    return tuple(sorted({int(part) for part in parts}))
