"""Which folders are runs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from maskcls.errors import ResultError
from maskcls.rundir import RunDir, SynthDir
from maskcls.runs.folders.folder_kinds import refuse_other_folder_kinds
from maskcls.runs.identity import required_files
from maskcls.runs.locks.run_lock import last_holder


def find_runs(folders: Sequence[Path], *, links: bool = True) -> list[RunDir]:
    """Return the runs in these folders, at any depth, each once; a folder that is a run counts as well.

    links  accept a symbolic link to a run; no other link is followed, and no hidden folder is entered.

    Raises ResultError for a folder that cannot be read.
    """
    found: dict[Path, RunDir] = {}
    for folder in folders:
        try:
            for path in _runs_below(folder, links):
                found.setdefault(Path(os.path.realpath(path)), RunDir(path))
        except OSError as error:
            raise ResultError(
                "cannot read the folder",
                where=error.filename or str(folder),
                got=error.strerror,
                fix="name the folder that holds your runs",
            ) from None
    return list(found.values())


def is_run(run: RunDir) -> bool:
    """Tell whether a folder holds two of the files a run begins with, so that a run that lost a file is still found.

    A lock that a command of maskcls took is one of them. A folder of generators begins with the same files, and is no
    run.
    """
    if SynthDir(run.path).facts.is_file():
        return False
    begun = sum(path.is_file() for path in (run.env, *required_files(run)))
    return begun >= 2 or (begun == 1 and last_holder(run) is not None)


def checked_run(path: Path) -> RunDir:
    """Return the run at a path; ResultError when there is none, which says what the folder is."""
    if not is_run(RunDir(path)):
        refuse_other_folder_kinds(RunDir(path), generators=False)
        expected = "a folder that maskcls train made"
        raise ResultError("this is not a run", where=str(path), expected=expected, fix="check the path")
    return RunDir(path)


def _runs_below(folder: Path, links: bool) -> Iterator[Path]:
    if is_run(RunDir(folder)):
        yield folder
        return
    with os.scandir(folder) as entries:
        inside = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    for entry in inside:
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from _runs_below(path, links)
        elif links and entry.is_symlink() and is_run(RunDir(path)):
            yield path
