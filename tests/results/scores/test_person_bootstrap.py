"""The resamples of people: against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from maskcls.labels import Ints
from maskcls.results.scores import person_bootstrap as bootstrap
from maskcls.results.scores.person_counts import person_counts


def photos(people: int, seed: int = 0) -> tuple[Ints, Ints, list[str]]:
    """Seven photos a person; a person the model knows is right on nearly all of them, others on few."""
    rng = np.random.default_rng(seed)
    true_N = np.repeat(rng.integers(6, size=people), 7)
    known_N = np.repeat(rng.random(people) < 0.7, 7)
    right_N = rng.random(len(true_N)) < np.where(known_N, 0.97, 0.1)
    pred_N = np.where(right_N, true_N, rng.integers(6, size=len(true_N)))
    return true_N, pred_N, [f"p{i // 7}" for i in range(len(true_N))]


def test_resampled_scores_equal_a_plain_loop() -> None:
    true_N, pred_N, person_N = photos(12)
    people = sorted(set(person_N))
    who_N = np.array([people.index(name) for name in person_N])
    hits_PC, marks_PC = person_counts(true_N, pred_N, who_N, 6)
    weights_DP = np.random.default_rng(1).multinomial(12, np.full(12, 1 / 12), size=40).astype(float)
    expected = []
    for weight_P in weights_DP.astype(int):
        rows = np.repeat(np.arange(len(who_N)), weight_P[who_N])
        expected.append(f1_score(true_N[rows], pred_N[rows], average="macro"))
    assert bootstrap.resampled_macro_f1(weights_DP, hits_PC, marks_PC) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("taken", [None, 3, 50])
def test_resamples_take_as_many_people_as_asked_whatever_the_piece(
    taken: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(4)
    expected = [np.bincount(rng.integers(11, size=taken or 11), minlength=11).tolist() for _ in range(30)]
    for at_once, pieces in ((1, 30), (170, {None: 2, 3: 2, 50: 10}[taken]), (1 << 20, 1)):
        monkeypatch.setattr(bootstrap, "WEIGHTS_AT_ONCE", at_once)
        got = list(bootstrap.resamples(11, 30, seed=4, taken=taken))
        assert len(got) == pieces
        assert np.concatenate(got).tolist() == expected
