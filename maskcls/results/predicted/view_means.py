"""The mean of the probabilities of several test-time views.

V views, N rows, J joint classes.
"""

from __future__ import annotations

import numpy as np

from maskcls.labels import Floats
from maskcls.viewnames import ViewMean

LEAST_PROBABILITY = 1e-30  # of a view, in a geometric mean: one view alone cannot rule a class out


def mean_over_views(prob_VNJ: Floats, mean: ViewMean) -> Floats:
    """Return the mean (N, J) float32 of the probabilities of the views; every row sums to 1.

    geometric  the normalised product to the power of 1 / V. Where every head is a softmax, this is the softmax of the
               mean logits; for linear heads, the prediction from features that are averaged over the views.

    >>> views = np.array([[[0.8, 0.2]], [[0.5, 0.5]]])
    >>> [f"{mean_over_views(views, mean)[0, 0]:.3f}" for mean in ("arithmetic", "geometric")]
    ['0.650', '0.667']
    """
    if mean == "geometric":
        log_NJ = np.log(np.maximum(prob_VNJ, LEAST_PROBABILITY), dtype=np.float64).mean(axis=0)
        mean_NJ = np.exp(log_NJ - log_NJ.max(axis=1, keepdims=True))
        mean_NJ /= mean_NJ.sum(axis=1, keepdims=True)
    else:
        mean_NJ = prob_VNJ.mean(axis=0, dtype=np.float64)
    found: Floats = mean_NJ.astype(np.float32)
    return found
