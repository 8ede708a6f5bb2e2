"""`maskcls calibrate`: make a run's probabilities believable, and find out whether a decision rule is worth having.

N rows, J joint classes. Everything is fitted on the run's out-of-fold rows, and judged by fitting it anew for every
fold on the other folds' rows. No network is loaded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from maskcls import files, rundir
from maskcls.errors import DataError, ResultError, UsageError, WeightsError, visible
from maskcls.labels import UNKNOWN, Floats, Ints, LabelSpace
from maskcls.results.crossfit import cross_fit
from maskcls.results.decisions.calibration import Qualities, Quality, fit_temperatures, qualities, scaled
from maskcls.results.decisions.rules import Nested, Rule, class_shares, expected_rule, fit_bias, nested, shift_rule
from maskcls.results.predictions import Predictions
from maskcls.results.scores.evaluation import Judged
from maskcls.rundir import RunDir
from maskcls.runs.judged import parts_of, read_run

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

Tried = Literal["expected", "task", "joint", "prior", "shift"]

DRAWS = 1000


@dataclass(frozen=True)
class Decision:
    """How a run's probabilities become believable, and then labels.

    temperatures  one a task; see `calibration.scaled`.
    rule          applied to the calibrated rows; None: the most probable class of the rows as they are. One of kind
                  "shift" is made anew for the rows that are asked about, all of them together.
    prior         the joint classes' shares (J,) of the rows it was fitted on; None where no row has a label of every
                  task.
    oof_sha256    of the out-of-fold predictions it was fitted on.

    Temperatures and rule were fitted on rows that one network answered from one view. Where several are averaged, the
    mean is less sure than each of them: `probabilities` is then best applied to each before the mean.
    """

    space: LabelSpace
    temperatures: Mapping[str, float]
    rule: Rule | None
    prior: tuple[float, ...] | None
    oof_sha256: str

    def probabilities(self, predictions: Predictions) -> Predictions:
        """Return the same rows, calibrated; raises WeightsError for predictions of another label space."""
        if predictions.space.fingerprint != self.space.fingerprint:
            raise WeightsError(
                "the decision was made for another label space",
                got=f"predictions of {', '.join(predictions.space.names)}",
                expected=", ".join(self.space.names),
                fix="use the decision of a run with the same tasks, classes and bins",
            )
        prob = scaled(predictions.prob, self.temperatures, self.space)
        lineage = {"calibrated": predictions.lineage, "temperatures": dict(self.temperatures)}
        return Predictions(predictions.ids, prob, self.space, lineage)

    def labels(self, predictions: Predictions) -> Ints:
        """Return the joint class (N,) of each row of predictions as a network gave them, not calibrated yet."""
        return self.ruled(self.probabilities(predictions).prob) if self.rule else predictions.labels()

    def ruled(self, prob_NJ: Floats) -> Ints:
        """Return what the rule, which must be there, makes of calibrated rows: the joint class (N,) of each."""
        assert self.rule is not None
        rule = self.rule
        if rule.kind == "shift":
            assert self.prior is not None
            rule = shift_rule(prob_NJ, np.array(self.prior), self.space)
        return rule.labels(prob_NJ)


@dataclass(frozen=True)
class Calibration:
    """What `calibrate` found: `before` and `after` scaling by the other folds' temperatures; `tried`: the rule's kind.

    nested  what the rule is worth on other people; None where too few rows have a label of every task to fit one.
    groups  how many sets of people each was judged by what the others gave; `folds`: they are the run's own folds.
    """

    decision: Decision
    before: Qualities
    after: Qualities
    tried: str
    nested: Nested | None
    rows: int
    people: int
    groups: int
    folds: bool

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        found = self.nested
        judged = found and {
            "plain": found.plain,
            "ruled": found.ruled,
            "gain": asdict(found.gain),
            "worth_it": found.worth_it,
        }
        return {
            "space": self.decision.space.to_json(),
            "oof_sha256": self.decision.oof_sha256,
            "temperatures": dict(self.decision.temperatures),
            "rule": self.decision.rule and self.decision.rule.to_json(),
            "prior": self.decision.prior and list(self.decision.prior),
            "tried": self.tried,
            "nested": judged,
            "rows": self.rows,
            "people": self.people,
            "groups": self.groups,
            "folds": self.folds,
            "before": self.before.to_json(),
            "after": self.after.to_json(),
        }


@dataclass(frozen=True, eq=False)
class _Rows:
    """A run's out-of-fold rows, with what is known of each.

    group_N  which rows are judged together: the run's folds if `folds`, else groups of people.
    """

    prob_NJ: Floats
    truth: Mapping[str, Ints]
    joint_N: Ints
    person_N: NDArray[Any]
    group_N: Ints
    folds: bool
    space: LabelSpace
    seed: int
    oof_sha256: str

    def temperatures(self, rows: Ints) -> dict[str, float]:
        truth = {name: label_N[rows] for name, label_N in self.truth.items()}
        return fit_temperatures(self.prob_NJ[rows], truth, self.space)

    def scaled(self, temperatures: Mapping[str, float], rows: Ints) -> Floats:
        return scaled(self.prob_NJ[rows], temperatures, self.space)

    def fitted(self, rows: Ints, tried: Tried) -> Decision:
        temperatures, prior_J = self.temperatures(rows), class_shares(self.joint_N[rows], self.space.size)
        prob = self.scaled(temperatures, rows)
        if tried == "expected":
            rule = expected_rule(prob)
        elif tried == "shift":
            rule = shift_rule(prob, prior_J, self.space)
        else:
            people = self.person_N[rows]
            rule = fit_bias(prob, self.joint_N[rows], people, self.space, kind=tried, seed=self.seed)
        return Decision(self.space, temperatures, rule, tuple(prior_J.tolist()), self.oof_sha256)

    def ruled(self, decision: Decision, rows: Ints) -> Ints:
        return decision.ruled(self.scaled(decision.temperatures, rows))


def calibrate(run: RunDir, *, tried: str = "expected") -> Calibration:
    """Fit temperatures and a rule on a finished run's out-of-fold rows, judge them, and commit decision.json.

    tried  the kind of rule: "expected", "task", "joint" or "prior" of `decision.fit_bias`, "shift" of
           `decision.shift_rule`. It is kept only if it is worth it. Whoever tries several and keeps the best has
           chosen on the rows that judge it.

    An earlier decision.json is replaced. Raises UsageError for another kind, ResultError for what is no finished run or
    was changed since, DataError when a task's labels do not suffice, BusyError when another process works on the run.
    """
    calibration = judge(run, tried=tried)
    with rundir.lock(run):
        files.commit_json(decision_path(run), {"version": 1, **calibration.to_json()})
    return calibration


def judge(run: RunDir, *, tried: str = "expected") -> Calibration:
    """Do the work of `calibrate` without writing anything."""
    digest = files.file_sha256(run.oof) if run.oof.exists() else ""  # first: rows that are newer will not fit it
    return judge_rows(read_run(run), tried=tried, oof_sha256=digest)


def judge_rows(judged: Judged, *, tried: str = "expected", oof_sha256: str = "") -> Calibration:
    """Do the same for out-of-fold rows from elsewhere, such as an ensemble's."""
    kind: Tried | None = next((known for known in get_args(Tried) if known == tried), None)
    if kind is None:
        raise UsageError("no such rule", where="--rule", got=repr(tried), expected=", ".join(get_args(Tried)))
    rows = _rows(judged, oof_sha256)
    every, known_N = np.arange(len(rows.joint_N)), rows.joint_N != UNKNOWN
    found = _nested(rows, kind) if len(np.unique(rows.group_N[known_N])) > 1 else None
    if found and found.worth_it:
        decision = rows.fitted(every, kind)
    else:
        prior = tuple(class_shares(rows.joint_N, rows.space.size).tolist()) if known_N.any() else None
        decision = Decision(rows.space, rows.temperatures(every), None, prior, oof_sha256)
    after = cross_fit(rows.group_N, rows.temperatures, rows.scaled)
    return Calibration(
        decision=decision,
        before=qualities(rows.prob_NJ, rows.truth, rows.space),
        after=qualities(after, rows.truth, rows.space),
        tried=tried,
        nested=found,
        rows=len(every),
        people=len(np.unique(rows.person_N)),
        groups=len(np.unique(rows.group_N)),
        folds=rows.folds,
    )


def read_decision(run: RunDir) -> Decision:
    """Read what `calibrate` committed; raises ResultError when it is missing, damaged, or older than the oof.npz."""
    path = decision_path(run)
    again = f"maskcls calibrate {run.path}"
    if not path.exists():
        raise ResultError("the run is not calibrated", where=str(path), fix=again)
    data = files.read_json(path)
    try:
        if data["version"] != 1:
            raise ValueError(f"version {data['version']} is not known")
        decision = _decision(data)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        got = f"{type(error).__name__}: {error}"
        raise ResultError("the decision cannot be read", where=str(path), got=got, fix=again) from None
    if not run.oof.exists() or files.file_sha256(run.oof) != decision.oof_sha256:
        raise ResultError("the decision was made from other out-of-fold predictions", where=str(run.oof), fix=again)
    return decision


def decision_path(run: RunDir) -> Path:
    """Return where a run's decision stands."""
    return run.path / "decision.json"


def print_calibration(calibration: Calibration, json: bool = False) -> None:
    """Print to stdout: tables for a person, or with `json` one JSON object, NaN as null."""
    if json:
        print(dumps(calibration.to_json(), allow_nan=False))
        return
    from rich.console import Console

    Console(highlight=False, markup=False, emoji=False).print(render(calibration))


def render(calibration: Calibration) -> RenderableType:
    """Return the headline, a table of the tasks before and after, and what the rule is worth."""
    from rich.console import Group

    groups = "folds" if calibration.folds else "groups of people"
    headline = (
        f"{calibration.rows:,} out-of-fold images   {calibration.people:,} people   {calibration.groups} {groups}"
    )
    return Group(headline, "", _quality_table(calibration), "", *_verdict(calibration))


def _quality_table(calibration: Calibration) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="")
    table.add_column("task", overflow="fold", min_width=12)
    for name in ("temperature", "log loss", "after", "ECE", "after", "images"):
        table.add_column(name, justify="right", no_wrap=True)
    before, after = calibration.before, calibration.after
    for name, temperature in calibration.decision.temperatures.items():
        table.add_row(visible(name), f"{temperature:.3f}", *_cells(before.tasks[name], after.tasks[name]))
    table.add_row("joint", "", *_cells(before.joint, after.joint), style="bold")
    return table


def _cells(before: Quality, after: Quality) -> list[str]:
    if not before.rows:
        return ["-", "-", "-", "-", "0"]
    numbers = (before.log_loss, after.log_loss, before.ece, after.ece)
    return [*(f"{number:.4f}" for number in numbers), f"{before.rows:,}"]


def _verdict(calibration: Calibration) -> list[str]:
    before, after, found = calibration.before.tasks, calibration.after.tasks, calibration.nested
    worse = [visible(name) for name in before if after[name].log_loss > before[name].log_loss]
    lines = [f"a temperature from other people makes the log loss higher: {', '.join(worse)}"] if worse else []
    if found is None:
        return [*lines, "no rule: too few images have a label of every task"]
    gain = found.gain
    interval = f"{gain.level:.0%} interval [{gain.low:+.4f}, {gain.high:+.4f}] over people"
    verdict = "worth it" if found.worth_it else "not worth it: the most probable class stays the answer"
    return [
        *lines,
        f"rule {calibration.tried}   macro-F1 {found.plain:.4f} without, {found.ruled:.4f} with it, fitted on others",
        f"gain {gain.value:+.4f}   {interval}",
        verdict,
    ]


def _decision(data: Mapping[str, Any]) -> Decision:
    space, rule, prior = LabelSpace.from_json(data["space"]), data["rule"], data["prior"]
    temperatures = {name: float(data["temperatures"][name]) for name in space.names}
    if not all(0 < temperature < math.inf for temperature in temperatures.values()):
        raise ValueError(f"a temperature is not above 0 and finite: {temperatures}")
    found = None if rule is None else Rule.from_json(rule)
    if found and found.kind == "shift" and (prior is None or len(prior) != space.size):
        raise ValueError(f"no class shares for {space.size} classes: {prior}")
    if found and (len(found.bias) != space.size or not all(0 <= threshold < 1 for threshold in found.threshold)):
        raise ValueError(f"no rule for {space.size} classes: bias {found.bias}, threshold {found.threshold}")
    shares = None if prior is None else tuple(map(float, prior))
    return Decision(space, temperatures, found, shares, str(data["oof_sha256"]))


def _nested(rows: _Rows, kind: Tried) -> Nested:
    def fit(other: Ints) -> Decision:
        return rows.fitted(other, kind)

    return nested(rows.prob_NJ, rows.joint_N, rows.person_N, rows.group_N, fit, rows.ruled, draws=DRAWS, seed=rows.seed)


def _rows(judged: Judged, oof_sha256: str) -> _Rows:
    assert judged.prob_NJ is not None
    assert judged.people_N is not None
    assert judged.fold_N is not None
    folds = len(np.unique(judged.fold_N)) > 1
    if (people := len(np.unique(judged.people_N))) < 2:
        fix = "train more folds, or hold out more people with folds.holdout"
        raise DataError("calibrating needs two people or more", got=str(people), expected="at least 2", fix=fix)
    group_N = parts_of(judged)
    _check_enough(judged.truth, group_N)
    joint_N = judged.space.encode(judged.truth)
    return _Rows(
        judged.prob_NJ, judged.truth, joint_N, judged.people_N, group_N, folds, judged.space, judged.seed, oof_sha256
    )


def _check_enough(truth: Mapping[str, Ints], group_N: Ints) -> None:
    """Raise DataError unless every task is known in two groups, so that there is a label beside each group."""
    poor = [name for name, label_N in truth.items() if len(np.unique(group_N[label_N != UNKNOWN])) < 2]
    if poor:
        fix = "train more folds, or label more of the photos and train again"
        raise DataError("a task has no labels, or in one fold only", offenders=poor, fix=fix)
