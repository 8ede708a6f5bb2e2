"""Ridge regression on the classes: a least-squares fit of 1 for the class of a row and 0 for the others.

D features, C classes, P of them present.
"""

from __future__ import annotations

import numpy as np

from maskcls.nn.fitting.fitted_head import WideHead
from maskcls.nn.fitting.second_moments import ClassMoments, SecondMoments


def fit_ridge(moments: SecondMoments, by_class: ClassMoments, strength: float) -> WideHead:
    """Return the head with the lowest weighted mean of squared errors plus strength times the squared weights.

    Biases are not penalised (Hoerl and Kennard 1970, Technometrics 12). The outputs are no logits: their scale has to
    be fitted. moments, by_class: of the same rows and weights.
    """
    from scipy.linalg import solve

    present = by_class.present
    weight_P, sum_PD = by_class.weight_C[present], by_class.sum_CD[present]
    whole = weight_P.sum()
    share_P, mean_D = weight_P / whole, sum_PD.sum(axis=0) / whole
    covariance_DD = moments.gram_DD / whole - np.outer(mean_D, mean_D)
    crossed_DP = (sum_PD / whole - share_P[:, None] * mean_D).T
    penalised_DD = covariance_DD + strength * np.eye(len(mean_D))
    weight_PD = solve(penalised_DD, crossed_DP, assume_a="pos").T
    return WideHead(present, weight_PD, share_P - weight_PD @ mean_D)
