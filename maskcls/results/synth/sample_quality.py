"""How near samples of a generator are to photos of the same class, by embeddings. It does not say whether they help.

M photos, N samples, D features. Distances between generated and real images do not predict how much samples help in
training (Ravuri and Vinyals 2019, arXiv:1905.10887); the verdict of `maskcls synth judge` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Ints
from maskcls.results.shift.two_sample import TwoSample, two_sample_test
from maskcls.results.synth.copied_faces import nearest_photos, to_other_people
from maskcls.results.synth.kernel_distance import KernelDistance, kernel_distance
from maskcls.results.synth.manifold import Coverage, coverage


@dataclass(frozen=True)
class EmbeddingComparison:
    """Two sets of embeddings compared; a part is None where a set has too few people for it."""

    distance: KernelDistance | None
    coverage: Coverage | None
    two_sample: TwoSample | None

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "kernel_distance": self.distance and self.distance.to_json(),
            "coverage": self.coverage and self.coverage.to_json(),
            "two_sample": self.two_sample and self.two_sample.to_json(),
        }


@dataclass(frozen=True, eq=False)
class SampleQuality:
    """The quality of the samples of one set.

    samples, photos, people  numbers of samples, of photos of the same classes, and of their people.
    found        samples compared with photos.
    among_photos photos of one half of the people compared with those of the other: what perfect samples would reach.
    nearest_N    (N,) int64, the photo that is nearest to each sample.
    closeness_N  (N,) float64, the distance to it, divided by the median distance of a photo to the nearest photo of
                 another person: near 0 for a copy.
    """

    samples: int
    photos: int
    people: int
    found: EmbeddingComparison
    among_photos: EmbeddingComparison
    nearest_N: Ints
    closeness_N: NDArray[np.float64]

    def to_json(self) -> dict[str, Any]:
        """Return plain data, without the rows."""
        return {
            "samples": self.samples,
            "photos": self.photos,
            "people": self.people,
            "samples_and_photos": self.found.to_json(),
            "halves_of_the_photos": self.among_photos.to_json(),
            "median_closeness": float(np.median(self.closeness_N)),
        }


def sample_quality(
    photo_MD: NDArray[Any], person_M: Ints, sample_ND: NDArray[Any], parent_N: Ints, *, seed: int
) -> SampleQuality:
    """Compare samples with photos of the same classes.

    photo_MD, sample_ND  (M, D) and (N, D) float, embeddings of one network; at least one row each.
    person_M   (M,) int64, a number per person.
    parent_N   (N,) int64, the person of the photo from which a sample was made; -1: nobody.
    seed       of the halves of the people and of the two-sample test.

    Raises ValueError for parts without rows.
    """
    if not len(photo_MD) or not len(sample_ND):
        raise ValueError(f"{len(sample_ND)} samples and {len(photo_MD)} photos cannot be compared")
    who_P = np.unique(person_M)
    half = np.random.default_rng(seed).permutation(who_P)[: len(who_P) // 2]
    first_M = np.isin(person_M, half)
    distance_N, nearest_N = nearest_photos(sample_ND, photo_MD)
    usual = float(np.median(to_other_people(photo_MD, person_M)))
    return SampleQuality(
        len(sample_ND),
        len(photo_MD),
        len(who_P),
        compare_embeddings(photo_MD, person_M, sample_ND, sample_people(person_M, parent_N), seed=seed),
        compare_embeddings(photo_MD[first_M], person_M[first_M], photo_MD[~first_M], person_M[~first_M], seed=seed),
        nearest_N,
        distance_N / usual if usual > 0 else np.full(len(distance_N), np.nan),
    )


def sample_people(person_M: Ints, parent_N: Ints) -> Ints:
    """Return a person number (N,) for every sample: its parent's, or one of its own that no photo has.

    >>> sample_people(np.array([3, 7]), np.array([5, -1, -1])).tolist()
    [5, 8, 9]
    """
    free = int(max(person_M.max(initial=-1), parent_N.max(initial=-1))) + 1
    alone_N = parent_N < 0
    return np.where(alone_N, free + np.cumsum(alone_N) - 1, parent_N).astype(np.int64)


def compare_embeddings(
    first_MD: NDArray[Any], person_M: Ints, second_ND: NDArray[Any], person_N: Ints, *, seed: int
) -> EmbeddingComparison:
    """Compare two sets of embeddings; arguments as those of `kernel_distance`."""
    enough = min(len(first_MD), len(second_ND)) >= 2
    both_ND = np.concatenate([first_MD, second_ND])
    second_B = np.arange(len(both_ND)) >= len(first_MD)
    # A person in both parts would be recognised: the test is about the images, not about who they show.
    apart = not np.isin(person_N, person_M).any()
    return EmbeddingComparison(
        kernel_distance(first_MD, second_ND, person_M, person_N) if enough else None,
        coverage(first_MD, second_ND, person_M, person_N) if enough else None,
        two_sample_test(both_ND, second_B, np.concatenate([person_M, person_N]), seed=seed)
        if apart and enough
        else None,
    )
