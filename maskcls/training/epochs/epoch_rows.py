"""The probabilities of a fold's validation rows after each epoch: written during training, counted to choose an epoch.

n validation rows of a fold, J joint classes.
"""

from __future__ import annotations

import numpy as np

from maskcls.errors import ResultError
from maskcls.labels import Floats
from maskcls.results.scores.tally import Tally, tally
from maskcls.rundir import FoldDir
from maskcls.runs.integrity.epoch_log import read_log
from maskcls.runs.integrity.epoch_rows_file import FIX, read_rows
from maskcls.training.experiment import Experiment, Member


def epochs_with_rows(folder: FoldDir) -> int:
    """Return the number of epochs, whose rows are all on disk; 0 for a fold of an earlier version.

    Raises ResultError when those of an epoch are missing, or the log cannot be read.
    """
    if not folder.epoch_rows(0).parent.is_dir():
        return 0
    epochs = len(read_log(folder)) if folder.log.exists() else 0
    if missing := [str(folder.epoch_rows(e)) for e in range(epochs) if not folder.epoch_rows(e).exists()]:
        raise ResultError("the rows of an epoch are missing", offenders=missing, fix=FIX)
    return epochs


def last_rows(experiment: Experiment, member: Member, k: int) -> Floats | None:
    """Return the probabilities (n, J) after the last epoch; None for a fold of an earlier version."""
    folder = experiment.fold_dir(member, k)
    epochs = epochs_with_rows(folder)
    return read_rows(folder.epoch_rows(epochs - 1), _shape(experiment, member, k), root=folder.root) if epochs else None


def read_tallies(experiment: Experiment, member: Member, k: int) -> list[Tally]:
    """Return a fold's counts after each epoch, from epoch 0 on; none for a fold of an earlier version."""
    folder, shape = experiment.fold_dir(member, k), _shape(experiment, member, k)
    rows = (read_rows(folder.epoch_rows(epoch), shape, root=folder.root) for epoch in range(epochs_with_rows(folder)))
    return [tally_of(experiment, member, k, prob) for prob in rows]


def tally_of(experiment: Experiment, member: Member, k: int, prob: Floats) -> Tally:
    """Count probabilities (n, J) against the labels of the fold's validation rows."""
    valid = np.flatnonzero(experiment.fold == k)
    truth = {name: experiment.labels[name][valid] for name in member.space.names}
    return tally(prob, truth, member.space)


def _shape(experiment: Experiment, member: Member, k: int) -> tuple[int, int]:
    return int((experiment.fold == k).sum()), member.space.size
