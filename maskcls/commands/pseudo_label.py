"""maskcls pseudo-label: unlabelled photos in, the labels a run's networks are sure of out, a set of labels a fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from json import dumps
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

import maskcls
from maskcls import files
from maskcls.data.layouts.source import image_root, read_unlabelled
from maskcls.data.rows import manifest
from maskcls.data.rows import manifest as tables
from maskcls.engine.device import Accelerator, start
from maskcls.engine.processes import lost_processes_as_errors
from maskcls.errors import DataError, ResultError, UsageError, WeightsError, visible
from maskcls.labels import Floats, LabelSpace
from maskcls.results.csv_with_origin import check_free
from maskcls.results.pseudo.label_columns import PSEUDO_LABELS
from maskcls.results.pseudo.label_rows import PseudoRows
from maskcls.results.pseudo.label_sets import all_sources, label_sets
from maskcls.results.pseudo.leaks import check_same_folds, check_strangers
from maskcls.results.pseudo.selection_rule import SelectionRule, thresholds
from maskcls.results.pseudo.write_labels import write_pseudo
from maskcls.rundir import REFIT, RunDir
from maskcls.runs.environment import Environment
from maskcls.show.progress import Reporter
from maskcls.training import pseudo_rows
from maskcls.training.experiment import Experiment
from maskcls.training.photos import cached_views
from maskcls.training.prediction import (
    LoadedNetwork,
    joint,
    load_networks,
    note_other_cropping,
    predict_each,
    refuse_predicting,
    with_overrides,
)
from maskcls.training.stored_experiment import open_experiment

OPTIONS = {"cap_rows": "max-per-class", "cap_share": "max-share"}  # the rule's names, where the command's are others
Sources = dict[int, list[Floats]]  # by fold, what each run, seed and view says: (N, J)


@dataclass(frozen=True)
class Labelled:
    """What was written. sets: {fold, or REFIT: rows}; lines: the summary, one line a set and class."""

    path: Path
    sha256: str
    photos: int
    sets: dict[int, int]
    lines: list[dict[str, Any]]


@lost_processes_as_errors()
def pseudo_label(
    runs: Sequence[RunDir],
    data: Path,
    output: Path,
    *,
    rule: Mapping[str, Any],
    views: Sequence[str],
    leaky: bool,
    force: bool,
    overrides: list[str],
    report: Reporter,
) -> Labelled | None:
    """Label photos by the networks of one or several runs; None in processes that do not write.

    rule   the arguments of `pseudo.Rule`; thresholds may be given as text, see `read_thresholds`.
    views  test-time views; each is a source of its own, and sources have to agree. Empty: the run's own.
    leaky  take runs with different folds, unfinished ones and leaky ones, and write one set made by all networks.

    Raises DataError when the photos are of people the networks know, or the runs' folds differ, ResultError for a run
    that is not finished, WeightsError for runs of different classes.
    """
    check_free(output, PSEUDO_LABELS, force=force)
    opened = [open_experiment(run) for run in runs]
    first = opened[0][0]
    frame = read_unlabelled(data, first.cfg.data.format, first.cfg.space)
    how = read_rule(rule, first.cfg.space)
    refuse_predicting(overrides, "the folds' networks are asked, photo by photo, in the views of --tta")
    refuse_known_photos(opened, frame, image_root(data, first.cfg.data.format))
    digest = check_runs(opened, frame, leaky=leaky)
    root, weights = image_root(data, first.cfg.data.format), []
    sources: Sources = {}
    accelerator = start(first.cfg.device)
    for experiment, env in opened:
        note_other_cropping(experiment, env, root, report)
        networks = load_networks(experiment, experiment.predicting(env.folds, "folds"))
        weights.append([network.used.to_json() for network in networks])
        for view in views or [experiment.cfg.predict.views]:
            changed = [*overrides, f"predict.views={view}", "predict.networks=folds"]
            for k, prob in _said(experiment, networks, frame, root, changed, accelerator, report).items():
                sources.setdefault(k, []).extend(prob)
    if not accelerator.is_main_process:
        return None
    lineage: dict[str, Any] = {
        "maskcls": maskcls.__version__,
        "runs": [
            {"run": experiment.run.path.resolve().name, "run_hashes": env.hashes, "weights": used}
            for (experiment, env), used in zip(opened, weights, strict=True)
        ],
        "root": str(root.resolve()),
        "data": data.resolve().name,
        "data_sha256": tables.sha256(frame),
        "views": list(views) or [experiment.cfg.predict.views for experiment, _ in opened],
        "rule": how.to_json(),
    }
    like = bool(rule.get("prior"))
    lineage["rule"] |= {"prior": "the training set's, without the fold"} if like else {}
    return _write(sources, frame, how, first, output, digest, lineage, like_train=like, leaky=leaky, force=force)


def read_rule(given: Mapping[str, Any], space: LabelSpace) -> SelectionRule:
    """Return the rule with its thresholds spelt out for these classes; raises ConfigError or UsageError.

    given  the arguments of `SelectionRule`; thresholds also as text, see `read_thresholds`, and prior as True for the
           training set's own, which every set gets without its fold's people.
    """
    text = given["thresholds"]
    spelt = thresholds(read_thresholds(text) if isinstance(text, str) else text, space)
    if given.get("temperature", 1.0) != 1.0 and not given.get("soft"):
        raise UsageError("--temperature is for soft labels", fix="add --soft, or leave it out")
    if given.get("prior") and given.get("balance") is not None:
        raise UsageError("--balance and --like-train both say how many of a class", fix="give one of them")
    try:
        return SelectionRule(**{**given, "thresholds": spelt, "prior": None})
    except ValueError as error:
        name, _, rest = str(error).partition(" ")
        raise UsageError(f"--{OPTIONS.get(name, name)} {rest}") from None


def class_prior(experiment: Experiment, k: int) -> tuple[float, ...]:
    """Return the joint classes' shares of the rows that do not judge fold k."""
    space = experiment.cfg.space
    joint = space.encode(experiment.labels)[experiment.fold != k]
    counts = np.bincount(joint[joint >= 0], minlength=space.size)
    return tuple((counts / max(1, counts.sum())).tolist())


def refuse_known_photos(opened: Sequence[tuple[Experiment, Environment]], frame: pd.DataFrame, root: Path) -> None:
    """Raise DataError for photos whose bytes the runs were trained or validated on, whatever their names are now."""
    known: dict[int, set[Path]] = {}
    for experiment, _ in opened:
        real = manifest.real_rows(experiment.manifest)
        for path, is_real in zip(experiment.photo_paths, real, strict=True):
            if is_real and (place := experiment.photo_root / path).is_file():
                known.setdefault(place.stat().st_size, set()).add(place)
    digest = cache(files.file_sha256)
    met = []
    for id, path in zip(frame["id"], frame["path"], strict=True):
        place = root / path
        alike = known.get(place.stat().st_size, set()) if place.is_file() else set()
        if any(digest(place) == digest(other) for other in alike):
            met.append(repr(id))
    if met:
        raise DataError(
            "photos to pseudo-label are photos the networks were trained or validated on",
            where=str(root),
            expected="photos of people that are not in the training table",
            fix="leave them out of the unlabelled data",
            offenders=met,
        )


def read_thresholds(text: str) -> float | dict[str, Any]:
    """Read `0.9`, or `mask=0.9,age=0.8`, or by class `mask.wear=0.5,mask.incorrect=0.95`; raises UsageError.

    >>> read_thresholds("mask.wear=0.5,mask.normal=0.9,age=0.8")
    {'mask': {'wear': 0.5, 'normal': 0.9}, 'age': 0.8}
    """
    wrong = UsageError(
        "not a confidence",
        where="--min-confidence",
        got=repr(text),
        expected="0.9, or mask=0.9,age=0.8, or mask.wear=0.5",
    )
    found: dict[str, Any] = {}
    try:
        if "=" not in text:
            return float(text)
        for part in text.split(","):
            key, _, value = part.partition("=")
            task, dot, name = key.strip().partition(".")
            if name in found.get(task, {}) if dot and isinstance(found.get(task, {}), dict) else task in found:
                raise wrong
            if dot:
                found.setdefault(task, {})[name] = float(value)
            else:
                found[task] = float(value)
    except (ValueError, TypeError, AttributeError):
        raise wrong from None
    return found


def check_runs(opened: Sequence[tuple[Experiment, Environment]], frame: pd.DataFrame, *, leaky: bool) -> str:
    """Return the hash of the folds all runs share, after making sure that no label set can leak.

    Raises WeightsError for different classes, DataError for different folds or people the networks know, ResultError
    for folds that are not trained, or labels that would be leaky at second hand.
    """
    first = opened[0][0]
    for experiment, env in opened:
        name = str(experiment.run.path)
        if experiment.cfg.space.fingerprint != first.cfg.space.fingerprint:
            raise WeightsError("the runs have different classes", where=f"{first.run.path} and {name}")
        real = experiment.manifest[manifest.real_rows(experiment.manifest)]
        ids, people = frame["id"].tolist(), frame["person"].tolist()
        check_strangers(ids, people, known_ids=set(real["id"]), known_people=set(real["person"]))
        if leaky:
            continue
        if experiment.leaky:
            fix = "label with a run that has an out-of-fold score, or give --leaky"
            raise ResultError("the run learnt from leaky pseudo labels, and would pass them on", where=name, fix=fix)
        missing = sorted(set(range(experiment.cfg.folds.k)) - set(env.folds))
        if missing:
            raise ResultError(
                "folds of the run are not trained, and every fold needs labels of its own",
                where=name,
                offenders=[f"fold {k}" for k in missing],
                fix=f"maskcls resume {name} --folds {','.join(map(str, missing))}",
            )
    digests = {str(e.run.path): pseudo_rows.folds_sha256(e.manifest, e.folds) for e, _ in opened}
    return next(iter(digests.values())) if leaky else check_same_folds(digests)


def _said(
    experiment: Experiment,
    networks: list[LoadedNetwork],
    frame: pd.DataFrame,
    root: Path,
    overrides: list[str],
    accelerator: Accelerator,
    report: Reporter,
) -> Sources:
    """Return what the networks say, seed by seed: {fold: [(N, J)]}."""
    cfg = with_overrides(experiment.cfg, overrides)
    paths, specs = frame["path"].tolist(), [network.predictor.spec for network in networks]
    views = cached_views(root, paths, specs, cfg, accelerator, report)
    report.note(f"{experiment.run.path}: {len(frame)} photos, {len(networks)} networks, views {cfg.predict.views}")
    probs = predict_each(networks, frame, cfg, root, views, accelerator, report)
    found: Sources = {}
    ids_N = frame["id"].to_numpy(np.str_)
    for k, seed in sorted({(network.fold, network.seed) for network in networks}):
        mine = [(n, prob) for n, prob in zip(networks, probs, strict=True) if (n.fold, n.seed) == (k, seed)]
        part = joint([network for network, _ in mine], [prob for _, prob in mine], ids_N, cfg.space)
        found.setdefault(k, []).append(part.prob)
    return found


def _write(
    sources: Sources,
    frame: pd.DataFrame,
    rule: SelectionRule,
    experiment: Experiment,
    output: Path,
    digest: str,
    lineage: dict[str, Any],
    *,
    like_train: bool,
    leaky: bool,
    force: bool,
) -> Labelled:
    by_fold = {k: np.stack(prob) for k, prob in sources.items()}
    whole = {REFIT: np.concatenate(list(by_fold.values())) if leaky else all_sources(by_fold)}
    ids, paths = (frame[name].to_numpy(dtype=np.str_) for name in ("id", "path"))
    rows: dict[int, PseudoRows] = {}
    lines: list[dict[str, Any]] = []
    for k, prob_SNJ in (whole if leaky else by_fold | whole).items():
        own = replace(rule, prior=class_prior(experiment, k)) if like_train else rule
        of_set, counted = label_sets({k: prob_SNJ}, ids, paths, experiment.cfg.space, own)
        rows, lines = rows | of_set, lines + counted
    if not any(len(of_set) for of_set in rows.values()):
        raise DataError("no photo passed", got=f"{len(frame)} photos", fix="lower --min-confidence or --agree")
    sha256 = write_pseudo(
        output,
        rows,
        experiment.cfg.space,
        folds_sha256=None if leaky else digest,
        k=experiment.cfg.folds.k,
        lineage=lineage | {"summary": lines},
        leaky=leaky,
        force=force,
    )
    return Labelled(output, sha256, len(frame), {k: len(of_set) for k, of_set in rows.items()}, lines)


def print_labelled(found: Labelled, *, json: bool = False) -> None:
    """Print to stdout how many photos were labelled, by set and by class, or with `json` one JSON object."""
    if json:
        sets = {_set_name(k): rows for k, rows in found.sets.items()}
        lines = [line | {"set": _set_name(line["set"])} for line in found.lines]
        print(
            dumps(
                {"file": str(found.path), "sha256": found.sha256, "photos": found.photos, "sets": sets, "lines": lines}
            )
        )
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="")
    table.add_column("set all", overflow="fold", min_width=16)
    reasons = {"threshold": "unsure", "agreement": "disputed", "cap": "capped", "balance": "balance"}
    for name in ("predicted", "taken", *reasons.values(), "confidence"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in (line for line in found.lines if line["set"] == REFIT and line["task"] != "joint"):
        counts = [line["considered"], line["taken"], *(line[reason] for reason in reasons)]
        sure = "-" if line["confidence"] is None else f"{line['confidence']:.3f}"
        table.add_row(visible(f"{line['task']} {line['class']}"), *(f"{count:,}" for count in counts), sure)
    Console(highlight=False, markup=False, emoji=False).print(table)
    each = ", ".join(f"{rows:,} in set {_set_name(k)}" for k, rows in found.sets.items())
    print(f"{found.path}  {found.photos:,} photos; {each}")


def _set_name(k: int) -> str:
    return "all" if k == REFIT else str(k)
