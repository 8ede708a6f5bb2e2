"""The samples of one fold: drawn until the quota of each class is full, without copies and without disputed ones.

M samples of one draw, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, assert_never

import numpy as np
import torch
from numpy.typing import NDArray

from maskcls.labels import Bools, Floats, Ints
from maskcls.results.synth.copied_faces import copy_limit, nearest_photos
from maskcls.schema.synth import SynthConfig
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.rows.drawing import SampleSource, draw_samples, most_draws
from maskcls.synth.rows.thumbnails import both_ways, thumbnails

MOST_DRAWS = 10  # per wanted sample; what is not full then stays so
LEAST_DRAW = 16  # samples at once, as a single one costs nearly as much


class Comparer(Protocol):
    """Computes how near images are to each other, and of which joint class they are; see `FoldClassifier`."""

    def features(self, images_MHWC: NDArray[np.uint8], report: Reporter) -> Floats:
        """Return features (M, D) float32."""

    def labels(self, images_MHWC: NDArray[np.uint8]) -> Ints:
        """Return joint classes (M,) int64."""


@dataclass(frozen=True)
class ClassCount:
    """How many samples of one joint class were wanted, made and kept, and left out by each filter."""

    label: int
    wanted: int
    made: int
    kept: int
    copies: int
    disputed: int


@dataclass(frozen=True)
class MadeSet:
    """The samples of one fold, class after class.

    images_NHWC  uint8 RGB, cropped as for the classifier.
    label_N      joint class; parents: row ids of the photos that each was made from.
    """

    images_NHWC: NDArray[np.uint8]
    label_N: tuple[int, ...]
    parents: tuple[tuple[str, ...], ...]
    counts: tuple[ClassCount, ...]


@dataclass(frozen=True)
class NearPhotos:
    """What tells copies of photos of the fold's training people.

    classifier  whose features are compared; None: thumbnails are, of photos and of their mirror images.
    photo_ND  of the photos, as small as the samples are. limit: see `copy_limit`.
    """

    classifier: Comparer | None
    photo_ND: Floats
    limit: float

    def copies(self, images_MHWC: NDArray[np.uint8], report: Reporter) -> Bools:
        """Return which images (M,) are copies."""
        one = self.classifier
        found_MD = thumbnails(images_MHWC) if one is None else one.features(images_MHWC, report)
        copied_M: Bools = nearest_photos(found_MD, self.photo_ND)[0] < self.limit
        return copied_M


@dataclass(frozen=True)
class SampleFilter:
    """What leaves samples out.

    classifier  tells the class of a sample, which has to be the one asked for; None: no class is compared.
    near      tells copies; None: no sample is one.
    """

    classifier: Comparer | None
    near: NearPhotos | None

    def verdicts(self, images_MHWC: NDArray[np.uint8], label: int, report: Reporter) -> tuple[Bools, Bools]:
        """Return which samples (M,) are copies, and which of the others are disputed."""
        copied_M = np.zeros(len(images_MHWC), dtype=bool)
        disputed_M = copied_M.copy()
        if self.near is not None and len(images_MHWC):
            copied_M = self.near.copies(images_MHWC, report)
        if self.classifier is not None and len(images_MHWC):
            disputed_M = (self.classifier.labels(images_MHWC) != label) & ~copied_M
        return copied_M, disputed_M


def filter_of(source: SampleSource, synth: SynthConfig, classifier: Comparer | None, report: Reporter) -> SampleFilter:
    """Return the filter of one fold's samples. Of oversample nothing is left out: its samples are photos, on purpose.

    classifier  of the fold; needed for synth.agree, and for copies among translated photos.
    """
    if synth.kind == "oversample":
        return SampleFilter(None, None)
    agreeing = classifier if synth.agree else None
    return SampleFilter(agreeing, near_photos(source, synth, classifier, report) if synth.copy_quantile else None)


def near_photos(
    source: SampleSource, synth: SynthConfig, classifier: Comparer | None, report: Reporter
) -> NearPhotos | None:
    """Return what tells copies, or None for kinds that copy on purpose.

    A translated photo looks like its parent and has another class, so the classifier's features are compared.
    The photos have the size of the samples, because a small image of a photo has other features than itself.
    """
    images_NHWC, person_N = source.rows.images_NHWC, source.rows.person_N
    match synth.kind:
        case "dcgan" | "wgan-gp":
            photo_ND = both_ways(images_NHWC)
            return NearPhotos(None, photo_ND, copy_limit(photo_ND, np.tile(person_N, 2), synth.copy_quantile))
        case "cyclegan":
            assert classifier is not None, "needs_classifier asks for it"
            photo_ND = classifier.features(images_NHWC, report)
            return NearPhotos(classifier, photo_ND, copy_limit(photo_ND, person_N, synth.copy_quantile))
        case "oversample" | "smote":
            return None
        case _:
            assert_never(synth.kind)


def make_set(
    source: SampleSource, quotas: Mapping[int, int], chosen: SampleFilter, device: torch.device, report: Reporter
) -> MadeSet:
    """Draw samples until the quota {joint class: number} of each class is full, or `most_draws` were drawn.

    The samples kept are the first ones that no filter leaves out, so they do not depend on how many are drawn at once.
    """
    size, ids = source.rows.images_NHWC.shape[1:3], source.rows.ids
    images = [np.empty((0, *size, 3), dtype=np.uint8)]
    labels, parents, counts = list[int](), list[tuple[str, ...]](), list[ClassCount]()
    for label, quota in sorted(quotas.items()):
        limit, made, kept, copies, disputed = most_draws(source, label, quota, MOST_DRAWS), 0, 0, 0, 0
        while kept < quota and made < limit:
            drawn = draw_samples(source, label, made, min(max(LEAST_DRAW, quota - kept), limit - made), device)
            copied_M, disputed_M = chosen.verdicts(drawn.images_MHWC, label, report)
            kept_M = ~copied_M & ~disputed_M
            used = (
                int(np.searchsorted(kept_M.cumsum(), quota - kept)) + 1 if kept_M.sum() >= quota - kept else len(drawn)
            )
            places = np.flatnonzero(kept_M[:used])
            made, kept = made + used, kept + len(places)
            copies, disputed = copies + int(copied_M[:used].sum()), disputed + int(disputed_M[:used].sum())
            images.append(drawn.images_MHWC[places])
            labels += [label] * len(places)
            parents += [tuple(ids[row] for row in drawn.parents_M[place]) for place in places.tolist()]
            report.images(f"samples of {source.rows.space.joint_names[label]}", kept, quota)
        counts.append(ClassCount(label, quota, made, kept, copies, disputed))
    return MadeSet(np.concatenate(images), tuple(labels), tuple(parents), tuple(counts))
