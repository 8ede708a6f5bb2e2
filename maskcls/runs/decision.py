"""A run's decision: its temperatures, and its decision rule where one is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

import numpy as np

from maskcls import files
from maskcls.errors import ResultError, UsageError, WeightsError, shell_word
from maskcls.labels import Floats, Ints, LabelSpace
from maskcls.results.decisions.bias_correction import BiasCorrection, bias_corrected
from maskcls.results.decisions.calibration import scaled
from maskcls.results.decisions.rule import DecisionRule
from maskcls.results.decisions.shifted_labels import shifted_labels
from maskcls.results.predictions import Predictions
from maskcls.rundir import RunDir

if TYPE_CHECKING:
    from maskcls.runs.decision_file import DecisionFile


@dataclass(frozen=True)
class Decision:
    """How a run's probabilities are calibrated, and how labels are chosen from them.

    temperatures  one per task; see `calibration.scaled`.
    rule          applied to the calibrated rows; None: the most probable class of the rows as they are. A rule of kind
                  "shift" is computed again from the rows to be labelled, all of them together.
    prior         the joint classes' shares (J,) of the rows it was fitted on; None where no row has a label of every
                  task.
    oof_sha256    of the out-of-fold predictions it was fitted on.
    corrections   by task, applied to the calibrated rows before class shares are estimated; only with a rule of kind
                  "shift", and none in files of earlier versions.

    Temperatures and rule were fitted on predictions of one network from one view. The mean of several predictions is
    less confident than each of them, so `probabilities` is best applied to each before the mean.
    """

    space: LabelSpace
    temperatures: Mapping[str, float]
    rule: DecisionRule | None
    prior: tuple[float, ...] | None
    oof_sha256: str
    corrections: Mapping[str, BiasCorrection] = field(default_factory=dict)

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
        """Return the joint class (N,) of each row of predictions that are not calibrated yet."""
        return self.ruled(self.probabilities(predictions).prob) if self.rule else predictions.labels()

    def ruled(self, prob_NJ: Floats) -> Ints:
        """Return the joint class (N,) the rule, which must exist, chooses for each calibrated row."""
        assert self.rule is not None
        match self.rule.kind:
            case "shift":
                assert self.prior is not None
                corrected_NJ = bias_corrected(prob_NJ, self.corrections, self.space)
                return shifted_labels(corrected_NJ, np.array(self.prior), self.space)
            case "expected" | "task" | "joint" | "prior":
                return self.rule.labels(prob_NJ)
            case _:
                assert_never(self.rule.kind)


def read_decision(run: RunDir) -> Decision:
    """Read what `calibrate` committed; raises ResultError when it is missing, damaged, or older than the oof.npz."""
    from maskcls.runs.decision_file import check_calibrated, read_decision_file

    again = f"maskcls calibrate {shell_word(run.path)}"
    check_calibrated(run)
    try:
        decision = _decision(read_decision_file(run))
    except (ResultError, ValueError) as error:
        got = error.brief if isinstance(error, ResultError) else str(error)
        raise ResultError("the decision cannot be read", where=str(run.decision), got=got, fix=again) from None
    if not run.oof.exists() or files.file_sha256(run.oof) != decision.oof_sha256:
        raise ResultError("the decision was made from other out-of-fold predictions", where=str(run.oof), fix=again)
    return decision


def decided(prob_NJ: Floats, space: LabelSpace, decision: Decision | None) -> Ints:
    """Return the joint class (N,) of rows that are not calibrated yet; None: the most probable one."""
    predictions = Predictions(np.array([str(place) for place in range(len(prob_NJ))]), prob_NJ, space)
    return predictions.labels() if decision is None else decision.labels(predictions)


def refuse_shift(run: RunDir, decision: Decision | None) -> None:
    """Raise UsageError for a decision rule that cannot decide on single photos."""
    if decision is not None and decision.rule is not None and decision.rule.kind == "shift":
        raise UsageError(
            "the run's decision rule is fitted on all photos together, so it cannot decide on single photos",
            where=str(run.decision),
            fix="leave out the rule, or fit another one: maskcls calibrate RUN --rule expected",
        )


def _decision(file: DecisionFile) -> Decision:
    """Return the decision a file holds; ValueError where its parts do not fit together."""
    space, rule, prior = LabelSpace(file.space), file.rule, file.prior
    if set(file.temperatures) != set(space.names):
        raise ValueError(f"temperatures of {', '.join(file.temperatures) or 'no task'}, not of {space.names}")
    if rule and rule.kind == "shift" and (prior is None or len(prior) != space.size):
        raise ValueError(f"no class shares for {space.size} classes: {prior}")
    if rule and (len(rule.bias) != space.size or not all(0 <= threshold < 1 for threshold in rule.threshold)):
        raise ValueError(f"no rule for {space.size} classes: bias {rule.bias}, threshold {rule.threshold}")
    corrections = dict(file.corrections)
    if corrections and {n: len(one.bias) for n, one in corrections.items()} != {
        t.name: len(t.classes) for t in space.tasks
    }:
        raise ValueError(f"corrections of {', '.join(corrections)}, not of every class of {space.names}")
    temperatures = {name: file.temperatures[name] for name in space.names}
    return Decision(space, temperatures, rule, prior, file.oof_sha256, corrections)
