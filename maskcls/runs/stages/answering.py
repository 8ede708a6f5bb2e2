"""Which stage of a training with a time limit answers for its folder: predicts, is scored, exported and so on.

It is computed from the stages' own summaries, whose presence makes a stage finished. A process killed at any moment
leaves either the stage before or the new one as the answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maskcls.errors import ResultError, shell_word
from maskcls.rundir import RunDir, StagesDir
from maskcls.runs.stages.record import is_finished, is_staged, read_stages
from maskcls.runs.summary import RunSummary, read_summary


@dataclass(frozen=True)
class StageScore:
    """A finished stage and its out-of-fold score: macro-F1, or None without one."""

    run: RunDir
    score: float | None


def stage_score(summary: RunSummary) -> float | None:
    """Return what stages are compared by: macro-F1 of the joint classes, else the mean of the tasks' macro-F1.

    None for a leaky run, which has no score.
    """
    if summary.pooled is None:
        return None
    if summary.pooled.macro_f1 is not None:
        return summary.pooled.macro_f1
    of_tasks = [task.macro_f1 for task in summary.pooled.tasks.values() if task.macro_f1 is not None]
    return sum(of_tasks) / len(of_tasks) if of_tasks else None


def best_place(scores: Sequence[float | None]) -> int | None:
    """Return the place of the stage that answers: each stage replaces those before it if its score is not lower.

    A stage without a score counts as lower than every score, and no lower than another one without.

    >>> best_place([0.3, 0.5, 0.4]), best_place([0.3, 0.3]), best_place([None, None]), best_place([])
    (1, 1, 1, None)
    """
    best, highest = None, -math.inf
    for place, score in enumerate(scores):
        value = -math.inf if score is None else score
        if value >= highest:
            best, highest = place, value
    return best


def finished_stages(folder: StagesDir) -> list[StageScore]:
    """Return the finished stages in their order; ResultError for damaged files."""
    found = []
    for number in range(len(read_stages(folder).stages) if folder.record.exists() else 0):
        run = folder.stage(number)
        summary = read_summary(run) if is_finished(run) else None
        if summary is not None:
            found.append(StageScore(run, stage_score(summary)))
    return found


def answering_stage(folder: StagesDir) -> RunDir | None:
    """Return the stage that answers for the folder; None while none is finished."""
    found = finished_stages(folder)
    place = best_place([one.score for one in found])
    return None if place is None else found[place].run


def answering_run(path: Path) -> Path:
    """Return the folder of the run that answers for a path: of its best stage, or the path itself.

    Raises ResultError for a folder without a finished stage.
    """
    if not is_staged(RunDir(path)):
        return path
    stage = answering_stage(StagesDir(path))
    if stage is None:
        raise ResultError(
            "no stage of the training is finished",
            where=str(path),
            fix=f"finish it with: maskcls resume {shell_word(path)}",
        )
    return stage.path
