"""People whose photos are given different classes, worked out by hand and counted by a plain loop."""

import itertools

import numpy as np

from maskcls.labels import CONTEST
from maskcls.results.scores.consistency import consistency
from maskcls.results.scores.disagreement import Disagreement, disagreements


def labels(mask: list[int], gender: list[int], age: list[int]) -> dict[str, np.ndarray]:
    return {"mask": np.array(mask), "gender": np.array(gender), "age": np.array(age)}


def test_by_hand() -> None:
    people_N = np.array(["b", "a", "b", "b", "a", "c"])
    truth = labels([0] * 6, [0, 1, 0, 0, 1, 0], [-1] * 6)
    given = labels([0, 1, 2, 0, 1, 0], [0, 1, 1, 0, 0, 1], [2, 0, 2, 2, 0, 0])

    found = disagreements(CONTEST.encode(given), truth, CONTEST, people_N, ["gender", "age"])

    assert found == (
        Disagreement("a", "gender", 2, "female", {"male": 1, "female": 1}, 0.0),
        Disagreement("b", "gender", 3, "male", {"male": 2, "female": 1}, 1 / 3),
    )


def test_unknown_truth_is_no_class() -> None:
    given = labels([0, 0], [0, 1], [0, 0])
    (one,) = disagreements(
        CONTEST.encode(given), labels([-1] * 2, [-1] * 2, [-1] * 2), CONTEST, np.array([3, 3]), ["gender"]
    )
    assert (one.person, one.true) == ("3", "")


def test_shares_agree_with_those_of_consistency() -> None:
    rng = np.random.default_rng(0)
    people_N = np.repeat(np.arange(30), 4)
    truth = labels(rng.integers(3, size=120).tolist(), np.repeat(rng.integers(2, size=30), 4).tolist(), [0] * 120)
    pred_N = rng.integers(18, size=120)
    whole = consistency(pred_N, truth, CONTEST, people_N)
    assert whole is not None
    found = disagreements(pred_N, truth, CONTEST, people_N, list(whole.tasks))
    gender = [one for one in found if one.task == "gender"]
    given_N = CONTEST.decode(pred_N)["gender"]
    pairs = [
        np.mean([given_N[i] == given_N[j] for i, j in itertools.combinations(np.flatnonzero(people_N == p), 2)])
        for p in range(30)
    ]
    assert len(gender) == sum(pair < 1 for pair in pairs) > 5
    assert np.isclose((sum(one.pairs for one in gender) + 30 - len(gender)) / 30, whole.tasks["gender"].pairs)
    assert sorted(one.pairs for one in gender) == [one.pairs for one in gender]
