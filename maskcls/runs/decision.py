"""A run's decision: its temperatures, and its decision rule where one is used."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np

from maskcls import files
from maskcls.errors import ResultError, WeightsError
from maskcls.labels import Floats, Ints, LabelSpace
from maskcls.results.decisions.calibration import scaled
from maskcls.results.decisions.rules import Rule, shift_rule
from maskcls.results.predictions import Predictions
from maskcls.rundir import RunDir

if TYPE_CHECKING:
    pass


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
        match self.rule.kind:
            case "shift":
                assert self.prior is not None
                return shift_rule(prob_NJ, np.array(self.prior), self.space).labels(prob_NJ)
            case "expected" | "task" | "joint" | "prior":
                return self.rule.labels(prob_NJ)
            case _:
                assert_never(self.rule.kind)


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
