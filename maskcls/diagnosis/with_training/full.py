"""The checks that train networks, within a budget of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from maskcls.diagnosis.probe import Probe
from maskcls.diagnosis.with_training.beside_baselines import (
    better_baselines,
    check_baselines,
    score_models,
    simple_predictions,
)
from maskcls.diagnosis.with_training.curve import check_curve, curves_of, train_on_subsets
from maskcls.diagnosis.with_training.errors import check_errors, parts_of_training
from maskcls.diagnosis.with_training.rare import check_rare_classes, recalls_of
from maskcls.diagnosis.with_training.shuffled import check_shuffled, scores_of, with_shuffled_labels
from maskcls.diagnosis.with_training.study import (
    COST,
    SHUFFLED,
    TrainedNetwork,
    part_of,
    people_order,
    train_network,
    within_budget,
    without_added,
)
from maskcls.errors import DivergedError
from maskcls.labels import Ints
from maskcls.results.diagnosis.finding import CheckName, Finding
from maskcls.results.diagnosis.scored import Diagnosis
from maskcls.results.scores.metrics import score
from maskcls.show.terminal.progress import Reporter
from maskcls.training.forecasting.forecast import fold_seconds

MOST_TRAIN_ROWS = 1500  # that are predicted for the error on training people


@dataclass(frozen=True)
class Budget:
    """How long the trainings of one network would take, and on what share of the people they fit into the budget."""

    seconds: float
    share: float


def budget_of(probe: Probe, minutes: float) -> Budget:
    """Measure a few real steps of the training; returns the forecast of all trainings and the share that fits.

    Raises DivergedError as a training does.
    """
    seconds = fold_seconds(probe.experiment, probe.member, probe.accelerator)[0] * COST
    return Budget(seconds, min(1.0, minutes * 60 / max(seconds, 1e-9)))


def full_checks(probe: Probe, wanted: Sequence[CheckName], minutes: float, report: Reporter) -> Diagnosis:
    """Train and return the findings of the wanted checks of one network; a training that diverges is a finding."""
    probe = without_added(probe)
    try:
        budget = budget_of(probe, minutes)
        everybody = len(people_order(probe, 0))
        part = within_budget(probe, budget.share)
        used = len(people_order(part, 0))
        many = probe.noun[1]
        on = f"all {many}" if budget.share >= 1 else f"{used} of {everybody} {many}, as --minutes {minutes:g} allows"
        forecast = min(budget.seconds, minutes * 60) / 60
        report.note(f"training checks: about {max(0.1, forecast):.1f} min, on {on}")
        found = _trained_checks(part, wanted, report)
        return replace(found, people=used, of_people=everybody, noun=probe.noun)
    except DivergedError as error:
        got = f"{error.where}: {error.got}" if error.where else error.what
        next = (f"optim.lr={probe.cfg.optim.lr / 10:.2g}", "optim.clip_norm=1", "device.precision=fp32")
        finding = Finding(
            "baselines", "fail", f"training diverged, {got}", "learning rate too high", next, probe.member.task
        )
        return Diagnosis(probe.member.task, (finding,))


def _trained_checks(probe: Probe, wanted: Sequence[CheckName], report: Reporter) -> Diagnosis:
    network, found = probe.member.task, list[Finding]()
    if "shuffled labels" in wanted:
        shuffled = with_shuffled_labels(part_of(probe, SHUFFLED, probe.cfg.seed), probe.cfg.seed)
        trained = train_network(shuffled, "shuffled labels", report)
        found.append(check_shuffled(scores_of(shuffled, trained.last_rows), network, probe.noun))
    if not {"baselines", "rare classes", "errors", "learning curve"} & set(wanted):
        return Diagnosis(network, tuple(found))
    whole = train_network(probe, "true labels", report)
    result = Diagnosis(network, ())
    if "baselines" in wanted:
        finding, result = _beside(whole, result, report)
        found.append(finding)
    if "rare classes" in wanted:
        found.append(check_rare_classes(recalls_of(probe, whole.last_rows), probe.cfg, network, probe.noun))
    if "errors" in wanted:
        result = replace(result, parts=parts_of_training(whole, known_rows_of(probe)))
        found.append(check_errors(result.parts, probe.cfg, network, probe.noun))
    if "learning curve" in wanted:
        result = replace(result, curves=curves_of(list(train_on_subsets(whole, report))))
        found.append(check_curve(result.curves, network, probe.noun))
    return replace(result, findings=tuple(found))


def known_rows_of(probe: Probe) -> Ints:
    """Return training rows of whole people, at most about `MOST_TRAIN_ROWS`."""
    rows = probe.rows.train
    share = min(1.0, MOST_TRAIN_ROWS / max(1, len(rows)))
    return part_of(probe, share, probe.cfg.seed).rows.train if share < 1 else rows


def _beside(whole: TrainedNetwork, result: Diagnosis, report: Reporter) -> tuple[Finding, Diagnosis]:
    probe, space = whole.probe, whole.probe.member.space
    rows = known_rows_of(probe)
    with report.busy("fitting simple models"):
        simple = simple_predictions(probe)
    own = space.decode(whole.last_rows.argmax(axis=1).astype(np.int64))
    predicted = {str(model): classes for model, classes in simple.items()} | {"network": own}
    truth = {name: probe.rows.labels[name][rows] for name in space.names}
    on_train = score(whole.on_rows(rows), truth, space).macro_f1
    models = score_models(probe, predicted)
    held_out, network = scores_of(probe, whole.last_rows), probe.member.task
    beside, own_score = better_baselines(probe, predicted), models[-1].macro_f1
    finding = check_baselines(beside, held_out, on_train, own_score, network, probe.noun)
    return finding, replace(result, models=models)
