"""Temperatures and a decision rule for out-of-fold rows, fitted and judged. N rows, J joint classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, assert_never, get_args

import numpy as np
from numpy.typing import NDArray

from maskcls import files
from maskcls.errors import DataError, UsageError
from maskcls.labels import UNKNOWN, Floats, Ints, LabelSpace
from maskcls.results.crossfit import cross_fit
from maskcls.results.decisions.calibration import Qualities, fit_temperatures, qualities, scaled
from maskcls.results.decisions.rules import Nested, class_shares, expected_rule, fit_bias, nested, shift_rule
from maskcls.results.scores.evaluation import Judged
from maskcls.rundir import RunDir
from maskcls.runs.decision import Decision
from maskcls.runs.judged import parts_of, read_run

if TYPE_CHECKING:
    pass


Tried = Literal["expected", "task", "joint", "prior", "shift"]


DRAWS = 1000


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
        match tried:
            case "expected":
                rule = expected_rule(prob)
            case "shift":
                rule = shift_rule(prob, prior_J, self.space)
            case "task" | "joint" | "prior":
                people = self.person_N[rows]
                rule = fit_bias(prob, self.joint_N[rows], people, self.space, kind=tried, seed=self.seed)
            case _:
                assert_never(tried)
        return Decision(self.space, temperatures, rule, tuple(prior_J.tolist()), self.oof_sha256)

    def ruled(self, decision: Decision, rows: Ints) -> Ints:
        return decision.ruled(self.scaled(decision.temperatures, rows))


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
