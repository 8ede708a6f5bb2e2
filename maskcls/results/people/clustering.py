"""Which rows are of the same person, found from descriptors alone after learning from people who are known.

N rows (photos), D numbers a descriptor, K axes, P people. Names of people teach and judge; they never group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Ints
from maskcls.results.scores.metrics import Doubles

AXES = 100  # at most; and at most half of the rows that tell how photos of one person differ
LEAST_NOISE = 1e-4  # of an axis' variance: less than that is not believed to be the same for all people
THRESHOLDS = 65  # tried, at quantiles of the merges' log-odds
AS_GOOD = 1e-3  # of pair F1; the strictest such threshold is taken
ROWS_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Metric:
    """Axes on which photos of one person scatter by 1, and people by `ratio_K`, both as variances.

    mean_D   of the rows it was learned from.
    axes_DK  their columns are the axes.
    ratio_K  above 0, descending: how much wider people are apart than photos of one person.
    """

    mean_D: Doubles
    axes_DK: Doubles
    ratio_K: Doubles

    def place(self, descriptor_ND: NDArray[Any]) -> Doubles:
        """Return where descriptors (N, D) lie on the axes, (N, K)."""
        placed_NK: Doubles = (np.asarray(descriptor_ND, dtype=np.float64) - self.mean_D) @ self.axes_DK
        return placed_NK

    def log_odds(self, a_NK: Doubles, b_MK: Doubles) -> Doubles:
        """Return log(chance of the two if of one person / chance if of two), in nats, for every pair, (N, M).

        Reference: Ioffe 2006, Probabilistic linear discriminant analysis, ECCV; in the two-covariance form.

        Axes are taken as independent and normal. Descriptors are not quite, so the zero has to be found by trying.
        """
        ratio_K = self.ratio_K
        total_K, both_K = 1 + ratio_K, 1 + 2 * ratio_K  # of one photo; determinant of two photos of one person
        constant = float((np.log(total_K) - np.log(both_K) / 2).sum())
        own_K, shared_K = ratio_K**2 / (2 * total_K * both_K), ratio_K / both_K
        own_N, own_M = a_NK**2 @ own_K, b_MK**2 @ own_K
        odds_NM: Doubles = (a_NK * shared_K) @ b_MK.T + constant - own_N[:, np.newaxis] - own_M
        return odds_NM


@dataclass(frozen=True, eq=False)
class Tree:
    """Which rows join which, one merge after the other, and the mean log-odds of the pairs each merge brings together.

    merges  (N - 1, 4) as scipy's `linkage` has it.
    odds    (N - 1,), descending.
    """

    merges: Doubles
    odds: Doubles


@dataclass(frozen=True, eq=False)
class Grouper:
    """What was learned from known people: how to compare, from where on two groups are one person, and how many photos
    a person has at most."""

    metric: Metric
    threshold: float
    most: int

    def groups(self, descriptor_ND: NDArray[Any]) -> Ints:
        """Return the group (N,) of each row, 0 and up in the order of first rows; see `cut`."""
        return cut(tree(self.metric, descriptor_ND), self.threshold, self.most)


@dataclass(frozen=True)
class PairQuality:
    """How groups agree with people, over pairs of rows; shares in [0, 1].

    precision  of the pairs in one group, how many are of one person; 1 without such pairs.
    recall     of the pairs of one person, how many are in one group; 1 without such pairs.
    mean_size  rows a group.
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
class Learned:
    """What `learn` gives: a grouper from all people, and what groupers from other people do with these.

    group_N  (N,) the group of each row, by look alone: comparison and threshold are from other parts' people.
    quality  of group_N.
    """

    grouper: Grouper
    group_N: Ints
    quality: PairQuality


def learn(descriptor_ND: NDArray[Any], person_N: Sequence[str] | NDArray[Any], part_N: Ints) -> Learned:
    """Learn to group from known people, and judge it on people it was not learned from.

    For each part a metric is learned from the other parts' people, and the part's rows are merged by it. A part is
    then cut at the threshold that the other parts' trees ask for, the final one is what all of them ask for.

    descriptor_ND  float.
    person_N       who is on each row; text or whole numbers.
    part_N         int, two or more different; a person's rows share one. As many rows a part as will be grouped later
                   make an honest judge: the more people, the more look alike.

    Raises ValueError where parts break up people, or the other parts' people do not suffice for a metric.
    """
    who_N = np.unique(np.asarray(person_N), return_inverse=True)[1]
    rows_of = {part: np.flatnonzero(part_N == part) for part in np.unique(part_N).tolist()}
    if len(rows_of) < 2 or len(np.unique(np.stack([who_N, part_N]), axis=1).T) != len(np.unique(who_N)):
        raise ValueError("there must be two parts or more, and no person in two of them")
    most = int(np.bincount(who_N).max())
    trees = {}
    for part, rows in rows_of.items():
        others = np.flatnonzero(part_N != part)
        trees[part] = tree(fit_metric(descriptor_ND[others], who_N[others]), descriptor_ND[rows])
    judged = {part: (one, who_N[rows_of[part]]) for part, one in trees.items()}
    group_N = np.empty(len(who_N), dtype=np.int64)
    start = 0
    for part, rows in rows_of.items():
        threshold = best_threshold([pair for other, pair in judged.items() if other != part], most)
        group_N[rows] = start + cut(trees[part], threshold, most)
        start = int(group_N[rows].max()) + 1
    grouper = Grouper(fit_metric(descriptor_ND, who_N), best_threshold(list(judged.values()), most), most)
    return Learned(grouper, _in_order(group_N), pair_quality(group_N, who_N))


def fit_metric(descriptor_ND: NDArray[Any], person_N: NDArray[Any]) -> Metric:
    """Find the axes on which people differ and photos of one person do not, and how much so.

    The leading principal components are whitened, then turned so that the scatter within people is 1 on all axes and
    that between people is independent (discriminant analysis).

    descriptor_ND  (N, D) float.
    person_N       (N,) who is on each row.

    Raises ValueError unless two people differ and four photos more than people tell how photos of one do.
    """
    who_N = np.unique(person_N, return_inverse=True)[1]
    photos_P = np.bincount(who_N)
    spare = len(who_N) - len(photos_P)
    if len(photos_P) < 2 or spare < 4:
        raise ValueError(f"{len(who_N)} rows of {len(photos_P)} people do not tell one person from another")
    descriptor_ND = np.asarray(descriptor_ND, dtype=np.float64)
    mean_D = descriptor_ND.mean(axis=0)
    white_DK = _whitening(descriptor_ND - mean_D, min(AXES, spare // 2))
    white_NK = (descriptor_ND - mean_D) @ white_DK
    centre_PK = _sums(white_NK, who_N) / photos_P[:, np.newaxis]
    inner_NK = white_NK - centre_PK[who_N]
    within_KK = inner_NK.T @ inner_NK / spare + LEAST_NOISE * np.eye(white_DK.shape[1])
    # The mean of few photos scatters by itself, which is no difference between people.
    between_KK = centre_PK.T @ centre_PK / len(photos_P) - within_KK * (1 / photos_P).mean()
    return _turned(mean_D, white_DK, within_KK, between_KK)


def tree(metric: Metric, descriptor_ND: NDArray[Any]) -> Tree:
    """Merge rows step by step, always the two groups whose pairs have the highest mean log-odds (average linkage).

    Reference: Sokal and Michener 1958, University of Kansas Science Bulletin 38; Müllner 2011, arXiv:1109.2378.

    Time and memory grow with N squared: 12,600 rows take some 20 s and 1.5 GB. No person's name is asked.
    """
    from scipy.cluster.hierarchy import linkage

    placed_NK = metric.place(descriptor_ND)
    if len(placed_NK) < 2:
        return Tree(np.empty((0, 4)), np.empty(0))
    distance = -_pairs(metric, placed_NK)
    lowest = float(distance.min())
    distance -= lowest  # scipy wants distances of at least 0, and the mean of shifted ones is the shifted mean
    merges: Doubles = linkage(distance, "average")
    return Tree(merges, -(merges[:, 2] + lowest))


def cut(tree: Tree, threshold: float, most: int) -> Ints:
    """Return the largest groups of the tree made by merges of at least this log-odds and of at most `most` rows, (N,).

    Groups are numbered 0 and up in the order of their first rows.
    """
    from scipy.cluster.hierarchy import fcluster

    if not len(tree.merges):
        return np.zeros(1, dtype=np.int64)
    cost = np.where(tree.merges[:, 3] <= most, -tree.odds, np.inf)
    return _in_order(fcluster(tree.merges, -threshold, "monocrit", monocrit=cost))


def best_threshold(judged: Sequence[tuple[Tree, Ints]], most: int) -> float:
    """Return the log-odds to cut trees at: of the best pair F1 over all their rows, or the strictest about as good.

    judged  each tree with who is on its rows.
    """
    tried = np.unique(np.quantile(np.concatenate([tree.odds for tree, _ in judged]), np.linspace(0, 1, THRESHOLDS)))
    scores = [_pooled_f1([_pair_counts(cut(tree, odds, most), who_N) for tree, who_N in judged]) for odds in tried]
    return float(tried[np.flatnonzero(np.array(scores) >= max(scores) - AS_GOOD)[-1]])


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
    """Return what turns rows into their leading principal components, each of variance 1, (D, K)."""
    value_D, vector_DD = np.linalg.eigh(centred_ND.T @ centred_ND / len(centred_ND))
    value_K, vector_DK = value_D[::-1][:axes], vector_DD[:, ::-1][:, :axes]
    there_K = value_K > max(float(value_K[0]), 1e-12) * 1e-10
    if not there_K.any():
        raise ValueError("all rows look the same")
    white_DK: Doubles = vector_DK[:, there_K] / np.sqrt(value_K[there_K])
    return white_DK


def _turned(mean_D: Doubles, white_DK: Doubles, within_KK: Doubles, between_KK: Doubles) -> Metric:
    from scipy.linalg import eigh

    ratio_K, vector_KK = eigh(between_KK, within_KK)
    apart = np.flatnonzero(ratio_K > 0)[::-1]
    if not len(apart):
        raise ValueError("people differ no more than photos of one person do")
    return Metric(mean_D, white_DK @ vector_KK[:, apart], ratio_K[apart])


def _pairs(metric: Metric, placed_NK: Doubles) -> Doubles:
    """Return the log-odds of all pairs in the order of scipy's condensed distances, (N (N - 1) / 2,)."""
    rows = len(placed_NK)
    odds = np.empty(rows * (rows - 1) // 2)
    end = 0
    for start in range(0, rows, ROWS_AT_ONCE):
        block = metric.log_odds(placed_NK[start : start + ROWS_AT_ONCE], placed_NK[start:])
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
