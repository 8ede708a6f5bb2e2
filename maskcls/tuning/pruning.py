"""When a trial is stopped early: by an epoch that is worse than others' same epoch, or by folds that are worse than the
best trial's.

Optuna 5's pruners for the epochs (median: Golovin et al. 2017, Google Vizier; hyperband: Li et al. 2018,
arXiv:1603.06560); for the folds the signed-rank test of Wilcoxon (1945), one-sided, over the folds both have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, assert_never

from maskcls.tuning.facts import EpochPruning

if TYPE_CHECKING:
    from optuna.pruners import BasePruner

STARTUP = 5  # done trials before an epoch is compared
WARMUP_SHARE = 0.25  # of the epochs of a fold, which are not compared: the first scores say little
LEVEL = 0.13  # of the test over folds: three folds that are all worse give 1/8
FEWEST_FOLDS = 3


class TrialPrunedError(Exception):
    """A trial is stopped, as it is not promising; the message says why, in one line."""


def epoch_pruner(name: EpochPruning, epochs: int) -> BasePruner:
    """Return the pruner that is asked after each epoch of a trial's first fold.

    epochs  of one fold.
    """
    from optuna.pruners import HyperbandPruner, MedianPruner, NopPruner

    match name:
        case "median":
            return MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=max(1, round(WARMUP_SHARE * epochs)))
        case "hyperband":
            return HyperbandPruner(min_resource=1, max_resource=max(1, epochs), reduction_factor=3)
        case "none":
            return NopPruner()
        case _:
            assert_never(name)


def worse_over_folds(own: Mapping[str, float], best: Mapping[str, float]) -> float | None:
    """Return the p-value of a trial being worse than the best one over the folds that both have; None: not worse.

    own, best  the scores by fold.

    >>> worse_over_folds({"0": 0.1, "1": 0.2, "2": 0.3}, {"0": 0.4, "1": 0.5, "2": 0.7, "3": 0.1})
    0.125
    >>> worse_over_folds({"0": 0.1, "1": 0.2, "2": 0.8}, {"0": 0.4, "1": 0.5, "2": 0.7}) is None
    True
    """
    from scipy.stats import wilcoxon

    gains = [own[fold] - best[fold] for fold in own if fold in best]
    if len(gains) < FEWEST_FOLDS or sum(gains) >= 0:
        return None
    p = float(wilcoxon(gains, alternative="less", zero_method="zsplit").pvalue)
    return p if p < LEVEL else None
