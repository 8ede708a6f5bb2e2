"""Selecting pseudo labels: hand-computed rows, plain loops, and one test for every number of the rule."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from maskcls.errors import ConfigError, ResultError
from maskcls.labels import Floats, LabelSpace, Task
from maskcls.results.added.added_set import AddedSet
from maskcls.results.pseudo.label_sets import taken_rows
from maskcls.results.pseudo.selection import Outcome, Selection, balanced, in_proportion, select, source_agreement
from maskcls.results.pseudo.selection_rule import SelectionRule, thresholds

SMALL = LabelSpace((Task("hat", ("no", "yes")), Task("hue", ("red", "blue"))))  # joint: no/red no/blue yes/red yes/blue
ONE = LabelSpace((Task("hat", ("no", "yes", "two")),))
NOTHING = thresholds(0.0, SMALL)


def names(count: int) -> NDArray[np.str_]:
    return np.array([f"{i:02d}.jpg" for i in range(count)])


def small(*pairs: tuple[float, float]) -> Floats:
    """Rows of SMALL from the probabilities of hat=yes and hue=blue, as if independent."""
    yes, blue = np.array(pairs).T
    return SMALL.compose({"hat": np.stack([1 - yes, yes], axis=1), "hue": np.stack([1 - blue, blue], axis=1)})


def chosen(prob: Floats, space: LabelSpace = SMALL, ids: NDArray[np.str_] | None = None, **options: Any) -> Selection:
    """Select with one source, or several; no threshold unless given."""
    prob_SNJ = prob if prob.ndim == 3 else prob[None]
    ids = names(prob_SNJ.shape[1]) if ids is None else ids
    return select(ids, prob_SNJ, space, SelectionRule(**({"thresholds": thresholds(0.0, space)} | options)))


def taken(selection: Selection) -> list[int]:
    return np.flatnonzero((selection.outcome_TN == Outcome.TAKEN).any(axis=0)).tolist()


def rows_of(selection: Selection, **options: Any) -> AddedSet:
    paths = np.array([f"eval/{name}" for name in selection.mean.ids])
    return taken_rows(selection, paths, SelectionRule(**({"thresholds": NOTHING} | options)))


def one_task(*rows: tuple[int, float]) -> Floats:
    """Rows of ONE: a class and its probability, the rest shared by the other two."""
    return np.array([[p if c == label else (1 - p) / 2 for c in range(3)] for label, p in rows], dtype=np.float32)


# --- thresholds ---


def test_thresholds_are_spelt_out_by_class() -> None:
    assert thresholds(0.9, SMALL) == {"hat": (0.9, 0.9), "hue": (0.9, 0.9)}
    assert thresholds({"hue": {"blue": 0.2, "red": 0.1}, "hat": 1}, SMALL) == {"hat": (1.0, 1.0), "hue": (0.1, 0.2)}


@pytest.mark.parametrize(
    ("given", "offenders"),
    [
        (1.1, ("hat: 1.1", "hue: 1.1")),
        ({"hat": math.nan, "hue": 0}, ("hat: nan",)),
        ({"hat": 0.5}, ("hue is missing",)),
        ({"hat": 0.5, "hue": 0.5, "huge": 0.5}, ("huge is not known, hue is",)),
        ({"hat": 0.5, "hue": {"red": 0.5}}, ("hue.blue is missing",)),
        ({"hat": {"No": 0.5, "no": 0.5, "yes": -1}, "hue": 0.5}, ("hat.No is not known, no is", "hat: -1.0")),
    ],
)
def test_wrong_thresholds_are_all_named(given: Any, offenders: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="thresholds") as caught:
        thresholds(given, SMALL)
    assert caught.value.offenders == offenders


def test_a_row_is_taken_when_every_task_passes() -> None:
    prob = small((0.95, 0.95), (0.95, 0.6), (0.05, 0.6), (0.6, 0.05))
    selection = chosen(prob, thresholds=thresholds(0.9, SMALL))
    assert taken(selection) == [0]
    assert selection.label_TN.tolist() == [[1, 1, 0, 1], [1, 1, 1, 0]]
    assert selection.outcome_TN.tolist() == [[0, 4, 4, 4], [0, 4, 4, 4]]
    assert taken(chosen(prob, thresholds=thresholds({"hat": 0.9, "hue": 0.5}, SMALL))) == [0, 1, 2]
    by_class = thresholds({"hat": {"no": 0.9, "yes": 0.5}, "hue": {"red": 0.9, "blue": 0.99}}, SMALL)
    assert taken(chosen(prob, thresholds=by_class)) == [3]


def test_the_marginal_counts_and_not_the_joint_class() -> None:
    # hat: 0.55 yes; hue: 0.6 red; the likeliest joint class is no/red with 0.4, though hat's maximum is yes
    prob = np.array([[0.4, 0.05, 0.2, 0.35]], dtype=np.float32)
    selection = chosen(prob, thresholds=thresholds({"hat": 0.55, "hue": 0.6}, SMALL))
    assert (selection.label_TN.tolist(), taken(selection)) == ([[1], [0]], [0])
    np.testing.assert_allclose(selection.confidence_TN, [[0.55], [0.6]], rtol=1e-6)  # float32
    assert selection.confidence_N == pytest.approx([0.33], rel=1e-6)
    assert taken(chosen(prob, thresholds=thresholds({"hat": 0.56, "hue": 0.6}, SMALL))) == []


@pytest.mark.parametrize("p", [0.9, 0.7, 0.55, 1.0])
def test_a_probability_reaches_its_own_threshold(p: float) -> None:
    """float32(0.9) is below 0.9, and must pass it all the same."""
    below = float(np.nextafter(np.float32(p), np.float32(0)))
    prob = np.array([[p, 1 - p, 0], [below, 1 - below, 0]], dtype=np.float32)
    assert taken(chosen(prob, ONE, thresholds=thresholds(p, ONE))) == [0]


def test_partial_leaves_unsure_tasks_unknown() -> None:
    prob = small((0.95, 0.05), (0.95, 0.6), (0.6, 0.05), (0.6, 0.6))
    selection = chosen(prob, thresholds=thresholds(0.9, SMALL), partial=True)
    rows = rows_of(selection)
    assert rows.ids.tolist() == ["00.jpg", "01.jpg", "02.jpg"]
    assert rows.paths.tolist() == ["eval/00.jpg", "eval/01.jpg", "eval/02.jpg"]
    assert {name: label.tolist() for name, label in rows.labels.items()} == {"hat": [1, 1, -1], "hue": [0, -1, 0]}
    assert all(label.dtype == np.int64 for label in rows.labels.values())


# --- agreement ---


def voices(*labels: tuple[int, ...]) -> Floats:
    """Sources of ONE, each a class a photo, sure to 0.6."""
    return np.stack([one_task(*((label, 0.6) for label in source)) for source in labels])


def test_agreement_by_hand() -> None:
    # photo 0: all say 1; photo 1: three of four say 2; photo 2: two say 0 and two 1, which ties and goes to 0
    prob = voices((1, 2, 0), (1, 2, 0), (1, 2, 1), (1, 0, 1))
    for share, expected in ((1.0, [1, 0, 0]), (0.76, [1, 0, 0]), (0.75, [1, 1, 0]), (0.5, [1, 1, 1]), (0.0, [1, 1, 1])):
        mean, agree = source_agreement(prob, ONE, share=share)
        assert agree.tolist() == [[bool(x) for x in expected]], share
    np.testing.assert_allclose(mean[1], [(0.2 * 3 + 0.6) / 4, 0.2, (0.6 * 3 + 0.2) / 4], rtol=1e-6)
    assert mean.dtype == np.float32


def test_a_share_of_votes_is_not_lost_to_rounding() -> None:
    """0.28 * 25 is 7.000000000000001 in floats, and seven of 25 are enough."""
    for votes, sources, share in ((7, 25, 0.28), (2, 3, 2 / 3), (7, 10, 0.7)):
        prob = voices(*[(1,)] * votes, *[(2,)] * (sources - votes))
        prob[:votes] = one_task((1, 1.0))  # the mean says 1, however few they are
        prob[votes:] = one_task((2, 0.4))
        assert source_agreement(prob, ONE, share=share)[1].tolist() == [[True]]
        assert source_agreement(prob, ONE, share=share + 0.01)[1].tolist() == [[False]]


def test_the_sources_must_name_the_class_of_the_mean() -> None:
    """Two of three name 1 by a hair, but the mean says 2: one vote of three."""
    prob = np.array([[[0, 0.51, 0.49]], [[0, 0.51, 0.49]], [[0, 0, 1]]], dtype=np.float32)
    assert source_agreement(prob, ONE, share=0.4)[1].tolist() == [[False]]
    assert source_agreement(prob, ONE, share=1 / 3)[1].tolist() == [[True]]


def test_disagreement_takes_the_row_or_the_task() -> None:
    prob = np.stack([small((0.9, 0.9), (0.9, 0.9)), small((0.9, 0.6), (0.9, 0.45))])
    assert taken(chosen(prob)) == [0]
    assert chosen(prob).outcome_TN.tolist() == [[0, 3], [0, 3]]
    assert chosen(prob, partial=True).outcome_TN.tolist() == [[0, 0], [0, 3]]
    assert taken(chosen(prob, agree=0.5)) == [0, 1]
    assert chosen(prob, thresholds=thresholds(0.99, SMALL)).outcome_TN.tolist() == [[4, 4], [4, 4]]


def test_shapes_that_are_none_are_a_bug() -> None:
    for shape in ((2, 3), (0, 2, 3), (1, 2, 4)):
        with pytest.raises(ValueError, match="sources, photos, 3"):
            source_agreement(np.zeros(shape, dtype=np.float32), ONE, share=1.0)


def test_probabilities_that_are_none_stop_it() -> None:
    prob = voices((1, 2), (1, 2))
    prob[1, 1, 0] = np.nan
    with pytest.raises(ResultError, match="not finite") as caught:
        chosen(prob, ONE)
    assert caught.value.offenders == ("01.jpg",)
    with pytest.raises(ResultError, match="occurs twice"):
        chosen(voices((1, 2)), ONE, ids=np.array(["a", "a"]))


# --- caps and balance ---

# by class: 0 has four rows, 1 has two, 2 has one
UNEVEN = one_task((0, 0.8), (1, 0.7), (0, 0.9), (0, 0.7), (2, 0.6), (1, 0.9), (0, 0.8))


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, [0, 1, 2, 3, 4, 5, 6]),
        ({"cap_rows": 2}, [0, 1, 2, 4, 5]),  # rows 0 and 6 tie, and 00 comes before 06
        ({"cap_rows": 1}, [2, 4, 5]),
        ({"cap_share": 0.75}, [0, 2, 5, 6]),  # 3 of 4, 1 of 2, 0 of 1
        ({"cap_share": 1.0}, [0, 1, 2, 3, 4, 5, 6]),
        ({"cap_rows": 3, "cap_share": 0.5}, [0, 2, 5]),
        ({"balance": 1.0}, [2, 4, 5]),
        ({"balance": 2.9}, [0, 1, 2, 4, 5]),
        ({"balance": 3.0}, [0, 1, 2, 4, 5, 6]),
        ({"prior": (1, 1, 0)}, [0, 1, 2, 5]),  # two of each of the first
        ({"prior": (4, 1, 1)}, [0, 2, 3, 4, 5, 6]),
        ({"prior": (0, 0, 3)}, [4]),
        ({"cap_rows": 2, "balance": 1.0}, [2, 4, 5]),
        ({"thresholds": thresholds(0.7, ONE), "balance": 1.0}, [0, 1, 2, 5]),  # class 2 has no row left to count
        ({"thresholds": thresholds(0.7, ONE), "prior": (1, 1, 1)}, [0, 1, 2, 5]),
        ({"thresholds": thresholds(0.7, ONE), "cap_share": 0.5}, [0, 2, 5]),  # a share of the rows before thresholds
        ({"thresholds": thresholds(0.99, ONE), "balance": 1.0}, []),
        ({"thresholds": thresholds(0.99, ONE), "prior": (1, 1, 1)}, []),
    ],
)
def test_caps_and_balance_by_hand(options: dict[str, Any], kept: list[int]) -> None:
    assert taken(chosen(UNEVEN, ONE, **options)) == kept


def test_no_number_of_the_rule_goes_untested() -> None:
    """A new one belongs into this list and into a test above or below."""
    tried = {"thresholds", "partial", "agree", "cap_rows", "cap_share", "balance", "prior"}
    tried |= {"combine", "weigh", "weight", "soft", "temperature"}
    assert {field.name for field in fields(SelectionRule)} == tried


def test_each_row_left_out_has_its_reason() -> None:
    verdicts = chosen(UNEVEN, ONE, thresholds=thresholds(0.65, ONE), cap_rows=3, balance=1.0).outcome_TN
    assert [Outcome(v).name.lower() for v in verdicts[0]] == [
        "taken", "taken", "taken", "cap", "threshold", "taken", "balance",
    ]  # fmt: skip
    assert chosen(UNEVEN, ONE, cap_share=0.75).outcome_TN[0].tolist() == [0, 2, 0, 2, 2, 0, 0]


def test_the_joint_class_is_what_is_capped_and_ranked() -> None:
    # the first two are yes/blue: products 0.72 and 0.7225; then products 0.64 and 0.7125, minima 0.8 and 0.75
    prob = small((0.9, 0.8), (0.85, 0.85), (0.1, 0.9))
    assert taken(chosen(prob, cap_rows=1)) == [1, 2]
    prob = small((0.8, 0.8), (0.75, 0.95))
    assert taken(chosen(prob, cap_rows=1)) == [1]
    assert taken(chosen(prob, cap_rows=1, combine="minimum")) == [0]


def test_partial_rows_are_ranked_by_all_tasks() -> None:
    """A row that knows one task only, though surely, is no better than one that knows both."""
    prob = small((0.99, 0.6), (0.95, 0.95))
    selection = chosen(prob, thresholds=thresholds(0.9, SMALL), partial=True, cap_rows=1)
    assert selection.outcome_TN.tolist() == [[2, 0], [4, 0]]


@given(
    seed=st.integers(0, 10**6),
    count=st.integers(1, 60),
    cap=st.integers(1, 5),
    times=st.sampled_from([1.0, 1.5, 2.0]),
    floor=st.sampled_from([0.0, 0.4, 0.6]),
)
@settings(max_examples=60, deadline=None)
def test_selection_equals_a_plain_loop(seed: int, count: int, cap: int, times: float, floor: float) -> None:
    rng = np.random.default_rng(seed)
    # quarters, so that probabilities are exact and ties are many
    prob = np.stack([rng.multinomial(4, [1 / 3] * 3, size=count) / 4 for _ in range(2)]).astype(np.float32)
    ids = np.array([str(i) for i in rng.permutation(count * 7)[:count]])

    rows = []
    for i in range(count):
        mean = [(float(prob[0, i, c]) + float(prob[1, i, c])) / 2 for c in range(3)]
        label = mean.index(max(mean))
        votes = [list(prob[s, i]).index(max(prob[s, i])) == label for s in range(2)]
        if max(mean) >= floor and all(votes):
            rows.append((label, -max(mean), ids[i], i))
    kept: list[tuple[int, float, str, int]] = []
    for row in sorted(rows):
        if sum(other[0] == row[0] for other in kept) < cap:
            kept.append(row)
    limit = math.floor(times * min(Counter(row[0] for row in kept).values(), default=0))
    final = [row for n, row in enumerate(kept) if sum(other[0] == row[0] for other in kept[:n]) < limit]

    options = {"thresholds": thresholds(floor, ONE), "cap_rows": cap, "balance": times}
    assert taken(chosen(prob, ONE, ids=ids, **options)) == sorted(row[3] for row in final)
    order = rng.permutation(count)
    again = chosen(prob[:, order], ONE, ids=ids[order], **options)
    assert sorted(rows_of(again).ids) == sorted(str(row[2]) for row in final)


def test_limits_by_hand() -> None:
    assert balanced(np.array([0, 0]), 2.0).tolist() == [0, 0]
    assert balanced(np.array([30, 300]), 4.1).tolist() == [123, 123]  # 4.1 * 30 is a hair below 123 in floats
    assert in_proportion(np.array([27, 99]), (0.3, 0.7)).tolist() == [27, 63]  # and 27 / 0.3 * 0.7 below 63
    even = np.tile(one_task((0, 0.9)), (100, 1))
    assert len(taken(chosen(even, ONE, cap_share=0.29))) == 29  # and 0.29 * 100 below 29
    # the third class lacks most: 4 / 0.4 = 10 in all
    assert in_proportion(np.array([9, 9, 4]), (0.3, 0.3, 0.4)).tolist() == [3, 3, 4]
    assert in_proportion(np.array([9, 0, 4]), (0.5, 0.25, 0.25)).tolist() == [8, 4, 4]
    assert in_proportion(np.array([0, 5]), (1.0, 0.0)).tolist() == [0, 0]
    with pytest.raises(ValueError, match="2 shares for 3"):
        in_proportion(np.array([1, 2, 3]), (1, 2))


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("thresholds", {"hat": (0.5, 1.5)}),
        ("agree", 1.01),
        ("cap_rows", 0),
        ("cap_share", 0.0),
        ("cap_share", 1.1),
        ("balance", 0.9),
        ("balance", math.nan),
        ("prior", (0.0, 0.0)),
        ("prior", (1.0, -0.1)),
        ("combine", "mean"),
        ("weight", 0.0),
        ("weight", math.inf),
        ("temperature", 0.0),
    ],
)
def test_numbers_out_of_range_are_refused(name: str, bad: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} is out of range"):
        SelectionRule(**{"thresholds": NOTHING, name: bad})


def test_balance_and_prior_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="balance is out of range"):
        SelectionRule(NOTHING, balance=2.0, prior=(1.0,) * 4)


def test_the_rule_is_plain_data() -> None:
    rule = SelectionRule(thresholds({"hat": 0.9, "hue": {"red": 0.5, "blue": 0.95}}, SMALL), prior=(0.1, 0.2, 0.3, 0.4))
    data = json.loads(json.dumps(rule.to_json()))
    assert data["thresholds"] == {"hat": [0.9, 0.9], "hue": [0.5, 0.95]}
    assert data["prior"] == [0.1, 0.2, 0.3, 0.4]
    assert data.keys() == {field.name for field in fields(SelectionRule)}
