"""Losses against torch, timm, scikit-learn and hand calculations; every gradient against finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import f1_score
from timm.loss import BinaryCrossEntropy, LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from torch import Tensor

from maskcls.lossterms import LossKind, Term, Weighting, parse_loss
from maskcls.nn.losses import (
    binary_cross_entropy,
    build_loss,
    class_weights,
    cross_entropy,
    f1_sums,
    focal,
    gaussian,
    linear_terms,
    ordinal,
    smoothed,
    soft_f1_loss,
)

# Two ways of adding a few float32 numbers near 1 differ by some 1e-7.
SAME = 1e-6
WEIGHT = torch.tensor([0.5, 1.0, 4.0, 2.0, 0.25])


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 3


def one_hot(labels: Tensor, classes: int) -> Tensor:
    return F.one_hot(labels, classes).float()


def dense(rows: int, classes: int) -> Tensor:
    return torch.softmax(drawn(rows, classes, seed=1), dim=1)


LABELS = torch.arange(20) % 5


# ---- cross-entropy ---------------------------------------------------------------------------------------------------


def test_cross_entropy_by_hand() -> None:
    # softmax of (0, log 3) is (1/4, 3/4): log 4 for the first class, log 4/3 for the second
    logits = torch.tensor([[0.0, math.log(3)]] * 3)
    target = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    want = [math.log(4), math.log(4 / 3), (math.log(4) + math.log(4 / 3)) / 2]
    assert cross_entropy(logits, target).tolist() == pytest.approx(want, abs=SAME)


def test_cross_entropy_equals_torch_and_timm() -> None:
    logits, rows = drawn(20, 5), dense(20, 5)
    on_labels = F.cross_entropy(logits, LABELS, reduction="none")
    torch.testing.assert_close(cross_entropy(logits, one_hot(LABELS, 5)), on_labels, atol=SAME, rtol=0)
    on_rows = F.cross_entropy(logits, rows, reduction="none")
    torch.testing.assert_close(cross_entropy(logits, rows), on_rows, atol=SAME, rtol=0)
    torch.testing.assert_close(cross_entropy(logits, rows).mean(), SoftTargetCrossEntropy()(logits, rows))


def test_class_weights_on_one_hot_rows_equal_torch_on_labels() -> None:
    """torch divides weighted one-hot targets by the number of rows, and weighted labels by their weights; we do not."""
    logits, rows = drawn(20, 5), one_hot(LABELS, 5)
    got = cross_entropy(logits, rows, WEIGHT).sum() / (rows @ WEIGHT).sum()
    torch.testing.assert_close(got, F.cross_entropy(logits, LABELS, WEIGHT), atol=SAME, rtol=0)
    wrong = F.cross_entropy(logits, rows, WEIGHT)
    assert abs(got - wrong) > 0.1


def test_label_smoothing_equals_torch_and_timm() -> None:
    logits, rows = drawn(20, 5), one_hot(LABELS, 5)
    got = cross_entropy(logits, smoothed(rows, 0.15))
    torch.testing.assert_close(got.mean(), LabelSmoothingCrossEntropy(0.15)(logits, LABELS), atol=SAME, rtol=0)
    got = cross_entropy(logits, smoothed(rows, 0.15), WEIGHT).sum() / (rows @ WEIGHT).sum()
    torch.testing.assert_close(got, F.cross_entropy(logits, LABELS, WEIGHT, label_smoothing=0.15), atol=SAME, rtol=0)


def test_smoothing_keeps_the_weight_of_a_row() -> None:
    rows = torch.tensor([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    assert smoothed(rows, 0.3).sum(dim=1).tolist() == pytest.approx([2, 0])
    assert smoothed(rows, 0.3)[0].tolist() == pytest.approx([0.2, 1.6, 0.2])


# ---- focal, binary, ordinal, normal ----------------------------------------------------------------------------------


def test_focal_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3)]])
    assert focal(logits, torch.tensor([[1.0, 0.0]]), 2.0).item() == pytest.approx((3 / 4) ** 2 * math.log(4), abs=SAME)
    assert focal(logits, torch.tensor([[0.0, 1.0]]), 0.5).item() == pytest.approx(0.5 * math.log(4 / 3), abs=SAME)


def test_focal_of_gamma_0_is_the_cross_entropy_and_of_more_is_less() -> None:
    logits, rows = drawn(20, 5), dense(20, 5)
    torch.testing.assert_close(focal(logits, rows, 0.0, WEIGHT), cross_entropy(logits, rows, WEIGHT), atol=SAME, rtol=0)
    values = [focal(logits, one_hot(LABELS, 5), gamma) for gamma in (0.0, 1.0, 2.0, 5.0)]
    for less, more in zip(values[1:], values, strict=False):
        assert (less <= more + SAME).all()


def test_focal_of_a_certain_answer_has_a_finite_slope() -> None:
    logits = torch.tensor([[100.0, 0.0], [0.0, 100.0]], requires_grad=True)
    focal(logits, torch.tensor([[1.0, 0.0], [1.0, 0.0]]), 0.5).sum().backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_binary_cross_entropy_equals_torch_and_timm() -> None:
    logits, rows = drawn(20, 5), dense(20, 5)
    each = F.binary_cross_entropy_with_logits(logits, rows, reduction="none").mean(dim=1)
    torch.testing.assert_close(binary_cross_entropy(logits, rows), each, atol=SAME, rtol=0)
    timms = BinaryCrossEntropy(smoothing=0.0)(logits, one_hot(LABELS, 5))
    torch.testing.assert_close(binary_cross_entropy(logits, one_hot(LABELS, 5)).mean(), timms, atol=SAME, rtol=0)


def test_ordinal_is_a_binary_cross_entropy_a_boundary() -> None:
    logits, labels = drawn(12, 3), torch.arange(12) % 4
    above = (labels[:, None] > torch.arange(3)).float()
    want = F.binary_cross_entropy_with_logits(logits, above, reduction="none").sum(dim=1)
    torch.testing.assert_close(ordinal(logits, one_hot(labels, 4)), want, atol=SAME, rtol=0)


def test_gaussian_equals_torch() -> None:
    outputs, values, weight = drawn(12, 2), drawn(12, seed=2), torch.rand(12)
    moments = torch.stack([weight, weight * values, weight * values**2], dim=1)
    want = weight * F.gaussian_nll_loss(outputs[:, 0], values, outputs[:, 1].exp(), reduction="none", eps=1e-12)
    torch.testing.assert_close(gaussian(outputs, moments), want, atol=1e-4, rtol=1e-5)


# ---- the F1 ----------------------------------------------------------------------------------------------------------


def test_soft_f1_of_certain_answers_is_the_macro_f1_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        labels, answers = rng.integers(0, 6, 40), rng.integers(0, 6, 40)
        logits = 200.0 * one_hot(torch.from_numpy(answers), 6)
        got = 1 - soft_f1_loss(f1_sums(logits, one_hot(torch.from_numpy(labels), 6)))
        want = f1_score(labels, answers, labels=np.unique(labels), average="macro", zero_division=0)
        assert got.item() == pytest.approx(want, abs=SAME)


def test_soft_f1_by_hand() -> None:
    # Two rows of classes 0 and 1, both answered (3/4, 1/4): F1 is 2 * 0.75 / (1 + 1.5) and 2 * 0.25 / (1 + 0.5).
    logits = torch.tensor([[math.log(3), 0.0]] * 2)
    sums = f1_sums(logits, torch.eye(2))
    torch.testing.assert_close(sums, torch.tensor([[1.0, 1.0], [1.5, 0.5], [0.75, 0.25]]))
    assert soft_f1_loss(sums).item() == pytest.approx(1 - (0.6 + 1 / 3) / 2, abs=SAME)


def test_a_class_without_labels_is_left_out_of_the_f1() -> None:
    rows = one_hot(torch.tensor([0, 1, 0]), 2)
    wide = torch.cat([rows, torch.zeros(3, 1)], dim=1)
    logits = drawn(3, 2)
    unlikely = torch.cat([logits, torch.full((3, 1), -200.0)], dim=1)
    torch.testing.assert_close(soft_f1_loss(f1_sums(unlikely, wide)), soft_f1_loss(f1_sums(logits, rows)))
    assert soft_f1_loss(f1_sums(logits, torch.zeros(3, 2))) == 0


# ---- what holds for all ----------------------------------------------------------------------------------------------

Rowwise = Callable[[Tensor, Tensor], Tensor]
LOSSES: dict[str, Rowwise] = {
    "ce": lambda z, t: cross_entropy(z, t, WEIGHT.to(z)),
    "smooth": lambda z, t: cross_entropy(z, smoothed(t, 0.1), WEIGHT.to(z)),
    "focal": lambda z, t: focal(z, t, 2.0, WEIGHT.to(z)),
    "bce": binary_cross_entropy,
    "ordinal": lambda z, t: ordinal(z[:, :4], t),
    "gaussian": lambda z, t: gaussian(z[:, :2], t[:, :3]),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_linear_in_the_rows(name: str) -> None:
    """So a mixed row costs the mixture of its parts, and a row of weight 3 three times as much."""
    loss, logits = LOSSES[name], drawn(8, 5)
    first, second = dense(8, 5), one_hot(LABELS[:8], 5)
    mixed = loss(logits, 0.3 * first + 2 * second)
    torch.testing.assert_close(mixed, 0.3 * loss(logits, first) + 2 * loss(logits, second), atol=1e-5, rtol=1e-5)
    assert loss(logits, torch.zeros(8, 5)).abs().max() == 0


@pytest.mark.parametrize("name", LOSSES)
def test_a_row_of_zeros_moves_nothing(name: str) -> None:
    logits = drawn(2, 5).requires_grad_()
    LOSSES[name](logits, torch.tensor([[0.0] * 5, [0.2] * 5])).sum().backward()
    assert logits.grad is not None
    assert logits.grad[0].abs().max() == 0
    assert logits.grad[1].abs().max() > 0


def test_gradients_against_finite_differences() -> None:
    """In float64 all would pass by far; our losses compute in float32, which leaves three digits to a difference."""
    losses: dict[str, Rowwise] = LOSSES | {"f1": lambda z, t: soft_f1_loss(f1_sums(z, t))[None]}
    for name, loss in losses.items():
        logits, target = drawn(6, 5).requires_grad_(), dense(6, 5)
        loss(logits, target).sum().backward()
        direction, step = drawn(6, 5, seed=4) / 10, 0.02
        with torch.no_grad():
            ahead = loss(logits + step * direction, target).double().sum()
            behind = loss(logits - step * direction, target).double().sum()
        assert logits.grad is not None
        slope = (logits.grad * direction).sum().item()
        assert (ahead - behind).item() / (2 * step) == pytest.approx(slope, rel=5e-3, abs=2e-3), name


def test_half_precision_logits_are_summed_in_float32() -> None:
    logits, row = torch.zeros(1, 2000, dtype=torch.bfloat16), one_hot(torch.tensor([7]), 2000)
    losses = [cross_entropy(logits, row), focal(logits, row, 0.0), cross_entropy(logits, smoothed(row, 0.1))]
    for loss in losses:
        assert loss.dtype == torch.float32
        assert loss.item() == pytest.approx(math.log(2000), rel=1e-6)


# ---- a head's loss ---------------------------------------------------------------------------------------------------


def test_class_weights_by_hand() -> None:
    mass = torch.tensor([8.0, 2.0, 0.0])
    assert class_weights(mass, "none").tolist() == [1, 1, 1]
    assert class_weights(mass, "inverse").tolist() == pytest.approx([0.4, 1.6, 0])
    effective = [(1 - 0.9) / (1 - 0.9**8), (1 - 0.9) / (1 - 0.9**2)]
    want = [2 * w / sum(effective) for w in effective]
    assert class_weights(mass, "effective", beta=0.9).tolist() == pytest.approx([*want, 0], abs=SAME)


def test_effective_weights_lie_between_equal_and_inverse() -> None:
    mass = torch.tensor([900.0, 100.0])
    ratios = [
        (w[1] / w[0]).item()
        for w in (class_weights(mass, "effective", beta=beta) for beta in (1e-6, 0.99, 0.999, 1 - 1e-9))
    ]
    assert ratios == sorted(ratios)
    assert ratios[0] == pytest.approx(1, abs=1e-3)
    assert ratios[-1] == pytest.approx(9, rel=1e-2)


def test_logit_adjustment_adds_the_log_of_the_shares() -> None:
    logits, rows, mass = drawn(20, 5), one_hot(LABELS, 5), torch.tensor([50.0, 25.0, 15.0, 9.0, 1.0])
    loss = build_loss(parse_loss("la(tau=1.5)"), mass)
    ((factor, each, _),) = linear_terms(loss, logits, rows)
    want = F.cross_entropy(logits + 1.5 * torch.log(mass / 100), LABELS, reduction="none")
    assert factor == 1
    torch.testing.assert_close(each, want, atol=SAME, rtol=1e-6)


def test_terms_use_their_own_settings() -> None:
    logits, rows, mass = drawn(20, 5), one_hot(LABELS, 5), torch.tensor([8.0, 4.0, 2.0, 1.0, 1.0])
    text = "0.3*focal(gamma=1.5,weights=inverse)+2*smooth(epsilon=0.2)+f1+ce(weights=effective,beta=0.9)"
    loss = build_loss(parse_loss(text), mass)
    found = linear_terms(loss, logits, rows)
    inverse, effective = class_weights(mass, "inverse"), class_weights(mass, "effective", beta=0.9)
    assert [factor for factor, _, _ in found] == [0.3, 2.0, 1.0]  # the F1 is no sum over rows
    wants = [
        focal(logits, rows, 1.5, inverse),
        cross_entropy(logits, smoothed(rows, 0.2)),
        cross_entropy(logits, rows, effective),
    ]
    for (_, got, _), want in zip(found, wants, strict=True):
        assert torch.equal(got, want)
    for (_, _, weight), want in zip(found, [inverse, torch.ones(5), effective], strict=True):
        assert torch.equal(weight, want)


# Every kind by a plain formula: log-probabilities and class shares in, losses of two rows out.
LOG_PROB = torch.log_softmax(torch.tensor([[0.5, -1.0], [2.0, 0.0]], dtype=torch.float64), dim=1)
BY_HAND: dict[str, Callable[[], list[float]]] = {
    "ce": lambda: [-LOG_PROB[0, 0].item(), -LOG_PROB[1, 1].item()],
    "smooth": lambda: [
        -(0.95 * LOG_PROB[0, 0] + 0.05 * LOG_PROB[0, 1]).item(),
        -(0.95 * LOG_PROB[1, 1] + 0.05 * LOG_PROB[1, 0]).item(),
    ],
    "focal": lambda: [(-((1 - p.exp()) ** 2) * p).item() for p in (LOG_PROB[0, 0], LOG_PROB[1, 1])],
    "bce": lambda: [
        (math.log1p(math.exp(-0.5)) + math.log1p(math.exp(-1.0))) / 2,
        (math.log1p(math.exp(2.0)) + math.log1p(math.exp(-0.0))) / 2,
    ],
    "la": lambda: [
        math.log1p(math.exp(-1.5) * (1 / 3)),  # the second class against the first: shares 1/4 and 3/4
        math.log1p(math.exp(2.0) * 3),
    ],
}


def test_every_kind_that_is_a_sum_over_rows_is_computed() -> None:
    kinds = get_args(LossKind)
    assert len(kinds) == 6
    assert set(BY_HAND) == {kind for kind in kinds if Term(kind).is_sum_over_rows} == set(kinds) - {"f1"}
    for kind, by_hand in BY_HAND.items():
        loss = build_loss(parse_loss(kind), torch.tensor([3.0, 1.0]))
        ((factor, each, _),) = linear_terms(loss, torch.tensor([[0.5, -1.0], [2.0, 0.0]]), torch.eye(2))
        assert factor == 1
        assert each.tolist() == pytest.approx(by_hand(), abs=SAME), kind


@pytest.mark.parametrize("kind", get_args(LossKind))
def test_a_term_of_every_kind_is_in_both_lists_or_in_neither(kind: LossKind) -> None:
    """`HeadLoss.linear` decides by which weights a term is normalised, `linear_terms` what is normalised."""
    other = "smooth" if kind == "ce" else "ce"
    for kinds in ([kind], [kind, other], [other, kind]):
        loss = build_loss([Term(one, factor=0.5) for one in kinds], torch.tensor([3.0, 1.0]))
        found = linear_terms(loss, drawn(2, 2), torch.eye(2))
        assert len(found) == len(loss.linear) == len(kinds) - (kind == "f1")
        assert [term.kind for term, _ in loss.linear] == [one for one in kinds if one != "f1"]


def test_a_kind_that_nobody_computes_is_refused() -> None:
    with pytest.raises(AssertionError, match="unreachable"):
        build_loss([Term("dice")], torch.tensor([3.0, 1.0])).linear  # type: ignore[arg-type]  # noqa: B018


def test_every_weighting_has_a_figure_of_its_own() -> None:
    mass = torch.tensor([8.0, 2.0])
    found = {how: class_weights(mass, how, beta=0.9).tolist() for how in get_args(Weighting)}
    assert len(found) == len({tuple(weights) for weights in found.values()}) == 3
