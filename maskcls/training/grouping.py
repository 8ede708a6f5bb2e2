"""Who is on a photo, by look alone: learned from the train people, asked about others; and what comes of it in a run.

N rows (photos), D numbers a descriptor. Only pixels group; torch is not imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from maskcls.data.photos.descriptors import descriptors
from maskcls.data.rows.folds import make_folds
from maskcls.data.rows.manifest import real_rows
from maskcls.errors import ConfigError, DataError, ResourceError, ResultError
from maskcls.labels import Floats, Ints
from maskcls.machine import reading_threads
from maskcls.results.people.clustering import Grouper, Learned, learn
from maskcls.runs.group_averaging import Together, found_groups, shared_tasks
from maskcls.runs.summary import read_summary
from maskcls.show.progress import Reporter

if TYPE_CHECKING:
    from maskcls.training.experiment import Experiment

MOST_PHOTOS = 40_000  # the square of this many distances is 12 GiB
HALVES = 2  # of the train people: as many photos, about, as there are to group


def described(root: Path, paths: Sequence[str], what: str, report: Reporter) -> Floats:
    """Return the photos' descriptors (N, D); what: how the progress calls it. DataError lists unreadable photos."""
    return descriptors(
        root,
        paths,
        threads=reading_threads(None),
        on_progress=lambda done: report.images(what, done, len(paths)),
    )


def learned_from(descriptor_ND: Floats, person: Sequence[str], where: str) -> Learned:
    """Learn who looks like whom, each half of the people judged by what the other half taught.

    Raises DataError, naming `where`, when the photos do not tell one person from another, ResourceError for too many.
    """
    half_N = make_folds(person, np.zeros(len(person), np.int64), k=HALVES).astype(np.int64)
    _check_number(int(np.bincount(half_N).max()))
    try:
        with threadpool_limits(1):  # more threads would sum in another order, and a file of the run be another
            return learn(descriptor_ND, person, half_N)
    except ValueError as error:
        raise DataError(
            "the train photos do not tell one person from another",
            where=where,
            got=f"{len(person)} photos of {len(set(person))} people: {error}",
            expected="several people, each with several photos, that do not all look the same",
            fix="learn from more people",
        ) from None


def compared(grouper: Grouper, descriptor_ND: Floats) -> Ints:
    """Return the groups (N,) of photos by their descriptors; raises ResourceError for too many."""
    _check_number(len(descriptor_ND))
    with threadpool_limits(1):
        return grouper.groups(descriptor_ND)


def _check_number(photos: int) -> None:
    if photos > MOST_PHOTOS:
        raise ResourceError(
            "too many photos to compare each with each",
            got=f"{photos:,} photos, about {photos**2 * 8 / 2**30:.0f} GiB of memory",
            expected=f"at most {MOST_PHOTOS:,} at once",
            fix="set predict.groups=none, or split the photos so that nobody is in two parts",
        )


def with_looks(experiment: Experiment, report: Reporter) -> Experiment:
    """Return the experiment with what its labelled photos teach of looks, where predict.groups asks for it.

    Raises DataError when the photos do not tell people apart.
    """
    if experiment.cfg.predict.groups == "none":
        return experiment
    real = experiment.manifest[real_rows(experiment.manifest)]
    descriptor_ND = described(experiment.photo_root, real["path"].tolist(), "comparing photos", report)
    found = learned_from(descriptor_ND, real["person"].tolist(), str(experiment.data))
    held = found.quality
    report.note(
        f"by look, {held.rows:,} photos are {held.groups:,} people; there are {held.people:,}. Pair precision "
        f"{held.precision:.4f}, recall {held.recall:.4f}"
    )
    return replace(experiment, looks=found)


def photos_together(
    experiment: Experiment, folds: Sequence[int], frame: pd.DataFrame, root: Path, report: Reporter
) -> Together:
    """Return how new photos answer together, by what the run of these folds learned, with the weights of its summary.

    A leaky run has no out-of-fold rows to fit weights on: there all photos of a group say as much. Raises ConfigError
    for a run that learned nothing of looks, ResultError for one that is not finished, DataError for photos that cannot
    be read, ResourceError for too many.
    """
    if experiment.looks is None:
        raise ConfigError(
            "the run has not learned who looks like whom",
            where="predict.groups=look",
            fix="train with predict.groups=look, or find groups with maskcls group and give them with --groups",
        )
    summary = read_summary(experiment.run)
    if summary is None or summary.fold_numbers != list(folds):
        fix = f"maskcls resume {experiment.run.path}"
        raise ResultError("the run is not finished", where=str(experiment.run.summary), fix=fix)
    weights = summary.groups.weights if summary.groups else None
    group_N = compared(experiment.looks.grouper, described(root, frame["path"].tolist(), "comparing photos", report))
    report.note(f"by look, {len(group_N):,} photos are {len(np.unique(group_N)):,} people")
    tasks = shared_tasks(experiment.manifest, experiment.cfg.space, where=str(experiment.run.manifest))
    return Together(photos=found_groups(group_N), tasks=tasks, weights=weights)
