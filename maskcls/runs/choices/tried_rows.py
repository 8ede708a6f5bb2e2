"""The answers of the runs that were tried on the same rows, as far as they are still on disk."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maskcls import files
from maskcls.errors import MaskclsError
from maskcls.labels import Ints
from maskcls.results.comparison.optimism import Optimism, optimism_of_best
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.predictions import Predictions
from maskcls.results.scores.person_counts import PersonCounts, count_people
from maskcls.rundir import RunDir
from maskcls.runs.choices.register import Attempt, read_register
from maskcls.runs.choices.tried import rows_of_run
from maskcls.runs.read_labelled import read_out_of_fold

MOST_READ = 50  # runs, the last ones that were tried; of more, how many there are counts


def optimism_of_tried(run: RunDir, labelled: LabelledPredictions, tried: Sequence[Attempt]) -> Optimism | None:
    """Return how much picking the best of the tried runs flatters its score.

    labelled  the run's own rows; tried: the runs that are registered for them. None with fewer than two of these on
              disk: deleted runs, those moved to another folder, and those trained again since are not.
    """
    if not (labelled.space.encode(labelled.truth) >= 0).any():
        return None
    every = (_answers(one, RunDir(run.choices.parent / one.name), labelled) for one in tried[-MOST_READ:])
    found = [counted for counted in every if counted is not None]
    return optimism_of_best(found, runs=len(tried)) if len(found) > 1 else None


def read_optimism(run: RunDir) -> Optimism | None:
    """Return the same for a finished run and all that were tried on its rows; None for a leaky one, or a lone one.

    A training is not lost because its score cannot be put beside others: files that cannot be read give None.
    """
    try:
        tried = read_register(run).of("run", rows_of_run(run))
        return optimism_of_tried(run, read_out_of_fold(run), tried) if len(tried) > 1 else None
    except MaskclsError:
        return None


def counts_of(labelled: LabelledPredictions, label_RN: Sequence[Ints]) -> list[PersonCounts]:
    """Count the answers (N,) of R runs about these rows by person."""
    true_N, people_N = labelled.space.encode(labelled.truth), labelled.people_N
    assert people_N is not None
    return [count_people(true_N, label_N, people_N, labelled.space.size) for label_N in label_RN]


def _answers(one: Attempt, place: RunDir, labelled: LabelledPredictions) -> PersonCounts | None:
    try:
        if not place.oof.is_file() or files.file_sha256(place.oof)[:16] != one.what:
            return None
        rows = Predictions.load(place.oof).align(np.asarray(labelled.ids, dtype=np.str_), names=(one.name, "the run"))
    except MaskclsError:
        return None
    return counts_of(labelled, [rows.labels()])[0]
