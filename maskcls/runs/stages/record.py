"""stages.json: the time limits of a training, and what was forecast and measured of each stage."""

from __future__ import annotations

from maskcls import files, typedjson
from maskcls.errors import BusyError, ResultError, shell_word
from maskcls.rundir import RunDir, StagesDir
from maskcls.runs.folders.folder_kinds import begun_runs
from maskcls.runs.folders.killed_start import refuse_strange_settings
from maskcls.runs.stages.ladder import StageSettings
from maskcls.typedjson import JsonFile


class StageEntry(JsonFile):
    """One stage.

    forecast_s  None where none can be made, see `measures`. left_s: of the time limit when it began.
    took_s      None: not finished.

    passed_s    so far, written every few seconds while the stage works. Of a stage that was interrupted or killed, and
                continued, both are the sum of all times; where more is known from its files, see `seconds_on_disk`.
    """

    settings: StageSettings
    forecast_s: float | None
    left_s: float | None
    passed_s: float = 0.0
    took_s: float | None = None


class StagesRecord(JsonFile):
    """The content of stages.json.

    data      the data set, absolute. photos: labelled ones in it.
    folds     the numbers of the folds that were asked for, as on the command line; None: all.
    limits_s  the time limit of each command that trained here; None: no limit.
    free      the settings that the stages choose.
    ladder    the settings that stages may have, from cheap to costly.
    """

    version: int = 1
    data: str
    photos: int
    folds: str | None
    limits_s: tuple[float | None, ...]
    free: tuple[str, ...]
    ladder: tuple[StageSettings, ...]
    stages: tuple[StageEntry, ...] = ()


def is_staged(run: RunDir) -> bool:
    """Tell whether a folder holds the stages of a training with a time limit."""
    return StagesDir(run.path).config.is_file()


def read_stages(folder: StagesDir) -> StagesRecord:
    """Read stages.json; ResultError when it is missing, damaged or changed."""
    data = files.without_digest(files.read_json(folder.record), folder.record, required=True)
    return typedjson.parse(data, StagesRecord, folder.record)


def write_stages(folder: StagesDir, record: StagesRecord) -> None:
    """Commit stages.json."""
    files.commit_json(folder.record, files.with_digest(record.model_dump(mode="json")))


def is_finished(run: RunDir) -> bool:
    """Tell whether a stage has its summary, the last file that a training commits."""
    return run.summary.is_file()


def refuse_begun_stages(folder: StagesDir) -> None:
    """Raise BusyError when the folder holds a stage already, or a file that stages would replace.

    A command killed before its first stage is given again.
    """
    if begun_runs(folder.all_stages()):
        raise BusyError(
            "the folder holds the stages of a training with a time limit",
            where=str(folder.path),
            fix=f"choose another --run, or continue it with: maskcls resume {shell_word(folder.path)} --budget 30m",
        )
    refuse_strange_settings(folder.path, folder.config, folder.record)


def read_begun_stages(folder: StagesDir) -> StagesRecord:
    """Return the record of stages that are to be continued; ResultError where none had begun."""
    if not folder.record.exists():
        raise ResultError(
            "the training was stopped before its first stage began",
            where=str(folder.path),
            fix="give the train command again",
        )
    return read_stages(folder)
