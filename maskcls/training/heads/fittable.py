"""Whether the labels of an experiment allow to fit heads on them, and whether the features fit into memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from maskcls.engine.compute.free_memory import MEMORY_SHARE, available_bytes
from maskcls.errors import DataError
from maskcls.training.experiment import Experiment, Member
from maskcls.training.heads.fold_heads import check_fittable
from maskcls.training.plans import fresh_network
from maskcls.viewnames import parse_views

BYTES_PER_VALUE = 4 + 8 + 8  # a feature in single precision, and two copies in double precision to standardise it


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


def why_too_large(experiment: Experiment, members: Sequence[Member]) -> str:
    """Say how much memory the features of one of these networks take, if it is more than a share of what is free.

    "" if all take less. It is asked where nobody asked for heads: a training that a person wants is tried.
    """
    for member in members:
        cfg = member.cfg
        model = cfg.model.model_copy(update={"weights": None, "pretrained": False})  # the same number of features
        random = replace(member, cfg=cfg.model_copy(update={"model": model}))
        views = len(parse_views(cfg.predict.views)) + cfg.heads.augmented
        values = len(experiment.manifest) * views * fresh_network(random, 0, 0)[0].features
        needed, free = values * BYTES_PER_VALUE, available_bytes()
        if needed > MEMORY_SHARE * free:
            return f"it would take {needed / 2**30:.1f} of {free / 2**30:.1f} GiB of memory"
    return ""
