"""Which runs a repeated cross-validation consists of, and their settings."""

from __future__ import annotations

from maskcls import config
from maskcls.errors import BusyError, ResultError, UsageError, shell_word
from maskcls.machine import refuse_several
from maskcls.rundir import RepeatsDir, RunDir
from maskcls.runs.environment import read_environment
from maskcls.runs.folders.folder_kinds import begun_runs
from maskcls.runs.folders.killed_start import refuse_strange_settings
from maskcls.schema import Config

SEEDS = 2**32  # a seed is below it


def is_repeated(run: RunDir) -> bool:
    """Tell whether a folder holds a repeated cross-validation, whose runs are below it."""
    return RepeatsDir(run.path).config.is_file()


def is_repeat(run: RunDir) -> bool:
    """Tell whether a run is one of the repeats of a cross-validation."""
    return RepeatsDir(run.path.resolve().parent).config.is_file()


def repeat_runs(folder: RepeatsDir) -> list[RunDir]:
    """Return the runs of a repeated cross-validation, begun or not; ConfigError when its settings cannot be read."""
    return [folder.repeat(number) for number in range(config.of_run(folder.config).folds.repeats)]


def members_of(run: RunDir) -> list[RunDir]:
    """Return the runs that predict for a folder: those of a repeated cross-validation, or the run itself.

    Raises ResultError, naming them, when repeats are not finished.
    """
    if not is_repeated(run):
        return [run]
    found = repeat_runs(RepeatsDir(run.path))
    if undone := [str(one.path) for one in found if not one.summary.exists()]:
        raise ResultError(
            "repeats of the cross-validation are not finished",
            where=str(run.path),
            offenders=undone,
            fix=f"maskcls resume {shell_word(run.path)}",
        )
    return found


def repeat_config(cfg: Config, number: int) -> Config:
    """Return the settings of one repeat: its own renewal of the folds and its own seeds, so that networks differ.

    number  0 and more. The first repeat is the run that the same settings give without folds.repeats.
    """
    folds = cfg.folds.model_copy(update={"repeats": 1, "renew": cfg.folds.renew + number})
    return cfg.model_copy(update={"folds": folds, "seed": (cfg.seed + number * cfg.train.seeds) % SEEDS})


def check_repeating(cfg: Config, folds: str | None) -> None:
    """Raise UsageError for what a repeated cross-validation cannot do, before it begins."""
    if folds is not None:
        got, fix = f"--folds {folds}", "leave out --folds, or folds.repeats"
        raise UsageError("repeats are averaged over rows, so each needs all folds", got=got, fix=fix)
    refuse_several("a repeated cross-validation", f"folds.repeats={cfg.folds.repeats}")


def refuse_single(cfg: Config, run: RunDir | None = None) -> None:
    """Raise UsageError where a command that trains a single run is given repeats, BusyError for a folder of repeats."""
    if run is not None and is_repeated(run):
        fix = "choose another --run, or train with folds.repeats"
        raise BusyError("the folder is that of a repeated cross-validation", where=str(run.path), fix=fix)
    if cfg.folds.repeats > 1:
        raise UsageError(
            "this trains a single cross-validation",
            where=f"folds.repeats={cfg.folds.repeats}",
            expected="folds.repeats=1",
            fix="repeat it with maskcls train, or leave out folds.repeats",
        )


def refuse_begun(folder: RepeatsDir) -> None:
    """Raise BusyError when the folder holds repeats already, or a file that they would replace.

    A killed command that had not begun a repeat is begun again.
    """
    if begun_runs(folder.all_repeats()):
        raise BusyError(
            "the folder holds a repeated cross-validation",
            where=str(folder.path),
            fix=f"choose another --run, or continue it with: maskcls resume {shell_word(folder.path)}",
        )
    refuse_strange_settings(folder.path, folder.config, folder.scores)


def check_resuming_repeats(folder: RepeatsDir, folds: str | None) -> str:
    """Return the data set of a repeated cross-validation that is to be continued.

    Raises UsageError for `folds`, ResultError when its first run has not begun.
    """
    check_repeating(config.of_run(folder.config), folds)
    return read_environment(folder.repeat(0)).data
