"""Person clustering: group photos of the same person by their descriptors, with a metric fitted on known people.

N rows (photos), D numbers per descriptor, K axes, P people. People's names are used to fit and to score the clustering,
never to group the rows they name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Ints
from maskcls.results.scores.metrics import Doubles

AXES = 100  # at most, and at most half of the photos beyond one per person
LEAST_NOISE = 1e-4  # added to the variance within people, as a share of an axis' variance
THRESHOLDS = 65  # candidates, at quantiles of the merges' log-odds
TOLERANCE = 1e-3  # below the best pair F1; the highest threshold within it is taken
ROWS_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Metric:
    """A two-covariance model: on each axis photos of one person have variance 1, and people have variance `ratio_K`.

    mean_D   (D,) float64, mean of the rows it was fitted on.
    axes_DK  (D, K) float64, an axis per column.
    ratio_K  (K,) float64, above 0, descending: variance between people over variance within a person.
    """

    mean_D: Doubles
    axes_DK: Doubles
    ratio_K: Doubles

    def project(self, descriptor_ND: NDArray[Any]) -> Doubles:
        """Return the coordinates (N, K) float64 of descriptors (N, D) on the axes."""
        axis_NK: Doubles = (np.asarray(descriptor_ND, dtype=np.float64) - self.mean_D) @ self.axes_DK
        return axis_NK

    def log_odds(self, a_NK: Doubles, b_MK: Doubles) -> Doubles:
        """Return log(p(pair | one person) / p(pair | two people)) in nats for every pair, (N, M) float64.

        Reference: Ioffe 2006, Probabilistic linear discriminant analysis, ECCV; in the two-covariance form.

        Axes are assumed independent and normal. Descriptors are only roughly so, hence the threshold is tuned.
        """
        ratio_K = self.ratio_K
        total_K, both_K = (
            1 + ratio_K,
            1 + 2 * ratio_K,
        )  # variances of one photo, and determinants of two photos of one person
        constant = float((np.log(total_K) - np.log(both_K) / 2).sum())
        own_K, shared_K = ratio_K**2 / (2 * total_K * both_K), ratio_K / both_K
        own_N, own_M = a_NK**2 @ own_K, b_MK**2 @ own_K
        odds_NM: Doubles = (a_NK * shared_K) @ b_MK.T + constant - own_N[:, np.newaxis] - own_M
        return odds_NM


@dataclass(frozen=True, eq=False)
class MergeTree:
    """The merges of an average-linkage clustering, in order.

    merges  (N - 1, 4) in the form of scipy's `linkage`.
    odds    (N - 1,) mean log-odds of the pairs that each merge joins, descending.
    """

    merges: Doubles
    odds: Doubles


@dataclass(frozen=True, eq=False)
class PersonClusterer:
    """A fitted clustering: the metric, the log-odds from which two groups are merged, and the largest group."""

    metric: Metric
    threshold: float
    max_photos: int

    def groups(self, descriptor_ND: NDArray[Any]) -> Ints:
        """Return the group (N,) int64 of each row, from 0 in the order of first rows; see `cut_tree`."""
        return cut_tree(merge_tree(self.metric, descriptor_ND), self.threshold, self.max_photos)


@dataclass(frozen=True)
class PairQuality:
    """How groups agree with people, over pairs of rows; shares in [0, 1].

    precision  share of the pairs in one group that show one person; 1 without such pairs.
    recall     share of the pairs of one person that are in one group; 1 without such pairs.
    mean_size  rows per group.
    """

    precision: float
    recall: float
    rows: int
    groups: int
    people: int
    mean_size: float

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.precision * self.recall / max(self.precision + self.recall, 1e-12)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {**asdict(self), "f1": self.f1}


@dataclass(frozen=True, eq=False)
class PersonClustering:
    """What `fit_clustering` returns: a clusterer fitted on all people, and cross-fitted groups of the same rows.

    group_N  (N,) int64, the group of each row. Its metric comes from the other parts' people. Its threshold is the best
             one for the other parts' trees, and those trees were merged by metrics to which this part's people
             contributed: the names of a row's person do have that small influence on one number.
    quality  of group_N, so an estimate for new people, in a set as large as a part. In simulations it is not too high:
             precision 0.82 where new people, in sets of that size, have 0.84 (`benchmarks/honesty/groups.py`).
    """

    clusterer: PersonClusterer
    group_N: Ints
    quality: PairQuality


def fit_clustering(
    descriptor_ND: NDArray[Any], person_N: Sequence[str] | NDArray[Any], part_N: Ints
) -> PersonClustering:
    """Fit a person clustering on known people, and measure its quality on held-out people.

    For each part a metric is fitted on the other parts' people, and the part's rows are merged by it. A part's tree is
    cut at the threshold that is best for the other parts' trees, which were merged by metrics of all parts but their
    own; the final threshold is the best for all trees. The largest number of photos of a person counts over all parts.

    descriptor_ND  (N, D) float.
    person_N       (N,) the person on each row; text or whole numbers.
    part_N         (N,) int, at least two different values; all rows of a person are in one part. The quality is
                   that of sets as large as a part: among more people, more look similar; see `pair_rates`.

    Raises ValueError when a person is in two parts, or the other parts' people do not suffice for a metric.
    """
    who_N = np.unique(np.asarray(person_N), return_inverse=True)[1]
    rows_of = {part: np.flatnonzero(part_N == part) for part in np.unique(part_N).tolist()}
    if len(rows_of) < 2 or len(np.unique(np.stack([who_N, part_N]), axis=1).T) != len(np.unique(who_N)):
        raise ValueError("there must be two parts or more, and no person in two of them")
    max_photos = int(np.bincount(who_N).max())
    trees = {}
    for part, rows in rows_of.items():
        others = np.flatnonzero(part_N != part)
        trees[part] = merge_tree(fit_metric(descriptor_ND[others], who_N[others]), descriptor_ND[rows])
    known = {part: (one, who_N[rows_of[part]]) for part, one in trees.items()}
    group_N = np.empty(len(who_N), dtype=np.int64)
    start = 0
    for part, rows in rows_of.items():
        threshold = best_threshold([pair for other, pair in known.items() if other != part], max_photos)
        group_N[rows] = start + cut_tree(trees[part], threshold, max_photos)
        start = int(group_N[rows].max()) + 1
    clusterer = PersonClusterer(
        fit_metric(descriptor_ND, who_N), best_threshold(list(known.values()), max_photos), max_photos
    )
    return PersonClustering(clusterer, _in_order(group_N), pair_quality(group_N, who_N))


def fit_metric(descriptor_ND: NDArray[Any], person_N: NDArray[Any]) -> Metric:
    """Fit the axes on which people differ more than photos of one person do.

    The leading principal components are whitened, then rotated so that the covariance within people is the identity and
    that between people is diagonal (linear discriminant analysis; Fisher 1936, Annals of Eugenics 7).

    descriptor_ND  (N, D) float.
    person_N       (N,) the person on each row.

    Raises ValueError for fewer than two people, fewer than four photos more than people, or people that do not differ.
    """
    who_N = np.unique(person_N, return_inverse=True)[1]
    photos_P = np.bincount(who_N)
    spare = len(who_N) - len(photos_P)
    if len(photos_P) < 2 or spare < 4:
        raise ValueError(f"{len(who_N)} rows of {len(photos_P)} people are too few to recognise a person")
    descriptor_ND = np.asarray(descriptor_ND, dtype=np.float64)
    mean_D = descriptor_ND.mean(axis=0)
    white_DK = _whitening(descriptor_ND - mean_D, min(AXES, spare // 2))
    white_NK = (descriptor_ND - mean_D) @ white_DK
    centre_PK = _sums(white_NK, who_N) / photos_P[:, np.newaxis]
    inner_NK = white_NK - centre_PK[who_N]
    within_KK = inner_NK.T @ inner_NK / spare + LEAST_NOISE * np.eye(white_DK.shape[1])
    # A mean over few photos varies by itself; that part is no difference between people.
    between_KK = centre_PK.T @ centre_PK / len(photos_P) - within_KK * (1 / photos_P).mean()
    return _turned(mean_D, white_DK, within_KK, between_KK)


def merge_tree(metric: Metric, descriptor_ND: NDArray[Any]) -> MergeTree:
    """Merge rows step by step, always the two groups whose pairs have the highest mean log-odds (average linkage).

    Reference: Sokal and Michener 1958, University of Kansas Science Bulletin 38; Müllner 2011, arXiv:1109.2378.

    Time and memory grow with N squared: 12,600 rows take about 20 s and 1.5 GB.
    """
    from scipy.cluster.hierarchy import linkage

    axis_NK = metric.project(descriptor_ND)
    if len(axis_NK) < 2:
        return MergeTree(np.empty((0, 4)), np.empty(0))
    distance = -_pairs(metric, axis_NK)
    lowest = float(distance.min())
    distance -= lowest  # scipy wants distances of at least 0, and the mean of shifted ones is the shifted mean
    merges: Doubles = linkage(distance, "average")
    return MergeTree(merges, -(merges[:, 2] + lowest))


def cut_tree(tree: MergeTree, threshold: float, max_photos: int) -> Ints:
    """Return the group of each row (N,) int64 after all merges of at least this log-odds and at most `max_photos` rows.

    Groups are numbered from 0 in the order of their first rows.
    """
    from scipy.cluster.hierarchy import fcluster

    if not len(tree.merges):
        return np.zeros(1, dtype=np.int64)
    cost = np.where(tree.merges[:, 3] <= max_photos, -tree.odds, np.inf)
    return _in_order(fcluster(tree.merges, -threshold, "monocrit", monocrit=cost))


def best_threshold(known: Sequence[tuple[MergeTree, Ints]], max_photos: int) -> float:
    """Return the highest log-odds threshold whose pair F1, pooled over the trees, is within 0.001 of the best.

    known  each tree with the person number (N,) of its rows.
    """
    tried = np.unique(np.quantile(np.concatenate([tree.odds for tree, _ in known]), np.linspace(0, 1, THRESHOLDS)))
    scores = [
        _pooled_f1([_pair_counts(cut_tree(tree, odds, max_photos), who_N) for tree, who_N in known]) for odds in tried
    ]
    return float(tried[np.flatnonzero(np.array(scores) >= max(scores) - TOLERANCE)[-1]])


def pair_quality(group_N: NDArray[Any], person_N: NDArray[Any]) -> PairQuality:
    """Compare groups with people; raises ValueError for unequal lengths or no rows.

    >>> found = pair_quality(np.array([0, 0, 0, 1, 2]), np.array(["ann", "ann", "bob", "bob", "cy"]))
    >>> found.precision, found.recall, found.groups  # 1 of 3 grouped pairs is of one person, 1 of 2 such is grouped
    (0.3333333333333333, 0.5, 3)
    """
    if len(group_N) != len(person_N) or not len(group_N):
        raise ValueError(f"{len(group_N)} rows have groups, {len(person_N)} have people")
    group_N, who_N = (np.unique(column, return_inverse=True)[1] for column in (group_N, person_N))
    both, grouped, known = _pair_counts(group_N, who_N)
    groups, people = int(group_N.max()) + 1, int(who_N.max()) + 1
    precision, recall = (both / all_ if all_ else 1.0 for all_ in (grouped, known))
    return PairQuality(precision, recall, len(group_N), groups, people, len(group_N) / groups)


def _whitening(centred_ND: Doubles, axes: int) -> Doubles:
    """Return the matrix (D, K) that maps rows to their leading principal components, each of variance 1."""
    value_D, vector_DD = np.linalg.eigh(centred_ND.T @ centred_ND / len(centred_ND))
    value_K, vector_DK = value_D[::-1][:axes], vector_DD[:, ::-1][:, :axes]
    there_K = value_K > max(float(value_K[0]), 1e-12) * 1e-10
    if not there_K.any():
        raise ValueError("all descriptors are equal")
    white_DK: Doubles = vector_DK[:, there_K] / np.sqrt(value_K[there_K])
    return white_DK


def _turned(mean_D: Doubles, white_DK: Doubles, within_KK: Doubles, between_KK: Doubles) -> Metric:
    from scipy.linalg import eigh

    ratio_K, vector_KK = eigh(between_KK, within_KK)
    apart = np.flatnonzero(ratio_K > 0)[::-1]
    if not len(apart):
        raise ValueError("the variance between people is not above that within people")
    return Metric(mean_D, white_DK @ vector_KK[:, apart], ratio_K[apart])


def _pairs(metric: Metric, axis_NK: Doubles) -> Doubles:
    """Return the log-odds of all pairs in the order of scipy's condensed distances, (N (N - 1) / 2,)."""
    rows = len(axis_NK)
    odds = np.empty(rows * (rows - 1) // 2)
    end = 0
    for start in range(0, rows, ROWS_AT_ONCE):
        block = metric.log_odds(axis_NK[start : start + ROWS_AT_ONCE], axis_NK[start:])
        for i, row in enumerate(block, 1):
            odds[end : end + len(row) - i] = row[i:]
            end += len(row) - i
    return odds


def _pair_counts(group_N: Ints, who_N: Ints) -> tuple[int, int, int]:
    """Count pairs of rows: in one group and of one person, in one group, of one person; both numbered from 0."""
    cells = np.unique(group_N * (int(who_N.max()) + 1) + who_N, return_counts=True)[1]
    both, grouped, known = (int((n * (n - 1) // 2).sum()) for n in (cells, np.bincount(group_N), np.bincount(who_N)))
    return both, grouped, known


def _pooled_f1(counts: Sequence[tuple[int, int, int]]) -> float:
    both, grouped, known = np.sum(counts, axis=0)
    return float(2 * both / max(grouped + known, 1))


def _in_order(group_N: NDArray[Any]) -> Ints:
    _, first, inverse = np.unique(group_N, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def _sums(value_NK: Doubles, group_N: Ints) -> Doubles:
    """Return the sum of each group's rows, (G, K)."""
    total_GK: Doubles = np.stack(
        [np.bincount(group_N, weights=column).astype(np.float64) for column in value_NK.T], axis=1
    )
    return total_GK
