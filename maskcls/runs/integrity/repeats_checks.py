"""Every file of a repeated cross-validation: those of its runs, and what they are together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import numpy as np

from maskcls import config, files, typedjson
from maskcls.errors import MaskclsError, ResultError, shell_word
from maskcls.results.predictions import Predictions
from maskcls.results.submissions.checks import Check
from maskcls.rundir import RepeatsDir, RunDir
from maskcls.runs.integrity.file_check import read_check
from maskcls.runs.integrity.runs_below import checks_with_runs
from maskcls.runs.repeats.repeat_runs import repeat_config, repeat_runs
from maskcls.runs.repeats.repeat_scores import RepeatedScores, averaged_repeats

RESTORE = "restore the folder from a copy"
CLOSE = 1e-6  # of scores and probabilities of the same rows, computed on different machines


def repeats_checks(folder: RepeatsDir) -> list[Check]:
    """Check every file below the folder; returns a check per file, named by its path there.

    Where the settings cannot be read, the repeats are those found on disk. See `checks_with_runs`.
    """
    undone = f": maskcls resume {shell_word(folder.path)}"
    return checks_with_runs(folder.path, _own_checks(folder), repeats_there(folder), called="repeat", undone=undone)


def repeats_there(folder: RepeatsDir) -> list[RunDir]:
    """Return the runs of a repeated cross-validation, begun or not; those on disk when its settings cannot be read."""
    try:
        return repeat_runs(folder)
    except MaskclsError:
        return [RunDir(path) for path in sorted(folder.path.glob(f"{folder.repeat(0).path.name[:-1]}[0-9]*"))]


def _own_checks(folder: RepeatsDir) -> Iterator[Check]:
    yield read_check(folder.config.name, folder.config, lambda: _compare_settings(folder), digested=True)
    if folder.scores.exists():
        yield read_check(folder.scores.name, folder.scores, lambda: _compare_scores(folder), digested=True)
    else:
        fix = f"the repeats are not averaged yet: maskcls resume {shell_word(folder.path)}"
        yield Check(folder.scores.name, "warning", "not there", (fix,))
    if folder.scores.exists() or folder.oof.exists():
        yield read_check(folder.oof.name, folder.oof, lambda: Predictions.load(folder.oof), digested=True)


def _compare_settings(folder: RepeatsDir) -> None:
    """Raise what keeps the settings from being read; ResultError where a repeat has other folds or another seed."""
    cfg = config.of_run(folder.config)
    for number, run in enumerate(repeats_there(folder)):
        found, wanted = None, repeat_config(cfg, number)
        with suppress(MaskclsError):  # not begun, or the check of this repeat says what is wrong
            found = config.of_run(run.config)
        if found is not None and (found.folds, found.seed) != (wanted.folds, wanted.seed):
            what = f"{run.path.name} has other folds or another seed"
            raise ResultError(what, where=str(folder.config), fix=RESTORE)


def _compare_scores(folder: RepeatsDir) -> None:
    """Raise ResultError where the scores and the mean are not those of the repeats, or where one of these is gone."""
    data = files.without_digest(files.read_json(folder.scores), folder.scores, required=True)
    stored, runs = typedjson.parse(data, RepeatedScores, folder.scores), repeats_there(folder)
    if gone := [run.path.name for run in runs if not run.summary.is_file()]:
        what = f"it holds the scores of repeats that are gone: {', '.join(gone)}"
        raise ResultError(what, where=str(folder.scores), fix=RESTORE)
    try:
        mean, scores = averaged_repeats(runs, folds=stored.folds, networks=stored.networks)
        oof = Predictions.load(folder.oof)
    except MaskclsError:
        return  # the checks of these files say what is wrong
    same = oof.ids.tolist() == mean.ids.tolist() and oof.prob.shape == mean.prob.shape
    same = same and np.allclose(oof.prob, mean.prob, rtol=0, atol=CLOSE)
    same = same and _close(stored.each, scores.each)
    if stored.baseline is not None:  # else it may be of an earlier version
        same = same and _close(stored.baseline.each, scores.baseline.each if scores.baseline else {})
    if not same:
        raise ResultError("it and oof.npz are not the mean of these repeats", where=str(folder.scores), fix=RESTORE)


def _close(one: dict[str, float | None], other: dict[str, float | None]) -> bool:
    if one.keys() != other.keys():
        return False
    pairs = np.array([[one[name], other[name]] for name in one], dtype=np.float64)  # None becomes NaN
    return np.allclose(pairs[:, 0], pairs[:, 1], rtol=0, atol=CLOSE, equal_nan=True)
