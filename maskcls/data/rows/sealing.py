"""People who are set aside before anything else, so that one score is left that no choice was made on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from maskcls.data.rows import manifest
from maskcls.data.rows.folds import make_folds, strata
from maskcls.labels import LabelSpace

APART = 0x5EA1  # so that the people are not those whom the same seed holds out with folds.k=1


def split_sealed(
    frame: pd.DataFrame, space: LabelSpace, *, share: float, seed: int, stratify: Sequence[str] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of a manifest without the sealed people, and theirs, both in the manifest's order.

    share     of the people, in (0, 1): at least one is sealed, and at least one is not.
    seed      who they are depends on it, on names and on labels alone, as with folds.
    stratify  tasks whose classes the sealed people have as all people do; None: all that are constant within everybody.

    Raises DataError for a single person, ConfigError as `folds.strata`.
    """
    names = manifest.person_tasks(frame, space) if stratify is None else tuple(stratify)
    stratum_N = strata(frame, space, names)
    apart_N = make_folds(frame["person"].tolist(), stratum_N, k=1, holdout=share, seed=seed ^ APART) == np.int8(0)
    rest, sealed = (frame[rows].reset_index(drop=True) for rows in (~apart_N, apart_N))
    return rest, sealed
