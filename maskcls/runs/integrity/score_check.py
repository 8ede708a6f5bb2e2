"""The scores in a run's summary, computed again from its out-of-fold rows and labels."""

from __future__ import annotations

from math import isclose

from maskcls.errors import MaskclsError
from maskcls.results.scores.metrics import score
from maskcls.rundir import RunDir
from maskcls.runs.read_labelled import read_out_of_fold
from maskcls.runs.summary import RunSummary, SavedScores

TOLERANCE = 1e-6  # of a macro-F1; other versions of NumPy may sum in another order


def score_faults(run: RunDir, summary: RunSummary) -> list[str]:
    """Return the macro-F1 values of a summary that the rows it was made from do not give.

    Summaries of earlier versions, and rows that cannot be read, have none: other checks are about those.
    """
    if summary.pooled is None or not summary.files:
        return []
    try:
        rows = read_out_of_fold(run)
    except MaskclsError:
        return []
    assert rows.prob_NJ is not None
    said, found = _values(summary.pooled), _values(SavedScores.of(score(rows.prob_NJ, rows.truth, rows.space)))
    return [
        f"{name} {said.get(name)}, but {run.oof.name} gives {value}"
        for name, value in found.items()
        if not _same(said.get(name), value)
    ]


def _values(scores: SavedScores) -> dict[str, float | None]:
    return {"macro-F1": scores.macro_f1} | {f"macro-F1 of {name}": one.macro_f1 for name, one in scores.tasks.items()}


def _same(said: float | None, found: float | None) -> bool:
    if said is None or found is None:
        return said is found
    return isclose(said, found, abs_tol=TOLERANCE)
