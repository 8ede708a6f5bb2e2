"""The report about the samples of one set, from embeddings of its samples and of photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Floats, Ints, LabelSpace
from maskcls.results.added.added_set import AddedSet
from maskcls.results.synth.sample_quality import SampleQuality, sample_quality
from maskcls.show.synth.sample_report import Neighbour, SetReport
from maskcls.synth.embedded.frozen_features import FeatureRows

SHOWN = 24  # pairs of a sample and its nearest photo: half of them the closest ones


def report_about_set(
    fold: int,
    samples: AddedSet,
    sample_ND: Floats,
    photos: FeatureRows,
    path_of: Mapping[str, str],
    parents: Mapping[str, Sequence[str]],
    space: LabelSpace,
    *,
    seed: int,
    sheets: Sequence[tuple[int, NDArray[np.uint8]]] = (),
    strips: NDArray[np.uint8] | None = None,
) -> SetReport:
    """Compare the samples of a set with the photos of the same joint classes.

    sample_ND  (N, D) embeddings of the samples; photos: those the set's generator was trained on.
    path_of    {id: path} of the photos. parents: {id of a sample: ids of the photos it was made from}.
    seed       of the halves of the people.
    """
    joint_N = space.encode(dict(samples.labels))
    like_n = np.isin(space.encode(photos.labels), joint_N)
    if not len(samples) or not like_n.any():
        return SetReport(fold, None, (), tuple(sheets), strips)
    ids_n, person_n = photos.ids[like_n], photos.person_n[like_n]
    found = sample_quality(
        photos.feature_nD[like_n], person_n, sample_ND, _parent_people(samples, parents, photos), seed=seed
    )
    neighbours = tuple(
        Neighbour(str(samples.paths[row]), path_of[str(ids_n[found.nearest_N[row]])], float(found.closeness_N[row]))
        for row in shown_samples(found)
    )
    return SetReport(fold, found, neighbours, tuple(sheets), strips)


def shown_samples(found: SampleQuality) -> list[int]:
    """Return the samples that a page shows, the closest first: the closest ones, and others evenly over the rest."""
    order = np.argsort(found.closeness_N, kind="stable")
    if len(order) <= SHOWN:
        return [int(row) for row in order]
    others = np.linspace(SHOWN // 2, len(order) - 1, SHOWN - SHOWN // 2).round().astype(np.int64)
    return [int(row) for row in (*order[: SHOWN // 2], *order[others])]


def _parent_people(samples: AddedSet, parents: Mapping[str, Sequence[str]], photos: FeatureRows) -> Ints:
    """Return the person (N,) of each sample's first parent, -1 for a sample without one."""
    person_of = dict(zip(photos.ids.tolist(), photos.person_n.tolist(), strict=True))
    first = [next(iter(parents.get(one, ())), None) for one in samples.ids.tolist()]
    return np.array([-1 if one is None else person_of.get(one, -1) for one in first], dtype=np.int64)
