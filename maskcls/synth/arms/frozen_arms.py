"""What each arm adds to the features of a data set: samples, interpolations, mixed photos. Imports torch."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from maskcls.data.rows.manifest import real_rows
from maskcls.engine.step_plan import StepPlan
from maskcls.labels import Bools, Floats, Ints
from maskcls.rundir import RunDir
from maskcls.schema import Config
from maskcls.schema.transforms import PRESETS
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.arms.arm_settings import MIX, NOTHING, OVERSAMPLE, Arm
from maskcls.synth.arms.heads_arms import (
    AddedRows,
    Adding,
    RowFeatures,
    heads_out_of_fold,
    nothing_added,
    oversampling,
)
from maskcls.synth.embedded.example_counts import example_counts
from maskcls.synth.embedded.frozen_features import Extractor, image_features, open_extractor, photo_features
from maskcls.synth.embedded.smote import interpolate
from maskcls.training.experiment import Experiment, read_experiment


@dataclass(frozen=True, eq=False)
class ScreenedArms:
    """The out-of-fold joint labels (N,) of every arm and seed, and the seconds of each arm, its features included."""

    labels: Mapping[str, Sequence[Ints]]
    seconds: Mapping[str, float]
    experiment: Experiment


def screen_arms(
    data: Path, arms: Sequence[Arm], rare: Mapping[str, tuple[str, ...]], *, seeds: Sequence[int], report: Reporter
) -> ScreenedArms:
    """Fit the heads of all arms on frozen features; raises what reading data, samples or weights raises."""
    cfg = arms[0].cfg
    experiment = read_experiment(cfg, data, RunDir(Path("never-written")))
    extractor = open_extractor(experiment, experiment.kinds[0], 0, run=None)
    rows = read_features(experiment, extractor, report)
    labels: dict[str, list[Ints]] = {}
    seconds: dict[str, float] = {}
    for arm in arms:
        started = time.monotonic()
        adding = _adding(arm, experiment, extractor, rows, rare, data, report)
        with report.busy(f"fitting heads: {arm.name}"):
            labels |= heads_out_of_fold(rows, cfg.space, {arm.name: adding}, seeds=seeds)
        seconds[arm.name] = time.monotonic() - started
    return ScreenedArms(labels, seconds, experiment)


def read_features(experiment: Experiment, extractor: Extractor, report: Reporter) -> RowFeatures:
    """Return all photos of an experiment without added rows, with their features."""
    photos, every = experiment.rows(experiment.kinds[0], 0).photos, np.arange(len(experiment.manifest))
    return rows_with_features(experiment, photo_features(extractor, photos, every, report))


def rows_with_features(experiment: Experiment, feature_ND: Floats) -> RowFeatures:
    """Return all photos of an experiment without added rows, with these features."""
    weight_N = experiment.rows(experiment.kinds[0], 0).weight
    return RowFeatures(feature_ND, experiment.labels, experiment.people, experiment.fold.astype(np.int64), weight_N)


def _adding(
    arm: Arm,
    experiment: Experiment,
    extractor: Extractor,
    rows: RowFeatures,
    rare: Mapping[str, tuple[str, ...]],
    data: Path,
    report: Reporter,
) -> Adding:
    if arm.name == NOTHING:
        return nothing_added
    if arm.name == OVERSAMPLE:
        return oversampling(rows, arm.cfg.space)
    if arm.name == MIX:
        return mixing_arm(experiment, arm.cfg, extractor, report)
    return _sampling(arm.cfg, data, extractor, report) if arm.samples else _interpolating(rows, arm.cfg, rare)


def _sampling(cfg: Config, data: Path, extractor: Extractor, report: Reporter) -> Adding:
    """Return the arm with a table of samples; each fold adds its own set."""
    experiment = read_experiment(cfg, data, RunDir(Path("never-written")))
    member = experiment.kinds[0]
    added = np.flatnonzero(~real_rows(experiment.manifest))
    feature_MD = photo_features(extractor, experiment.rows(member, 0).photos, added, report)

    def adding(k: int, train_N: Bools) -> AddedRows:
        rows = experiment.rows(member, k)
        own = np.isin(added, rows.train)
        labels = {task: rows.labels[task][added[own]] for task in cfg.space.names}
        return AddedRows(feature_MD[own], labels, rows.weight[added[own]])

    return adding


def _interpolating(rows: RowFeatures, cfg: Config, rare: Mapping[str, tuple[str, ...]]) -> Adding:
    """Return the arm with examples between the features of two people of a fold, see `smote`."""
    label_N = cfg.space.encode(rows.labels)

    def adding(k: int, train_N: Bools) -> AddedRows:
        made = interpolate(
            rows.feature_ND[train_N],
            label_N[train_N],
            rows.person_N[train_N],
            counts=example_counts(label_N[train_N], rare, cfg.space, cfg.synth.per_class),
            neighbours=cfg.synth.neighbours,
            seed=cfg.seed,
            fold=k,
        )
        weight_M = np.full(len(made.label_M), cfg.synth.weight, np.float32)
        return AddedRows(made.feature_MD, cfg.space.decode(made.label_M), weight_M)

    return adding


def mixing_arm(experiment: Experiment, cfg: Config, extractor: Extractor, report: Reporter) -> Adding:
    """Return the arm with the mixed photos of one epoch, drawn as the training draws them.

    The target of a mixed photo is shared between two labels; the cross-entropy is linear in it, so the photo counts
    twice: with its own label and weight `share`, and with its partner's and the rest. A photo itself counts as often as
    it is not mixed.
    """
    plain = cfg.model_copy(update={"transforms": cfg.transforms.model_copy(update=PRESETS["none"])})
    member = replace(experiment.kinds[0], cfg=plain)

    def adding(k: int, train_N: Bools) -> AddedRows:
        rows = experiment.rows(member, k)
        plan = StepPlan(rows, plain)
        whole = plan.step(rows.train, 0)
        assert whole.mixes is not None
        places = whole.mixes.mixed
        step, mixes = whole.take(places), whole.mixes.take(places)
        parts = [
            image_features(extractor, plan.images(step.take(batch), 0), report)
            for batch in np.array_split(np.arange(len(places)), max(1, len(places) // 512))
            if len(batch)
        ]
        feature_MD = np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)
        own, partner = step.rows, mixes.partner
        labels = {task: np.concatenate([one[own], one[partner]]) for task, one in rows.labels.items()}
        weight_M = np.concatenate([rows.weight[own] * mixes.share, rows.weight[partner] * (1 - mixes.share)])
        kept_N = np.full(len(train_N), 1 - plain.mix.prob, np.float32)
        both_MD = np.concatenate([feature_MD, feature_MD])
        return AddedRows(both_MD, labels, weight_M.astype(np.float32), kept_N)

    return adding
