"""decision.json: written by `maskcls calibrate`, read by `decision.read_decision`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from maskcls import owned
from maskcls.errors import ResultError, shell_word
from maskcls.labels import Task
from maskcls.results.comparison.difference import Difference
from maskcls.results.decisions.bias_correction import BiasCorrection
from maskcls.results.decisions.rule import DecisionRule
from maskcls.rundir import RunDir
from maskcls.typedjson import JsonFile


class RuleGain(JsonFile):
    """Macro-F1 without a rule and with rules fitted on the other folds, and the gain with its interval over people."""

    plain: float
    ruled: float
    gain: Difference
    worth_it: bool


class DecisionFile(JsonFile):
    """The content of decision.json: the decision, and what it was measured to gain; see `calibration.Calibration`."""

    version: Literal[1]
    space: tuple[Task, ...]
    oof_sha256: str
    temperatures: dict[str, Annotated[float, Field(gt=0)]]
    rule: DecisionRule | None
    prior: tuple[float, ...] | None
    corrections: dict[str, BiasCorrection] = Field(default={})
    tried: str
    nested: RuleGain | None
    rows: int
    people: int
    groups: int
    folds: bool
    rules: int = 1
    before: dict[str, JsonValue]
    after: dict[str, JsonValue]


def write_decision(run: RunDir, decision: DecisionFile) -> None:
    """Commit a run's decision.json; an earlier one is replaced."""
    owned.write(run.decision, run.path, decision)


def read_decision_file(run: RunDir) -> DecisionFile:
    """Read a run's decision.json; ResultError when it is missing, damaged, changed or another run's."""
    return owned.read(run.decision, run.path, DecisionFile)


def check_calibrated(run: RunDir) -> None:
    """Raise ResultError for a run that `calibrate` has not seen."""
    if not run.decision.exists():
        raise ResultError(
            "the run is not calibrated", where=str(run.decision), fix=f"maskcls calibrate {shell_word(run.path)}"
        )
