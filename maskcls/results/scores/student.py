"""Student's t distribution without scipy, whose import takes longer than most commands that need one quantile.

With t = sqrt(f) tan(a), the density of a is proportional to cos(a) ** (f - 1): a smooth function on a finite range.
"""

from __future__ import annotations

import math

import numpy as np

NODES = 64  # of Gauss and Legendre: the error is below 1e-10
FARTHEST = 12.0  # standard deviations: beyond it, large f has nothing


def student_cdf(t: float, freedom: float) -> float:
    """Return the probability of a value below t, for f = `freedom` >= 1.

    >>> round(student_cdf(1.0, 1), 4), round(student_cdf(-2.0, 1e6), 4)  # Cauchy's 3/4, the normal distribution's
    (0.75, 0.0228)
    """
    angle = min(math.atan(abs(t) / math.sqrt(freedom)), FARTHEST / math.sqrt(freedom))
    inside = _inside(angle, freedom) / 2
    return 0.5 + inside if t >= 0 else 0.5 - inside


def student_quantile(level: float, freedom: float) -> float:
    """Return the t > 0 for which a share `level`, in (0, 1), lies within -t..t.

    >>> round(student_quantile(0.95, 10), 3), round(student_quantile(0.5, 1), 3)
    (2.228, 1.0)
    """
    low, high = 0.0, min(math.pi / 2, FARTHEST / math.sqrt(freedom))
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _inside(middle, freedom) < level else (low, middle)
    return math.sqrt(freedom) * math.tan((low + high) / 2)


def _inside(angle: float, freedom: float) -> float:
    """Return the probability of -t..t for t = sqrt(freedom) tan(angle), angle in 0..pi/2."""
    place, weight = _RULE
    area = angle / 2 * float(weight @ np.cos(angle / 2 * (place + 1)) ** (freedom - 1))
    return min(1.0, 2 / math.sqrt(math.pi) * math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) * area)


_RULE = np.polynomial.legendre.leggauss(NODES)
