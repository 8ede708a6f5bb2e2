"""Folders that are no runs but hold some, also those that lost the file by which they are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maskcls.errors import ResultError
from maskcls.rundir import RepeatsDir, RunDir, StagesDir, StudyDir, SynthDir

COPY = "restore it from a copy"


def refuse_other_folder_kinds(run: RunDir, *, generators: bool) -> None:
    """Raise ResultError that says what a folder is, if it is none of a run.

    generators  a folder of generators is expected.
    """
    repeats, stages, study = RepeatsDir(run.path), StagesDir(run.path), StudyDir(run.path)
    if not generators and SynthDir(run.path).facts.exists():
        raise ResultError(
            "this is a folder of generators, not a run",
            where=str(run.path),
            expected="a folder that maskcls train made",
            fix="maskcls synth takes it; or check the path",
        )
    if repeats.config.is_file():
        raise ResultError(
            "the folder holds a repeated cross-validation, whose repeats are runs of their own",
            where=str(run.path),
            fix=f"name one, such as {repeats.repeat(0).path}; predict --data and resume take the whole folder",
        )
    if stages.config.is_file():
        raise ResultError(
            "the folder holds the stages of a training with a time limit, which are runs of their own",
            where=str(run.path),
            fix=f"name one, such as {stages.stage(0).path}",
        )
    if run.env.exists():
        return
    if study.facts.is_file():
        raise ResultError(
            "the folder holds a search for settings, whose trials are runs of their own",
            where=str(run.path),
            fix=f"name one, such as {study.trial('0000').path}",
        )
    if found := begun_runs(repeats.all_repeats()):
        again = ""
        if found[0] == repeats.repeat(0):  # its settings are those of the folder, without folds.repeats
            again = f", or copy {found[0].config} to it and set folds.repeats to the number of repeats"
        raise _lost("the repeats of a cross-validation", repeats.config, found, "a repeat", again)
    if found := begun_runs(stages.all_stages()):
        raise _lost("the stages of a training with a time limit", stages.config, found, "a stage")
    if found := begun_runs(study.all_trials()):
        raise _lost("the trials of a search for settings", study.facts, found, "a trial")


def begun_runs(runs: Sequence[RunDir]) -> list[RunDir]:
    """Return those of the runs that have begun: with env.json."""
    return [run for run in runs if run.env.is_file()]


def _lost(what: str, file: Path, runs: Sequence[RunDir], one: str, again: str = "") -> ResultError:
    """Return the error for a folder of runs without the file by which it is known. again: how to make it again."""
    return ResultError(
        f"the folder holds {what}, and the file is missing that says so",
        where=str(file),
        got=f"no such file, beside {', '.join(run.path.name for run in runs[:3])}{', …' if len(runs) > 3 else ''}",
        fix=f"{COPY}{again}; {one} alone is a run: {runs[0].path}",
    )
