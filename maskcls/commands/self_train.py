"""maskcls self-train: train, label photos, train with them too, and repeat while the out-of-fold score rises.

Xie et al. 2020, arXiv:1911.04252, without its larger students. Every fold has its own pseudo labels, made by networks
that never saw its people, so the out-of-fold scores of all rounds compare.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from maskcls import files
from maskcls.data.layouts.source import image_root
from maskcls.errors import BusyError
from maskcls.machine import refuse_several
from maskcls.results.comparison.difference import Difference, paired_difference
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.pseudo.rule_options import read_rule
from maskcls.results.rows_by_id import rows_of
from maskcls.results.scores.metrics import confusion, macro_f1
from maskcls.rundir import RunDir
from maskcls.runs.checks import check_self_training
from maskcls.runs.lineage import read_pseudo_lineage
from maskcls.runs.read_labelled import read_out_of_fold
from maskcls.schema import Config
from maskcls.show.training.self_training import Round, SelfTraining
from maskcls.training.checks import has_settings


def self_train(
    data: Path,
    cfg: Config,
    folder: Path,
    *,
    unlabelled: Path | None,
    rounds: int,
    rule: Mapping[str, Any],
    train: Callable[[Config, RunDir], object],
    resume: Callable[[RunDir], object],
    label: Callable[[RunDir, Path], object],
) -> SelfTraining:
    """Train round after round below `folder`, and stop after the first whose out-of-fold macro-F1 does not rise.

    unlabelled  the photos to label; None: those of `data` that are to be predicted.
    rule        see `pseudo_label`.
    train, resume, label  the verbs it is made of: a training from the start, the rest of one, and the labels that the
                networks of a run give the photos.

    Given again, the command continues where it was interrupted. Raises UsageError for pseudo labels in the
    configuration or several processes, BusyError for rounds with other settings, else what the verbs raise.
    """
    check_self_training(data, cfg, unlabelled, rule)
    refuse_several("self-training")
    how, source = read_rule(rule, cfg.space).to_json(), str(image_root(unlabelled or data, cfg.data.format).resolve())
    first = RunDir(folder / "round0")
    _train(cfg, first, train, resume)
    done, labelled, best = [_round(first, None, None)], read_out_of_fold(first), 0
    for number in range(1, rounds + 1):
        labels, run = folder / f"round{number}.csv", RunDir(folder / f"round{number}")
        source_run = RunDir(folder / f"round{best}")
        if not labels.exists():
            label(source_run, labels)
        _check_labels(labels, how, source)
        own = cfg.model_copy(update={"data": cfg.data.model_copy(update={"pseudo": str(labels)})})
        _train(own, run, train, resume)
        new = read_out_of_fold(run)
        done.append(_round(run, labels, gain_of(labelled, new)))
        if not done[-1].macro_f1 > done[best].macro_f1:
            break
        best, labelled = number, new
    found = SelfTraining(done, best)
    files.commit_json(folder / "rounds.json", found.to_json())
    return found


def _check_labels(labels: Path, how: Mapping[str, Any], source: str) -> None:
    """Raise BusyError when labels that are there were made by another rule, or of other photos."""
    lineage = read_pseudo_lineage(labels)
    if lineage is None or (lineage.root, lineage.rule) != (source, how):
        fix = "choose another --run, or give the settings it began with"
        raise BusyError("the folder holds labels made with other settings", where=str(labels), fix=fix)


def gain_of(old: LabelledPredictions, new: LabelledPredictions) -> Difference:
    """Return how far new predictions of the same rows lie above old ones."""
    truth_N, new_N = old.space.encode(old.truth), new.pred_N[rows_of(new.ids, old.ids)]
    assert old.people_N is not None
    return paired_difference(truth_N, old.pred_N, new_N, old.people_N, old.space.size)


def _train(
    cfg: Config, run: RunDir, train: Callable[[Config, RunDir], object], resume: Callable[[RunDir], object]
) -> None:
    """Train a round, or finish it; BusyError when the folder holds another one."""
    if not run.env.exists():
        train(cfg, run)
        return
    if not has_settings(run, cfg):
        fix = "choose another --run, or give the settings it began with"
        raise BusyError("the folder holds rounds with other settings", where=str(run.path), fix=fix)
    resume(run)


def _round(run: RunDir, labels: Path | None, gain: Difference | None) -> Round:
    labelled = read_out_of_fold(run)
    score = macro_f1(confusion(labelled.space.encode(labelled.truth), labelled.pred_N, labelled.space.size))
    photos = 0
    if labels is not None:
        sidecar = files.read_json(labels.with_suffix(".json"), files.SIDECAR_FILE)
        sets = {line["set"]: line["rows"] for line in sidecar["sets"]}
        photos = sets["all"]
    return Round(run.path.name, photos, score, gain)
