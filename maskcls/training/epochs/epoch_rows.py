"""The probabilities of a fold's validation rows after each epoch: written during training, counted to choose an epoch.

n validation rows of a fold, J joint classes.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from maskcls import files
from maskcls.errors import ResultError
from maskcls.files.arrays import read_array
from maskcls.labels import Floats
from maskcls.results.predictions import PREDICTIONS
from maskcls.results.scores.tally import Tally, tally
from maskcls.rundir import FoldDir
from maskcls.training.experiment import Experiment, Member

FIX = "restore it, or delete the folder of this fold and resume the run"


def save_rows(path: Path, prob: Floats) -> None:
    """Commit probabilities (n, J) as a .npy file of float32."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, prob.astype(np.float32, copy=False), version=(1, 0), allow_pickle=False)
    files.commit(path, buffer.getvalue())


def read_rows(path: Path, shape: tuple[int, int]) -> Floats:
    """Read what `save_rows` wrote; ResultError when it is damaged or of another shape."""
    what = "cannot read the rows of an epoch"
    data = files.read_file(path, files.FileKind("the rows of an epoch", ResultError, PREDICTIONS.most, FIX))
    try:
        prob: Floats = read_array(data)
    except (ValueError, SyntaxError, TypeError) as error:
        raise ResultError(what, where=str(path), got=str(error), fix=FIX) from None
    if prob.shape != shape or prob.dtype != np.float32:
        got, expected = f"{prob.dtype} {prob.shape}", f"float32 {shape}"
        raise ResultError(what, where=str(path), got=got, expected=expected, fix=FIX)
    return prob


def epochs_with_rows(folder: FoldDir) -> int:
    """Return the number of epochs, whose rows are all on disk; 0 for a fold of an earlier version.

    Raises ResultError when those of an epoch are missing, or the log cannot be read.
    """
    if not folder.epoch_rows(0).parent.is_dir():
        return 0
    try:
        epochs = len(files.read_json_lines(folder.log)) if folder.log.exists() else 0
    except ResultError as error:
        raise ResultError("a log cannot be read", where=str(folder.log), got=error.got, fix=FIX) from None
    if missing := [str(folder.epoch_rows(e)) for e in range(epochs) if not folder.epoch_rows(e).exists()]:
        raise ResultError("the rows of an epoch are missing", offenders=missing, fix=FIX)
    return epochs


def last_rows(experiment: Experiment, member: Member, k: int) -> Floats | None:
    """Return the probabilities (n, J) after the last epoch; None for a fold of an earlier version."""
    folder = experiment.fold_dir(member, k)
    epochs = epochs_with_rows(folder)
    return read_rows(folder.epoch_rows(epochs - 1), _shape(experiment, member, k)) if epochs else None


def read_tallies(experiment: Experiment, member: Member, k: int) -> list[Tally]:
    """Return a fold's counts after each epoch, from epoch 0 on; none for a fold of an earlier version."""
    folder, shape = experiment.fold_dir(member, k), _shape(experiment, member, k)
    rows = (read_rows(folder.epoch_rows(epoch), shape) for epoch in range(epochs_with_rows(folder)))
    return [tally_of(experiment, member, k, prob) for prob in rows]


def tally_of(experiment: Experiment, member: Member, k: int, prob: Floats) -> Tally:
    """Count probabilities (n, J) against the labels of the fold's validation rows."""
    valid = np.flatnonzero(experiment.fold == k)
    truth = {name: experiment.labels[name][valid] for name in member.space.names}
    return tally(prob, truth, member.space)


def _shape(experiment: Experiment, member: Member, k: int) -> tuple[int, int]:
    return int((experiment.fold == k).sum()), member.space.size
