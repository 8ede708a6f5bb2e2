"""One batch is learned by heart, and what it means where it is not."""

from __future__ import annotations

import math

import pytest
from tiny import tiny

from maskcls.diagnosis.without_training.one_batch import Fitted, check_one_batch, least_loss, search
from maskcls.lossterms import parse_loss

LOG18 = math.log(18)


def fitted(lr: float, end: float, *, right: float = 0.5, after: float = 1.0, steps: int = 80) -> Fitted:
    return Fitted(lr, 2.9, end, right, after, steps)


def test_a_batch_is_fitted_by_its_loss_or_by_its_labels() -> None:
    assert fitted(1e-3, 0.1).fits
    assert not fitted(1e-3, 1.0).fits
    assert fitted(1e-3, 1.0, right=0.97).fits
    assert not fitted(1e-3, math.nan).fits


def test_smoothed_labels_have_a_loss_that_no_network_avoids() -> None:
    """Against the entropy of a smoothed row, summed by hand."""
    epsilon, classes = 0.1, 3
    best, rest = 1 - epsilon + epsilon / classes, epsilon / classes
    expected = -(best * math.log(best) + 2 * rest * math.log(rest))
    assert least_loss(parse_loss("smooth(epsilon=0.1)"), 3) == pytest.approx(expected)
    assert least_loss(parse_loss("0.5*smooth(epsilon=0.1)+0.5*f1"), 3) == pytest.approx(expected / 2)
    assert least_loss(parse_loss("focal+f1"), 3) == 0


@pytest.mark.parametrize(
    ("good", "cause", "lr"),
    [
        ({(1e-2, 80)}, "", 1e-2),
        ({(1e-3, 80), (1e-2, 240)}, "learning rate too high", 1e-3),
        ({(1e-4, 80)}, "learning rate too high", 1e-4),
        ({(1e-2, 240), (1e-1, 80)}, "", 1e-2),
        ({(1e-1, 80)}, "learning rate too low", 1e-1),
        (set(), "cannot learn", 1e-1),
    ],
)
def test_other_rates_name_the_cause(good: set[tuple[float, int]], cause: str, lr: float) -> None:
    def fit(rate: float, steps: int) -> Fitted:
        right = any(math.isclose(rate, one) and steps == count for one, count in good)
        return fitted(rate, 0.1 if right else 2.0, steps=steps)

    fits = search(fit, 1e-2)
    found = check_one_batch(fits, 18, "")
    assert found.cause == cause
    assert found.verdict == ("fail" if cause else "pass")
    assert fits[-1].lr == pytest.approx(lr)
    if cause.startswith("learning rate"):
        assert found.next[0] == f"optim.lr={lr:.2g}"
        tiny(found.next[0])  # a setting that exists


def test_a_log_loss_that_rises_at_small_rates_is_a_wrong_sign() -> None:
    rates = (1e-2, 1e-3, 1e-4, 1e-2, 1e-1)
    wrong = [fitted(lr, 5.0, right=0.1, after=LOG18 + 1) for lr in rates]
    assert check_one_batch(wrong, 18, "").cause == "loss sign"
    one_better = [*wrong[:2], fitted(1e-4, 2.0, right=0.1, after=LOG18 - 0.1), *wrong[3:]]
    assert check_one_batch(one_better, 18, "").cause == "cannot learn"
