"""Folders of stages without a training: a record, and summaries with given scores."""

from __future__ import annotations

from pathlib import Path

from maskcls import config, files
from maskcls.rundir import RunDir, StagesDir
from maskcls.runs.stages.ladder import CHOSEN, StageSettings
from maskcls.runs.stages.record import StageEntry, StagesRecord, write_stages
from maskcls.runs.summary import RunSummary, SavedScores, write_summary

LADDER = tuple(StageSettings(size=(64, 48), epochs=epochs, folds=2, seeds=1) for epochs in (1, 2, 4, 8, 16))


def begun(path: Path, *, stages: int) -> StagesDir:
    """Write a folder whose first stages were begun, none of them finished."""
    folder = StagesDir(path)
    files.commit(folder.config, config.to_yaml(config.load(None, ["folds.k=2", "train.epochs=16"])[0]).encode())
    entries = tuple(StageEntry(settings=one, forecast_s=None, left_s=None) for one in LADDER[:stages])
    record = StagesRecord(
        data="data", photos=100, folds=None, limits_s=(60.0,), free=CHOSEN, ladder=LADDER, stages=entries
    )
    write_stages(folder, record)
    return folder


def finish(run: RunDir, score: float) -> None:
    """Write the summary of a stage, its last file."""
    write_summary(run, RunSummary(pooled=SavedScores(macro_f1=score, tasks={}), interval=None, folds={}, sd={}))
