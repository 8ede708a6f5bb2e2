"""Every file of a training with a time limit: those of all its stages, and the two that name them."""

from __future__ import annotations

from contextlib import suppress

from maskcls import config
from maskcls.errors import MaskclsError, ResultError, shell_word
from maskcls.results.submissions.checks import Check
from maskcls.rundir import StagesDir
from maskcls.runs.integrity.file_check import is_digested, read_check
from maskcls.runs.integrity.runs_below import checks_with_runs
from maskcls.runs.stages.ladder import own_settings
from maskcls.runs.stages.record import read_stages

NO_DIGEST = "not compared: the settings are those of every stage, which are compared"


def stages_checks(folder: StagesDir) -> list[Check]:
    """Check every file below the folder; returns a check per file, named by its path there.

    Where the record cannot be read, the stages are those found on disk. See `checks_with_runs`.
    """
    own = [_config_check(folder)]
    stages = folder.all_stages()
    if folder.record.exists():
        record = read_check(
            folder.record.name, folder.record, lambda: _compare_stages(folder), digested=is_digested(folder.record)
        )
        own.append(record)
        if not record.faults:
            stages = [folder.stage(number) for number in range(len(read_stages(folder).stages))]
    else:
        own.append(Check(folder.record.name, "warning", "not there", ("no stage had begun: train again",)))
    undone = f", and does not answer: maskcls resume {shell_word(folder.path)}"
    return checks_with_runs(folder.path, own, stages, called="stage", undone=undone)


def _compare_stages(folder: StagesDir) -> None:
    """Raise what keeps the record from being read; ResultError where a stage has other settings than it says."""
    for number, entry in enumerate(read_stages(folder).stages):
        run, found = folder.stage(number), None
        with suppress(MaskclsError):  # not begun, or the check of this stage says what is wrong
            found = own_settings(config.of_run(run.config))
        if found is not None and found != entry.settings:
            other = ", ".join(name for name, value in found if value != getattr(entry.settings, name))
            what = f"{run.path.name} has other settings than this stage: {other}"
            raise ResultError(what, where=str(folder.record), fix="restore the folder from a copy")


def _config_check(folder: StagesDir) -> Check:
    whole = read_check(folder.config.name, folder.config, lambda: config.of_run(folder.config), digested=True)
    return whole if whole.faults else Check(folder.config.name, "skipped", NO_DIGEST)
