"""Several heads, layers or photo sizes: side by side in one head, or averaged geometrically.

m validation photos, D features, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence

from head_variants.ages import AGE, linear_terms, years
from head_variants.people import weighted_sum
from head_variants.pools import pool_weights, pooled
from head_variants.split import Split, fit, log_mean_exp
from maskcls.nn.fitting.fitted_head import Wide

Logs = dict[str, Wide]
KINDS = ("lda", "ridge", "logistic")
WIDER = (0.99, 0.97, 0.93, 0.8, 0.4, 0.2, 0.1, 0.05, 0.02, 0.01, 0.003)  # on both sides of what lda tries


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


def features_weighted(one: Split, names: Sequence[str]) -> Logs:
    """A weighted sum of the log probabilities of heads on each of several sets of features.

    The weights have the lowest log loss of the inner folds' photos.
    """
    logs = {}
    for task in one.space.names:
        fits = [one.base(task, "lda", name) for name in names]
        weights = pool_weights([found.known for found in fits], one.labels[task])
        logs[task] = pooled(weights, [found.new for found in fits])
    return logs


def wider_strengths(one: Split) -> Logs:
    """The base with strengths beyond those that heads.strength=auto tries, to both sides."""
    (known_ND, new_ND), grams = one.standard(), one.grams.setdefault("last", {})
    return {
        task: fit(known_ND, one.labels[task], one.part_n, one.classes(task), new_ND, grams=grams, strengths=WIDER).new
        for task in one.space.names
    }


def _stacked(one: Split) -> dict[str, tuple[Wide, Wide]]:
    """Return log probabilities of training photos, by inner folds, and of validation photos, of all heads together."""
    found = {}
    for task in one.space.names:
        terms = [(one.base(task, kind).known, one.base(task, kind).new) for kind in KINDS]
        if task == AGE:
            terms.append((years(one).known, years(one).new))
        known, new = ([term[place] for term in terms] for place in (0, 1))
        weights = pool_weights(known, one.labels[task])
        found[task] = pooled(weights, known), pooled(weights, new)
    return found


def stacked(one: Split) -> Logs:
    """A weighted sum of the log probabilities of the three kinds, for age also of the regression on years.

    The weights have the lowest log loss of the inner folds' photos.
    """
    return {task: new for task, (_, new) in one.once("stacked", _stacked).items()}


def stacked_outputs(one: Split) -> Logs:
    """The same, summed over the group with a weight for each predicted mask state."""
    return weighted_sum(one, one.once("stacked", _stacked))


def linear_stacked(one: Split) -> Logs:
    """The three kinds, for age also a line in the predicted years for each band: still one linear head per task."""
    logs = {}
    for task in one.space.names:
        known, new = ([getattr(one.base(task, kind), side) for kind in KINDS] for side in ("known", "new"))
        if task == AGE:
            known += linear_terms(years(one).years_n, one.classes(task))
            new += linear_terms(years(one).new_years_m, one.classes(task))
        logs[task] = pooled(pool_weights(known, one.labels[task]), new)
    return logs
