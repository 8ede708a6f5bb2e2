"""Which views raise the score: found by a greedy search, scored on folds that had no part in it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from maskcls.labels import Floats, Ints
from maskcls.results.comparison.views import compare_views, greedy, mean_of
from maskcls.viewnames import SINGLE

CLASSES = 3


def said(truth_N: Ints, errors: dict[str, float], *, seed: int) -> dict[str, Floats]:
    """Return what views say that are wrong on these shares of the rows, each for itself, and not sure of it."""
    rng, found = np.random.default_rng(seed), {}
    for name, share in errors.items():
        wrong = rng.random(len(truth_N)) < share
        label_N = np.where(wrong, (truth_N + rng.integers(1, CLASSES, len(truth_N))) % CLASSES, truth_N)
        strength = rng.uniform(0.4, 0.9, len(truth_N))
        prob = np.full((len(truth_N), CLASSES), 0.0) + ((1 - strength) / (CLASSES - 1))[:, None]
        prob[np.arange(len(truth_N)), label_N] = strength
        found[name] = prob.astype(np.float32)
    return found


@pytest.fixture
def rows() -> tuple[Ints, Ints, Ints]:
    people = np.repeat(np.arange(120), 3)
    return np.random.default_rng(0).integers(CLASSES, size=360), people, people % 4


def test_views_that_help_are_found_and_worth_it(rows: tuple[Ints, Ints, Ints]) -> None:
    truth, people, fold = rows
    found = compare_views(said(truth, dict.fromkeys(SINGLE, 0.3), seed=1), truth, people, fold, CLASSES)
    assert found.none == pytest.approx(
        f1_score(truth, said(truth, dict.fromkeys(SINGLE, 0.3), seed=1)["none"].argmax(1), average="macro")
    )
    assert found.chosen.cost >= 3
    assert found.pays
    assert 0 < found.honest.value <= found.chosen.gain.value + 0.05
    assert [one.cost for one in found.tried] == [1, 2, 2, 4, 8, 5, *[1] * 11]


def test_views_that_only_add_noise_are_not_worth_it(rows: tuple[Ints, Ints, Ints]) -> None:
    truth, people, fold = rows
    found = compare_views(
        said(truth, dict.fromkeys(SINGLE, 0.9) | {"none": 0.05}, seed=2), truth, people, fold, CLASSES
    )
    assert found.chosen.name.startswith("none")
    assert not found.pays


def test_the_honest_gain_never_sees_the_rows_it_scores(rows: tuple[Ints, Ints, Ints]) -> None:
    """Another truth in fold 0 changes what the other folds are given, and nothing of what fold 0 is given."""
    truth, _, fold = rows
    views = said(truth, dict.fromkeys(SINGLE, 0.4), seed=3)
    others = np.flatnonzero(fold != 0)
    part = {name: prob[others] for name, prob in views.items()}
    changed = truth.copy()
    changed[fold == 0] = (truth[fold == 0] + 1) % CLASSES
    assert greedy(part, truth[others], CLASSES) == greedy(part, changed[others], CLASSES)
    assert greedy(views, truth, CLASSES) != greedy(views, changed, CLASSES)


def test_greedy_stops_where_nothing_helps() -> None:
    truth = np.array([0, 1, 2, 0])
    right = np.eye(CLASSES, dtype=np.float32)[truth]
    assert greedy({"none": right, "flip": right}, truth, CLASSES) == ("none",)
    half = right.copy()
    half[0] = [0.4, 0.6, 0.0]
    assert greedy({"none": half, "flip": right}, truth, CLASSES) == ("none", "flip")
    np.testing.assert_allclose(mean_of({"none": half, "flip": right}, ("none", "flip"))[0], [0.7, 0.3, 0])


def test_views_are_averaged_as_the_run_averages_them() -> None:
    views = {"none": np.array([[0.8, 0.2]], np.float32), "flip": np.array([[0.2, 0.8]], np.float32)}
    views["up"] = np.array([[0.98, 0.02]], np.float32)
    plain, geometric = (mean_of(views, tuple(views), mean) for mean in ("arithmetic", "geometric"))
    np.testing.assert_allclose(plain[0, 0], (0.8 + 0.2 + 0.98) / 3, atol=1e-6)
    odds = (4 * 0.25 * 49) ** (1 / 3)
    np.testing.assert_allclose(geometric[0, 0], odds / (1 + odds), atol=1e-6)
