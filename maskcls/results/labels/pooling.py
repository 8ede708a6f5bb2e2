"""One row of probabilities per photo from several runs, and one per person from all photos of the person.

N photos, P people, C classes of a task, M photos of one run. Probabilities are averaged, not their logarithms: a single
network that is extremely sure of a wrong class on one photo would otherwise decide alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maskcls.labels import UNKNOWN, Ints
from maskcls.results.decisions.calibration import Probabilities, fit_temperature, scaled_rows
from maskcls.results.scores.metrics import Doubles


def pooled(parts: Sequence[tuple[Ints, Probabilities]], given_N: Ints) -> Doubles:
    """Return the mean (N, C) of the calibrated probabilities of the runs that predict a photo.

    parts    per run, the photos it predicts (M,) as numbers 0..N-1, and its probabilities (M, C) of one task.
    given_N  (N,) the given class of each photo, -1 for unknown; each run's temperature is fitted to them.

    Every photo must be predicted by a run; raises ValueError otherwise.
    """
    total_NC, runs_N = np.zeros((len(given_N), parts[0][1].shape[1])), np.zeros(len(given_N))
    for rows_M, prob_MC in parts:
        given_M = given_N[rows_M]
        known = bool((given_M != UNKNOWN).any())
        total_NC[rows_M] += scaled_rows(prob_MC, fit_temperature(prob_MC, given_M) if known else 1.0)
        runs_N[rows_M] += 1
    if not runs_N.all():
        raise ValueError("a photo is predicted by no run")
    return total_NC / runs_N[:, None]


def person_mean(prob_NC: Probabilities, who_N: Ints) -> Doubles:
    """Return the mean (P, C) of the photos of each person; who_N: (N,) numbers 0..P-1, each occurs.

    >>> person_mean(np.array([[1.0, 0.0], [0.5, 0.5], [0.2, 0.8]]), np.array([0, 0, 1])).tolist()
    [[0.75, 0.25], [0.2, 0.8]]
    """
    sums_CP = [np.bincount(who_N, weights=prob_N) for prob_N in np.asarray(prob_NC, dtype=np.float64).T]
    means: Doubles = np.stack(sums_CP, axis=1) / np.bincount(who_N)[:, None]
    return means
