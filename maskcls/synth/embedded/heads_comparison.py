"""Whether interpolated examples helped: the same heads with and without them, on the same out-of-fold rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from maskcls.labels import Ints
from maskcls.results.comparison.difference import Difference, paired_difference
from maskcls.results.predictions import Predictions
from maskcls.results.scores.intervals import Interval, macro_f1_intervals
from maskcls.results.scores.metrics import confusion, macro_f1
from maskcls.rundir import FoldDir, RunDir
from maskcls.runs.integrity.oof_file import read_fold_oof
from maskcls.runs.joint import joint_predictions
from maskcls.training.experiment import Experiment


@dataclass(frozen=True)
class ScoredHeads:
    """Out-of-fold macro-F1 of one kind of heads, with its interval over people.

    more  the score of the heads with interpolated examples minus this one; None: these are them.
    """

    name: str
    macro_f1: float
    interval: Interval
    more: Difference | None = None


@dataclass(frozen=True)
class HeadsComparison:
    """The heads with interpolated examples, those without, and the run's own.

    mixed     with the examples.
    others    plain: without; balanced: without, equal weight for every class; trained: of the run, as it was trained.
    people    number of people on the rows.
    """

    mixed: ScoredHeads
    others: tuple[ScoredHeads, ...]
    people: int

    @property
    def helped(self) -> bool:
        """Whether the examples did more than both kinds of heads without them, by the intervals of the differences."""
        return all(one.more is not None and one.more.low > 0 for one in self.others if one.name != "trained")


def compare_heads(experiment: Experiment, source: RunDir, folds: Sequence[int]) -> HeadsComparison:
    """Compare the heads of a finished run of retrained heads. source: the run that its trunks are from.

    Every network predicts alone: nothing is averaged within groups.
    """
    ids = experiment.manifest["id"].to_numpy(np.str_)[np.isin(experiment.fold, list(folds))]
    truth_N = experiment.cfg.space.encode(experiment.labels)[np.isin(experiment.fold, list(folds))]
    people_N = experiment.people[np.isin(experiment.fold, list(folds))]
    classes = experiment.cfg.space.size

    def labels(run: RunDir, read: Callable[[FoldDir], Predictions]) -> Ints:
        parts = []
        for k in folds:
            networks = {
                f"seed {member.cfg.seed}": {member.task: read(run.fold(k, member.name))}
                for member in experiment.members
            }
            parts.append(joint_predictions(networks, experiment.cfg.space))
        return Predictions.concat(parts).align(ids).labels()

    def scored(name: str, label_N: Ints, against_N: Ints | None) -> ScoredHeads:
        interval = macro_f1_intervals(truth_N, label_N, people_N, classes).confidence
        more = None if against_N is None else paired_difference(truth_N, label_N, against_N, people_N, classes)
        return ScoredHeads(name, macro_f1(confusion(truth_N, label_N, classes)), interval, more)

    mixed_N = labels(experiment.run, read_fold_oof)
    others = {
        "plain": labels(experiment.run, lambda folder: Predictions.load(folder.plain_heads)),
        "balanced": labels(experiment.run, lambda folder: Predictions.load(folder.balanced_heads)),
        "trained": labels(source, read_fold_oof),
    }
    return HeadsComparison(
        scored("mixed", mixed_N, None),
        tuple(scored(name, label_N, mixed_N) for name, label_N in others.items()),
        len(np.unique(people_N)),
    )
