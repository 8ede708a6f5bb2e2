"""Heads that a training of the whole network starts with: fitted on its backbone's features, as model.train=heads does.

First the heads, then everything: Kumar et al. 2022, arXiv:2202.10054.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from maskcls.engine import checkpoint
from maskcls.engine.device import Accelerator
from maskcls.errors import UsageError
from maskcls.files import none_for_nan
from maskcls.nn.network import Network
from maskcls.rundir import FoldDir
from maskcls.show.terminal.progress import Reporter
from maskcls.training.experiment import Experiment, Member
from maskcls.training.heads.blas_threads import one_thread_of_blas
from maskcls.training.heads.fold_heads import fit_fold_heads, set_heads
from maskcls.training.heads.frozen_features import frozen_features


def save_starting_heads(
    experiment: Experiment, networks: Sequence[tuple[Member, int]], accelerator: Accelerator, report: Reporter
) -> None:
    """Commit fitted heads for every one of these networks that starts with them and has not begun.

    networks  members with their folds. Features are computed once for all folds of a member. A network has begun when
              its heads or its state are on disk; one that is continued starts with the heads it has.

    The heads are a function of the data and the configuration, so that a killed training fits the same ones again.
    Raises UsageError in several processes, and WeightsError for heads on disk that are damaged: their network may be
    the last one that is trained.
    """
    for member, k in networks:
        if _begins_with_saved(experiment, member, k):
            _read_starting_heads(experiment.fold_dir(member, k))
    left = [(member, k) for member, k in networks if _has_not_begun(experiment, member, k)]
    if left and accelerator.num_processes > 1:
        raise UsageError(
            "heads are fitted by one process",
            where="train.start_heads=fitted",
            got=f"{accelerator.num_processes} processes",
            fix="start one process, or leave out train.start_heads",
        )
    fold_N = experiment.fold.astype(np.int64)
    for name in dict.fromkeys(member.name for member, _ in left):
        of_member = [(member, k) for member, k in left if member.name == name]
        member, plan = of_member[0][0], experiment.plans[of_member[0][0].task]
        torch.set_num_threads(plan.threads * plan.fold_jobs)
        features = frozen_features(experiment, member, accelerator, report)
        feature_VND = features.all_views
        for one, k in of_member:
            with report.busy(f"fitting the starting heads of {experiment.title(one, k)}"), one_thread_of_blas():
                heads = fit_fold_heads(feature_VND, experiment.rows(one, k), fold_N, one.cfg)
            set_heads(features.network, heads)
            chosen = {
                name: {"strength": head.strength, "scale": head.scale, "loss": none_for_nan(head.loss)}
                for name, head in heads.items()
            }
            folder = experiment.fold_dir(one, k)
            checkpoint.save_state(
                folder.start_heads, features.network.heads.state_dict(), {"heads": chosen}, root=folder.root
            )


def load_starting_heads(network: Network, folder: FoldDir) -> None:
    """Put the heads of `save_starting_heads` into a new network; WeightsError if they are missing or damaged."""
    network.heads.load_state_dict(_read_starting_heads(folder))


def _read_starting_heads(folder: FoldDir) -> dict[str, Tensor]:
    return checkpoint.load_state(folder.start_heads, root=folder.root)[0]


def _has_not_begun(experiment: Experiment, member: Member, k: int) -> bool:
    if member.cfg.train.start_heads == "new" or member.continued:
        return False
    folder = experiment.fold_dir(member, k)
    return not any(file.exists() for file in (folder.start_heads, folder.state, folder.done))


def _begins_with_saved(experiment: Experiment, member: Member, k: int) -> bool:
    if member.cfg.train.start_heads == "new" or member.continued:
        return False
    folder = experiment.fold_dir(member, k)
    return folder.start_heads.exists() and not (folder.state.exists() or folder.done.exists())
