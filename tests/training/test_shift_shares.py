"""Class shares in data check: corrected on the rows that the network has not seen, before they are estimated."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from maskcls.data.rows import manifest
from maskcls.labels import LabelSpace, Task
from maskcls.training.data_check.shift import LEAST_ROWS, NetworkRows, _shares

SPACE = LabelSpace((Task("hat", ("no", "yes")),))
ROWS = 2000


def shares(unseen_N: np.ndarray) -> float:
    """Return the estimated share of `yes` in eval, where it is one half as in train, of a network that says 30 %."""
    rng = np.random.default_rng(0)
    label_N = rng.integers(2, size=ROWS)
    value_N = rng.normal(size=ROWS) + 2 * label_N - 1
    odds_N = np.exp(2 * value_N - 1.5)  # 2 v is calibrated, and 1.5 is the network's bias
    prob_NC = np.stack([1 / (1 + odds_N), odds_N / (1 + odds_N)], axis=1).astype(np.float32)
    ids = [f"{i:04}" for i in range(ROWS)]
    frame = manifest.build(ids, ids, SPACE, person=ids, labels={"hat": label_N})
    eval_N = np.arange(ROWS) >= ROWS // 2
    network = NetworkRows(np.zeros((ROWS, 1), np.float32), {"hat": prob_NC}, unseen_N | eval_N)
    (_, yes) = _shares(pd.DataFrame(frame), network, SPACE, ~eval_N, eval_N, np.arange(ROWS), seed=0)
    return yes.share


def test_the_bias_of_the_network_is_no_shift() -> None:
    half = np.arange(ROWS) < ROWS // 4
    assert shares(half) == pytest.approx(0.5, abs=0.05)
    few = np.arange(ROWS) < LEAST_ROWS
    assert shares(few) < 0.42  # too few rows for a correction: the bias stays
