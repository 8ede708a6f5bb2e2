"""Sets of pseudo labels: weights, soft targets, the summary, and which sources label which set."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_selection import NOTHING, SMALL, chosen, names, rows_of, small

from maskcls.labels import CONTEST, UNKNOWN
from maskcls.results.pseudo.label_sets import all_sources, count_outcomes, label_sets, sharpened, taken_rows
from maskcls.results.pseudo.selection import Outcome, source_agreement
from maskcls.results.pseudo.selection_rule import SelectionRule, thresholds
from maskcls.rundir import REFIT

# --- labels, targets and weights ---


def test_weights_by_hand() -> None:
    prob = small((0.95, 0.05), (0.9, 0.6), (0.6, 0.6))
    whole, partial = chosen(prob), chosen(prob, thresholds=thresholds(0.9, SMALL), partial=True)
    assert rows_of(whole).weight.tolist() == [1, 1, 1]
    assert rows_of(whole, weight=0.3).weight.tolist() == [0.3] * 3
    np.testing.assert_allclose(rows_of(whole, weigh=True).weight, [0.9025, 0.54, 0.36], rtol=1e-6)  # float32
    halves = rows_of(whole, weigh=True, combine="minimum", weight=0.5).weight
    np.testing.assert_allclose(halves, [0.475, 0.3, 0.3], rtol=1e-6)
    # the task left unknown does not count
    np.testing.assert_allclose(rows_of(partial, weigh=True).weight, [0.9025, 0.9], rtol=1e-6)
    assert rows_of(whole).weight.dtype == np.float64


def test_soft_targets_are_the_mean_of_the_sources() -> None:
    prob = np.stack([small((0.9, 0.8), (0.4, 0.4)), small((0.7, 0.8), (0.3, 0.3))])
    rows = rows_of(chosen(prob, thresholds=thresholds(0.7, SMALL)), soft=True)
    assert rows_of(chosen(prob)).prob is None
    assert rows.prob is not None
    assert (rows.ids.tolist(), rows.prob.dtype) == (["00.jpg"], np.float32)
    np.testing.assert_allclose(rows.prob, [[0.04, 0.16, 0.16, 0.64]], rtol=1e-6)


def test_sharpening_by_hand() -> None:
    rows = rows_of(chosen(small((0.75, 0.5))), soft=True, temperature=0.5)
    np.testing.assert_allclose(rows.prob, [[1 / 20, 1 / 20, 9 / 20, 9 / 20]], rtol=1e-6)
    prob = np.array([[0.5, 0.3, 0.2, 0.0]], dtype=np.float32)
    np.testing.assert_array_equal(sharpened(prob, 1e-6), [[1, 0, 0, 0]])
    np.testing.assert_allclose(sharpened(prob, 2.0)[0, 0] / sharpened(prob, 2.0)[0, 1], (5 / 3) ** 0.5, rtol=1e-6)
    np.testing.assert_allclose(sharpened(prob, 1.0), prob, rtol=1e-6)
    assert sharpened(prob, 2.0)[0, 3] == 0


def test_no_confidence_is_above_one() -> None:
    """Rows may sum to a little more than 1, and so may a marginal."""
    selection = chosen(np.array([[0.0, 0.0, 0.0, 1.0005]], dtype=np.float32))
    assert (selection.confidence_N.tolist(), rows_of(selection, weigh=True).weight.tolist()) == ([1.0], [1.0])


def test_paths_of_other_rows_are_a_bug() -> None:
    with pytest.raises(ValueError, match="1 paths for 2 photos"):
        taken_rows(chosen(small((0.9, 0.9), (0.9, 0.9))), np.array(["a"]), SelectionRule(NOTHING))


# --- summary ---


def test_summary_by_hand() -> None:
    prob = np.stack([small((0.9, 0.9), (0.9, 0.6), (0.8, 0.9), (0.1, 0.9))] * 2)
    prob[1, 3] = small((0.55, 0.9))[0]  # hat 0.325 on the mean, but the second source says yes
    lines = count_outcomes(chosen(prob, thresholds=thresholds(0.65, SMALL), cap_rows=1))
    keys = ["task", "class", "considered", "taken", "balance", "cap", "agreement", "threshold", "confidence"]
    assert list(lines[0]) == keys
    got = {(line["task"], line["class"]): [line[key] for key in keys[2:-1]] for line in lines}
    assert got == {
        ("joint", "no/red"): [0, 0, 0, 0, 0, 0],
        ("joint", "no/blue"): [1, 0, 0, 0, 1, 0],
        ("joint", "yes/red"): [0, 0, 0, 0, 0, 0],
        ("joint", "yes/blue"): [3, 1, 0, 1, 0, 1],
        ("hat", "no"): [1, 0, 0, 0, 1, 0],
        ("hat", "yes"): [3, 1, 0, 1, 0, 1],
        ("hue", "red"): [0, 0, 0, 0, 0, 0],
        ("hue", "blue"): [4, 1, 0, 1, 1, 1],
    }
    confidence = {(line["task"], line["class"]): line["confidence"] for line in lines}
    assert confidence["joint", "yes/blue"] == pytest.approx(0.81, rel=1e-6)
    assert confidence["hat", "yes"] == pytest.approx(0.9, rel=1e-6)
    assert confidence["joint", "no/blue"] is None
    json.dumps(lines, allow_nan=False)


def test_summary_of_partial_rows_counts_each_task() -> None:
    lines = count_outcomes(chosen(small((0.95, 0.6), (0.95, 0.95)), thresholds=thresholds(0.9, SMALL), partial=True))
    got = {line["class"]: (line["considered"], line["taken"], line["threshold"]) for line in lines}
    assert (got["yes/blue"], got["yes"], got["blue"]) == ((2, 2, 0), (2, 2, 0), (2, 1, 1))


@given(seed=st.integers(0, 10**6), partial=st.booleans())
@settings(max_examples=20, deadline=None)
def test_nothing_is_lost_in_the_summary(seed: int, partial: bool) -> None:
    prob = np.random.default_rng(seed).dirichlet(np.full(18, 0.1), (3, 80)).astype(np.float32)
    options = {"partial": partial, "cap_rows": 4, "balance": 2.0, "agree": 0.6}
    selection = chosen(prob, CONTEST, thresholds=thresholds(0.7, CONTEST), **options)
    lines, rows = count_outcomes(selection), rows_of(selection)
    assert len(lines) == 18 + 3 + 2 + 3
    for line in lines:
        assert line["considered"] == sum(line[verdict.name.lower()] for verdict in Outcome)
    for task in ("joint", *CONTEST.names):
        known = len(rows) if task == "joint" else int((rows.labels[task] != UNKNOWN).sum())
        assert sum(line["considered"] for line in lines if line["task"] == task) == 80
        assert sum(line["taken"] for line in lines if line["task"] == task) == known


# --- sets ---


def test_each_set_hears_its_own_sources_alone() -> None:
    """Planted: fold 0's network alone is sure of photo 0, fold 1's alone of photo 1."""
    sources = {0: small((0.95, 0.95), (0.6, 0.6))[None], 1: small((0.4, 0.6), (0.05, 0.05))[None]}
    sources[REFIT] = all_sources(sources)
    rule = SelectionRule(thresholds(0.77, SMALL), soft=True)
    sets, lines = label_sets(sources, names(2), names(2), SMALL, rule)
    assert {k: rows.ids.tolist() for k, rows in sets.items()} == {0: ["00.jpg"], 1: ["01.jpg"], REFIT: []}
    assert sets[0].labels["hat"].tolist() == [1]
    assert sets[1].labels["hat"].tolist() == [0]
    assert [(line["set"], line["class"]) for line in lines[:9:8]] == [(0, "no/red"), (1, "no/red")]
    assert len(lines) == 3 * 8
    changed, _ = label_sets({**sources, 1: sources[0]}, names(2), names(2), SMALL, rule)
    assert changed[0].prob is not None
    np.testing.assert_array_equal(changed[0].prob, sets[0].prob)


def test_all_folds_together_are_their_mean() -> None:
    rng = np.random.default_rng(0)
    sources = {k: rng.dirichlet(np.ones(4), (2, 7)).astype(np.float32) for k in (2, 0, 1)}
    mean, _ = source_agreement(all_sources(sources), SMALL, share=1.0)
    by_fold = [source_agreement(sources[k], SMALL, share=1.0)[0].astype(np.float64) for k in range(3)]
    np.testing.assert_allclose(mean, sum(by_fold) / 3, rtol=1e-6)
    with pytest.raises(ValueError, match="differ in shape"):
        all_sources({**sources, 1: sources[1][:1]})
