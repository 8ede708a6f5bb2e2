"""Temperatures and a decision rule for out-of-fold rows, fitted and scored. N rows, J joint classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, assert_never, get_args

import numpy as np
from numpy.typing import NDArray

from maskcls import files
from maskcls.errors import DataError, UsageError
from maskcls.groupnouns import PEOPLE, Noun
from maskcls.labels import UNKNOWN, Floats, Ints, LabelSpace
from maskcls.results.comparison.multiple import family_level
from maskcls.results.crossfit import cross_fit
from maskcls.results.decisions.bias_correction import BiasCorrection, bias_corrected, fit_bias_correction
from maskcls.results.decisions.bias_rule import class_shares, fit_bias
from maskcls.results.decisions.calibration import Qualities, fit_temperatures, qualities, scaled
from maskcls.results.decisions.expected_rule import expected_rule
from maskcls.results.decisions.nested_gain import Nested, nested_gain
from maskcls.results.decisions.shift_rule import shift_rule
from maskcls.results.decisions.shifted_labels import TRUST
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.rundir import RunDir
from maskcls.runs.decision import Decision
from maskcls.runs.read_labelled import parts_of, read_out_of_fold

if TYPE_CHECKING:
    from maskcls.runs.decision_file import DecisionFile

Tried = Literal["expected", "task", "joint", "prior", "shift"]


@dataclass(frozen=True)
class Calibration:
    """What `calibrate` found.

    before, after  quality of the probabilities before and after scaling, with temperatures from the other folds.
    tried          the kind of rule.
    nested         gain of the rule on people it was not fitted on; None: too few rows have a label of every task.
    noun           what the people are called, one and several.
    rules          rules tried on these rows, this one included; counted: the register of choices could be written.
    groups         number of parts in the cross-validation; `folds`: they are the run's folds, else groups of people.
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
    rules: int = 1
    counted: bool = True
    noun: Noun = PEOPLE

    @property
    def file(self) -> DecisionFile:
        """The content of decision.json."""
        from maskcls.runs.decision_file import DecisionFile, RuleGain

        found, decision, gain = self.nested, self.decision, None
        if found is not None:
            gain = RuleGain(plain=found.plain, ruled=found.ruled, gain=found.gain, worth_it=found.proven)
        return DecisionFile(
            version=1,
            space=decision.space.tasks,
            oof_sha256=decision.oof_sha256,
            temperatures=dict(decision.temperatures),
            rule=decision.rule,
            prior=decision.prior,
            **({"corrections": dict(decision.corrections)} if decision.corrections else {}),
            tried=self.tried,
            nested=gain,
            rows=self.rows,
            people=self.people,
            groups=self.groups,
            folds=self.folds,
            rules=self.rules,
            before=self.before.to_json(),
            after=self.after.to_json(),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data: the content of decision.json without its version."""
        return {key: value for key, value in self.file.to_json().items() if key != "version"}


@dataclass(frozen=True, eq=False)
class _OofRows:
    """Out-of-fold rows, with labels, people and parts.

    group_N  the part each row belongs to in the cross-validation: the run's folds if `folds`, else groups of people.
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
    noun: Noun

    def temperatures(self, rows: Ints) -> dict[str, float]:
        truth = {name: label_N[rows] for name, label_N in self.truth.items()}
        return fit_temperatures(self.prob_NJ[rows], truth, self.space)

    def scaled(self, temperatures: Mapping[str, float], rows: Ints) -> Floats:
        return scaled(self.prob_NJ[rows], temperatures, self.space)

    def fitted(self, rows: Ints, tried: Tried) -> Decision:
        corrections: dict[str, BiasCorrection] = {}
        temperatures, prior_J = self.temperatures(rows), class_shares(self.joint_N[rows], self.space.size)
        prob = self.scaled(temperatures, rows)
        match tried:
            case "expected":
                rule = expected_rule(prob)
            case "shift":
                corrections = self.corrections(prob, rows)
                corrected = bias_corrected(prob, corrections, self.space)
                rule = shift_rule(corrected, prior_J, self.space, trust=TRUST)
            case "task" | "joint" | "prior":
                people = self.person_N[rows]
                rule = fit_bias(prob, self.joint_N[rows], people, self.space, kind=tried, seed=self.seed)
            case _:
                assert_never(tried)
        return Decision(self.space, temperatures, rule, tuple(prior_J.tolist()), self.oof_sha256, corrections)

    def corrections(self, prob_nJ: Floats, rows: Ints) -> dict[str, BiasCorrection]:
        marginals = self.space.marginals(prob_nJ)
        return {name: fit_bias_correction(marginals[name], label_N[rows]) for name, label_N in self.truth.items()}

    def ruled(self, decision: Decision, rows: Ints) -> Ints:
        return decision.ruled(self.scaled(decision.temperatures, rows))


def calibrate_run(run: RunDir, *, tried: str = "expected", rules: int = 1) -> Calibration:
    """Calibrate a run without writing anything.

    rules  how many rules were tried on the run's rows, with this one: the interval of the gain is as much wider.
    """
    # The hash comes first: if the rows are replaced meanwhile, they will not fit it.
    digest = files.file_sha256(run.oof) if run.oof.exists() else ""
    return calibrate_rows(read_out_of_fold(run), tried=tried, oof_sha256=digest, rules=rules)


def calibrate_rows(
    labelled: LabelledPredictions, *, tried: str = "expected", oof_sha256: str = "", rules: int = 1
) -> Calibration:
    """Calibrate out-of-fold rows of another origin, such as an ensemble."""
    kind: Tried | None = next((known for known in get_args(Tried) if known == tried), None)
    if kind is None:
        raise UsageError("no such rule", where="--rule", got=repr(tried), expected=", ".join(get_args(Tried)))
    rows = _rows(labelled, oof_sha256)
    every, known_N = np.arange(len(rows.joint_N)), rows.joint_N != UNKNOWN
    found = _nested(rows, kind, family_level(rules)) if len(np.unique(rows.group_N[known_N])) > 1 else None
    if found and found.proven:
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
        rules=rules,
        noun=rows.noun,
    )


def _nested(rows: _OofRows, kind: Tried, level: float) -> Nested:
    def fit(other: Ints) -> Decision:
        return rows.fitted(other, kind)

    return nested_gain(rows.prob_NJ, rows.joint_N, rows.person_N, rows.group_N, fit, rows.ruled, level=level)


def _rows(labelled: LabelledPredictions, oof_sha256: str) -> _OofRows:
    assert labelled.prob_NJ is not None
    assert labelled.people_N is not None
    assert labelled.fold_N is not None
    folds = len(np.unique(labelled.fold_N)) > 1
    if (people := len(np.unique(labelled.people_N))) < 2:
        many = labelled.noun[1]
        fix = f"train more folds, or hold out more {many} with folds.holdout"
        raise DataError(f"calibrating needs two {many} or more", got=str(people), expected="at least 2", fix=fix)
    group_N = parts_of(labelled)
    _check_enough(labelled.truth, group_N)
    joint_N = labelled.space.encode(labelled.truth)
    return _OofRows(
        labelled.prob_NJ,
        labelled.truth,
        joint_N,
        labelled.people_N,
        group_N,
        folds,
        labelled.space,
        labelled.seed,
        oof_sha256,
        labelled.noun,
    )


def _check_enough(truth: Mapping[str, Ints], group_N: Ints) -> None:
    """Raise DataError unless every task has labels in two groups, so that it can be fitted without any one of them."""
    poor = [name for name, label_N in truth.items() if len(np.unique(group_N[label_N != UNKNOWN])) < 2]
    if poor:
        fix = "train more folds, or label more of the photos and train again"
        raise DataError("a task has no labels, or in one fold only", offenders=poor, fix=fix)
