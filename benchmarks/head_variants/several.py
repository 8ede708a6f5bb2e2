"""Several heads, layers or photo sizes: side by side in one head, or averaged geometrically.

m validation photos, D features, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence

from head_variants.split import Split, log_mean_exp
from maskcls.nn.fitting.fitted_head import Wide

Logs = dict[str, Wide]
KINDS = ("lda", "ridge", "logistic")


def base(one: Split) -> Logs:
    """The heads of the recipe."""
    return one.log_base()


def with_kind(one: Split, kind: str) -> Logs:
    """Another kind of head."""
    return {task: one.base(task, kind).new for task in one.space.names}


def kinds_mean(one: Split) -> Logs:
    """The geometric mean of the three kinds."""
    return {task: log_mean_exp(*(one.base(task, kind).new for kind in KINDS)) for task in one.space.names}


def with_features(one: Split, name: str) -> Logs:
    """Other features."""
    return {task: one.base(task, "lda", name).new for task in one.space.names}


def features_mean(one: Split, names: Sequence[str]) -> Logs:
    """The geometric mean of heads on each of several sets of features."""
    return {task: log_mean_exp(*(one.base(task, "lda", name).new for name in names)) for task in one.space.names}


def kinds_and_sizes_mean(one: Split) -> Logs:
    """The geometric mean of the three kinds on both photo sizes."""
    return {
        task: log_mean_exp(*(one.base(task, kind, name).new for kind in KINDS for name in ("last", "larger")))
        for task in one.space.names
    }
