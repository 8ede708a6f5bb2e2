"""Deal people into folds anew, so that as few as possible meet again those they shared a fold with.

P people, k folds, E earlier assignments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np

from maskcls.labels import Ints


def deal_anew(order: Sequence[str], stratum: Mapping[str, int], before: Sequence[Mapping[str, int]], k: int) -> Ints:
    """Return the fold (P,) int64, 0..k-1, of each person of `order`.

    order    everybody's names, one stratum after the other; within a stratum the order breaks ties.
    before   the folds that each person had in E earlier assignments, at least one.

    The counts of a stratum, and of all people, differ by at most one between folds, as if people were dealt in turn.
    Within a stratum, people of one earlier fold are taken k at a time, one for each fold. Of the ways to do this the
    one is taken in which the fewest meet people with whom they shared a fold before (the assignment problem), given
    those that were dealt already. Where k * k people of one stratum are dealt, nobody meets anybody again at first.
    """
    fold: dict[str, int] = {}
    met_EKK = np.zeros((len(before), k, k), dtype=np.int64)  # by earlier fold: who is in each new fold by now
    start = 0
    for _, members in groupby(order, key=stratum.__getitem__):
        names = sorted(members, key=lambda name: [one[name] for one in before])  # stable
        for first in range(0, len(names), k):
            block = names[first : first + k]
            free = [(start + i) % k for i in range(len(block))]
            cost = [
                [sum(int(met_EKK[e, one[name], f]) for e, one in enumerate(before)) for f in free] for name in block
            ]
            for name, place in zip(block, cheapest(cost), strict=True):
                fold[name] = free[place]
                for e, one in enumerate(before):
                    met_EKK[e, one[name], free[place]] += 1
            start = (start + len(block)) % k
    return np.array([fold[name] for name in order], dtype=np.int64)


def cheapest(cost: Sequence[Sequence[int]]) -> list[int]:
    """Return a different column for each row, so that the sum of the costs is the smallest.

    cost  n lists of n whole numbers.

    Reference: Kuhn 1955, Naval Research Logistics Quarterly 2 (the Hungarian method), with the potentials of Jonker and
    Volgenant 1987, Computing 38. It is computed here because a library may choose another one of equally cheap
    assignments in another version, and folds must stay.

    >>> cheapest([[4, 1, 3], [2, 0, 5], [3, 2, 2]])
    [1, 0, 2]
    """
    n = len(cost)
    of_row, of_column = [0] * (n + 1), [0] * (n + 1)  # potentials; place 0 stands for no row and no column
    row_of = [0] * (n + 1)
    for row in range(1, n + 1):
        row_of[0], column = row, 0
        least, way, used = [float("inf")] * (n + 1), [0] * (n + 1), [False] * (n + 1)
        while row_of[column] != 0:
            used[column], at = True, row_of[column]
            for j in range(1, n + 1):
                if not used[j] and (reduced := cost[at - 1][j - 1] - of_row[at] - of_column[j]) < least[j]:
                    least[j], way[j] = reduced, column
            following = min((j for j in range(1, n + 1) if not used[j]), key=lambda j: (least[j], j))
            step = int(least[following])
            for j in range(n + 1):
                if used[j]:
                    of_row[row_of[j]] += step
                    of_column[j] -= step
                else:
                    least[j] -= step
            column = following
        while column:
            row_of[column] = row_of[way[column]]
            column = way[column]
    found = [0] * n
    for j in range(1, n + 1):
        found[row_of[j] - 1] = j - 1
    return found


def pairs_kept(fold_P: Ints, before_EP: Sequence[Ints]) -> int:
    """Return how many pairs of people share a fold now and shared one before, added up over earlier assignments.

    >>> pairs_kept(np.array([0, 0, 1, 1]), [np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])])
    2
    """
    total = 0
    for before_P in before_EP:
        together = np.unique(np.stack([before_P, fold_P]), axis=1, return_counts=True)[1]
        total += int((together * (together - 1) // 2).sum())
    return total
