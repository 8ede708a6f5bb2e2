"""Every file of a run compared with what the run says about it: whose it is, and what it holds.

The links that commands compare on their way are compared here too, and large files are read in full.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterator, Sequence
from functools import partial
from pathlib import Path

from maskcls import config, files, owned
from maskcls.errors import ResultError, shell_word
from maskcls.results.predictions import Predictions
from maskcls.results.submissions.checks import Check
from maskcls.rundir import FoldDir, RunDir
from maskcls.runs.choices.register import read_register
from maskcls.runs.decision import read_decision
from maskcls.runs.environment import Environment, read_environment
from maskcls.runs.identity import identity_files
from maskcls.runs.integrity.file_check import (
    EARLIER,
    OTHER_END,
    compared,
    ends_otherwise,
    is_digested,
    read_check,
    unknown_checks,
)
from maskcls.runs.integrity.network_checks import network_checks
from maskcls.runs.integrity.run_in_use import checks_beside, settled_files, use_of
from maskcls.runs.integrity.score_check import score_faults
from maskcls.runs.networks import run_networks
from maskcls.runs.records.notes import BEST_DELETED, read_notes
from maskcls.runs.records.times import read_times
from maskcls.runs.records.unsealed import read_sealed_score
from maskcls.runs.summary import RunSummary, read_summary

OF_JOBS = "not compared: of the jobs of an unfinished training"
FOR_PEOPLE = "not compared: no command reads it"


def run_checks(run: RunDir) -> list[Check]:
    """Check every file below a run's folder; returns a check per file, named by its path there.

    Beside a training of the same run, files that it may be writing are not compared, see `checks_beside`.

    Raises ResultError when env.json, which names the others, is missing or was changed: nothing else can be told then.
    """
    before = use_of(run)
    if before.holder is not None and not run.env.exists():
        return checks_beside([], run, set(), before, before)  # a training that has just begun
    env = read_environment(run)
    checks = [_environment_check(run), *_identity_checks(run, env)]
    wrong = {check.name for check in checks if check.verdict == "FAILED"}
    networks = _networks(run, env, is_named=run.config.name not in wrong)
    settled = settled_files(run, env, networks)
    for folder in networks:
        checks += network_checks(run, folder, pruned=_is_pruned(run))
    checks += [*_summary_checks(run, networks), *_record_checks(run)]
    checks += _other_checks(run, {check.name for check in checks})
    return checks_beside(checks, run, settled, before, use_of(run))


def _environment_check(run: RunDir) -> Check:
    if not owned.packages_are_unchanged(run.env):
        return Check(run.env.name, "FAILED", "digest", ("the versions of packages were changed",))
    if is_digested(run.env):
        if ends_otherwise(run.env):
            return Check(run.env.name, "FAILED", "digest", (OTHER_END,))
        return Check(run.env.name, "ok", "digest")
    return Check(run.env.name, "skipped", EARLIER)


def _identity_checks(run: RunDir, env: Environment) -> Iterator[Check]:
    for name, expected in env.hashes.items():
        yield compared(name, run.path / name, expected, run.env.name)
    for path in identity_files(run):
        if path.name not in env.hashes:
            yield Check(path.name, "FAILED", "the run began without it", (f"{run.env.name} does not name it",))


def _networks(run: RunDir, env: Environment, *, is_named: bool) -> list[FoldDir]:
    """Return the folders of the networks: those that the configuration names, or those that are there without one."""
    if not is_named:
        return run.all_networks()
    return [network.folder(run) for network in run_networks(config.of_run(run.config), env.folds)]


def _summary_checks(run: RunDir, networks: Sequence[FoldDir]) -> Iterator[Check]:
    """Check the summary, and that it was made from the rows and the networks that are there."""
    again = f"maskcls resume {shell_word(run.path)}"
    if not run.summary.exists():
        yield Check(run.summary.name, "warning", "not there", (f"the run is not finished: {again}",))
        return
    summary = _summary_of(run)
    faults: list[str] = []
    done = [run.place(folder.done) for folder in networks]
    for place, expected in summary.files.items() if summary else ():
        check = compared(place, run.path / place, expected, run.summary.name)
        if run.path / place == run.oof:
            yield check
        elif check.faults or place not in done:
            faults.append(f"it was made from another {place}: {again}")
    faults += score_faults(run, summary) if summary else []
    whole = read_check(run.summary.name, run.summary, lambda: read_summary(run), digested=is_digested(run.summary))
    yield Check(whole.name, "FAILED", whole.about, tuple(faults)) if faults else whole


def _summary_of(run: RunDir) -> RunSummary | None:
    try:
        return read_summary(run)
    except ResultError:
        return None  # its own check says what is wrong


def _record_checks(run: RunDir) -> Iterator[Check]:
    """Check the files that commands add to a run, and the register beside it."""
    readers: list[tuple[Path, Callable[[], object]]] = [
        (run.times, lambda: read_times(run)),
        (run.notes, lambda: read_notes(run)),
        (run.unsealed, lambda: read_sealed_score(run)),
        (run.decision, lambda: read_decision(run)),
    ]
    for path, read in readers:
        if path.exists():
            yield read_check(run.place(path), path, read, digested=is_digested(path))
    for path in run.tracker_identities():
        yield read_check(run.place(path), path, partial(_read_owned, path, run.path), digested=is_digested(path))
    for path in run.all_tests():
        owner = owned.owner_of(path, run.path)
        yield read_check(run.place(path), path, partial(_read_test, path, owner), digested=owner is not None)
    if run.choices.exists():
        name = os.path.relpath(run.choices, run.path.resolve())
        yield read_check(name, run.choices, lambda: read_register(run), digested=is_digested(run.choices))


def _read_owned(path: Path, root: Path) -> None:
    owned.without_owner(files.read_json(path), path, root)


def _read_test(path: Path, owner: owned.Owner | None) -> None:
    found = Predictions.load(path)
    if owner is not None:
        owned.check_owner(found.lineage.get(owned.OWNER), owner, path)


def _is_pruned(run: RunDir) -> bool:
    """Tell whether a note says that the best weights were deleted on purpose."""
    try:
        return any(BEST_DELETED in note.text for note in read_notes(run))
    except ResultError:
        return False


def _files(folder: Path) -> list[Path]:
    return sorted(Path(parent) / name for parent, _, names in os.walk(folder) for name in names)


def _other_checks(run: RunDir, checked: Container[str]) -> Iterator[Check]:
    """Say why the other files are not compared; those that no run has are named last."""
    unknown, known = [], []
    for path in _files(run.path):
        place = run.place(path)
        why = None if place in checked else _not_compared(run, path)
        if place in checked or why is not None:
            known.append(path)
        else:
            unknown.append(path)
        if why is not None:
            yield Check(place, "skipped", why)
    yield from unknown_checks(run.path, unknown, known, "run")


def _not_compared(run: RunDir, path: Path) -> str | None:
    """Return why a file of a run that has no check is not compared; None for a file that no run has."""
    if path in (run.lock_file, run.notes_lock) or any(path.is_relative_to(folder) for folder in run.for_people()):
        return FOR_PEOPLE
    if path.is_relative_to(run.jobs.path):
        return OF_JOBS
    return f"not compared: its sha256 is in {run.summary.name}, see there" if path == run.oof else None
