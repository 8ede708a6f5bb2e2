"""maskcls calibrate: calibrate a run's probabilities, and measure the gain of a decision rule.

N rows, J joint classes. Everything is fitted on the run's out-of-fold rows, and scored by fitting it again for every
fold on the other folds' rows. No network is loaded.
"""

from __future__ import annotations

from dataclasses import replace

from maskcls.rundir import RunDir
from maskcls.runs.calibration import Calibration, calibrate_run
from maskcls.runs.locks import run_lock


def calibrate(run: RunDir, *, tried: str = "expected") -> Calibration:
    """Fit temperatures and a rule on a finished run's out-of-fold rows, score them, and commit decision.json.

    tried  the kind of rule: "expected", "task", "joint" or "prior" of `decision.fit_bias`, "shift" of
           `decision.shift_rule`. It is kept only if its gain is proven. Each rule tried on the run's rows makes the
           interval of the next one wider (Bonferroni): a choice among several is one on the rows it is scored on.

    An earlier decision.json is replaced. Raises UsageError for another kind, ResultError for what is no finished run or
    was changed since, DataError when a task's labels do not suffice, BusyError when another process works on the run.
    """
    from maskcls.runs.choices.tried import add_rule, rules_before  # pydantic

    calibration = calibrate_run(run, tried=tried, rules=rules_before(run, tried) if run.oof.exists() else 1)
    from maskcls.runs.decision_file import write_decision

    with run_lock.lock(run):
        write_decision(run, calibration.file)
    return replace(calibration, counted=add_rule(run, tried).kept)
