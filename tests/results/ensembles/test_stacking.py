"""Stacking: scikit-learn by hand on the same inputs, honest rows, classes that are missing."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from test_weight_search import contest_case

from maskcls.errors import DataError
from maskcls.labels import CONTEST, Floats
from maskcls.results.ensembles.stacking import apply_stack, fit_stack, nested_stack


def centred_logs(members: list[Floats], task: str) -> np.ndarray:
    columns = []
    for member in members:
        for row in [CONTEST.marginals(member)[task]]:
            logs = np.log(np.clip(row.astype(np.float64), 1e-7, None))
            columns.append(logs - logs.mean(axis=1, keepdims=True))
    return np.hstack(columns)


def test_it_is_scikit_learns_regression_of_each_task() -> None:
    members, truth, _ = contest_case(60, [0.8, 1.2])
    got = CONTEST.marginals(apply_stack(fit_stack(members, truth, CONTEST, l2=0.01), members))
    for task, classes in zip(CONTEST.names, CONTEST.shape, strict=True):
        known = truth[task] >= 0
        inputs = centred_logs(members, task)
        # the summed loss times C against half the squared coefficients: C = 1 / (l2 * rows)
        model = LogisticRegression(C=1 / (0.01 * known.sum()), max_iter=5000, tol=1e-8, solver="newton-cg")
        expected = model.fit(inputs[known], truth[task][known]).predict_proba(inputs)
        assert expected.shape[1] == classes
        assert np.allclose(got[task], expected, atol=1e-3)  # two solvers
    assert (truth["age"] < 0).any()


def test_the_joint_is_the_product_of_the_tasks() -> None:
    members, truth, _ = contest_case(30, [0.8, 1.2])
    prob_NJ = apply_stack(fit_stack(members, truth, CONTEST), members)
    of = CONTEST.marginals(prob_NJ)
    assert np.allclose(
        prob_NJ, np.einsum("nm,ng,na->nmga", of["mask"], of["gender"], of["age"]).reshape(-1, 18), atol=1e-6
    )
    assert prob_NJ.dtype == np.float32


def test_a_strong_penalty_leaves_the_shares_of_the_classes() -> None:
    members, truth, _ = contest_case(60, [0.8])
    weak, strong = (apply_stack(fit_stack(members, truth, CONTEST, l2=l2), members) for l2 in (1e-4, 1e4))
    share = np.bincount(truth["mask"], minlength=3) / len(truth["mask"])
    assert np.allclose(CONTEST.marginals(strong)["mask"], share, atol=1e-2)
    assert CONTEST.marginals(weak)["mask"].std(axis=0).min() > 0.1
    with pytest.raises(ValueError, match="above 0"):
        fit_stack(members, truth, CONTEST, l2=0)


def test_it_mends_a_member_whose_classes_are_swapped() -> None:
    """What no mean can do: learn that a member calls wear normal and the other way round."""
    (member,), truth, fold_N = contest_case(80, [0.5])
    swapped = member.reshape(-1, 3, 6)[:, ::-1].reshape(-1, 18)
    plain = log_loss(truth["mask"], CONTEST.marginals(swapped)["mask"], labels=range(3))
    stacked = CONTEST.marginals(nested_stack([swapped], truth, fold_N, CONTEST))["mask"]
    straight = CONTEST.marginals(nested_stack([member], truth, fold_N, CONTEST))["mask"]
    assert log_loss(truth["mask"], stacked, labels=range(3)) < np.log(3) < plain  # better than knowing nothing
    assert np.allclose(stacked, straight, atol=1e-3)


def test_a_folds_rows_do_not_fit_their_stack() -> None:
    members, truth, fold_N = contest_case(30, [0.8, 1.2])
    before = nested_stack(members, truth, fold_N, CONTEST)
    own = fold_N == 2
    rng = np.random.default_rng(0)
    other = {task: np.where(own, rng.permutation(label_N), label_N) for task, label_N in truth.items()}
    after = nested_stack(members, other, fold_N, CONTEST)
    assert np.array_equal(before[own], after[own])
    assert not np.allclose(before[~own], after[~own], atol=1e-3)
    assert not np.allclose(before, nested_stack(members, truth, fold_N, CONTEST, l2=1.0), atol=1e-3)


def test_a_class_never_seen_gets_nothing_and_one_class_alone_is_refused() -> None:
    members, truth, _ = contest_case(30, [0.8, 1.2])
    ends = {**truth, "age": np.where(truth["age"] == 1, -1, truth["age"])}  # the middle one: 2 keeps its place
    got = CONTEST.marginals(apply_stack(fit_stack(members, ends, CONTEST), members))["age"]
    assert (got[:, 1] == 0).all()
    assert (got[:, [0, 2]] > 0).all()
    assert np.allclose(got.sum(axis=1), 1, atol=1e-6)
    with pytest.raises(DataError, match="two classes or more") as caught:
        fit_stack(members, {**truth, "gender": np.zeros_like(truth["gender"])}, CONTEST)
    assert caught.value.where == "task gender"


def test_other_members_are_refused() -> None:
    members, truth, _ = contest_case(20, [0.8, 1.2])
    stack = fit_stack(members, truth, CONTEST)
    with pytest.raises(ValueError, match="fitted on 2 members, got 1"):
        apply_stack(stack, members[:1])


def test_hard_zeros_are_no_infinities() -> None:
    members, truth, _ = contest_case(30, [0.8])
    one_hot = np.eye(18, dtype=np.float32)[members[0].argmax(axis=1)]
    assert np.isfinite(apply_stack(fit_stack([one_hot], truth, CONTEST), [one_hot])).all()
