"""Train networks for the checks, by the code of `train`, on people that a check chooses; nothing is written.

P people of the training rows, S sizes of nested subsets, n validation rows, J joint classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from maskcls.data.rows.folds import strata
from maskcls.data.rows.manifest import person_tasks, real_rows
from maskcls.diagnosis.probe import FOLD, Probe
from maskcls.engine.fit import EpochResult, fit
from maskcls.engine.session import Session
from maskcls.engine.step import Tick
from maskcls.engine.step_plan import StepPlan
from maskcls.labels import Floats, Ints
from maskcls.results.diagnosis.learning_curve import nested_order
from maskcls.show.terminal.progress import Reporter

# (share of the people, trainings with other subsets): small subsets differ most, and cost least.
CURVE = ((0.125, 3), (0.25, 2), (0.5, 2))
SHUFFLED = 0.5  # share of the people whose shuffled labels are trained on
COST = 1.0 + SHUFFLED + sum(share * times for share, times in CURVE)  # of all trainings, in trainings of one fold


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A network after its training, and its probabilities for the validation rows after each epoch, each (n, J)."""

    probe: Probe
    session: Session
    valid_EnJ: tuple[Floats, ...]

    @property
    def last_rows(self) -> Floats:
        """The probabilities after the last epoch."""
        return self.valid_EnJ[-1]

    def on_rows(self, rows: Ints) -> Floats:
        """Return the probabilities (r, J) for other rows."""
        return self.probe.on(self.probe.rows.train, rows).probabilities(self.session)


def train_network(probe: Probe, title: str, report: Reporter) -> TrainedNetwork:
    """Train a network from the start, for the configured epochs. Raises DivergedError as `train` does."""
    cfg, found = probe.cfg, list[Floats]()
    session = probe.session(probe.network(), cfg.train.epochs * StepPlan(probe.rows, cfg).steps_per_epoch)
    report.fold(title, cfg.train.epochs, 0)
    for event in fit(session, probe.rows, cfg, key=(cfg.seed, probe.member.index, FOLD)):
        if isinstance(event, EpochResult):
            found.append(session.valid_prob)
        elif isinstance(event, Tick):
            report.tick(title, event)
    report.fold_done(title)
    return TrainedNetwork(probe, session, tuple(found))


def people_order(probe: Probe, seed: int) -> Ints:
    """Return the people (numbers) of the training rows, so that each beginning has all strata in their shares."""
    experiment = probe.experiment
    space = probe.member.space
    stratum_N = strata(experiment.manifest, space, person_tasks(experiment.manifest, space))
    people, first = np.unique(probe.rows.people[probe.rows.train], return_index=True)
    return people[nested_order(stratum_N[probe.rows.train[first]], seed=seed)]


def of_people(probe: Probe, people: Sequence[int] | Ints) -> Probe:
    """Return the probe that trains on these people alone."""
    kept = np.isin(probe.rows.people[probe.rows.train], people)
    return probe.on(probe.rows.train[kept], probe.rows.valid)


def part_of(probe: Probe, share: float, seed: int) -> Probe:
    """Return the probe that trains on a share of the people; smaller shares of one seed are within larger ones."""
    order = people_order(probe, seed)
    return of_people(probe, order[: max(2, round(share * len(order)))])


def within_budget(probe: Probe, share: float) -> Probe:
    """Return the probe with a share of the people, of those to train on and of those to validate."""
    if share >= 1:
        return probe
    smaller = part_of(probe, share, probe.cfg.seed)
    people = np.unique(probe.rows.people[probe.rows.valid])
    kept = np.random.default_rng(probe.cfg.seed).permutation(people)[: max(2, round(share * len(people)))]
    valid = probe.rows.valid[np.isin(probe.rows.people[probe.rows.valid], kept)]
    return smaller.on(smaller.rows.train, valid)


def without_added(probe: Probe) -> Probe:
    """Return the probe without pseudo-labelled photos and samples: checks are about the data set's own labels."""
    real_N = real_rows(probe.experiment.manifest)
    rows = replace(probe.rows, train=probe.rows.train[np.asarray(real_N)[probe.rows.train]], soft=None)
    return replace(probe, rows=rows)
