"""Which photos an adaptation takes statistics of: so many at most, the same ones whatever the order of the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from photos import PLAIN, open_photos

from maskcls.results.shift.coral import FeatureMoments
from maskcls.training.predicting import adapted_networks
from maskcls.training.predicting.adapted_networks import AdaptingRows

IDS = np.array([f"id{n:02}" for n in range(30)])


def rows_of(order_N: np.ndarray) -> AdaptingRows:
    return AdaptingRows.of(open_photos(Path(), [], PLAIN), order_N, IDS[order_N])


def test_some_rows_are_the_same_in_every_order_and_stay_with_their_ids() -> None:
    plain, mixed = (rows_of(one).some(7) for one in (np.arange(30), np.random.default_rng(0).permutation(30)))
    assert plain.id_N.tolist() == mixed.id_N.tolist() == sorted(plain.id_N.tolist())
    assert len(plain.id_N) == 7
    np.testing.assert_array_equal(plain.row_N, mixed.row_N)
    np.testing.assert_array_equal(IDS[plain.row_N], plain.id_N)
    assert plain.row_N.tolist() != list(range(7))  # by digests, not the first ones
    assert rows_of(np.arange(30)).some(30).sha256 != plain.sha256


def test_coral_takes_at_most_so_many_photos_to_predict(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def counted(predictor: object, rows: AdaptingRows, *others: object) -> FeatureMoments:
        asked.append(len(rows.row_N))
        raise LookupError

    monkeypatch.setattr(adapted_networks, "moments_of", counted)
    monkeypatch.setattr(adapted_networks, "MOST_PHOTOS", 11)
    moments, unused = FeatureMoments.of(np.eye(2)), cast(Any, None)
    with pytest.raises(LookupError):
        adapted_networks.adapt_network(unused, rows_of(np.arange(30)), moments, unused, unused, unused)
    assert asked == [11]
