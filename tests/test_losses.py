"""Losses against torch, against a hand calculation, and over the pieces of a step."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from maskcls.nn.losses import cross_entropy, one_hot, weighted_terms

# Two ways of adding a few float32 numbers near 1 differ by some 1e-7.
SAME = 1e-6


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 3


def test_one_hot_rows() -> None:
    rows = one_hot(torch.tensor([2, -1, 0]), 3)
    assert rows.tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]
    assert rows.dtype == torch.float32
    assert one_hot(torch.zeros(0, dtype=torch.int64), 3).shape == (0, 3)


def test_a_label_beyond_the_classes_is_an_error() -> None:
    with pytest.raises((RuntimeError, IndexError)):
        one_hot(torch.tensor([3]), 3)


def test_by_hand() -> None:
    # softmax of (0, log 3) is (1/4, 3/4): log 4 for the first class, log 4/3 for the second
    logits = torch.tensor([[0.0, math.log(3)]] * 3)
    target = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    want = [math.log(4), math.log(4 / 3), (math.log(4) + math.log(4 / 3)) / 2]
    assert cross_entropy(logits, target).tolist() == pytest.approx(want, abs=SAME)


def test_equals_torch_on_labels_and_on_dense_rows() -> None:
    logits, labels = drawn(20, 5), torch.arange(20) % 5
    torch.testing.assert_close(
        cross_entropy(logits, one_hot(labels, 5)), F.cross_entropy(logits, labels, reduction="none"), atol=SAME, rtol=0
    )
    dense = torch.softmax(drawn(20, 5, seed=1), dim=1)
    torch.testing.assert_close(
        cross_entropy(logits, dense), F.cross_entropy(logits, dense, reduction="none"), atol=SAME, rtol=0
    )


def test_a_row_of_zeros_costs_nothing_and_moves_nothing() -> None:
    logits = drawn(2, 3).requires_grad_()
    loss = cross_entropy(logits, one_hot(torch.tensor([-1, 1]), 3))
    assert loss[0] == 0
    loss.sum().backward()
    assert logits.grad is not None
    assert logits.grad[0].tolist() == [0, 0, 0]
    assert logits.grad[1].abs().sum() > 0


def test_half_precision_logits_are_summed_in_float32() -> None:
    logits = torch.zeros(1, 2000, dtype=torch.bfloat16)
    loss = cross_entropy(logits, one_hot(torch.tensor([7]), 2000))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(math.log(2000), rel=1e-6)


Step = tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]


def step(rows: int = 7) -> Step:
    """Return logits, targets and weights of two heads: unequal weights, and an unknown label in each head."""
    labels = {"a": torch.tensor([0, 1, 2, -1, 0, 1, 2])[:rows], "b": torch.tensor([-1, 0, 1, 1, 0, 0, 1])[:rows]}
    row_weight = torch.tensor([1.0, 0.5, 2.0, 1.0, 3.0, 0.0, 1.5])[:rows]
    logits = {"a": drawn(rows, 3), "b": drawn(rows, 2, seed=1)}
    targets = {name: one_hot(column, logits[name].shape[1]) for name, column in labels.items()}
    return logits, targets, {name: row_weight * (column >= 0) for name, column in labels.items()}


def test_terms_are_the_weighted_means_of_the_heads() -> None:
    logits, targets, weights = step()
    got = weighted_terms(logits, targets, weights, torch.tensor([weights["a"].sum(), weights["b"].sum()]))
    for index, head in enumerate(("a", "b")):
        above, below = 0.0, 0.0
        for row in range(7):
            exponents = [math.exp(v) for v in logits[head][row].tolist()]
            for k, share in enumerate(targets[head][row].tolist()):
                above += weights[head][row].item() * share * -math.log(exponents[k] / sum(exponents))
            below += weights[head][row].item()
        assert got[index].item() == pytest.approx(above / below, abs=SAME)


@pytest.mark.parametrize("cuts", [[7], [3, 4], [1, 1, 5], [2, 2, 2, 1]])
def test_the_pieces_of_a_step_sum_to_the_whole(cuts: list[int]) -> None:
    logits, targets, weights = step()
    totals = torch.stack([weights["a"].sum(), weights["b"].sum()])
    whole = weighted_terms(logits, targets, weights, totals)
    summed = torch.zeros(2)
    for i in range(len(cuts)):
        part = [{name: value.split(cuts)[i] for name, value in group.items()} for group in (logits, targets, weights)]
        summed += weighted_terms(part[0], part[1], part[2], totals)
    torch.testing.assert_close(summed, whole, atol=SAME, rtol=0)


def test_a_head_without_labels_costs_nothing_and_moves_nothing() -> None:
    logits, targets, weights = step()
    targets["b"], weights["b"] = torch.zeros(7, 2), torch.zeros(7)
    learned = {name: value.requires_grad_() for name, value in logits.items()}
    terms = weighted_terms(learned, targets, weights, torch.stack([weights["a"].sum(), weights["b"].sum()]))
    assert terms[1] == 0
    assert terms[0] > 0
    terms.sum().backward()
    assert torch.equal(learned["b"].grad, torch.zeros(7, 2))
    assert torch.isfinite(learned["a"].grad).all()
    assert learned["a"].grad.abs().sum() > 0
