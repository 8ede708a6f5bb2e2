"""How much samples differ from each other, relative to how much photos do.

B samples, R photos, D numbers of each.
"""

from __future__ import annotations

import torch
from torch import Tensor


def mean_distance(rows_ND: Tensor) -> float:
    """Return the mean Euclidean distance of all pairs of at least two rows (N, D).

    >>> mean_distance(torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]]))
    3.3333332538604736
    """
    return float(torch.pdist(rows_ND.float()).mean())


def relative_diversity(samples_BD: Tensor, photos_RD: Tensor) -> float:
    """Return the mean distance of pairs of samples over that of pairs of photos: 1 as among photos, 0 if all are equal.

    Give both the same labels, because images of different labels differ even after a mode collapse. NaN where the
    photos are all equal.
    """
    of_photos = mean_distance(photos_RD)
    return mean_distance(samples_BD) / of_photos if of_photos else float("nan")
