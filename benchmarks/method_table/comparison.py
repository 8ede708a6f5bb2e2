"""Every row against the base: differences with intervals, and a verdict."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from maskcls import files
from maskcls.errors import MaskclsError, ResultError
from maskcls.results.comparison.difference import Difference, paired_difference
from maskcls.results.scores.metrics import Scores
from maskcls.rundir import RunDir
from method_table.finished import Done, ScoredRows, read_done, read_scored_rows, why_not
from method_table.rows import Plan, Row
from method_table.text import one_line
from method_table.training import PLAN, beside, differences, seeds_of

HELPS, HURTS, NOISE = "helps", "hurts", "within noise"


@dataclass(frozen=True)
class Line:
    """One line of the table. All fields except `scores` are over the seeds that can be compared.

    scores   macro-F1 by seed; None without a score.
    tasks    macro-F1 of each task minus that of the base.
    time     training seconds / those of the base.
    verdict  helps, hurts, within noise, is the base, failed, not comparable, unfinished or not run.
    notes    per seed: why a run is missing, or differences in versions or device to the base's run.
    """

    row: Row
    scores: dict[int, float | None]
    verdict: str
    difference: Difference | None = None
    tasks: dict[str, float] | None = None
    time: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def score(self) -> float | None:
        """The mean over the seeds."""
        known = [value for value in self.scores.values() if value is not None]
        return statistics.mean(known) if known else None


@dataclass(frozen=True)
class Table:
    """All data of the report."""

    plan: Plan
    base: dict[int, Done]
    scored: ScoredRows
    lines: list[Line]

    @cached_property
    def scores(self) -> dict[int, Scores]:
        """The base's scores by seed."""
        return {seed: self.scored.score(done) for seed, done in self.base.items()}


def read_table(out: Path) -> Table:
    """Read all runs in a folder and compare them with the base.

    Raises ResultError when the base has no finished run, or its runs differ in more than the seed.
    """
    plan = Plan.load(out / PLAN)
    runs = {seed: plan.base.run(out, seed) for seed in seeds_of(out, plan.base)}
    base = {seed: read_done(run) for seed, run in runs.items() if run.summary.exists()}
    if not base:
        raise ResultError("the base has no finished run", where=str(out), fix="run the script's `run` first")
    first = next(iter(base.values()))
    if apart := [f"{done.run.path.name}: {t}" for done in base.values() for t in why_not(first, done, SEED)]:
        fix = "train the base again, in a new folder"
        raise ResultError(
            "the runs of the base differ in more than their seed", where=str(out), offenders=apart, fix=fix
        )
    scored = read_scored_rows(first)
    table = Table(plan, base, scored, [])
    table.lines.extend(line_of(table, row, out) for row in plan.rows)
    return table


SEED = Row("", "seed", ("seed=0",), "seed")  # the only setting in which the runs of the base may differ


def line_of(table: Table, row: Row, out: Path) -> Line:
    """Compare one row with the base, over the seeds that both have finished."""
    if row.is_base:
        own = {seed: found.macro_f1 for seed, found in table.scores.items()}
        return Line(row, dict(own), "is the base", time=1.0)
    done: dict[int, Done] = {}
    faults: dict[int, tuple[str, str]] = {}
    for seed in sorted({*table.base, *seeds_of(out, row)}):
        found = look_at(table, row, row.run(out, seed), seed)
        if isinstance(found, Done):
            done[seed] = found
        else:
            faults[seed] = found
    notes = tuple(f"seed {seed}: {text}" for seed, (_, text) in faults.items())
    if not done:
        worst = {kind for kind, _ in faults.values()}
        verdict = next(kind for kind in ("failed", "not comparable", "unfinished", "not run") if kind in worst)
        return Line(row, dict.fromkeys(faults), verdict, notes=notes)
    scores = {seed: table.scored.score(one) for seed, one in done.items()}
    difference = compare(table, done)
    tasks = {
        name: statistics.mean(scores[s].tasks[name].macro_f1 - table.scores[s].tasks[name].macro_f1 for s in done)
        for name in table.scored.space.names
    }
    seconds = sum(one.seconds for one in done.values()) / sum(table.base[seed].seconds for seed in done)
    for seed, one in done.items():
        notes += tuple(f"seed {seed}: {text}" for text in differences(one.versions, table.base[seed].versions))
    by_seed = {seed: scores[seed].macro_f1 if seed in scores else None for seed in sorted({*done, *faults})}
    return Line(row, by_seed, verdict_of(difference), difference, tasks, seconds, notes)


def look_at(table: Table, row: Row, run: RunDir, seed: int) -> Done | tuple[str, str]:
    """Return a run that can be compared with the base's run of the same seed; else a verdict and its reason."""
    if not run.summary.exists():
        if (record := beside(run, "failed.json")).exists():
            return "failed", str(files.read_json(record)["message"])
        return ("unfinished", "was interrupted") if run.env.exists() else ("not run", "was not run")
    if seed not in table.base:
        return "not comparable", "the base has no finished run of this seed"
    try:
        done = read_done(run)
        apart = why_not(table.base[seed], done, row)
    except MaskclsError as error:
        return "not comparable", one_line(error)
    if apart:
        return "not comparable", "not trained and scored as the base: " + "; ".join(apart)
    return done


def compare(table: Table, done: Mapping[int, Done]) -> Difference:
    """Return the difference of a row to the base over these seeds, with its interval."""
    scored = table.scored
    truth_N = scored.space.encode(scored.truth)
    ours = [scored.labels(one) for one in done.values()]
    base = [scored.labels(table.base[seed]) for seed in done]
    return paired_difference(truth_N, base, ours, scored.people, scored.space.size)


def verdict_of(difference: Difference) -> str:
    """Return helps, hurts or within noise for an interval.

    >>> verdict_of(Difference(0.1, 0.0, 0.2, 0.9, 0.95))
    'within noise'
    """
    return HELPS if difference.low > 0 else HURTS if difference.high < 0 else NOISE
