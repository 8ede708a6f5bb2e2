"""Difficulty and copies by hand, and their sum."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from maskcls.synth.embedded.oversampling import copied_photos, difficulties, shared_out

# On a line: rare photos at 0, 1 and 9 of three people, frequent ones at 2, 8, 10, 11 of four, and a second one of the
# first person at 0.1, which never counts as her own neighbour.
FEATURE = np.array([[0.0], [1.0], [9.0], [2.0], [8.0], [10.0], [11.0], [0.1]], dtype=np.float32)
LABEL = np.array([1, 1, 1, 0, 0, 0, 0, 0])
PERSON = np.array([0, 1, 2, 3, 4, 5, 6, 0])


def test_difficulty_by_hand() -> None:
    """Two neighbours. At 0: 1 (rare) and 2. At 1: of 0.1, 0 and 2, the nearest are 0.1 and 0 or 2. At 9: 8 and 10."""
    hard = difficulties(FEATURE, LABEL, PERSON, np.array([0, 1, 2]), neighbours=2)
    assert hard.tolist() == [0.5, 0.5, 1.0]
    assert difficulties(FEATURE, LABEL, PERSON, np.array([0, 1, 2]), neighbours=1).tolist() == [0.0, 1.0, 1.0]


def test_copies_are_divided_by_difficulty_by_hand() -> None:
    """Shares 0.5, 0.5 and 1 of eight copies: 2, 2 and 4."""
    copies = copied_photos(FEATURE, LABEL, PERSON, counts={1: 8}, neighbours=2)
    assert copies.tolist() == [0, 0, 1, 1, 2, 2, 2, 2]
    assert copied_photos(FEATURE, LABEL, PERSON, counts={1: 3}, neighbours=1).tolist() == [1, 1, 2]
    assert copied_photos(FEATURE, LABEL, PERSON, counts={2: 3}, neighbours=2).tolist() == []


def test_unknown_labels_are_no_neighbours_and_easy_classes_are_copied_evenly() -> None:
    label = np.array([1, 1, 1, -1, -1, -1, -1, -1])
    assert difficulties(FEATURE, label, PERSON, np.array([0, 1, 2]), neighbours=2).tolist() == [0, 0, 0]
    assert copied_photos(FEATURE, label, PERSON, counts={1: 4}, neighbours=2).tolist() == [0, 0, 1, 2]


def test_a_photo_without_other_people_has_difficulty_zero() -> None:
    alone = difficulties(FEATURE[:1], LABEL[:1], PERSON[:1], np.array([0]), neighbours=3)
    assert alone.tolist() == [0.0]


@given(st.integers(0, 500), st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_shares_sum_to_the_total_and_are_within_one_of_the_exact_share(total: int, sizes: list[float]) -> None:
    size_K = np.array(sizes)
    count_K = shared_out(total, size_K)
    exact_K = total * size_K / size_K.sum() if size_K.sum() > 0 else np.full(len(sizes), total / len(sizes))
    assert count_K.sum() == total
    assert (np.abs(count_K - exact_K) < 1 + 1e-6).all()
    assert (count_K >= 0).all()
