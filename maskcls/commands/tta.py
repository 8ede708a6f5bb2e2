"""maskcls tta: which test-time views pay, judged on the run's out-of-fold rows, and what each costs.

N out-of-fold rows, J joint classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from json import dumps
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

from maskcls.engine.device import Accelerator, start
from maskcls.engine.fit import validation_reader
from maskcls.engine.infer import infer
from maskcls.errors import ResultError
from maskcls.labels import Floats, Ints
from maskcls.results.comparison.bootstrap import Difference, paired_bootstrap
from maskcls.results.crossfit import cross_fit
from maskcls.results.scores.metrics import confusion, macro_f1
from maskcls.results.scores.person_bootstrap import BOOTSTRAP_DRAWS
from maskcls.rundir import RunDir
from maskcls.runs.judged import LEAKY
from maskcls.show.progress import Reporter
from maskcls.training.checks import with_photos
from maskcls.training.experiment import Experiment
from maskcls.training.prediction import joint, load_networks, refuse_predicting, with_overrides
from maskcls.training.stored_experiment import open_experiment
from maskcls.viewnames import SETS, SINGLE, parse_views


@dataclass(frozen=True)
class Tried:
    """One set of views. cost: forward passes a photo; gain: over the plain view, on the same rows."""

    name: str
    cost: int
    macro_f1: float
    gain: Difference


@dataclass(frozen=True)
class Search:
    """What the search found. plain: macro-F1 of the plain view alone; chosen: the views a greedy search adds one by one
    while the score rises; honest: what choosing so is worth on people the choice was not made on."""

    plain: float
    tried: list[Tried]
    chosen: Tried
    honest: Difference
    rows: int
    people: int

    @property
    def pays(self) -> bool:
        """Whether the choice is better than the plain view, the interval clear of 0."""
        return self.honest.low > 0


def search(run: RunDir, *, overrides: list[str], report: Reporter) -> Search:
    """Predict every fold's own rows once a view, and compare all named sets and the greedy choice with the plain view.

    The greedy choice looks at the rows it is judged by, so it is judged a second time, by choosing on the other folds.
    Raises ResultError for a run that has fewer than two folds, or is leaky.
    """
    refuse_predicting(overrides, "every view is tried, with the folds' networks, photo by photo")
    experiment, env = open_experiment(run)
    if len(env.folds) < 2:
        raise ResultError("choosing views needs two folds or more", where=str(run.path), got=f"{list(env.folds)}")
    if experiment.leaky:
        raise ResultError(LEAKY, where=str(run.path))
    accelerator = start(experiment.cfg.device)
    experiment = with_photos(experiment, accelerator, report, build=False)
    rows = np.flatnonzero(np.isin(experiment.fold, env.folds))
    said = {name: _out_of_fold(experiment, env.folds, name, overrides, accelerator, report)[rows] for name in SINGLE}
    truth = experiment.cfg.space.encode({name: label[rows] for name, label in experiment.labels.items()})
    people, size = experiment.people[rows], experiment.cfg.space.size
    return judge(said, truth, people, experiment.fold[rows].astype(np.int64), size)


def judge(said: Mapping[str, Floats], truth_N: Ints, people_N: NDArray[Any], fold_N: Ints, classes: int) -> Search:
    """Compare the views, given what each single one says (N, J) of the same out-of-fold rows."""
    plain = said["plain"].argmax(axis=1)

    def tried(names: Sequence[str], name: str) -> Tried:
        labels = mean_of(said, names).argmax(axis=1)
        gain = paired_bootstrap(truth_N, plain, labels, people_N, classes, draws=BOOTSTRAP_DRAWS, seed=0)
        return Tried(name, len(names), macro_f1(confusion(truth_N, labels, classes)), gain)

    def choose(rows: Ints) -> tuple[str, ...]:
        return greedy({name: prob[rows] for name, prob in said.items()}, truth_N[rows], classes)

    def apply(names: tuple[str, ...], rows: Ints) -> Ints:
        labels: Ints = mean_of(said, names)[rows].argmax(axis=1)
        return labels

    names = choose(np.arange(len(truth_N)))
    honest = paired_bootstrap(
        truth_N, plain, cross_fit(fold_N, choose, apply), people_N, classes, draws=BOOTSTRAP_DRAWS, seed=0
    )
    known = [tried(parse_views(name), name) for name in SETS] + [tried((name,), name) for name in SINGLE[1:]]
    score = macro_f1(confusion(truth_N, plain, classes))
    return Search(score, known, tried(names, "+".join(names)), honest, len(truth_N), len(set(people_N.tolist())))


def greedy(said: Mapping[str, Floats], truth_N: Ints, classes: int) -> tuple[str, ...]:
    """Return the plain view and, one by one, the view that raises the macro-F1 of the mean most, until none does."""
    taken: tuple[str, ...] = ("plain",)
    best = macro_f1(confusion(truth_N, said["plain"].argmax(axis=1), classes))
    while left := [name for name in said if name not in taken]:
        scores = {n: macro_f1(confusion(truth_N, mean_of(said, (*taken, n)).argmax(axis=1), classes)) for n in left}
        name = max(scores, key=lambda n: scores[n])  # the first of equals
        if not scores[name] > best:
            break
        taken, best = (*taken, name), scores[name]
    return taken


def mean_of(said: Mapping[str, Floats], names: Sequence[str]) -> Floats:
    """Return the mean (N, J) over these views."""
    mean: Floats = np.stack([said[name] for name in names]).mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def _out_of_fold(
    experiment: Experiment,
    folds: Sequence[int],
    view: str,
    overrides: list[str],
    accelerator: Accelerator,
    report: Reporter,
) -> Floats:
    """Return what each fold's networks say of its own rows in one view, at the rows' places (N, J)."""
    cfg = with_overrides(experiment.cfg, [*overrides, f"predict.views={view}"])
    found = np.zeros((len(experiment.fold), cfg.space.size), dtype=np.float32)
    for k in folds:
        report.note(f"view {view}, fold {k}")
        networks = load_networks(experiment, experiment.predicting([k], "folds"))
        probs = []
        for network in networks:
            member = next(m for m in experiment.members if (m.task, m.cfg.seed) == (network.task, network.seed))
            rows = experiment.rows(member, k)
            reader = validation_reader(rows, cfg, accelerator)
            execution = experiment.plans[member.task].infer
            probs += infer([network.predictor], reader, accelerator=accelerator, execution=execution)
        ids_N = experiment.manifest["id"].to_numpy(np.str_)[rows.valid]
        found[rows.valid] = joint(networks, probs, ids_N, cfg.space).prob
    return found


def print_search(found: Search, *, json: bool = False) -> None:
    """Print to stdout a table of all views tried and the choice, or with `json` one JSON object."""
    if json:
        print(dumps(asdict(found) | {"pays": found.pays}))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="")
    table.add_column("views", overflow="fold")
    for name in ("passes", "macro-F1", "over none", "95 % interval"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in [*found.tried, found.chosen]:
        gain = one.gain
        interval = f"{gain.low:+.4f} .. {gain.high:+.4f}"
        table.add_row(one.name, str(one.cost), f"{one.macro_f1:.4f}", f"{gain.value:+.4f}", interval)
    Console(highlight=False, markup=False, emoji=False).print(table)
    honest = found.honest
    interval = f"{honest.value:+.4f} [{honest.low:+.4f}, {honest.high:+.4f}]"
    verdict = f"use predict.views={found.chosen.name}" if found.pays else "not worth it: predict.views=none"
    print(f"choosing on the other folds is worth {interval}, at {found.chosen.cost} times the cost: {verdict}")
