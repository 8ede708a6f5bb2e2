"""Person clustering in a training: fit it on the photos of known people, and group new photos with it.

N rows (photos), D numbers per descriptor. Photos are grouped by their pixels alone; torch is not imported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from maskcls.data.photos.descriptors import descriptors
from maskcls.data.rows.folds import make_folds
from maskcls.data.rows.manifest import real_rows
from maskcls.errors import ConfigError, DataError, ResourceError, ResultError, shell_word
from maskcls.groupnouns import PEOPLE, Noun
from maskcls.labels import Floats, Ints
from maskcls.machine import reading_threads
from maskcls.results.people.clustering import PersonClusterer, PersonClustering, fit_clustering
from maskcls.results.people.pair_rates import PARTS, PairRates
from maskcls.rundir import RunDir
from maskcls.runs.group_averaging import GroupAveraging, groups_of, shared_tasks
from maskcls.runs.summary import GroupGain, read_summary
from maskcls.schema.group_noun import group_noun
from maskcls.show.terminal.progress import Reporter

if TYPE_CHECKING:
    from maskcls.training.experiment import Experiment

MAX_PHOTOS = 40_000  # their pairwise distances take 12 GiB


def describe_photos(
    root: Path,
    paths: Sequence[str],
    what: str,
    report: Reporter,
    on_file: Callable[[int, bytes], object] = lambda row, data: None,
) -> Floats:
    """Return the photos' descriptors (N, D) float32; DataError lists all photos that cannot be read.

    what     name of this step in the progress.
    on_file  see `descriptors`.
    """
    return descriptors(
        root,
        paths,
        threads=reading_threads(None),
        on_progress=lambda done: report.images(what, done, len(paths)),
        on_file=on_file,
    )


def fit_person_clustering(
    descriptor_ND: Floats, person: Sequence[str], where: str, noun: Noun = PEOPLE
) -> PersonClustering:
    """Fit a person clustering; its quality is measured on each half of the people with the other half's fit.

    descriptor_ND  (N, D) float.
    person         N names, of what `noun` calls them.

    Raises DataError, naming `where`, when the photos do not suffice to recognise people, ResourceError for too many.
    """
    half_N = make_folds(person, np.zeros(len(person), np.int64), k=PARTS).astype(np.int64)
    _check_number(int(np.bincount(half_N).max()))
    try:
        with threadpool_limits(1):  # more threads add in another order, and the run's file would have other bytes
            return fit_clustering(descriptor_ND, person, half_N)
    except ValueError as error:
        many = noun[1]
        raise DataError(
            f"the train photos do not suffice to recognise {many}",
            where=where,
            got=f"{len(person)} photos of {len(set(person))} {many}: {error}",
            expected=f"several {many} with several photos each, and photos that are not all equal",
            fix=f"use train photos of more {many}",
        ) from None


def pair_rates(clustering: PersonClustering) -> PairRates:
    """Return how many pairs of photos were grouped rightly and wrongly, in each half of the train people."""
    return PairRates.of(clustering.group_N, clustering.quality.precision, len(clustering.group_N) / PARTS)


def group_photos(clusterer: PersonClusterer, descriptor_ND: Floats) -> Ints:
    """Return the group (N,) int64 of each photo by its descriptor (N, D); raises ResourceError for too many photos."""
    _check_number(len(descriptor_ND))
    with threadpool_limits(1):
        return clusterer.groups(descriptor_ND)


def _check_number(photos: int) -> None:
    if photos > MAX_PHOTOS:
        raise ResourceError(
            "too many photos to compare all pairs",
            got=f"{photos:,} photos, about {photos**2 * 8 / 2**30:.0f} GiB of memory",
            expected=f"at most {MAX_PHOTOS:,} photos",
            fix="split the photos so that no person is in two parts, or train with predict.groups=none",
        )


def with_person_clustering(experiment: Experiment, report: Reporter) -> Experiment:
    """Return the experiment with a person clustering of its labelled photos, if predict.groups=look.

    Raises DataError when the photos do not suffice to recognise people.
    """
    if experiment.cfg.predict.groups == "none":
        return experiment
    noun = group_noun(experiment.cfg)
    real = experiment.manifest[real_rows(experiment.manifest)]
    descriptor_ND = describe_photos(experiment.photo_root, real["path"].tolist(), "comparing photos", report)
    with report.busy("learning which photos are similar"):
        found = fit_person_clustering(descriptor_ND, real["person"].tolist(), str(experiment.data), noun)
    held = found.quality
    report.note(f"person clustering: {held.rows:,} photos of {held.people:,} {noun[1]} in {held.groups:,} groups")
    return replace(experiment, person_clustering=found)


def averaging_for(
    experiment: Experiment, folds: Sequence[int], frame: pd.DataFrame, root: Path, report: Reporter
) -> GroupAveraging:
    """Return how to average new photos, grouped by the run's person clustering, with the weights in its summary.

    Photos are not averaged, and a note says why, where the run's out-of-fold rows proved no gain (a leaky run has no
    such rows), and where none is expected among these photos: the more there are, the more people look similar.

    frame  the photos, with the column path relative to root.

    Raises ConfigError for a run without a person clustering, ResultError for a run that is not finished, DataError for
    photos that cannot be read, ResourceError for too many.
    """
    clustering = experiment.person_clustering
    if clustering is None:
        raise ConfigError(
            "the run has no person clustering",
            where="predict.groups=look",
            fix="train with predict.groups=look, or make groups with maskcls group: maskcls predict … --groups FILE",
        )
    summary = read_summary(experiment.run)
    if summary is None or summary.fold_numbers != list(folds):
        fix = f"maskcls resume {shell_word(experiment.run.path)}"
        raise ResultError("the run is not finished", where=str(experiment.run.summary), fix=fix)
    if summary.groups is None or not summary.groups.averaged:
        what = "photos are not averaged in groups: the run's out-of-fold rows prove no gain"
        report.note(f"{experiment.run.path}: {what}")
        return GroupAveraging()
    described_ND = describe_photos(root, frame["path"].tolist(), "comparing photos", report)
    group_N = group_photos(clustering.clusterer, described_ND)
    found = f"person clustering: {len(group_N):,} photos in {len(np.unique(group_N)):,} groups"
    report.note(f"{experiment.run.path}: {found}")
    if not _expected_to_help(experiment.run, summary.groups, pair_rates(clustering).precision_of(group_N), report):
        return GroupAveraging()
    tasks = shared_tasks(experiment.manifest, experiment.cfg.space, where=str(experiment.run.manifest))
    return GroupAveraging(photos=groups_of(group_N), tasks=tasks, weights=summary.groups.weights)


def _expected_to_help(run: RunDir, groups: GroupGain, precision: float, report: Reporter) -> bool:
    """Tell, and note, whether a gain is expected at this pair precision; True for a run that did not measure it."""
    among = f"expected pair precision among these photos {precision:.4f}"
    if groups.measured is None:
        fix = f"to measure it again, remove {run.summary} and type maskcls resume {shell_word(run.path)}"
        report.note(f"{run.path}: {among}; the run is of an earlier version, whose gain can be too high; {fix}")
        return True
    expected = groups.measured.among(precision)
    text = f"{among}, gain {expected.value:+.4f}, 95 % interval from {expected.low:+.4f}"
    what = "" if expected.proven else "photos are not averaged in groups, because no gain is proven: "
    report.note(f"{run.path}: {what}{text}")
    return expected.proven
