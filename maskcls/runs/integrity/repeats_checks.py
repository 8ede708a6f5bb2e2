"""Every file of a repeated cross-validation: those of its runs, and what they are together."""

from __future__ import annotations

from collections.abc import Iterator

from maskcls import config, files
from maskcls.errors import MaskclsError
from maskcls.results.predictions import Predictions
from maskcls.results.submissions.checks import Check
from maskcls.rundir import RepeatsDir, RunDir
from maskcls.runs.integrity.file_check import read_check
from maskcls.runs.integrity.runs_below import checks_with_runs
from maskcls.runs.repeats.repeat_runs import repeat_runs

NO_DIGEST = "not compared: the settings are those of every repeat, which are compared"


def repeats_checks(folder: RepeatsDir) -> list[Check]:
    """Check every file below the folder; returns a check per file, named by its path there.

    Where the settings cannot be read, the repeats are those found on disk. See `checks_with_runs`.
    """
    undone = f": maskcls resume {folder.path}"
    return checks_with_runs(folder.path, _own_checks(folder), repeats_there(folder), called="repeat", undone=undone)


def repeats_there(folder: RepeatsDir) -> list[RunDir]:
    """Return the runs of a repeated cross-validation, begun or not; those on disk when its settings cannot be read."""
    try:
        return repeat_runs(folder)
    except MaskclsError:
        return [RunDir(path) for path in sorted(folder.path.glob(f"{folder.repeat(0).path.name[:-1]}[0-9]*"))]


def _own_checks(folder: RepeatsDir) -> Iterator[Check]:
    whole = read_check(folder.config.name, lambda: config.of_run(folder.config), digested=True)
    yield whole if whole.faults else Check(folder.config.name, "skipped", NO_DIGEST)
    if folder.scores.exists():
        yield read_check(
            folder.scores.name,
            lambda: files.without_digest(files.read_json(folder.scores), folder.scores, required=True),
            digested=True,
        )
    else:
        fix = f"the repeats are not averaged yet: maskcls resume {folder.path}"
        yield Check(folder.scores.name, "warning", "not there", (fix,))
    if folder.scores.exists() or folder.oof.exists():
        yield read_check(folder.oof.name, lambda: Predictions.load(folder.oof), digested=True)
