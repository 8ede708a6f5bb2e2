"""The rate factor equals the formula of the authors' implementation, with a step as an epoch."""

import pytest

from maskcls.synth.cyclegan.linear_rate import rate_factor


@pytest.mark.parametrize(("n", "n_decay"), [(100, 100), (7, 3), (0, 5), (5, 0), (1, 1)])
def test_the_factor_is_that_of_the_formula(n: int, n_decay: int) -> None:
    start = 1  # epochs are counted from 1 there
    for epoch in range(n + n_decay):
        expected = 1 - max(0, epoch + start - n) / (n_decay + 1)

        assert rate_factor(epoch, steps=n + n_decay, decay_share=n_decay / (n + n_decay)) == expected


def test_the_rate_is_constant_and_falls_to_its_last_value() -> None:
    factors = [rate_factor(step, steps=200, decay_share=0.5) for step in range(200)]

    assert factors[:100] == [1.0] * 100
    assert factors[100] == pytest.approx(100 / 101)
    assert factors[199] == pytest.approx(1 / 101)
    assert rate_factor(199, steps=200, decay_share=0.0) == 1.0
