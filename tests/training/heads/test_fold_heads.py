"""The heads of a fold: no validation row has a part in them, and every setting of `heads` does what it says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tiny import tiny

from maskcls.engine.step_plan import FoldRows
from maskcls.errors import DataError
from maskcls.nn.fitting.fitted_head import RawHead
from maskcls.nn.heads import Head, build_head
from maskcls.schema import Config
from maskcls.training.heads.fold_heads import STRENGTHS, FoldHead, fit_fold_heads

PEOPLE, PHOTOS, FEATURES, FOLDS = 40, 3, 6, 4
ROWS = PEOPLE * PHOTOS
KINDS = tuple(STRENGTHS)
TASKS = "tasks=[{name: hat, classes: [no, yes]}, {name: mood, classes: [sad, calm, glad]}]"


def settings(*words: str) -> Config:
    return tiny("model.train=heads", "folds.k=4", TASKS, *words)


def features(seed: int = 0) -> np.ndarray:
    """Return features (2 views, rows, D) that say something of the labels."""
    rng = np.random.default_rng(seed)
    found = rng.normal(size=(2, ROWS, FEATURES)).astype(np.float32) * [1, 2, 1, 5, 1, 1] + 3
    labels = rows().labels
    found[:, :, 0] += labels["hat"]
    found[:, :, 1] += 2 * labels["mood"]
    return found.astype(np.float32)


def rows(fold: int = 0) -> FoldRows:
    person_N = np.arange(ROWS) // PHOTOS
    labels = {"hat": person_N * 7 % 5 // 3, "mood": np.arange(ROWS) % 7 % 3}
    fold_N = folds()
    train, valid = np.flatnonzero(fold_N != fold), np.flatnonzero(fold_N == fold)
    no_photos: Any = None
    return FoldRows(no_photos, train, valid, labels, {}, person_N, np.ones(ROWS, np.float32))


def folds() -> np.ndarray:
    return np.arange(ROWS) // PHOTOS % FOLDS


def fit(*words: str, of: FoldRows | None = None, feature_VND: np.ndarray | None = None) -> dict[str, FoldHead]:
    cfg = settings(*words)
    return fit_fold_heads(features() if feature_VND is None else feature_VND, of or rows(), folds(), cfg)


def equal(one: RawHead, other: RawHead) -> bool:
    mine, theirs = one.tensors, other.tensors
    return mine.keys() == theirs.keys() and all(np.array_equal(mine[name], theirs[name]) for name in mine)


def weight(head: RawHead) -> np.ndarray:
    """Return the weights of a linear head (C, D)."""
    return head.tensors["weight"]


def same(one: dict[str, FoldHead], other: dict[str, FoldHead]) -> bool:
    return one.keys() == other.keys() and all(
        equal(mine.head, other[name].head) and (mine.strength, mine.scale) == (other[name].strength, other[name].scale)
        for name, mine in one.items()
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("heads", ["multi", "joint"])
def test_nothing_of_the_validation_people_has_a_part(kind: str, heads: str) -> None:
    words = (f"heads.kind={kind}", f"model.heads={heads}")
    given = rows()
    other_labels = {name: label_N.copy() for name, label_N in given.labels.items()}
    changed, weight_N, people_N = features(), given.weight.copy(), given.people.copy()
    changed[:, given.valid] = np.random.default_rng(1).normal(size=(2, len(given.valid), FEATURES)) * 100
    for label_N in other_labels.values():
        label_N[given.valid] = 1 - (label_N[given.valid] > 0)
    weight_N[given.valid], people_N[given.valid] = 9, 0
    others = replace(given, labels=other_labels, weight=weight_N, people=people_N)
    assert same(fit(*words), fit(*words, of=others, feature_VND=changed))
    trained = features()
    trained[:, given.train[0]] += 1
    assert not same(fit(*words), fit(*words, feature_VND=trained))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bits_twice(kind: str) -> None:
    assert same(fit(f"heads.kind={kind}"), fit(f"heads.kind={kind}"))


def test_kinds_differ_and_each_predicts_better_than_chance() -> None:
    found = {kind: fit(f"heads.kind={kind}") for kind in KINDS}
    of = rows()
    for heads in found.values():
        head = heads["mood"].head
        right = (logits(head, features()[0][of.valid]).argmax(axis=1) == of.labels["mood"][of.valid]).mean()
        assert right > 0.55  # of three classes
    weights = [weight(heads["mood"].head) for kind, heads in found.items() if kind != "mlp"]
    assert not np.allclose(weights[0], weights[1])
    assert not np.allclose(weights[1], weights[2])


def logits(head: RawHead, feature_ND: np.ndarray) -> np.ndarray:
    """Return what torch's layer makes of features with the head's weights."""
    part = head.tensors
    units, outputs = (len(part[name]) if name in part else 0 for name in ("hidden.bias", "output.bias"))
    layer = build_head(Head("one", outputs or len(part["bias"]), hidden=units), feature_ND.shape[1])
    layer.load_state_dict({name: torch.from_numpy(array) for name, array in part.items()})
    with torch.no_grad():
        found: np.ndarray = layer(torch.from_numpy(feature_ND)).numpy()
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_strength_is_used_or_chosen_among_those_of_its_kind(kind: str) -> None:
    assert all(found.strength in STRENGTHS[kind] for found in fit(f"heads.kind={kind}").values())
    weak, strong = (fit(f"heads.kind={kind}", f"heads.strength={one}") for one in (0.01, 0.9))
    assert [found.strength for found in weak.values()] == [0.01, 0.01]
    one, other = (logits(heads["hat"].head, features()[0]) for heads in (weak, strong))
    assert np.abs(one - other).max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strength", [1e-6, 1e6])
def test_the_extreme_strengths_give_finite_heads(kind: str, strength: float) -> None:
    if kind == "lda":
        strength = min(strength, 1.0)
    for found in fit(f"heads.kind={kind}", f"heads.strength={strength}").values():
        assert all(np.isfinite(part).all() for part in found.head.tensors.values())


@pytest.mark.parametrize("kind", KINDS)
def test_balance_predicts_rare_classes_more_often(kind: str) -> None:
    of = rows()
    counts = []
    for balance in (0, 0.5, 1):
        head = fit(f"heads.kind={kind}", "heads.strength=0.5", f"heads.balance={balance}")["hat"].head
        logit_NC = logits(head, features()[0])
        # The outputs of linear heads have a fitted scale.
        scale = 1.0 if kind == "mlp" else np.linalg.norm(weight(head)[1] - weight(head)[0])
        counts.append(float((logit_NC[:, 1] - logit_NC[:, 0])[of.valid].mean() / scale))
    assert np.bincount(of.labels["hat"][of.train])[1] < len(of.train) / 2
    assert counts[0] < counts[1] < counts[2]


def test_the_settings_of_a_hidden_layer_are_used() -> None:
    mlp = ("heads.kind=mlp", "heads.strength=0.01")
    for hidden in (1, 8):
        found = fit(*mlp, f"heads.hidden={hidden}")["mood"].head.tensors
        assert {name: part.shape for name, part in found.items()} == {
            "hidden.weight": (hidden, FEATURES),
            "hidden.bias": (hidden,),
            "output.weight": (3, hidden),
            "output.bias": (3,),
        }
    fits = [fit(*mlp, "heads.hidden=8", f"seed={seed}") for seed in (0, 0, 1)]
    assert same(fits[0], fits[1])
    assert not equal(fits[0]["mood"].head, fits[2]["mood"].head)
    # The strength alone, without a choice between parts, leaves the fit on all rows as it is.
    chosen = fit("heads.kind=mlp", "heads.hidden=8")
    again = fit("heads.kind=mlp", "heads.hidden=8", f"heads.strength={chosen['hat'].strength}")
    assert equal(chosen["hat"].head, again["hat"].head)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_without_a_label_have_no_part_in_a_head(kind: str) -> None:
    """Only in the means and deviations of features, which are of all training rows."""
    given = rows()
    first = given.train[:9]
    unknown = {name: label_N.copy() for name, label_N in given.labels.items()}
    unknown["hat"][first] = -1
    weight_N = given.weight.copy()
    weight_N[first] = 0
    without = fit(f"heads.kind={kind}", of=replace(given, weight=weight_N))
    assert equal(fit(f"heads.kind={kind}", of=replace(given, labels=unknown))["hat"].head, without["hat"].head)


def test_every_view_has_a_part() -> None:
    one = features()[:1]
    assert same(fit(feature_VND=one), fit(feature_VND=one.copy()))
    assert not same(fit(feature_VND=one), fit())
    # A view that is there twice has twice the rows at half the weight: the same head but for rounding.
    twice = fit(feature_VND=np.concatenate([one, one]))
    for name, found in fit(feature_VND=one).items():
        np.testing.assert_allclose(weight(twice[name].head), weight(found.head), rtol=1e-3, atol=1e-6)


def test_a_row_without_a_label_or_of_weight_0_is_left_out_of_that_head() -> None:
    given = rows()
    first = given.train[:5]
    unknown = {name: label_N.copy() for name, label_N in given.labels.items()}
    unknown["hat"][first] = -1
    weight_N = given.weight.copy()
    weight_N[first] = 0
    kept, full = fit(of=replace(given, labels=unknown)), fit()
    assert not equal(kept["hat"].head, full["hat"].head)
    assert equal(kept["mood"].head, full["mood"].head)
    without = fit(of=replace(given, weight=weight_N))
    assert equal(kept["hat"].head, without["hat"].head)


def test_people_are_the_parts_where_there_is_one_other_fold() -> None:
    given, cfg = rows(), settings()
    two = np.where(folds() == 0, 0, 1)
    found = fit_fold_heads(features(), given, two, cfg)
    assert all(np.isfinite(one.loss) for one in found.values())
    joint = fit_fold_heads(features(), given, two, settings("model.heads=joint"))
    assert list(joint) == ["joint"]
    assert weight(joint["joint"].head).shape == (6, FEATURES)


def test_a_head_without_a_label_and_soft_labels_are_refused() -> None:
    given = rows()
    none = given.labels | {"hat": np.full(ROWS, -1)}
    with pytest.raises(DataError, match="no training row has a label of it") as caught:
        fit(of=replace(given, labels=none))
    assert caught.value.where == "hat"
    soft = np.zeros((ROWS, 6), np.float32)
    soft[given.valid[0], 2] = 1
    assert same(fit(of=replace(given, soft=soft)), fit())
    soft[given.train[0], 2] = 1
    with pytest.raises(DataError, match="probabilities in place of them"):
        fit(of=replace(given, soft=soft))
