"""maskcls pseudo-label: label photos by the networks of runs, keep confident labels, one set of labels per fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import maskcls
from maskcls.data.layouts.source import image_root, read_unlabelled
from maskcls.data.photos.identity.photo_digests import PhotoDigests, digest
from maskcls.data.photos.images import read_bytes
from maskcls.data.rows import manifest as tables
from maskcls.engine.device import Accelerator, start
from maskcls.engine.processes.shared_fate import lost_processes_as_errors
from maskcls.errors import DataError, ResultError, WeightsError
from maskcls.groupnouns import photos_of
from maskcls.labels import Floats
from maskcls.results.added.added_set import AddedSet
from maskcls.results.pseudo.label_sets import all_sources, label_sets
from maskcls.results.pseudo.leaks import check_same_folds, check_strangers
from maskcls.results.pseudo.rule_options import read_rule
from maskcls.results.pseudo.selection_rule import SelectionRule
from maskcls.results.pseudo.write_labels import write_pseudo
from maskcls.rundir import REFIT, RunDir
from maskcls.runs.checks import check_labelling
from maskcls.runs.environment import Environment
from maskcls.runs.lineage import LabellingRun, PseudoLineage, UsedAdaptation, UsedWeights
from maskcls.runs.overrides import with_overrides
from maskcls.schema import Config
from maskcls.schema.group_noun import group_noun
from maskcls.show.answers.pseudo_label import PseudoLabels
from maskcls.show.terminal.progress import Reporter
from maskcls.training.added.added_source import folds_sha256
from maskcls.training.experiment import Experiment
from maskcls.training.photos import Views
from maskcls.training.predicting.adapted_networks import adapt_networks
from maskcls.training.predicting.loaded_networks import LoadedNetwork, load_networks
from maskcls.training.predicting.other_cropping import note_other_cropping
from maskcls.training.prediction import cached_rows, joint, note_other_versions, predict_each, work_in_words
from maskcls.training.stored_experiment import open_experiment

Sources = dict[int, list[Floats]]  # by fold, the probabilities of each run, seed and view: (N, J)


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
) -> PseudoLabels | None:
    """Label photos by the networks of one or several runs; None in processes that do not write.

    rule   the arguments of `pseudo.Rule`; thresholds may be given as text, see `read_thresholds`.
    views  test-time views; each is a separate vote, and votes have to agree. Empty: the run's own.
    leaky  take runs with different folds, unfinished ones and leaky ones, and write one set made by all networks.

    Raises DataError when the photos are of people the networks know, or the runs' folds differ, ResultError for a run
    that is not finished, WeightsError for runs of different classes.
    """
    check_labelling(runs, data, output, rule, views, overrides, force=force)
    opened = [open_experiment(run) for run in runs]
    first = opened[0][0]
    frame = read_unlabelled(data, first.cfg.data.format, first.cfg.space)
    report.notes(tables.notes(frame))
    how = read_rule(rule, first.cfg.space)
    refuse_known_photos(opened, frame, image_root(data, first.cfg.data.format))
    digest = check_runs(opened, frame, leaky=leaky)
    root, weights = image_root(data, first.cfg.data.format), []
    adapts: list[UsedAdaptation | None] = []
    sources, photos = Sources(), None
    accelerator = start(with_overrides(first.cfg, overrides).device)
    for experiment, env in opened:
        note_other_cropping(experiment.run, root, report)
        note_other_versions(experiment.run, report)
        networks = load_networks(experiment, experiment.predicting(env.folds, "folds"))
        weights.append(tuple(network.used for network in networks))
        adapts.append(None)
        for view in views or [experiment.cfg.predict.views]:
            changed = [*overrides, f"predict.views={view}", "predict.networks=folds"]
            cfg = with_overrides(experiment.cfg, changed)
            seen, now = cached_rows(networks, frame, cfg, root, accelerator, report, read=True)
            photos, adapted = _same(photos, now, root), networks
            if cfg.predict.adapt != "none":
                adapted, adapts[-1] = adapt_networks(
                    experiment, networks, frame, cfg, root, seen, accelerator, report, photos
                )
            for k, prob in _probabilities(
                experiment, adapted, frame, root, cfg, seen, photos, accelerator, report
            ).items():
                sources.setdefault(k, []).extend(prob)
    if photos is None:
        return None
    like = bool(rule.get("prior"))
    lineage = PseudoLineage(
        maskcls=maskcls.__version__,
        runs=tuple(
            _labelling_run(experiment, env, used, adapt)
            for (experiment, env), used, adapt in zip(opened, weights, adapts, strict=True)
        ),
        root=str(root.resolve()),
        data=data.resolve().name,
        data_sha256=tables.sha256(frame),
        views=tuple(views) or tuple(experiment.cfg.predict.views for experiment, _ in opened),
        rule=how.to_json() | ({"prior": "the training set's, without the fold"} if like else {}),
    )
    return _write(
        sources, frame, how, first, output, digest, lineage, photos, like_train=like, leaky=leaky, force=force
    )


def _labelling_run(
    experiment: Experiment, env: Environment, used: tuple[UsedWeights, ...], adapt: UsedAdaptation | None
) -> LabellingRun:
    name = experiment.run.path.resolve().name
    if adapt is None:
        return LabellingRun(run=name, run_hashes=env.hashes, weights=used)
    return LabellingRun(run=name, run_hashes=env.hashes, weights=used, adapt=adapt)


def _same(before: PhotoDigests | None, now: PhotoDigests | None, root: Path) -> PhotoDigests | None:
    """Return what the photos are now; raises DataError that names those that were others for the networks before."""
    if before is not None and now is not None and (other := before.changed(now)):
        raise DataError(
            "photos changed while they were labelled",
            where=str(root),
            offenders=[repr(before.ids[row]) for row in other],
            fix="label them again, when nothing writes to the photos",
        )
    return now


def class_prior(experiment: Experiment, k: int) -> tuple[float, ...]:
    """Return the shares of the joint classes among the rows outside fold k."""
    space = experiment.cfg.space
    joint = space.encode(experiment.labels)[experiment.fold != k]
    counts = np.bincount(joint[joint >= 0], minlength=space.size)
    return tuple((counts / max(1, counts.sum())).tolist())


def refuse_known_photos(opened: Sequence[tuple[Experiment, Environment]], frame: pd.DataFrame, root: Path) -> None:
    """Raise DataError for photos whose bytes the runs were trained or validated on, under any name."""
    size_of = {
        (id, place): place.stat().st_size
        for id, path in zip(frame["id"], frame["path"], strict=True)
        if (place := root / path).is_file()
    }
    known = known_files([experiment for experiment, _ in opened], set(size_of.values()))
    met = [
        repr(id)
        for (id, place), size in size_of.items()
        if (same_size := known.get(size)) and digest(read_bytes(place)) in same_size
    ]
    if met:
        noun = group_noun(opened[0][0].cfg)
        raise DataError(
            "photos to pseudo-label are photos the networks were trained or validated on",
            where=str(root),
            expected=f"{photos_of(noun)} that are not in the training table",
            fix="leave them out of the unlabelled data",
            offenders=met,
        )


def known_files(opened: Sequence[Experiment], sizes: set[int]) -> dict[int, set[bytes]]:
    """Return {size in bytes: digests} of the labelled photos of runs, as they were in the training, of these sizes.

    Of a run of an earlier version, which has no digests, files are read that are still there.
    """
    known: dict[int, set[bytes]] = {}
    for experiment in opened:
        rows = experiment.labelled_rows
        if (photos := experiment.photos) is not None:
            before = photos.of(rows["id"].tolist())
            for size, one in zip(before.size_N.tolist(), before.digest_ND, strict=True):
                known.setdefault(size, set()).add(bytes(one))
        else:
            for path in rows["path"]:
                place = experiment.photo_root / path
                if place.is_file() and place.stat().st_size in sizes:
                    known.setdefault(place.stat().st_size, set()).add(digest(read_bytes(place)))
    return known


def check_runs(opened: Sequence[tuple[Experiment, Environment]], frame: pd.DataFrame, *, leaky: bool) -> str:
    """Return the hash of the folds all runs share, after making sure that no label set can leak.

    Raises WeightsError for different classes, DataError for different folds or people the networks know, ResultError
    for folds that are not trained, or labels that would be leaky at second hand.
    """
    first = opened[0][0]
    noun = group_noun(first.cfg)
    for experiment, env in opened:
        name = str(experiment.run.path)
        if experiment.cfg.space.fingerprint != first.cfg.space.fingerprint:
            raise WeightsError(
                "the runs have different classes",
                where=f"{first.run.path} and {name}",
                fix="name runs of the same tasks",
            )
        real = experiment.labelled_rows
        ids, people = frame["id"].tolist(), frame["person"].tolist()
        check_strangers(ids, people, known_ids=set(real["id"]), known_people=set(real["person"]), noun=noun)
        if leaky:
            continue
        if experiment.leaky:
            fix = "label with a run that has an out-of-fold score, or give --leaky"
            raise ResultError("the run was trained with data.leaky=true and would pass that on", where=name, fix=fix)
        missing = sorted(set(range(experiment.cfg.folds.k)) - set(env.folds))
        if missing:
            raise ResultError(
                "folds of the run are not trained, and every fold needs labels of its own",
                where=name,
                offenders=[f"fold {k}" for k in missing],
                fix=f"maskcls resume {name} --folds {','.join(map(str, missing))}",
            )
    digests = {str(e.run.path): folds_sha256(e.manifest, e.folds) for e, _ in opened}
    return next(iter(digests.values())) if leaky else check_same_folds(digests, noun)


def _probabilities(
    experiment: Experiment,
    networks: list[LoadedNetwork],
    frame: pd.DataFrame,
    root: Path,
    cfg: Config,
    views: Views,
    known: PhotoDigests | None,
    accelerator: Accelerator,
    report: Reporter,
) -> Sources:
    """Return the networks' probabilities, seed by seed: {fold: [(N, J)]}."""
    report.note(f"{experiment.run.path}: {work_in_words(len(frame), len(networks), cfg.predict.views)}")
    probs = predict_each(networks, frame, cfg, root, views, accelerator, report, known)
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
    lineage: PseudoLineage,
    photos: PhotoDigests,
    *,
    like_train: bool,
    leaky: bool,
    force: bool,
) -> PseudoLabels:
    by_fold = {k: np.stack(prob) for k, prob in sources.items()}
    whole = {REFIT: np.concatenate(list(by_fold.values())) if leaky else all_sources(by_fold)}
    ids, paths = (frame[name].to_numpy(dtype=np.str_) for name in ("id", "path"))
    rows: dict[int, AddedSet] = {}
    lines: list[dict[str, Any]] = []
    for k, prob_SNJ in (whole if leaky else by_fold | whole).items():
        own = replace(rule, prior=class_prior(experiment, k)) if like_train else rule
        of_set, counted = label_sets({k: prob_SNJ}, ids, paths, experiment.cfg.space, own)
        rows, lines = rows | of_set, lines + counted
    if not any(len(of_set) for of_set in rows.values()):
        raise DataError(
            "no photo reached the thresholds", got=f"{len(frame)} photos", fix="lower --min-confidence or --agree"
        )
    sha256 = write_pseudo(
        output,
        rows,
        experiment.cfg.space,
        folds_sha256=None if leaky else digest,
        k=experiment.cfg.folds.k,
        lineage=lineage.model_copy(update={"summary": tuple(lines)}).to_json(),
        contents=photos.contents,
        leaky=leaky,
        force=force,
    )
    return PseudoLabels(output, sha256, len(frame), {k: len(of_set) for k, of_set in rows.items()}, lines)
