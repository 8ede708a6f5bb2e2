"""Person clustering: planted people, properties, and the results of scipy and scikit-learn."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import pair_confusion_matrix

from maskcls.labels import Floats, Ints
from maskcls.results.people.clustering import (
    Metric,
    best_threshold,
    cut_tree,
    fit_clustering,
    fit_metric,
    merge_tree,
    pair_quality,
)


def planted(people: int, photos: int, *, noise: float = 0.3, seed: int = 0) -> tuple[Floats, Ints]:
    """Return descriptors (N, 12) and who is on each row: people apart in six numbers, and light that differs in all."""
    rng = np.random.default_rng(seed)
    who_N = np.repeat(np.arange(people), photos)
    centre_PD = np.hstack([rng.normal(size=(people, 6)), np.zeros((people, 6))])
    light_N1 = rng.normal(size=(len(who_N), 1)) * 5  # far larger than what tells people apart
    rows_ND = centre_PD[who_N] + noise * rng.normal(size=(len(who_N), 12)) + light_N1
    order = rng.permutation(len(who_N))
    return rows_ND[order].astype(np.float32), who_N[order]


def test_planted_people_are_found_by_others_teaching() -> None:
    rows_ND, who_N = planted(60, 5, noise=0.15)
    found = fit_clustering(rows_ND, who_N, who_N % 2)
    assert found.clusterer.max_photos == 5
    assert found.quality.precision > 0.97
    assert found.quality.recall > 0.97
    assert found.quality == pair_quality(found.group_N, who_N)
    new_ND, new_N = planted(40, 5, noise=0.15, seed=1)
    assert adjusted_rand_score(new_N, found.clusterer.groups(new_ND)) > 0.95
    # Without having learned which differences are the light's, the nearest row is as good as anybody's.
    distance_NN = np.linalg.norm(new_ND[:, None] - new_ND[None], axis=2) + np.diag(np.full(len(new_N), np.inf))
    assert (new_N[distance_NN.argmin(axis=1)] == new_N).mean() < 0.7


def test_a_part_is_grouped_without_its_own_names() -> None:
    rows_ND, who_N = planted(40, 4, noise=0.5)
    part_N = who_N % 2
    own = part_N == 0
    found = fit_clustering(rows_ND, who_N, part_N)
    shuffled_N = who_N.copy()
    shuffled_N[own] = np.random.default_rng(0).permutation(who_N[own])
    again = fit_clustering(rows_ND, shuffled_N, part_N)
    # The comparison of part 0 is the same; its threshold comes from part 1's tree, which part 0's names do change.
    metric = fit_metric(rows_ND[~own], who_N[~own])
    one = merge_tree(metric, rows_ND[own])
    np.testing.assert_array_equal(one.odds, merge_tree(fit_metric(rows_ND[~own], shuffled_N[~own]), rows_ND[own]).odds)
    cuts = [cut_tree(one, odds, 4) for odds in np.quantile(one.odds, np.linspace(0, 1, 30))]
    assert max(adjusted_rand_score(c, found.group_N[own]) for c in cuts) > 0.99
    assert adjusted_rand_score(again.group_N[~own], who_N[~own]) < adjusted_rand_score(found.group_N[~own], who_N[~own])


def test_the_log_odds_are_those_of_two_normal_distributions() -> None:
    ratio_K = np.array([4.0, 0.5])
    a, b = np.array([[1.0, -0.5], [0.2, 2.0]]), np.array([[0.7, 0.1]])
    found = Metric(np.zeros(2), np.eye(2), ratio_K).log_odds(a, b)
    for row in (0, 1):
        expected = 0.0
        for k, ratio in enumerate(ratio_K):
            pair = [a[row, k], b[0, k]]
            one = multivariate_normal([0, 0], [[1 + ratio, ratio], [ratio, 1 + ratio]]).logpdf(pair)
            two = multivariate_normal([0, 0], np.eye(2) * (1 + ratio)).logpdf(pair)
            expected += one - two
        assert found[row, 0] == pytest.approx(expected)


def test_the_metric_makes_the_scatter_within_people_one_and_keeps_the_light_out() -> None:
    rows_ND, who_N = planted(300, 6)
    metric = fit_metric(rows_ND, who_N)
    axis_NK = metric.project(rows_ND)
    inner_NK = axis_NK - np.stack([axis_NK[who_N == p].mean(axis=0) for p in range(300)])[who_N]
    scatter_KK = inner_NK.T @ inner_NK / (len(who_N) - 300)
    np.testing.assert_allclose(scatter_KK, np.eye(len(scatter_KK)), atol=0.01)  # less the floor under the noise
    np.testing.assert_allclose(metric.ratio_K[:5], 1 / 0.09, rtol=0.25)  # variances of 1 and 0.3 ** 2; 300 people
    # Means of 6 photos scatter by 1/6 on axes where people are alike; that is taken off again.
    assert metric.ratio_K[6:].max(initial=0) < 0.1
    assert np.abs(metric.axes_DK[:, :5].sum(axis=0)).max() < 0.15 * np.abs(metric.axes_DK[:, :5]).sum(axis=0).min()


@pytest.mark.parametrize("people", [[0, 0, 0, 0, 0, 0], [0, 1, 2, 3, 4, 5], [0, 0, 1, 1]])
def test_too_little_to_learn_from_is_refused(people: list[int]) -> None:
    with pytest.raises(ValueError, match="too few to recognise a person"):
        fit_metric(np.random.default_rng(0).normal(size=(len(people), 3)), np.array(people))


def test_rows_that_are_all_alike_are_refused() -> None:
    with pytest.raises(ValueError, match="descriptors are equal"):
        fit_metric(np.ones((8, 3)), np.repeat([0, 1], 4))


@pytest.mark.parametrize("part", [[0] * 20, [0, 1] * 10])
def test_parts_must_be_two_and_hold_whole_people(part: list[int]) -> None:
    rows_ND, _ = planted(4, 5)
    with pytest.raises(ValueError, match="two parts"):
        fit_clustering(rows_ND, np.repeat(np.arange(4), 5), np.array(part))


def by_hand(odds_NN: Floats, threshold: float, max_photos: int) -> set[frozenset[int]]:
    """Average linkage in plain loops, then the largest groups of enough likeness and at max_photos so many rows."""
    groups = [frozenset([row]) for row in range(len(odds_NN))]
    kept = set(groups)

    def mean(a: frozenset[int], b: frozenset[int]) -> float:
        return float(np.mean([odds_NN[i, j] for i in a for j in b]))

    while len(groups) > 1:
        a, b = max(itertools.combinations(groups, 2), key=lambda pair: mean(*pair))
        if mean(a, b) >= threshold and len(a | b) <= max_photos:
            kept.add(a | b)
        groups = [g for g in groups if g not in (a, b)] + [a | b]
    return {g for g in kept if not any(g < other for other in kept)}


def test_the_threshold_is_the_strictest_that_breaks_up_nobody() -> None:
    rows_ND, who_N = planted(8, 4, noise=0.02)
    one = merge_tree(fit_metric(rows_ND, who_N), rows_ND)
    last_within, first_across = one.odds[8 * 3 - 1], one.odds[8 * 3]  # 8 people take 3 merges each
    assert adjusted_rand_score(cut_tree(one, last_within, 4), who_N) == 1
    # Below, the largest size of a group alone would do as well.
    assert (last_within + first_across) / 2 <= best_threshold([(one, who_N)], 4) <= last_within


@pytest.mark.parametrize(("threshold", "max_photos"), [(0.0, 4), (-3.0, 3), (2.0, 99), (-1e9, 5)])
def test_groups_equal_average_linkage_in_plain_loops(threshold: float, max_photos: int) -> None:
    rows_ND, who_N = planted(6, 4, noise=0.8)
    metric = fit_metric(rows_ND, who_N)
    axis_NK = metric.project(rows_ND)
    group_N = cut_tree(merge_tree(metric, rows_ND), threshold, max_photos)
    expected = by_hand(metric.log_odds(axis_NK, axis_NK), threshold, max_photos)
    assert {frozenset(np.flatnonzero(group_N == g).tolist()) for g in range(group_N.max() + 1)} == expected


def test_blocks_of_rows_do_not_change_the_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    rows_ND, who_N = planted(10, 4)
    metric = fit_metric(rows_ND, who_N)
    whole = merge_tree(metric, rows_ND)
    monkeypatch.setattr("maskcls.results.people.clustering.ROWS_AT_ONCE", 7)
    np.testing.assert_allclose(merge_tree(metric, rows_ND).merges, whole.merges, rtol=1e-9, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), max_photos=st.integers(1, 8), threshold=st.floats(-20, 10))
def test_no_group_is_too_large_and_the_order_of_rows_does_not_matter(
    seed: int, max_photos: int, threshold: float
) -> None:
    rows_ND, who_N = planted(8, 4, noise=0.6, seed=seed)
    metric = fit_metric(rows_ND, who_N)
    group_N = cut_tree(merge_tree(metric, rows_ND), threshold, max_photos)
    assert np.bincount(group_N).max() <= max_photos
    first = [int(np.flatnonzero(group_N == g)[0]) for g in range(group_N.max() + 1)]
    assert first == sorted(first)
    order = np.random.default_rng(seed).permutation(len(who_N))
    assert (
        adjusted_rand_score(cut_tree(merge_tree(metric, rows_ND[order]), threshold, max_photos), group_N[order]) == 1.0
    )


def test_one_row_is_a_group() -> None:
    metric = Metric(np.zeros(2), np.eye(2), np.ones(2))
    assert cut_tree(merge_tree(metric, np.zeros((1, 2))), 0.0, 7).tolist() == [0]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=30))
def test_pair_quality_is_that_of_scikit_learn(rows: list[tuple[int, int]]) -> None:
    group_N, who_N = (np.array(column) for column in zip(*rows, strict=True))
    (_, wrong), (missed, right) = pair_confusion_matrix(who_N, group_N)
    found = pair_quality(group_N, who_N)
    assert found.precision == (right / (right + wrong) if right + wrong else 1.0)
    assert found.recall == (right / (right + missed) if right + missed else 1.0)
    assert found.mean_size == len(rows) / len(set(group_N.tolist()))
