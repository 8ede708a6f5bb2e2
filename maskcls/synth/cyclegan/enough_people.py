"""Refuse a CycleGAN before anything is trained: of a source that few people have, or without equal other labels.

N rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from maskcls.errors import DataError
from maskcls.groupnouns import Noun
from maskcls.labels import Ints
from maskcls.schema.group_noun import group_noun
from maskcls.synth.class_words import classes_in_words
from maskcls.synth.cyclegan.domains import Domains, default_source
from maskcls.synth.cyclegan.pairs import pair_source
from maskcls.synth.loop.all_folds import FEW_SOURCE, generator_title
from maskcls.synth.loop.synth_rows import generator_rows, rarest_class
from maskcls.training.experiment import Experiment


def check_translations(experiment: Experiment, folds: Iterable[int], *, forced: bool) -> None:
    """Check the rows of the generators of these folds, REFIT among them; no photo is read.

    forced  accept fewer people than synth.least_groups.

    Raises DataError when too few people have the class that is translated from, and when no photos of both classes have
    the same labels in the other tasks.
    """
    cfg = experiment.cfg
    for k in folds:
        row_N = generator_rows(experiment, k)
        labels = {name: label_N[row_N] for name, label_N in experiment.labels.items()}
        person_N = experiment.people[row_N]
        target = cfg.synth.classes or rarest_class(labels, person_N, cfg.space)
        source = cfg.synth.from_classes or default_source(labels, person_N, target, cfg.space)
        domains = Domains(source, target, cfg.space)
        if not forced:
            least, noun = cfg.synth.least_groups, group_noun(cfg)
            refuse_few_people(domains, labels, person_N, least=least, noun=noun, where=generator_title(k))
        pair_source(*domains.rows(labels), domains.kept_key(labels), person_N, domains)


def refuse_few_people(
    domains: Domains, labels: Mapping[str, Ints], person_N: Ints, *, least: int, noun: Noun, where: str
) -> None:
    """Raise DataError when fewer than `least` people have a photo that can be translated.

    Those of the target are counted with every kind of generator, see `loop.all_folds.refuse_few`.

    noun   what people are called. where: whose rows these are.
    """
    source_N, _ = domains.rows(labels)
    found = len(np.unique(person_N[source_N]))
    if found < least:
        raise DataError(
            f"too few {noun[1]} of the class that photos are translated from ({FEW_SOURCE})",
            where=where,
            got=f"{found} {noun[0] if found == 1 else noun[1]} of {classes_in_words(domains.source)}",
            expected=f"at least {least} (synth.least_groups)",
            fix="choose another class with synth.from_classes; --force trains all the same",
        )
