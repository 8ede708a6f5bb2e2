"""What is logged: the numbers of an epoch, the scores of a run, and its pictures of confusion."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maskcls import files
from maskcls.config.installed_extras import FIGURES, check_extra
from maskcls.results.scores.evaluation import Confusion, confusion_of
from maskcls.rundir import RunDir
from maskcls.runs.read_labelled import read_out_of_fold
from maskcls.runs.records.settings import settings_of
from maskcls.runs.summary import RunSummary
from maskcls.schema import Config
from maskcls.training.tracking.log import LAST


def settings_as_text(cfg: Config) -> dict[str, str]:
    """Return every setting by its dotted key, as JSON."""
    return {key: json.dumps(value, ensure_ascii=False) for key, value in settings_of(cfg).items()}


def epoch_values(line: Mapping[str, Any], *, leaky: bool) -> dict[str, float]:
    """Return the numbers of a line of log.jsonl under their names there; missing scores are left out.

    leaky  scores are left out too: the network may have trained on people of its validation fold.

    >>> epoch_values({"epoch": 0, "train/loss": 2.0, "val/age": None, "val/mask": 0.5}, leaky=False)
    {'val/mask': 0.5, 'train/loss': 2.0}
    """
    hidden = {"epoch", *(name for name in line if leaky and (name == "is_best" or name.startswith("val/")))}
    numbers = {name: float(value) for name, value in line.items() if value is not None and name not in hidden}
    last = {LAST: numbers.pop(LAST)}
    return numbers | last


def run_scores(summary: RunSummary) -> dict[str, float]:
    """Return a run's out-of-fold scores as oof/NAME and each fold's as foldK/NAME; those that are missing are left out.

    NAME is macro_f1, of the joint classes, or a task; oof/macro_f1_low and _high are the ends of the interval.
    """
    found: dict[str, float | None] = {}
    if summary.pooled is not None:
        found["oof/macro_f1"] = summary.pooled.macro_f1
        found |= {f"oof/{task}": one.macro_f1 for task, one in summary.pooled.tasks.items()}
    if summary.interval is not None:
        found |= {"oof/macro_f1_low": summary.interval.low, "oof/macro_f1_high": summary.interval.high}
    for k, scores in summary.folds.items():
        found |= {f"fold{k}/{name}": value for name, value in scores.items()}
    return {name: value for name, value in found.items() if value is not None}


def draw_confusions(run: RunDir) -> dict[str, Path]:
    """Draw a confusion matrix of every task and of the joint classes; returns the PNG files by name.

    Raises ResourceError without the packages of the extra `report`.
    """
    check_extra("report", needed_by="pictures of the confusion", packages=FIGURES)
    from maskcls.show.pages.figure import to_png
    from maskcls.show.report.confusion import MOST_CLASSES, confusion_figure

    drawn = {}
    for name, found in _confusions(run).items():
        if len(found.classes) <= MOST_CLASSES:
            files.commit(run.confusion(name), to_png(confusion_figure(name, found, f"confusion-{name}")))
            drawn[name] = run.confusion(name)
    return drawn


def _confusions(run: RunDir) -> dict[str, Confusion]:
    labelled = read_out_of_fold(run)
    space, parts = labelled.space, labelled.space.decode(labelled.pred_N)
    found = {t.name: confusion_of(labelled.truth[t.name], parts[t.name], t.classes) for t in space.tasks}
    if len(space.tasks) > 1:
        found["joint"] = confusion_of(space.encode(labelled.truth), labelled.pred_N, space.joint_names)
    return {name: one for name, one in found.items() if one.counts_CC.any()}
