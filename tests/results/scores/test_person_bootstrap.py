"""The bootstrap over people: against a plain loop, and what it must not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from maskcls.labels import Ints
from maskcls.results.scores import metrics
from maskcls.results.scores import person_bootstrap as bootstrap


def ints(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


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
    hits_PC, marks_PC = bootstrap.person_counts(true_N, pred_N, who_N, 6)
    weights_DP = np.random.default_rng(1).multinomial(12, np.full(12, 1 / 12), size=40).astype(float)
    expected = []
    for weight_P in weights_DP.astype(int):
        rows = np.repeat(np.arange(len(who_N)), weight_P[who_N])
        expected.append(f1_score(true_N[rows], pred_N[rows], average="macro"))
    assert bootstrap.resampled_macro_f1(weights_DP, hits_PC, marks_PC) == pytest.approx(expected, abs=1e-12)


def test_interval_equals_a_plain_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    true_N, pred_N, person_N = photos(20, seed=3)
    people = sorted(set(person_N))
    rows_of = [[i for i, name in enumerate(person_N) if name == who] for who in people]
    rng = np.random.default_rng(11)
    draws = []
    for _ in range(60):
        rows = [row for who in rng.integers(20, size=20) for row in rows_of[who]]
        draws.append(f1_score(true_N[rows], pred_N[rows], average="macro"))
    low, high = np.quantile(draws, [0.1, 0.9])
    for at_once in (1, 70, 1 << 20):  # one draw at a time, a few, all: the same interval
        monkeypatch.setattr(bootstrap, "WEIGHTS_AT_ONCE", at_once)
        got = bootstrap.person_bootstrap(true_N, pred_N, person_N, 6, draws=60, seed=11, level=0.8)
        assert (got.low, got.high, got.draws, got.level) == (pytest.approx(low), pytest.approx(high), 60, 0.8)


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


def test_interval_does_not_depend_on_row_order_and_skips_unknown_rows() -> None:
    true_N, pred_N, person_N = photos(30)
    order = np.random.default_rng(0).permutation(len(true_N))
    person = np.array(person_N)
    one = bootstrap.person_bootstrap(true_N, pred_N, person, 6, seed=5, draws=50)
    assert bootstrap.person_bootstrap(true_N[order], pred_N[order], person[order], 6, seed=5, draws=50) == one
    more = (np.append(true_N, [-1, -1]), np.append(pred_N, [0, 1]), [*person_N, "nobody", "p0"])
    assert bootstrap.person_bootstrap(*more, 6, seed=5, draws=50) == one
    assert bootstrap.person_bootstrap(true_N, pred_N, person, 6, seed=6, draws=50) != one


def test_interval_of_people_is_wider_than_of_photos() -> None:
    true_N, pred_N, person_N = photos(150)
    value = metrics.macro_f1(metrics.confusion(true_N, pred_N, 6))
    people = bootstrap.person_bootstrap(true_N, pred_N, person_N, 6, seed=0, draws=400)
    rows = bootstrap.person_bootstrap(true_N, pred_N, [str(i) for i in range(len(true_N))], 6, seed=0, draws=400)
    assert people.low < value < people.high
    # right or wrong is nearly the same on all 7 photos, so the width grows by about sqrt(7) = 2.6
    assert 1.8 < (people.high - people.low) / (rows.high - rows.low) < 3.2


def test_one_person_has_no_spread() -> None:
    got = bootstrap.person_bootstrap(ints(0, 1, 1), ints(0, 1, 0), ["p", "p", "p"], 2, seed=0, draws=5)
    assert got.low == got.high == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"draws": 0}, "draws"),
        ({"level": 1.0}, "level"),
        ({"true_N": ints(-1, -1)}, "no row"),
        ({"person_N": ["p"]}, "1 people for 2 rows"),
        ({"pred_N": ints(0, 7)}, "must lie"),
    ],
)
def test_bootstrap_refuses_nonsense(change: dict[str, object], message: str) -> None:
    good: dict[str, object] = {"true_N": ints(0, 1), "pred_N": ints(0, 1), "person_N": ["p", "q"], "classes": 2}
    with pytest.raises(ValueError, match=message):
        bootstrap.person_bootstrap(**{**good, "seed": 0, **change})  # type: ignore[arg-type]
