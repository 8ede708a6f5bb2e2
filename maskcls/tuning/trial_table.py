"""The trials of a study as plain values, for the table, the page and the score."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from maskcls import files
from maskcls.errors import ResultError
from maskcls.results.search.study import SearchDimension, SearchStudy, SearchTrial, SettingValue, TrialState
from maskcls.runs.summary import read_summary
from maskcls.tuning.claims import FOLDS, IS_BASE, SPENT, VALUES, WHY, OpenStudy
from maskcls.tuning.samplers import params_of
from maskcls.tuning.space.space import Choices, Range
from maskcls.tuning.space.trial_config import all_settings

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

COLUMNS = ("trial", "state", "macro_f1", "low", "high", "epochs", "seconds", "run", "why")  # then the settings

STATES: Mapping[str, TrialState] = {
    "COMPLETE": "done",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "RUNNING": "running",
    "WAITING": "running",
}


def search_study(opened: OpenStudy) -> SearchStudy:
    """Return the study with all its trials."""
    dimensions = tuple(_dimension(key, one) for key, one in opened.space.every())
    trials = tuple(_trial(opened, one) for one in opened.trials)
    return SearchStudy(opened.folder.path.resolve().name, opened.facts.sampler, dimensions, trials)


def _dimension(key: str, dimension: Choices | Range) -> SearchDimension:
    if isinstance(dimension, Range):
        return SearchDimension(key, dimension.log)
    return SearchDimension(key, choices=dimension.labels)


def _trial(opened: OpenStudy, one: FrozenTrial) -> SearchTrial:
    attrs, state = one.user_attrs, STATES[one.state.name]
    folds = {int(fold): float(score) for fold, score in attrs.get(FOLDS, {}).items()}
    interval = None
    score = sum(folds.values()) / len(folds) if folds else None
    if state == "done":
        score = one.value
        try:
            summary = read_summary(opened.folder.trial(f"{one.number:04d}"))
        except ResultError:
            summary = None  # the score and the table stay, whatever became of the run
        if summary is not None:
            interval = summary.interval
            folds = {int(fold): s for fold, line in summary.folds.items() if (s := line.get("macro_f1")) is not None}
    return SearchTrial(
        number=one.number,
        state=state,
        values=_values(opened, attrs),
        score=score,
        fold_scores=folds,
        interval=interval,
        epochs=attrs.get(SPENT, (0.0, 0))[1],
        seconds=attrs.get(SPENT, (0.0, 0))[0],
        why=attrs.get(WHY, "") if state in ("pruned", "failed") else "",
    )


def _values(opened: OpenStudy, attrs: Mapping[str, Any]) -> dict[str, SettingValue]:
    if attrs.get(IS_BASE) and opened.base_values is None:  # outside the space: as they are in the configuration
        known = all_settings(opened.base)
        return {key: _label(known[key]) for key in opened.space.dimensions if key in known}
    return params_of(opened.space, attrs.get(VALUES, {}))


def _label(value: Any) -> SettingValue:
    return value if value is None or isinstance(value, str | int | float | bool) else json.dumps(value)


def write_trial_table(opened: OpenStudy, study: SearchStudy) -> None:
    """Write trials.csv."""
    keys = [one.name for one in study.dimensions]
    rows: list[Iterable[object]] = [[*COLUMNS, *keys]]
    for trial in study.trials:
        ends = ("", "") if trial.interval is None else (trial.interval.low, trial.interval.high)
        score = "" if trial.score is None else trial.score
        about = [trial.number, trial.state, score, *ends, trial.epochs, trial.seconds, f"{trial.number:04d}", trial.why]
        rows.append([*about, *(_cell(trial.values.get(key, "")) for key in keys)])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    with opened.locked():
        files.commit(opened.folder.table, text.getvalue().encode())


def _cell(value: SettingValue) -> str:
    return value if isinstance(value, str) else json.dumps(value)
