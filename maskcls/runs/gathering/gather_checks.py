"""Whether runs can be gathered into one: asked before anything is loaded or copied."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maskcls import files
from maskcls.errors import BusyError, UsageError
from maskcls.rundir import RunDir
from maskcls.runs.checks import refuse_repeated
from maskcls.runs.environment import GatheredRun, read_environment
from maskcls.runs.gathering.fold_runs import FoldRun, gathered_folds, read_fold_run, refuse_shared_folds
from maskcls.runs.gathering.same_computation import (
    Computation,
    ComputationKind,
    accepted_differences,
    harmless_differences,
)
from maskcls.runs.gathering.same_experiment import refuse_other_experiment, setting_notes


@dataclass(frozen=True)
class FoldRuns:
    """Runs that belong together, in the order they were given.

    accepted  a line per difference in how their folds were computed that was accepted.
    notes     a line per difference that changes no result.
    complete  whether the output is there, gathered from these runs: by a command that was killed at its very end.
    """

    parts: tuple[FoldRun, ...]
    accepted: tuple[str, ...]
    notes: tuple[str, ...]
    complete: bool


def read_fold_runs(
    runs: Sequence[RunDir], output: RunDir, *, accept: Sequence[ComputationKind], data: Path | None
) -> FoldRuns:
    """Read runs that are to be gathered into `output`, and compare each with the first one.

    Raises UsageError for fewer than two runs, a run or a fold that is given twice, and an output inside one of them;
    BusyError for an output that is there, unless it was gathered from these runs; the errors of `read_fold_run`,
    `refuse_other_experiment` and `accepted_differences`.
    """
    if len(runs) < 2:
        raise UsageError("one run is not gathered", got=str(runs[0].path), expected="two runs or more")
    refuse_repeated(runs)
    given = [run.path for run in runs] + ([] if data is None else [data])
    files.check_folder(output.path, name="the run", option="-o")
    files.check_outputs(output.path, inputs=given)
    parts = [read_fold_run(run) for run in runs]
    files.check_outputs(output.path, inputs=[Path(parts[0].env.data)])
    complete = _is_gathered_from(parts, output)
    if not complete and output.path.exists() and os.listdir(output.path):
        raise BusyError("the output exists", where=str(output.path), fix="choose another -o")
    first, accepted, notes = parts[0], list[str](), list[str]()
    for other in parts[1:]:
        refuse_other_experiment(first, other)
        accepted += accepted_differences(computation(first), computation(other), accept)
        notes += [*setting_notes(first, other), *harmless_differences(computation(first), computation(other))]
    refuse_shared_folds(parts)
    before = [line for part in parts if part.env.gathered for line in part.env.gathered.accepted]
    return FoldRuns(tuple(parts), (*before, *accepted), tuple(notes), complete)


def sources_of(parts: Sequence[FoldRun]) -> tuple[GatheredRun, ...]:
    """Return what a gathered run says about the runs it is from; of gathered ones, about theirs."""
    return tuple(
        one
        for part in parts
        for one in (part.env.gathered.runs if part.env.gathered else [GatheredRun.of(part.run, part.env)])
    )


def _is_gathered_from(parts: Sequence[FoldRun], output: RunDir) -> bool:
    if not output.env.exists():
        return False
    env = read_environment(output)
    return env.gathered is not None and (env.gathered.runs, env.folds) == (sources_of(parts), gathered_folds(parts))


def computation(part: FoldRun) -> Computation:
    """Return how the networks of a run were computed."""
    return Computation(part.name, part.env.machine, part.env.plans or {})
