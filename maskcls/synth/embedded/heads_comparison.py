"""The out-of-fold rows of a run of retrained heads, beside those of the same heads without interpolated examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from maskcls.labels import Ints
from maskcls.results.predictions import Predictions
from maskcls.results.synth.heads_scores import BALANCED, PLAIN, TRAINED, HeadsComparison, heads_comparison
from maskcls.rundir import FoldDir, RunDir
from maskcls.runs.integrity.oof_file import read_fold_oof
from maskcls.runs.joint import joint_predictions
from maskcls.training.experiment import Experiment


def compare_heads(experiment: Experiment, source: RunDir, folds: Sequence[int]) -> HeadsComparison:
    """Compare the heads of a finished run of retrained heads. source: the run that its trunks are from.

    The seeds of a fold are averaged, and nothing is averaged within groups of photos.
    """
    rows = np.flatnonzero(np.isin(experiment.fold, list(folds)))
    ids, space = experiment.manifest["id"].to_numpy(np.str_)[rows], experiment.cfg.space

    def labels(run: RunDir, read: Callable[[FoldDir], Predictions]) -> Ints:
        parts = []
        for k in folds:
            networks = [(member, read(run.fold(k, member.name))) for member in experiment.members]
            sources = {f"seed {member.cfg.seed}": {member.task: found} for member, found in networks}
            parts.append(joint_predictions(sources, space))
        return Predictions.concat(parts).align(ids).labels()

    others = {
        PLAIN: labels(experiment.run, lambda folder: Predictions.load(folder.plain_heads)),
        BALANCED: labels(experiment.run, lambda folder: Predictions.load(folder.balanced_heads)),
        TRAINED: labels(source, read_fold_oof),
    }
    truth_N = space.encode(experiment.labels)[rows]
    mixed_N = labels(experiment.run, read_fold_oof)
    return heads_comparison(truth_N, mixed_N, others, experiment.people[rows], space.size)
