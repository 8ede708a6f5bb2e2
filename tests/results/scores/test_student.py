"""Student's t distribution against scipy's."""

from __future__ import annotations

import pytest
from scipy.stats import t as student

from maskcls.results.scores.student import student_cdf, student_quantile


@pytest.mark.parametrize("freedom", [1, 1.3, 2, 3.7, 10, 29, 57, 58, 59, 150.5, 2857, 1e6])
def test_equal_to_scipy(freedom: float) -> None:
    for t in (-50, -4.1, -1, 0, 0.3, 1.96, 7, 60):
        assert student_cdf(t, freedom) == pytest.approx(student.cdf(t, freedom), abs=1e-9)
    for level in (0.5, 0.8, 0.95, 0.995):
        assert student_quantile(level, freedom) == pytest.approx(student.ppf((1 + level) / 2, freedom), rel=1e-7)
