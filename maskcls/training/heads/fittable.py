"""Whether the labels of an experiment allow to fit heads on them."""

from __future__ import annotations

from maskcls.errors import DataError
from maskcls.training.experiment import Experiment
from maskcls.training.heads.fold_heads import check_fittable


def why_unfittable(experiment: Experiment) -> str:
    """Say why heads cannot be fitted on the training rows of every fold; "" where they can.

    All folds are looked at, not only the wanted ones, so that each of several jobs finds the same.
    """
    try:
        for member in experiment.kinds:
            for k in range(experiment.cfg.folds.k):
                check_fittable(experiment.rows(member, k), member.cfg)
    except DataError as error:
        return f"{error.where}: {error.what}"
    return ""
