"""Whether the runs of a report can be compared row by row, and their paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from maskcls.errors import DataError
from maskcls.results.comparison.many import ManyComparison
from maskcls.runs.choices.compared_runs import compare_labelled
from maskcls.runs.reported.reported_run import ReportedRun


@dataclass(frozen=True)
class PairedRuns:
    """The differences to the first run; found is None where there are none, and why_not says why."""

    found: ManyComparison | None
    why_not: str = ""


def pair_runs(runs: Sequence[ReportedRun]) -> PairedRuns:
    """Compare the runs with the first one, and register that; runs of other rows, or without a score, are not."""
    labelled = [one.rows.labelled for one in runs if one.rows is not None]
    if len(labelled) < len(runs):
        return PairedRuns(None, "a leaky run has no score")
    if any(one.record.score is None for one in runs):
        return PairedRuns(None, "no row has a label of every task")
    try:
        return PairedRuns(compare_labelled([one.run for one in runs], labelled))
    except DataError as error:
        return PairedRuns(None, f"{error.what} ({error.where})")
