"""Which of the pairs that are found have a known error rate."""

from __future__ import annotations

import numpy as np

from maskcls.data.duplicates.search import CopyScores, NearDuplicates, ScoredPairs, find_near_duplicates

COPIES = CopyScores(np.full(100, 0.95), np.ones(100, dtype=bool))


def found_pairs(person_N: list[int], pairs: dict[tuple[int, int], float]) -> NearDuplicates:
    first, second = np.array(list(pairs)).T
    scored = ScoredPairs(first, second, np.array(list(pairs.values())), np.zeros(len(pairs), dtype=bool))
    return find_near_duplicates(scored, np.array(person_N), COPIES, set())


def test_pairs_among_few_have_no_known_error_rate() -> None:
    found = found_pairs([0, 0, 1, 1, -1, -1], {(0, 1): 0.97, (1, 2): 0.98, (3, 4): 0.99, (4, 5): 0.999})
    assert found.across is not None
    assert found.across.false_pairs is None
    assert {(one.first, one.second): one.rated for one in found.pairs} == dict.fromkeys(
        [(0, 1), (1, 2), (3, 4), (4, 5)], False
    )


def test_a_pair_is_rated_by_the_threshold_of_its_kind() -> None:
    """Of two people there are enough pairs to fit a tail, of one person there are not."""
    people = [*range(60), 58, -1, -1]  # row 60 is a second photo of person 58
    natural = {(i, j): float(np.tanh(0.1 + 0.005 * j)) for i in range(8) for j in range(20, 55)}
    found = found_pairs(people, natural | {(58, 60): 0.99, (58, 59): 0.99, (59, 61): 0.99, (61, 62): 0.99})
    assert found.across is not None
    assert found.across.false_pairs is not None
    assert found.within is not None
    assert found.within.false_pairs is None
    rated = {(one.first, one.second): one.rated for one in found.pairs}
    assert rated == {(58, 60): False, (58, 59): True, (59, 61): True, (61, 62): False}
