"""Refuse a CycleGAN whose classes few people have, or have no labels in common, before anything is trained.

N rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from maskcls.errors import DataError
from maskcls.groupnouns import Noun
from maskcls.labels import Ints
from maskcls.rundir import REFIT
from maskcls.schema.group_noun import group_noun
from maskcls.synth.cyclegan.domains import Domains, default_source, written
from maskcls.synth.cyclegan.pairs import pair_source
from maskcls.synth.loop.synth_rows import rarest_class, training_rows
from maskcls.training.experiment import Experiment


def check_translations(experiment: Experiment, folds: Iterable[int], *, forced: bool) -> None:
    """Check the rows of the generators of these folds, REFIT among them; no photo is read.

    forced  accept fewer people than synth.least_groups.

    Raises DataError for a class that too few people have, and when no photos of both classes have the same labels in
    the other tasks.
    """
    cfg = experiment.cfg
    for k in folds:
        row_N = training_rows(experiment, k)
        labels = {name: label_N[row_N] for name, label_N in experiment.labels.items()}
        person_N = experiment.people[row_N]
        target = cfg.synth.classes or rarest_class(labels, person_N, cfg.space)
        source = cfg.synth.from_classes or default_source(labels, person_N, target, cfg.space)
        domains = Domains(source, target, cfg.space)
        if not forced:
            where = "generator of all rows" if k == REFIT else f"generator of fold {k}"
            noun = group_noun(cfg)
            refuse_few_people(domains, labels, person_N, least=cfg.synth.least_groups, noun=noun, where=where)
        pair_source(*domains.rows(labels), domains.kept_key(labels), person_N, domains)


def refuse_few_people(
    domains: Domains, labels: Mapping[str, Ints], person_N: Ints, *, least: int, noun: Noun, where: str
) -> None:
    """Raise DataError when fewer than `least` people have a photo of the source, or of the target.

    Below 20 to 50 images per class generators did harm (arXiv:2603.16134).

    noun   what people are called; where: which rows these are.
    """
    for row_N, classes, role in zip(
        domains.rows(labels), (domains.source, domains.target), ("from", "into"), strict=True
    ):
        found = len(np.unique(person_N[row_N]))
        if found < least:
            raise DataError(
                f"too few {noun[1]} of a class that photos are translated {role}",
                where=where,
                got=f"{found} {noun[0] if found == 1 else noun[1]} of {written(classes)}",
                expected=f"{least} or more (synth.least_groups; below 20 to 50 per class: harm, arXiv:2603.16134)",
                fix="choose other classes with synth.classes or synth.from_classes, or use --force",
            )
