"""Several runs of the same rows compared with the first one; every comparison is registered as a choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from maskcls.errors import DataError
from maskcls.results.comparison.many import ManyComparison, compare_many
from maskcls.results.comparison.optimism import optimism_of_best
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.rows_by_id import find_rows
from maskcls.rundir import RunDir
from maskcls.runs.choices.tried import add_tried, comparison_of, tried_digest
from maskcls.runs.choices.tried_rows import counts_of
from maskcls.runs.read_labelled import parts_of


def compare_labelled(runs: Sequence[RunDir], found: Sequence[LabelledPredictions]) -> ManyComparison:
    """Compare the out-of-fold rows of two or more runs with the first run's, joined by id.

    found  the rows of each run. Raises DataError for runs of other rows or labels.
    """
    first = found[0]
    for run, other in zip(runs, found, strict=True):
        _check_same_rows(runs[0], first, run, other)
    rows_RN = [find_rows(one.ids, first.ids, name=str(run.path)) for run, one in zip(runs, found, strict=True)]
    labels = [one.pred_N[row_N] for row_N, one in zip(rows_RN, found, strict=True)]
    assert first.people_N is not None
    truth, size = first.space.encode(first.truth), first.space.size
    names = [str(run.path) for run in runs]
    many = compare_many(names, labels, truth, first.people_N, parts_of(first), size)
    new = [comparison_of(runs[0], run, p.difference.p) for run, p in zip(runs[1:], many.differences, strict=True)]
    tried, register = add_tried(runs[0], new)
    known = {one.what for one in register.of("run", new[0].rows)}
    every = known | {tried_digest(run, known) for run in runs}
    optimism = optimism_of_best(counts_of(first, labels), runs=len(every))
    return replace(many, tried=tried.count, kept=tried.kept, noun=first.noun, optimism=optimism)


def _check_same_rows(first_run: RunDir, first: LabelledPredictions, run: RunDir, other: LabelledPredictions) -> None:
    """Raise DataError unless both runs have the same rows, labels and people."""
    same = first.space.fingerprint == other.space.fingerprint and sorted(first.ids) == sorted(other.ids)
    if same:
        row_N = find_rows(other.ids, first.ids, name=str(run.path))
        same = all((label_N == other.truth[name][row_N]).all() for name, label_N in first.truth.items())
    if not same:
        raise DataError(
            "the runs are scored on different rows or labels",
            where=f"{first_run.path} and {run.path}",
            expected="runs of the same data and folds",
            fix="compare two of them at a time",
        )
