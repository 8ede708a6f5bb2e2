"""Every file of a training with a time limit: those of all its stages, and the two that name them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from maskcls import config
from maskcls.errors import ResultError
from maskcls.results.submissions.checks import Check
from maskcls.rundir import RunDir, StagesDir
from maskcls.runs.integrity.file_check import is_digested, read_check
from maskcls.runs.integrity.run_checks import FOR_PEOPLE, run_checks
from maskcls.runs.stages.record import is_finished, read_stages

NO_DIGEST = "not compared: the settings are those of every stage, which are compared"


def stages_checks(folder: StagesDir) -> list[Check]:
    """Check every file below the folder; returns a check per file, named by its path there.

    A stage that is not finished is checked too, as far as it is there; a warning says so. Where the record cannot be
    read, the stages are those found on disk. A stage whose env.json is damaged fails with this one check.
    """
    checks = [_config_check(folder)]
    again, stages = f"maskcls resume {folder.path}", folder.all_stages()
    if folder.record.exists():
        record = read_check(folder.record.name, lambda: read_stages(folder), digested=is_digested(folder.record))
        checks.append(record)
        if not record.faults:
            stages = [folder.stage(number) for number in range(len(read_stages(folder).stages))]
    else:
        checks.append(Check(folder.record.name, "warning", "not there", ("no stage had begun: train again",)))
    for run in stages:
        checks += _stage_checks(folder, run, again)
    checks += _other_files(folder, stages)
    return list({check.name: check for check in reversed(checks)}.values())[::-1]  # the first one of each name


def _config_check(folder: StagesDir) -> Check:
    whole = read_check(folder.config.name, lambda: config.of_run(folder.config), digested=True)
    return whole if whole.faults else Check(folder.config.name, "skipped", NO_DIGEST)


def _stage_checks(folder: StagesDir, run: RunDir, again: str) -> Iterator[Check]:
    """Yield the checks of one stage. The register beside it is that of all stages, so each of them names it."""
    name = run.path.name
    if not run.env.exists() and not is_finished(run):
        yield Check(name, "warning", "not begun", (f"this stage is not begun: {again}",))
        return
    try:
        found = run_checks(run)
    except ResultError as error:
        yield Check(f"{name}/{run.env.name}", "FAILED", "digest", (error.brief,))
        return
    if not is_finished(run):
        yield Check(name, "warning", "not finished", (f"this stage is not finished, and does not answer: {again}",))
        found = [check for check in found if check.name != run.summary.name]
    for check in found:
        if (run.path / check.name).resolve() == run.choices:
            yield replace(check, name=run.choices.name)
        else:
            yield replace(check, name=f"{name}/{check.name}")


def _other_files(folder: StagesDir, stages: list[RunDir]) -> Iterator[Check]:
    locks = {run.choices_lock.name for run in stages}
    paths = sorted(Path(parent) / name for parent, _, names in os.walk(folder.path) for name in names)
    for path in paths:
        if any(path.is_relative_to(run.path) for run in stages):
            continue
        place = path.relative_to(folder.path).as_posix()
        if place in locks:
            yield Check(place, "skipped", FOR_PEOPLE)
        else:
            yield Check(place, "warning", "unknown", ("no file of this training has this name",))
