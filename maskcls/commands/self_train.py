"""maskcls self-train: train, label unlabelled photos, train with them, and go on as long as out-of-fold scores rise.

Xie et al. 2020, arXiv:1911.04252, without its larger students. Every fold learns from labels of its own, so the
out-of-fold score of a round is as honest as that of a training without them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from maskcls import files
from maskcls.commands.pseudo_label import pseudo_label, read_rule
from maskcls.commands.resume import resume
from maskcls.commands.train import train
from maskcls.data.layouts.source import image_root
from maskcls.errors import BusyError, UsageError
from maskcls.results.comparison.bootstrap import Difference, paired_bootstrap
from maskcls.results.rows_by_id import rows_of
from maskcls.results.scores.evaluation import Judged
from maskcls.results.scores.metrics import confusion, macro_f1
from maskcls.results.scores.person_bootstrap import BOOTSTRAP_DRAWS
from maskcls.rundir import RunDir
from maskcls.runs.judged import read_out_of_fold
from maskcls.schema import Config
from maskcls.show.progress import Reporter


@dataclass(frozen=True)
class Round:
    """One training. photos: pseudo-labelled ones, of the set for networks of all rows; gain: over the best so far."""

    run: str
    photos: int
    macro_f1: float
    gain: Difference | None


@dataclass(frozen=True)
class Course:
    """All rounds, and the number of the one to use: the last whose score rose."""

    rounds: list[Round]
    best: int

    @property
    def run(self) -> str:
        """The run to use."""
        return self.rounds[self.best].run


def self_train(
    data: Path,
    cfg: Config,
    folder: Path,
    *,
    unlabelled: Path | None,
    rounds: int,
    rule: Mapping[str, Any],
    report: Reporter,
) -> Course:
    """Train round after round below `folder`, and stop after the first whose out-of-fold macro-F1 does not rise.

    unlabelled  the photos to label; None: those of `data` that are to be predicted.
    rule        see `pseudo_label`.

    A command given again goes on where it was interrupted. Raises UsageError for pseudo labels in the configuration or
    several processes, BusyError for rounds with other settings, else what train and pseudo-label raise.
    """
    if cfg.data.pseudo is not None:
        raise UsageError("self-training makes its own pseudo labels", where="data.pseudo", fix="set it to null")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("self-training runs in one process", fix="start it without torchrun or accelerate launch")
    how, source = read_rule(rule, cfg.space).to_json(), str(image_root(unlabelled or data, cfg.data.format).resolve())
    first = RunDir(folder / "round0")
    _train(data, cfg, first, report)
    done, judged, best = [_round(first, None, None)], read_out_of_fold(first), 0
    for number in range(1, rounds + 1):
        labels, run = folder / f"round{number}.csv", RunDir(folder / f"round{number}")
        teacher = RunDir(folder / f"round{best}")
        if not labels.exists():
            made = pseudo_label(
                [teacher],
                unlabelled or data,
                labels,
                rule=rule,
                views=[],
                leaky=False,
                force=False,
                overrides=[],
                report=report,
            )
            assert made is not None
        _check_labels(labels, how, source)
        _train(data, cfg.model_copy(update={"data": cfg.data.model_copy(update={"pseudo": str(labels)})}), run, report)
        new = read_out_of_fold(run)
        done.append(_round(run, labels, gain_of(judged, new)))
        if not done[-1].macro_f1 > done[best].macro_f1:
            break
        best, judged = number, new
    course = Course(done, best)
    files.commit_json(folder / "rounds.json", to_json(course))
    return course


def _check_labels(labels: Path, how: Mapping[str, Any], source: str) -> None:
    """Raise BusyError when labels that are there were made by another rule, or of other photos."""
    lineage = files.read_json(labels.with_suffix(".json"))["lineage"]
    then = {"root": lineage["root"], "rule": lineage["rule"]}
    if then != json.loads(json.dumps({"root": source, "rule": how})):
        fix = "choose another --run, or give the settings it began with"
        raise BusyError("the folder holds labels made with other settings", where=str(labels), fix=fix)


def gain_of(old: Judged, new: Judged) -> Difference:
    """Return how far new predictions of the same rows lie above old ones."""
    truth_N, new_N = old.space.encode(old.truth), new.pred_N[rows_of(new.ids, old.ids)]
    assert old.people_N is not None
    return paired_bootstrap(
        truth_N, old.pred_N, new_N, old.people_N, old.space.size, draws=BOOTSTRAP_DRAWS, seed=old.seed
    )


def _train(data: Path, cfg: Config, run: RunDir, report: Reporter) -> None:
    """Train a round, or finish it; BusyError when the folder holds another one."""
    if not run.env.exists():
        train(data, cfg, run, folds=None, report=report)
        return
    from maskcls import config
    from maskcls.training.checks import with_absolute_paths

    if config.load(run.config)[0] != with_absolute_paths(cfg):
        fix = "choose another --run, or give the settings it began with"
        raise BusyError("the folder holds rounds with other settings", where=str(run.path), fix=fix)
    resume(run, folds=None, report=report)


def _round(run: RunDir, labels: Path | None, gain: Difference | None) -> Round:
    judged = read_out_of_fold(run)
    score = macro_f1(confusion(judged.space.encode(judged.truth), judged.pred_N, judged.space.size))
    photos = 0
    if labels is not None:
        sets = {line["set"]: line["rows"] for line in files.read_json(labels.with_suffix(".json"))["sets"]}
        photos = sets["all"]
    return Round(run.path.name, photos, score, gain)


def to_json(course: Course) -> dict[str, Any]:
    """Return plain data."""
    return {"best": course.run, "rounds": [asdict(one) for one in course.rounds]}


def print_course(course: Course, folder: Path, *, as_json: bool = False) -> None:
    """Print to stdout a line a round and which run to use, or with `as_json` one JSON object."""
    if as_json:
        print(json.dumps(to_json(course)))
        return
    for one in course.rounds:
        gain = one.gain
        text = "" if gain is None else f"  {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}] over the best before"
        print(f"{one.run}  macro-F1 {one.macro_f1:.4f}  {one.photos:,} photos pseudo-labelled{text}")
    why = "" if course.best == len(course.rounds) - 1 else f"; {course.rounds[-1].run} did not rise above it"
    print(f"use {folder / course.run}{why}")
