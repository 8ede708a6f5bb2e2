"""Variants of heads on frozen features: hand-computed values, slopes, and what a variant may know."""

from __future__ import annotations

import doctest
import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from project import BENCHMARKS_DIR
from scipy.optimize import approx_fprime

from maskcls.labels import CONTEST

NAMES = (
    "ages",
    "aligned",
    "coteaching",
    "label_faults",
    "people",
    "pools",
    "report",
    "scoring",
    "several",
    "shares",
    "split",
    "table",
    "unlabelled",
)
PEOPLE, EACH, WIDTH = 90, 4, 8
NAMED = ("last", "larger", "penultimate", "earlier", "aligned", "aligned_features")
OTHERS = ("face", "small")  # backbones
TRANSDUCTIVE = "More from photos without labels"


@pytest.fixture(scope="module")
def variants() -> Iterator[SimpleNamespace]:
    sys.path.insert(0, str(BENCHMARKS_DIR))
    before = set(sys.modules)
    try:
        yield SimpleNamespace(**{name: importlib.import_module(f"head_variants.{name}") for name in NAMES})
    finally:
        sys.path.remove(str(BENCHMARKS_DIR))
        for name in set(sys.modules) - before:
            if name.startswith("head_variants"):
                del sys.modules[name]


@pytest.fixture(scope="module")
def photos(variants: SimpleNamespace) -> Any:
    rng = np.random.default_rng(0)
    person_N = np.repeat(np.arange(PEOPLE), EACH)
    age_N = rng.integers(20, 70, PEOPLE)[person_N]
    labels = {
        "mask": np.tile([0, 0, 1, 2], PEOPLE),
        "gender": (np.arange(PEOPLE) % 2)[person_N],
        "age": CONTEST.task("age").band(age_N),
    }
    own_ND = rng.normal(size=(PEOPLE, WIDTH))[person_N] + rng.normal(size=(len(person_N), WIDTH))
    own_ND[:, 0] += 3 * labels["gender"]
    own_ND[:, 1] += age_N / 10
    own_ND[:, 2:5] += 4 * np.eye(3)[labels["mask"]]
    features = {name: own_ND @ rng.normal(size=(WIDTH, WIDTH)) for name in NAMED}
    features |= {"both": np.concatenate([own_ND, features["earlier"]], axis=1), "sizes": features["last"] + 1}
    for name in OTHERS:
        features[name] = own_ND @ rng.normal(size=(WIDTH, WIDTH - 1))
    for names in variants.table.joined_sets(OTHERS):
        side_by_side = [features[name] for name in ("last", *names)]
        features[variants.table.joined(*names)] = np.concatenate(side_by_side, axis=1)
    new_MD = rng.normal(size=(50, WIDTH))
    return variants.split.Photos(CONTEST, features, new_MD, labels, age_N, person_N, person_N)


FOLD_N = np.repeat(np.arange(PEOPLE) % 3, EACH)


@pytest.mark.parametrize("name", NAMES)
def test_examples_in_docstrings(name: str, variants: SimpleNamespace) -> None:
    assert doctest.testmod(getattr(variants, name)).failed == 0


def test_every_variant_predicts_every_photo(variants: SimpleNamespace, photos: Any) -> None:
    here = variants.split.split(photos, FOLD_N, 0)
    names = [one.name for one in variants.table.variants(aligned=True, others=OTHERS)]
    assert names[0] == variants.table.BASE
    assert len(set(names)) == len(names) >= 30
    assert names[-11:] == [
        *(f"{name}{way}" for name in OTHERS for way in ("", "_mean", "_weighted", "_joined")),
        *(f"others_{way}" for way in ("mean", "weighted", "joined")),
    ]
    for one in variants.table.variants(aligned=True, others=OTHERS):
        logs = one.make(here)
        for task, log_NC in logs.items():
            np.testing.assert_allclose(np.exp(log_NC).sum(axis=1), 1, atol=1e-6, err_msg=one.name)
            if task == "gender":
                assert (log_NC.argmax(axis=1) == photos.labels[task][FOLD_N == 0]).mean() > 0.7, one.name


def test_variants_know_no_other_validation_photo(variants: SimpleNamespace, photos: Any) -> None:
    """Only those that use photos without labels may change when another photo does, or another group."""
    last, changed = photos.features["last"], np.flatnonzero(FOLD_N == 0)[-EACH:]
    other = replace(
        photos,
        features={
            name: np.where(np.isin(np.arange(len(last)), changed)[:, None], 9.0, value)
            for name, value in photos.features.items()
        },
        labels={task: np.where(FOLD_N == 0, 0, label_N) for task, label_N in photos.labels.items()},
        age_N=np.where(FOLD_N == 0, 20, photos.age_N),
    )
    a, b = (variants.split.split(one, FOLD_N, 0) for one in (photos, other))
    for one in variants.table.variants(aligned=True, others=OTHERS):
        if one.family == TRANSDUCTIVE and one.trust is None and not one.own:
            continue
        for task, log_NC in one.make(a).items():
            np.testing.assert_allclose(one.make(b)[task][:-EACH], log_NC[:-EACH], atol=1e-9, err_msg=one.name)


def test_labels_of_photos_without_labels_are_not_there(variants: SimpleNamespace, photos: Any) -> None:
    other = replace(photos, labels={task: np.where(FOLD_N == 0, 0, label_N) for task, label_N in photos.labels.items()})
    a, b = (variants.split.split(one, FOLD_N, 0) for one in (photos, other))
    for one in variants.table.variants(aligned=True, others=OTHERS):
        if one.family == TRANSDUCTIVE:
            for task, log_NC in one.make(a).items():
                np.testing.assert_array_equal(one.make(b)[task], log_NC, err_msg=one.name)


def test_an_inner_row_does_not_know_its_own_label(variants: SimpleNamespace) -> None:
    rng = np.random.default_rng(1)
    known_ND, part_n = rng.normal(size=(60, 4)), np.arange(60) % 3
    label_n = (known_ND[:, 0] > 0).astype(np.int64)
    other_n = np.where(part_n == 0, 1 - label_n, label_n)

    def inner(labels: Any) -> Any:
        found = variants.split.fit(known_ND, labels, part_n, 2, known_ND, kind="logistic", strengths=(0.1,))
        return found.known[part_n == 0]

    np.testing.assert_array_equal(inner(other_n), inner(label_n))


@pytest.mark.parametrize("name", ["bootstrapping", "generalised"])
def test_slopes_of_losses(name: str, variants: SimpleNamespace) -> None:
    loss_of, logit_C = getattr(variants.label_faults, name), np.array([0.3, -1.2, 0.8])

    def loss(logits: Any) -> float:
        return float(loss_of(variants.split.log_softmax(logits[None]), np.array([1]))[0][0])

    found = loss_of(variants.split.log_softmax(logit_C[None]), np.array([1]))[1][0]
    np.testing.assert_allclose(found, approx_fprime(logit_C, loss, 1e-7), atol=1e-6)


def test_values_of_losses(variants: SimpleNamespace) -> None:
    log_NC, label_N = np.log([[0.25, 0.75]]), np.array([0])
    assert variants.label_faults.generalised(log_NC, label_N)[0][0] == pytest.approx((1 - 0.25**0.7) / 0.7)
    target = 0.95 * np.array([1, 0]) + 0.05 * np.array([0.25, 0.75])
    assert variants.label_faults.bootstrapping(log_NC, label_N)[0][0] == pytest.approx(-(target * log_NC[0]).sum())


def test_co_teaching_heads_select_no_row_of_their_own_people(variants: SimpleNamespace) -> None:
    person_n, calls = np.repeat(np.arange(44), 3), []
    half_n = variants.coteaching.halves(person_n)
    assert np.bincount(half_n).tolist() == [66, 66]
    assert all(len(np.unique(half_n[person_n == person])) == 1 for person in range(44))

    def loss_of(fitted_on: Any, rows: Any) -> Any:
        assert not set(person_n[fitted_on]) & set(person_n[rows])
        calls.append((len(fitted_on), len(rows)))
        return rows.astype(np.float64)

    kept = variants.coteaching.agreed(half_n, 0.7, np.zeros(132, np.int64), lambda rows: rows, loss_of)
    assert calls == [(66, 66)] * 2 + [(60, 66)] * 2 + [(53, 66)] * 2  # at least 100, 90 and 80 %
    own = [np.flatnonzero(half_n == side)[:47] for side in (0, 1)]  # at last 70 %
    np.testing.assert_array_equal(kept, np.sort(np.concatenate(own)))


@pytest.mark.parametrize("by_class", [False, True])
def test_co_teaching_leaves_out_wrong_labels(by_class: bool, variants: SimpleNamespace) -> None:
    rng = np.random.default_rng(5)
    person_n, part_n = np.repeat(np.arange(120), 3), np.repeat(np.arange(120) % 3, 3)
    feature_ND = rng.normal(size=(360, 6))
    true_n = np.where(np.arange(360) % 2 == 0, 1, 0)
    feature_ND[:, 0] += 6 * true_n - 3
    wrong_n = np.isin(person_n, rng.permutation(120)[:12])  # all photos of a tenth of the people
    rows, seen = _head_rows(variants, feature_ND, np.where(wrong_n, 1 - true_n, true_n), part_n), []
    agreed = variants.coteaching.agreed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(variants.coteaching, "agreed", lambda *given: seen.append(agreed(*given)) or seen[-1])
        solve = variants.coteaching.taught_solver(
            rows, 0.1, person_n=person_n, share=0.85, by_class=by_class, by_person=True
        )
        solve([0, 1, 2], 0.1)
    assert not wrong_n[seen[0]].any()
    assert len(seen[0]) >= 0.85 * 360


def test_co_teaching_that_keeps_all_is_logistic_regression(variants: SimpleNamespace, photos: Any) -> None:
    here = variants.split.split(photos, FOLD_N, 0)
    logs = variants.coteaching.co_taught(here, 1.0)
    for task in here.space.names:
        plain, found = here.base(task, "logistic").new, logs[task]
        step, own = plain[:, 1:] - plain[:, :1], found[:, 1:] - found[:, :1]  # the same but for a factor
        np.testing.assert_allclose(own, step * (own * step).sum() / (step * step).sum(), atol=1e-3)


def _head_rows(variants: SimpleNamespace, feature_ND: Any, label_n: Any, part_n: Any) -> Any:
    weight_n = np.ones(len(label_n))
    return variants.split.HeadRows(feature_ND, label_n, weight_n, weight_n, part_n, np.arange(len(label_n)), 2)


def test_attention_looks_at_the_photo_that_says_it(variants: SimpleNamespace) -> None:
    rng = np.random.default_rng(2)
    unit_N, label_U = np.repeat(np.arange(80), 4), np.arange(80) % 2
    clear_N = np.tile([1.0, 0.0, 0.0, 0.0], 80)
    value_NK = np.where(clear_N == 1, 2.0 * label_U[unit_N] - 1, rng.normal(0, 4, len(unit_N)))[:, None]
    learned = variants.people.fit_attention(clear_N[:, None], value_NK, unit_N, label_U, 2, 1e-3)
    assert learned.score_S[0] > 2
    found = variants.people.attend(learned, clear_N[:, None], value_NK, unit_N, 80)
    assert (found.argmax(axis=1) == label_U).mean() > 0.95
    plain = variants.people.means(value_NK, unit_N)[0][:, 0] > 0
    assert (plain == label_U).mean() < 0.8


def test_residuals_make_probabilities(variants: SimpleNamespace) -> None:
    known_N, age_N = np.full(4, 40.0), np.array([37.0, 39.0, 41.0, 43.0])  # residuals -3, -1, 1, 3
    found = variants.ages.residual_shares(known_N, age_N, np.array([31.5, 50.0]), (30, 60), spread=100.0)
    np.testing.assert_allclose(found, [[0.25, 0.75, 0], [0, 1, 0]], atol=1e-3)


def test_covariance_of_the_same_photos_changes_nothing(variants: SimpleNamespace) -> None:
    rng = np.random.default_rng(3)
    feature_ND, label_N = rng.normal(size=(40, 3)), np.arange(40) % 2
    classes = variants.unlabelled.class_moments(feature_ND, np.ones(40), label_N, 2)
    centred_ND = feature_ND - feature_ND.mean(axis=0)
    found = variants.unlabelled.with_others(feature_ND.T @ feature_ND, classes, centred_ND.T @ centred_ND, 40)
    within = sum(np.cov(feature_ND[label_N == c].T, bias=True) / 2 for c in range(2))
    np.testing.assert_allclose(found, within, atol=1e-12)


def test_a_variant_that_is_the_base_has_no_difference(variants: SimpleNamespace, photos: Any) -> None:
    prob_NJ = np.random.default_rng(4).dirichlet(np.ones(CONTEST.size), len(FOLD_N)).astype(np.float32)
    base = variants.table.variants()[0]
    ids = [str(n) for n in range(len(FOLD_N))]
    for mode in base.modes:
        rows = variants.scoring.rows_of(base, mode, [prob_NJ], [FOLD_N.astype(np.int64)], photos, ids)
        found = variants.scoring.compare(base, mode, rows, rows, photos, 0.0, tried=100)
        assert found.plain["expected"].value == 0
        assert (
            found.corrected["argmax"].high - found.corrected["argmax"].low
            >= found.plain["argmax"].high - found.plain["argmax"].low
        )
        assert found.loss_difference.value == 0


def test_a_moved_turned_and_scaled_face_is_moved_back(variants: SimpleNamespace) -> None:
    rng, angle = np.random.default_rng(0), np.deg2rad(20)
    points = rng.normal(size=(5, 2))
    turn = 1.7 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = points @ turn.T + (3, -8)
    matrix = variants.aligned.similarity(moved, points)
    np.testing.assert_allclose(moved @ matrix[:, :2].T + matrix[:, 2], points, atol=1e-12)
    noisy = moved + 0.1 * rng.normal(size=moved.shape)
    best = variants.aligned.similarity(noisy, points)

    def error(change: float, place: tuple[int, int]) -> float:
        a, b = best[0, 0], best[1, 0]
        tried = [a, b, best[0, 2], best[1, 2]]
        tried[place[0] * 2 + place[1]] += change
        other = np.array([[tried[0], -tried[1], tried[2]], [tried[1], tried[0], tried[3]]])
        return float(((noisy @ other[:, :2].T + other[:, 2] - points) ** 2).sum())

    for place in ((0, 0), (0, 1), (1, 0), (1, 1)):  # no other similarity is nearer
        assert error(0.0, place) < min(error(1e-3, place), error(-1e-3, place))
