"""Linear discriminant analysis with a covariance shrunk towards a multiple of the identity.

D features, C classes, P of them present.
"""

from __future__ import annotations

import numpy as np

from maskcls.nn.fitting.fitted_head import WideHead
from maskcls.nn.fitting.second_moments import ClassMoments, SecondMoments


def fit_discriminant(moments: SecondMoments, by_class: ClassMoments, strength: float, *, balance: float) -> WideHead:
    """Return the head whose logits are those of normal classes with one covariance (Fisher 1936).

    The covariance within classes S becomes (1 - strength) * S + strength * mean(diagonal of S) * I, with a strength
    above 0 and up to 1 (Ledoit and Wolf 2004, Journal of Multivariate Analysis 88). A class's prior is its share to
    the power of 1 - balance. moments, by_class: of the same rows and weights.
    """
    from scipy.linalg import solve

    present = by_class.present
    weight_P, sum_PD = by_class.weight_C[present], by_class.sum_CD[present]
    whole, mean_PD = weight_P.sum(), sum_PD / weight_P[:, None]
    within_DD = (moments.gram_DD - sum_PD.T @ mean_PD) / whole
    spread = within_DD.trace() / len(within_DD)
    if not spread > 0:  # every class is one point
        return WideHead(present, np.zeros_like(mean_PD), (1 - balance) * np.log(weight_P / whole))
    shrunk_DD = (1 - strength) * within_DD + strength * spread * np.eye(len(within_DD))
    weight_PD = solve(shrunk_DD, mean_PD.T, assume_a="pos").T
    bias_P = (1 - balance) * np.log(weight_P / whole) - 0.5 * (weight_PD * mean_PD).sum(axis=1)
    return WideHead(present, weight_PD, bias_P)
