"""The heads of one network fitted again on fixed features, with interpolated examples and without.

N photos, M interpolated examples, D features, C classes of a head.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from maskcls import files
from maskcls.engine import checkpoint
from maskcls.engine.device import Accelerator
from maskcls.engine.fit import validation_reader
from maskcls.engine.infer import Predictor, infer
from maskcls.errors import UsageError
from maskcls.files import RUN_FILE
from maskcls.labels import Ints, LabelSpace, Task
from maskcls.nn.fitting.fitted_head import FittedHead
from maskcls.nn.fitting.logistic import STRENGTH, fit_heads
from maskcls.nn.heads import JOINT, plain_heads
from maskcls.results.predictions import Predictions
from maskcls.rundir import RunDir
from maskcls.runs.integrity.epoch_log import read_log, write_log
from maskcls.schema import Config
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.embedded.example_counts import example_counts
from maskcls.synth.embedded.frozen_features import FeatureRows, feature_rows, open_extractor
from maskcls.synth.embedded.smote import Interpolated, interpolate
from maskcls.synth.loop.synth_rows import rarest_class
from maskcls.training.experiment import Experiment, Member
from maskcls.training.fold import finish_fold

Heads = Mapping[str, FittedHead]


@dataclass(frozen=True)
class HeadFits:
    """The heads of one network, by name.

    plain     fitted on the photos.
    balanced  the same with equal weight for every class.
    mixed     fitted on the photos and the interpolated examples, which are `made`.
    """

    plain: Heads
    balanced: Heads
    mixed: Heads
    made: Interpolated


def refuse_other_heads(member: Member) -> None:
    """Raise UsageError unless every head of a network is one softmax over the classes of its tasks."""
    heads = {head.name: head for head in member.blueprint.heads}
    plain = plain_heads("joint" if JOINT in heads else "multi", member.space)
    other = [
        f"{name}: {head.reading}{f' for each class of {head.given}' if head.given else ''}"
        f"{f', {head.hidden} hidden units' if head.hidden else ''}, {head.outputs} outputs"
        for name, head in heads.items()
        if (head.reading, head.groups, head.hidden, head.outputs) != ("softmax", 1, 0, plain[name].classes)
    ]
    if other or member.task:
        raise UsageError(
            "the heads of this run cannot be fitted again",
            got="model.heads=separate, a network per task" if member.task else None,
            expected="model.heads=multi or joint with age.head=bands and a cross-entropy: one softmax over the "
            "classes, linear in the features (heads.kind is not mlp)",
            offenders=other,
            fix="use a run with such heads",
        )


def fit_rows(train: FeatureRows, cfg: Config, k: int) -> HeadFits:
    """Fit the heads of fold k's network, or REFIT's, on its training rows; deterministic.

    The examples are between photos with all labels, of synth.classes; nothing is asked of the validation people.
    """
    space, label_N = cfg.space, cfg.space.encode(train.labels)
    classes = cfg.synth.classes or rarest_class(train.labels, train.person_n, space)
    made = interpolate(
        train.feature_nD,
        label_N,
        train.person_n,
        counts=example_counts(label_N, classes, space, cfg.synth.per_class),
        neighbours=cfg.synth.neighbours,
        seed=cfg.seed,
        fold=k,
    )
    joint = cfg.model.heads == JOINT
    own = LabelSpace((Task(JOINT, space.joint_names),)) if joint else space
    labels: dict[str, Ints] = {JOINT: label_N} if joint else train.labels
    others: dict[str, Ints] = {JOINT: made.label_M} if joint else space.decode(made.label_M)
    every_ND = np.concatenate([train.feature_nD, made.feature_MD])
    every = {name: np.concatenate([labels[name], others[name]]) for name in own.names}
    weight_M = np.full(len(made.label_M), cfg.synth.weight, dtype=np.float32)
    weight_N = np.concatenate([train.weight_n, weight_M])
    plain, balanced = (
        fit_heads(train.feature_nD, labels, train.weight_n, own, strength=STRENGTH, balanced=equal)
        for equal in (False, True)
    )
    return HeadFits(plain, balanced, fit_heads(every_ND, every, weight_N, own, strength=STRENGTH, balanced=False), made)


def with_heads(predictor: Predictor, heads: Heads) -> Predictor:
    """Return the predictor with these heads on a copy of its network."""
    network = copy.deepcopy(predictor.network)
    for name, head in heads.items():
        layer = network.heads[name]
        assert isinstance(layer, nn.Linear)
        layer.load_state_dict({"weight": torch.from_numpy(head.weight_CD), "bias": torch.from_numpy(head.bias_C)})
    return replace(predictor, network=network)


def retrain_fold(
    experiment: Experiment, source: RunDir, member: Member, k: int, accelerator: Accelerator, report: Reporter
) -> None:
    """Fit the heads of one network of a run of retrained heads, and finish it as `training.fold.finish_fold` does.

    source  the run whose network of the same member and fold gives the features.

    The folder also gets the log and the picture of the first batch of that network, which are about its trunk.
    """
    folder, trunk = experiment.fold_dir(member, k), source.fold(k, member.name)
    trunk = trunk.continued if member.continued else trunk
    rows = experiment.rows(member, k)
    extractor = open_extractor(experiment, member, k, run=source, accelerator=accelerator)
    fits = fit_rows(feature_rows(experiment, rows, rows.train, extractor, report), member.cfg, k)
    before, meta = checkpoint.load_predictor(trunk.best), checkpoint.read_meta(trunk.best)
    after = with_heads(before, fits.mixed)
    write_log(folder, read_log(trunk))
    if trunk.first_batch.exists():
        files.commit(folder.first_batch, files.read_file(trunk.first_batch, RUN_FILE))
    tensors = after.network.inference_state()
    checkpoint.save_weights(folder.last, tensors, member.blueprint, epoch=meta.epoch, scores={}, soup=meta.soup)
    if len(rows.valid):
        baselines = [with_heads(before, heads) for heads in (fits.plain, fits.balanced)]
        probs = infer(
            baselines,
            validation_reader(rows, member.cfg, accelerator),
            accelerator=accelerator,
            execution=experiment.plans[member.task].infer,
        )
        ids = experiment.manifest["id"].to_numpy()[rows.valid]
        for path, prob in zip((folder.plain_heads, folder.balanced_heads), probs, strict=True):
            lineage = {"fold": k, "trunk": meta.sha256, "heads": path.stem, "views": member.cfg.predict.views}
            Predictions(ids, prob, member.space, lineage).save(path)
    finish_fold(experiment, member, k, folder.last, accelerator)
