"""What a killed start left in a folder: files that its command, given again, may replace.

A command writes its name into the lock of the folder, then the files of the identity in their order, and env.json last.
What does not look like that may be a user's, and is kept. The killed start may be of another version of maskcls.
"""

from __future__ import annotations

from pathlib import Path

from maskcls import config, files
from maskcls.errors import BusyError, MaskclsError
from maskcls.labels import LabelSpace
from maskcls.rundir import RunDir
from maskcls.runs.identity import identity_files, required_files
from maskcls.runs.locks.run_lock import last_holder


def strange_files(run: RunDir) -> list[str]:
    """Return the names of files that a new run in this folder would replace, and that no killed start left there.

    The run has no env.json.
    """
    own = [path for path in identity_files(run) if path.exists()]
    results = [run.times, run.oof, run.summary, run.report, run.tracking, *run.own_folders()]
    found = [path for path in results if path.exists()]
    if last_holder(run) is None and run.jobs.path.exists():
        found.append(run.jobs.path)
    if last_holder(run) is None or not _is_begun_identity(run, own):
        found = own + found
    return [run.place(path) for path in found]


def whose_files(run: RunDir) -> str:
    """Return in words whose the files of a folder without env.json can be, for messages about `strange_files`."""
    holder, no_run = last_holder(run), f"no run, as it has no {run.env.name}"
    if holder is None:
        return f"{no_run}, and no sign of a start that was killed"
    by = f"process {holder.process} on {holder.host}"
    return f"{no_run}; a command of maskcls began here ({by}), but no start that was killed leaves these files"


def refuse_strange_settings(folder: Path, settings: Path, *records: Path) -> None:
    """Raise BusyError where a folder of runs, of which none has begun, holds files that a killed start did not write.

    settings  which it wrote first. records: JSON files with a digest, which it may have written next.
    """
    taken = [] if not settings.exists() or config.written_settings(settings) is not None else [settings]
    taken += [path for path in records if path.exists() and not (settings.exists() and has_digest(path))]
    if taken:
        raise BusyError(
            "the folder holds files that a training would replace",
            where=str(folder),
            offenders=[path.name for path in taken],
            fix="choose another --run, or move them away",
        )


def has_digest(path: Path) -> bool:
    """Tell whether a JSON file carries the digest of its content, as those of maskcls do."""
    try:
        files.without_digest(files.read_json(path), path, required=True)
    except MaskclsError:
        return False
    return True


def _is_begun_identity(run: RunDir, there: list[Path]) -> bool:
    """Tell whether the files that are there, of a run's identity, are those that a training writes first."""
    required = list(required_files(run))
    count = sum(path in there for path in required)
    if there[:count] != required[:count] or (count < len(required) and len(there) > count):
        return False
    if not there:
        return True
    settings = config.written_settings(run.config)
    if settings is None:
        return False
    try:
        return _are_tables(run, there, LabelSpace.from_json(settings["tasks"]))
    except (MaskclsError, KeyError, TypeError, ValueError):  # the last three: tasks of a form that this version has not
        return False


def _are_tables(run: RunDir, there: list[Path], space: LabelSpace) -> bool:
    """Tell whether labels, training table and folds, where they are there, have the form of a run's."""
    from maskcls.data.rows import folds, manifest  # pandas

    if run.labels in there and files.read_file(run.labels, files.RUN_FILE) != files.json_bytes(space.to_json()):
        return False
    if run.manifest in there:
        manifest.from_csv(run.manifest, space)
    if run.folds in there:
        folds.from_csv(run.folds)
    return True
