"""Every file of a folder that consists of runs: those of the runs, and its own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import replace
from pathlib import Path

from maskcls.errors import ResultError
from maskcls.results.submissions.checks import Check
from maskcls.rundir import RunDir
from maskcls.runs.integrity.file_check import unknown_checks
from maskcls.runs.integrity.run_checks import FOR_PEOPLE, run_checks


def checks_with_runs(
    folder: Path, own: Iterable[Check], runs: Sequence[RunDir], *, called: str, undone: str
) -> list[Check]:
    """Check every file below a folder of runs; returns one check per file, named by its path there.

    own     the checks of the folder's own files. called: what each run is, such as "stage".
    undone  what holds for a run that is not finished, and what to do. Such a run is checked as far as it is there; a
            warning says so. A run whose env.json is damaged fails with this one check.

    The register of choices is that of all runs, so each of them names it; it is one check.
    """
    checks = list(own)
    for run in runs:
        checks += _run_checks(folder, run, called, undone)
    checks += _other_files(folder, runs, {folder / check.name for check in checks})
    return list({check.name: check for check in reversed(checks)}.values())[::-1]  # the first one of each name


def _run_checks(folder: Path, run: RunDir, called: str, undone: str) -> Iterator[Check]:
    name = run.path.relative_to(folder).as_posix()
    finished = run.summary.is_file()
    if not run.env.exists() and not finished:
        yield Check(name, "warning", "not begun", (f"this {called} is not begun{undone}",))
        return
    try:
        found = run_checks(run)
    except ResultError as error:
        yield Check(f"{name}/{run.env.name}", "FAILED", "digest", (error.brief,))
        return
    if not finished:
        yield Check(name, "warning", "not finished", (f"this {called} is not finished{undone}",))
        found = [check for check in found if check.name != run.summary.name]
    for check in found:
        yield replace(check, name=os.path.relpath(run.path / check.name, folder))


def _other_files(folder: Path, runs: Sequence[RunDir], checked: Set[Path]) -> Iterator[Check]:
    locks = {folder / run.choices_lock.name for run in runs}
    known = {*checked, *locks, *(run.path for run in runs)}
    paths = sorted(Path(parent) / name for parent, _, names in os.walk(folder) for name in names)
    others = [path for path in paths if path not in known and not any(path.is_relative_to(run.path) for run in runs)]
    yield from (Check(path.name, "skipped", FOR_PEOPLE) for path in paths if path in locks)
    yield from unknown_checks(folder, others, known, "training")
