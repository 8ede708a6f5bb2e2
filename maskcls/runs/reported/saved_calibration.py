"""The quality of a run's probabilities before and after `maskcls calibrate`, from decision.json."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from maskcls.errors import ResultError
from maskcls.results.decisions.calibration import Bin, Qualities, Quality
from maskcls.rundir import RunDir
from maskcls.runs.decision import read_decision
from maskcls.runs.decision_file import read_decision_file


@dataclass(frozen=True)
class SavedCalibration:
    """Temperatures by task, and the quality after scaling with temperatures of the other folds.

    fault  why the file cannot be used, such as that it was made from other predictions; "" if it can.
    """

    temperatures: Mapping[str, float]
    after: Qualities | None
    fault: str = ""


def read_calibration(run: RunDir) -> SavedCalibration | None:
    """Read a run's calibration; None without one. A file that cannot be used is part of the result, as a fault."""
    if not run.decision.exists():
        return None
    try:
        temperatures = read_decision(run).temperatures
        return SavedCalibration(temperatures, qualities_from_json(read_decision_file(run).after))
    except (ResultError, KeyError, TypeError) as error:
        fault = error.what if isinstance(error, ResultError) else "the decision cannot be read"
        return SavedCalibration({}, None, fault)


def qualities_from_json(data: Mapping[str, Any]) -> Qualities:
    """Return what `Qualities.to_json` was made from; KeyError or TypeError for other data."""
    tasks = {name: _quality(one) for name, one in data["tasks"].items()}
    return Qualities(_quality(data["joint"]), tasks)


def _quality(data: Mapping[str, Any]) -> Quality:
    bins = tuple(Bin(**_numbers(one)) for one in data["bins"])
    return Quality(**{**_numbers(data), "bins": bins})


def _numbers(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: math.nan if value is None else value for name, value in data.items()}
