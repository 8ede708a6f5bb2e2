"""Grouping by likeness, and answering as a group: planted people, properties, and scipy's and scikit-learn's word."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from scipy.stats import multivariate_normal
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import pair_confusion_matrix

from maskcls.errors import BusyError, DataError, UsageError
from maskcls.labels import CONTEST, Floats, Ints, LabelSpace
from maskcls.results.people.clustering import Metric, best_threshold, cut, fit_metric, learn, pair_quality, tree
from maskcls.results.people.groups import fit_weights, read_groups, smooth, write_groups
from maskcls.results.predictions import Predictions

SHARED = ("gender", "age")


def planted(people: int, photos: int, *, noise: float = 0.3, seed: int = 0) -> tuple[Floats, Ints]:
    """Return descriptors (N, 12) and who is on each row: people apart in six numbers, and light that differs in all."""
    rng = np.random.default_rng(seed)
    who_N = np.repeat(np.arange(people), photos)
    centre_PD = np.hstack([rng.normal(size=(people, 6)), np.zeros((people, 6))])
    light_N1 = rng.normal(size=(len(who_N), 1)) * 5  # far larger than what tells people apart
    rows_ND = centre_PD[who_N] + noise * rng.normal(size=(len(who_N), 12)) + light_N1
    order = rng.permutation(len(who_N))
    return rows_ND[order].astype(np.float32), who_N[order]


def random_rows(rows: int, seed: int = 0, space: LabelSpace = CONTEST) -> Predictions:
    prob_NJ = np.random.default_rng(seed).dirichlet(np.full(space.size, 0.3), rows).astype(np.float32)
    return Predictions([f"i{row}" for row in range(rows)], prob_NJ, space)


# ---- learning to compare ---------------------------------------------------------------------------------------------


def test_planted_people_are_found_by_others_teaching() -> None:
    rows_ND, who_N = planted(60, 5, noise=0.15)
    found = learn(rows_ND, who_N, who_N % 2)
    assert found.grouper.most == 5
    assert found.quality.precision > 0.97
    assert found.quality.recall > 0.97
    assert found.quality == pair_quality(found.group_N, who_N)
    new_ND, new_N = planted(40, 5, noise=0.15, seed=1)
    assert adjusted_rand_score(new_N, found.grouper.groups(new_ND)) > 0.95
    # Without having learned which differences are the light's, the nearest row is as good as anybody's.
    distance_NN = np.linalg.norm(new_ND[:, None] - new_ND[None], axis=2) + np.diag(np.full(len(new_N), np.inf))
    assert (new_N[distance_NN.argmin(axis=1)] == new_N).mean() < 0.7


def test_a_part_is_grouped_without_its_own_names() -> None:
    rows_ND, who_N = planted(40, 4, noise=0.5)
    part_N = who_N % 2
    own = part_N == 0
    found = learn(rows_ND, who_N, part_N)
    shuffled_N = who_N.copy()
    shuffled_N[own] = np.random.default_rng(0).permutation(who_N[own])
    again = learn(rows_ND, shuffled_N, part_N)
    # The comparison of part 0 is the same; its threshold comes from part 1's tree, which part 0's names do change.
    metric = fit_metric(rows_ND[~own], who_N[~own])
    one = tree(metric, rows_ND[own])
    np.testing.assert_array_equal(one.odds, tree(fit_metric(rows_ND[~own], shuffled_N[~own]), rows_ND[own]).odds)
    cuts = [cut(one, odds, 4) for odds in np.quantile(one.odds, np.linspace(0, 1, 30))]
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
    placed_NK = metric.place(rows_ND)
    inner_NK = placed_NK - np.stack([placed_NK[who_N == p].mean(axis=0) for p in range(300)])[who_N]
    scatter_KK = inner_NK.T @ inner_NK / (len(who_N) - 300)
    np.testing.assert_allclose(scatter_KK, np.eye(len(scatter_KK)), atol=0.01)  # less the floor under the noise
    np.testing.assert_allclose(metric.ratio_K[:5], 1 / 0.09, rtol=0.25)  # variances of 1 and 0.3 ** 2; 300 people
    # Means of 6 photos scatter by 1/6 on axes where people are alike; that is taken off again.
    assert metric.ratio_K[6:].max(initial=0) < 0.1
    assert np.abs(metric.axes_DK[:, :5].sum(axis=0)).max() < 0.15 * np.abs(metric.axes_DK[:, :5]).sum(axis=0).min()


@pytest.mark.parametrize("people", [[0, 0, 0, 0, 0, 0], [0, 1, 2, 3, 4, 5], [0, 0, 1, 1]])
def test_too_little_to_learn_from_is_refused(people: list[int]) -> None:
    with pytest.raises(ValueError, match="do not tell one person from another"):
        fit_metric(np.random.default_rng(0).normal(size=(len(people), 3)), np.array(people))


def test_rows_that_are_all_alike_are_refused() -> None:
    with pytest.raises(ValueError, match="look the same"):
        fit_metric(np.ones((8, 3)), np.repeat([0, 1], 4))


@pytest.mark.parametrize("part", [[0] * 20, [0, 1] * 10])
def test_parts_must_be_two_and_hold_whole_people(part: list[int]) -> None:
    rows_ND, _ = planted(4, 5)
    with pytest.raises(ValueError, match="two parts"):
        learn(rows_ND, np.repeat(np.arange(4), 5), np.array(part))


# ---- groups ----------------------------------------------------------------------------------------------------------


def by_hand(odds_NN: Floats, threshold: float, most: int) -> set[frozenset[int]]:
    """Average linkage in plain loops, then the largest groups of enough likeness and at most so many rows."""
    groups = [frozenset([row]) for row in range(len(odds_NN))]
    kept = set(groups)

    def mean(a: frozenset[int], b: frozenset[int]) -> float:
        return float(np.mean([odds_NN[i, j] for i in a for j in b]))

    while len(groups) > 1:
        a, b = max(itertools.combinations(groups, 2), key=lambda pair: mean(*pair))
        if mean(a, b) >= threshold and len(a | b) <= most:
            kept.add(a | b)
        groups = [g for g in groups if g not in (a, b)] + [a | b]
    return {g for g in kept if not any(g < other for other in kept)}


def test_the_threshold_is_the_strictest_that_breaks_up_nobody() -> None:
    rows_ND, who_N = planted(8, 4, noise=0.02)
    one = tree(fit_metric(rows_ND, who_N), rows_ND)
    last_within, first_across = one.odds[8 * 3 - 1], one.odds[8 * 3]  # 8 people take 3 merges each
    assert adjusted_rand_score(cut(one, last_within, 4), who_N) == 1
    # Below, the largest size of a group alone would do as well.
    assert (last_within + first_across) / 2 <= best_threshold([(one, who_N)], 4) <= last_within


@pytest.mark.parametrize(("threshold", "most"), [(0.0, 4), (-3.0, 3), (2.0, 99), (-1e9, 5)])
def test_groups_equal_average_linkage_in_plain_loops(threshold: float, most: int) -> None:
    rows_ND, who_N = planted(6, 4, noise=0.8)
    metric = fit_metric(rows_ND, who_N)
    placed_NK = metric.place(rows_ND)
    group_N = cut(tree(metric, rows_ND), threshold, most)
    expected = by_hand(metric.log_odds(placed_NK, placed_NK), threshold, most)
    assert {frozenset(np.flatnonzero(group_N == g).tolist()) for g in range(group_N.max() + 1)} == expected


def test_blocks_of_rows_do_not_change_the_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    rows_ND, who_N = planted(10, 4)
    metric = fit_metric(rows_ND, who_N)
    whole = tree(metric, rows_ND)
    monkeypatch.setattr("maskcls.results.people.clustering.ROWS_AT_ONCE", 7)
    np.testing.assert_allclose(tree(metric, rows_ND).merges, whole.merges, rtol=1e-9, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), most=st.integers(1, 8), threshold=st.floats(-20, 10))
def test_no_group_is_too_large_and_the_order_of_rows_does_not_matter(seed: int, most: int, threshold: float) -> None:
    rows_ND, who_N = planted(8, 4, noise=0.6, seed=seed)
    metric = fit_metric(rows_ND, who_N)
    group_N = cut(tree(metric, rows_ND), threshold, most)
    assert np.bincount(group_N).max() <= most
    first = [int(np.flatnonzero(group_N == g)[0]) for g in range(group_N.max() + 1)]
    assert first == sorted(first)
    order = np.random.default_rng(seed).permutation(len(who_N))
    assert adjusted_rand_score(cut(tree(metric, rows_ND[order]), threshold, most), group_N[order]) == 1.0


def test_one_row_is_a_group() -> None:
    metric = Metric(np.zeros(2), np.eye(2), np.ones(2))
    assert cut(tree(metric, np.zeros((1, 2))), 0.0, 7).tolist() == [0]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=30))
def test_pair_quality_is_that_of_scikit_learn(rows: list[tuple[int, int]]) -> None:
    group_N, who_N = (np.array(column) for column in zip(*rows, strict=True))
    (_, wrong), (missed, right) = pair_confusion_matrix(who_N, group_N)
    found = pair_quality(group_N, who_N)
    assert found.precision == (right / (right + wrong) if right + wrong else 1.0)
    assert found.recall == (right / (right + missed) if right + missed else 1.0)
    assert found.mean_size == len(rows) / len(set(group_N.tolist()))


# ---- smoothing -------------------------------------------------------------------------------------------------------


def test_a_group_answers_with_the_mean_by_hand() -> None:
    parts = {
        "mask": np.array([[0.8, 0.1, 0.1], [0.2, 0.2, 0.6], [1.0, 0.0, 0.0]], dtype=np.float32),
        "gender": np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]], dtype=np.float32),
        "age": np.array([[0.5, 0.5, 0.0], [0.1, 0.1, 0.8], [0.0, 0.0, 1.0]], dtype=np.float32),
    }
    before = Predictions(["a", "b", "c"], CONTEST.compose(parts), CONTEST)
    after = smooth(before, np.array([4, 4, 0]), SHARED)
    found = CONTEST.marginals(after.prob)
    np.testing.assert_allclose(found["mask"], parts["mask"], atol=1e-6)
    np.testing.assert_allclose(found["gender"][:2], [[0.65, 0.35]] * 2, atol=1e-6)
    np.testing.assert_allclose(found["age"][:2], [[0.3, 0.3, 0.4]] * 2, atol=1e-6)
    np.testing.assert_array_equal(after.prob[2], before.prob[2])
    # Gender and age stay dependent: the mean of the products, not the product of the means.
    assert after.prob[0].reshape(3, 2, 3)[:, 0, 0].sum() == pytest.approx((0.9 * 0.5 + 0.4 * 0.1) / 2, abs=1e-6)
    assert after.lineage == {"smoothed": {}, "tasks": list(SHARED), "groups": 2, "weights": None}
    weighted = smooth(before, np.array([4, 4, 0]), SHARED, weights={"wear": 1, "incorrect": 2, "normal": 5})
    says = (0.8 * 1 + 0.1 * 2 + 0.1 * 5, 0.2 * 1 + 0.2 * 2 + 0.6 * 5)
    male = (says[0] * 0.9 + says[1] * 0.4) / sum(says)
    np.testing.assert_allclose(CONTEST.marginals(weighted.prob)["gender"][:2, 0], male, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    group=st.lists(st.integers(0, 3), min_size=6, max_size=6),
    task=st.sampled_from(CONTEST.names),
)
def test_smoothing_keeps_rows_other_marginals_and_singletons(seed: int, group: list[int], task: str) -> None:
    before, group_N = random_rows(6, seed), np.array(group)
    shared = tuple(name for name in CONTEST.names if name != task)
    after = smooth(before, group_N, shared)
    np.testing.assert_allclose(after.prob.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(CONTEST.marginals(after.prob)[task], CONTEST.marginals(before.prob)[task], atol=1e-5)
    for g in set(group):
        rows = np.flatnonzero(group_N == g)
        if len(rows) == 1:
            np.testing.assert_array_equal(after.prob[rows], before.prob[rows])
        for name in shared:
            mean = CONTEST.marginals(before.prob)[name][rows].mean(axis=0)
            np.testing.assert_allclose(CONTEST.marginals(after.prob)[name][rows], [mean] * len(rows), atol=1e-5)
    order = np.random.default_rng(seed).permutation(6)
    moved = smooth(before.align(before.ids[order]), group_N[order], shared)
    np.testing.assert_allclose(moved.prob, after.prob[order], atol=1e-6)


def test_rows_that_are_sure_stay_finite() -> None:
    before = Predictions(["a", "b", "c"], np.eye(18, dtype=np.float32)[[0, 17, 9]], CONTEST)
    after = smooth(before, np.zeros(3, dtype=np.int64), SHARED)
    assert CONTEST.decode(after.labels())["mask"].tolist() == [0, 2, 1]
    np.testing.assert_allclose(CONTEST.marginals(after.prob)["gender"], [[1 / 3, 2 / 3]] * 3, atol=1e-5)


def test_all_tasks_can_be_shared() -> None:
    before = random_rows(4)
    after = smooth(before, np.array([0, 0, 0, 0]), CONTEST.names)
    np.testing.assert_allclose(after.prob, [before.prob.mean(axis=0)] * 4, atol=1e-6)


def test_wrong_arguments_are_refused() -> None:
    before = random_rows(3)
    with pytest.raises(ValueError, match="3 whole numbers"):
        smooth(before, np.array([0, 1]), SHARED)
    with pytest.raises(ValueError, match="shared tasks"):
        smooth(before, np.zeros(3, np.int64), ("race",))
    with pytest.raises(DataError, match="other classes"):
        smooth(before, np.zeros(3, np.int64), SHARED, weights={"wear": 1.0, "bare": 2.0})


def clear_and_dim(people: int, seed: int = 0) -> tuple[Predictions, dict[str, Ints], Ints]:
    """Return rows of people with 4 photos, which show gender and age better without a mask than with one."""
    rng = np.random.default_rng(seed)
    who_N = np.repeat(np.arange(people), 4)
    truth = {"mask": np.tile([0, 0, 1, 2], people), "gender": who_N % 2, "age": who_N // 2 % 3}
    right_N = np.tile([0.55, 0.55, 0.65, 0.8], people)
    parts = {"mask": np.eye(3)[truth["mask"]] * 0.94 + 0.02}
    for name, classes in (("gender", 2), ("age", 3)):
        shown_N = np.where(rng.random(len(who_N)) < right_N, truth[name], rng.integers(classes, size=len(who_N)))
        parts[name] = np.eye(classes)[shown_N] * 0.9 + 0.1 / classes
    prob_NJ = CONTEST.compose({name: part.astype(np.float32) for name, part in parts.items()})
    return Predictions([f"i{n}" for n in range(len(who_N))], prob_NJ, CONTEST), truth, who_N


def log_loss(predictions: Predictions, truth: dict[str, Ints]) -> float:
    shared = CONTEST.only(SHARED)
    rows = predictions.prob.reshape(-1, 3, 6).sum(axis=1)
    return float(-np.log(rows[np.arange(len(rows)), shared.encode({n: truth[n] for n in SHARED})]).mean())


def test_photos_that_show_more_get_more_weight_and_no_other_weights_are_better() -> None:
    before, truth, who_N = clear_and_dim(150)
    weights = fit_weights(before.prob, truth, who_N, CONTEST, SHARED)
    assert weights["wear"] == 1
    assert 1.5 < weights["normal"] < 20
    best = log_loss(smooth(before, who_N, SHARED, weights=weights), truth)
    assert best < log_loss(smooth(before, who_N, SHARED), truth) < log_loss(before, truth)

    def loss(log_weights: Floats) -> float:
        say = dict(zip(("wear", "incorrect", "normal"), np.exp([0, *log_weights]).tolist(), strict=True))
        return log_loss(smooth(before, who_N, SHARED, weights=say), truth)

    at = np.log([weights["incorrect"], weights["normal"]])
    slope = approx_fprime(at, loss, 0.01)
    assert np.abs(slope).max() < 2e-3  # half the step times a curvature below 0.4; a slope elsewhere is 0.02 or more


def test_unknown_rows_do_not_teach_but_are_averaged() -> None:
    before, truth, who_N = clear_and_dim(50)
    some = {name: label_N.copy() for name, label_N in truth.items()}
    some["age"][::4] = -1
    rows = np.arange(len(who_N)) % 4 != 0
    assert fit_weights(before.prob, some, who_N, CONTEST, SHARED) != fit_weights(
        before.prob[rows], {n: v[rows] for n, v in truth.items()}, who_N[rows], CONTEST, SHARED
    )
    nobody = {name: np.full(200, -1) for name in truth}
    assert set(fit_weights(before.prob, nobody, who_N, CONTEST, SHARED).values()) == {1.0}


# ---- the file --------------------------------------------------------------------------------------------------------


def test_groups_come_back_in_the_order_asked_for(tmp_path: Path) -> None:
    path, ids = tmp_path / "g.csv", ["00123", "1e5", 'a,"b"', "NA"]
    digest = write_groups(
        path, ids, np.array([0, 1, 0, 2]), weights={"wear": 1.0, "normal": 8.5}, about={"n": 4}, force=False
    )
    found = read_groups(path, ["NA", 'a,"b"', "00123", "1e5"])
    assert found.number_N.tolist() == [2, 0, 0, 1]
    assert found.weights == {"wear": 1.0, "normal": 8.5}
    assert found.sha256 == digest
    assert json.loads((tmp_path / "g.json").read_text())["n"] == 4
    with pytest.raises(BusyError):
        write_groups(path, ids, np.array([0, 0, 0, 0]), weights=None, about={}, force=False)
    write_groups(path, ids, np.array([0, 0, 0, 0]), weights=None, about={}, force=True)
    assert read_groups(path, ids).weights is None
    with pytest.raises(UsageError, match="cannot end"):
        write_groups(tmp_path / "g.json", ids, np.zeros(4, np.int64), weights=None, about={}, force=True)


def test_a_table_made_by_hand_has_no_weights(tmp_path: Path) -> None:
    (tmp_path / "g.csv").write_text("group,id\nann,a\nbob,b\nann,c\n")
    found = read_groups(tmp_path / "g.csv", ["a", "b", "c"])
    assert (found.number_N.tolist(), found.weights) == ([0, 1, 0], None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,group\na,1\n", "the ids of two tables differ"),
        ("id,group\na,1\nb,1\nc,2\n", "the ids of two tables differ"),
        ("id,group\na,1\nb,\n", "rows of the groups are wrong"),
        ("id,group\na,1\nb,1\na,2\n", "rows of the groups are wrong"),
        ("id,person\na,1\nb,1\n", "the columns are not those of groups"),
        ("id,group,more\na,1,\nb,1,\n", "the columns are not those of groups"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "g.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_groups(tmp_path / "g.csv", ["a", "b"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha256": "0" * 64}, "does not match its sidecar"),
        ({"version": 9}, "sidecar of the groups cannot be read"),
        ({"weights": [1]}, "sidecar of the groups cannot be read"),
    ],
)
def test_a_sidecar_that_does_not_fit_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "g.csv"
    write_groups(path, ["a", "b"], np.array([0, 0]), weights=None, about={}, force=False)
    sidecar = tmp_path / "g.json"
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | change))
    with pytest.raises(DataError, match=message):
        read_groups(path, ["a", "b"])
