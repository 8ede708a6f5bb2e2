"""Steps and their pieces: every row once, equal lengths, nothing real twice."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskcls.data.rows.batches import MIN_PIECE, epoch_order, pieces, steps

ROWS = st.lists(st.integers(0, 10_000), min_size=1, max_size=80, unique=True).map(lambda r: np.array(r, dtype=np.int64))
SHARES = st.tuples(st.integers(1, 5), st.integers(1, 5))


@settings(deadline=None, max_examples=60)
@given(ROWS, st.integers(0, 2**32 - 1), st.integers(0, 1000))
def test_an_order_holds_every_row_once_and_depends_on_seed_and_epoch_alone(
    rows: np.ndarray, seed: int, epoch: int
) -> None:
    before = rows.copy()
    order = epoch_order(rows, seed=seed, epoch=epoch)
    assert sorted(order.tolist()) == sorted(rows.tolist())
    np.testing.assert_array_equal(rows, before)
    np.testing.assert_array_equal(order, epoch_order(rows, seed=seed, epoch=epoch))


def test_orders_differ_by_epoch_and_seed() -> None:
    rows = np.arange(50)
    orders = {epoch_order(rows, seed=s, epoch=e).tobytes() for s in range(4) for e in range(4)}
    assert len(orders) == 16


@settings(deadline=None, max_examples=60)
@given(ROWS, st.integers(1, 90))
def test_steps_cut_the_order_and_only_the_last_is_ragged(rows: np.ndarray, batch_size: int) -> None:
    cut = steps(rows, batch_size)
    assert np.concatenate(cut).tolist() == rows.tolist()
    assert [len(step) for step in cut[:-1]] == [batch_size] * (len(cut) - 1)
    assert 1 <= len(cut[-1]) <= batch_size


def test_no_rows_make_no_steps() -> None:
    assert steps(np.empty(0, dtype=np.int64), 4) == []


@settings(deadline=None, max_examples=200)
@given(ROWS, SHARES)
def test_every_row_is_real_in_exactly_one_piece(step: np.ndarray, share: tuple[int, int]) -> None:
    processes, accumulate = share
    shared = pieces(len(step), processes=processes, accumulate=accumulate)
    assert [len(own) for own in shared] == [accumulate] * processes
    flat = [piece for own in shared for piece in own]
    real = Counter(place for piece in flat for place in piece.places[piece.real].tolist())
    assert real == Counter(range(len(step)))
    lengths = {len(piece.places) for piece in flat}
    assert lengths == {max(MIN_PIECE, -(-len(step) // (processes * accumulate)))}
    assert all(len(piece.real) == len(piece.places) for piece in flat)
    assert {place for piece in flat for place in piece.places.tolist()} == set(range(len(step)))  # fillers are of it


@pytest.mark.parametrize(
    ("rows", "processes", "accumulate", "want"),
    [
        ([5, 6, 7, 8], 1, 1, [[("5678", "1111")]]),
        ([5, 6, 7, 8], 2, 1, [[("56", "11")], [("78", "11")]]),
        ([5, 6, 7, 8], 1, 2, [[("56", "11"), ("78", "11")]]),
        ([5, 6, 7, 8, 9], 1, 2, [[("567", "111"), ("899", "110")]]),  # ragged: filled from the end of the step
        ([5, 6, 7], 1, 2, [[("56", "11"), ("77", "10")]]),
        ([5], 1, 1, [[("55", "10")]]),  # one row: normalised with itself, counted once
        ([5], 2, 1, [[("55", "10")], [("55", "00")]]),
        ([5, 6], 1, 3, [[("56", "10"), ("66", "10"), ("65", "00")]]),
    ],
)
def test_pieces_by_hand(rows: list[int], processes: int, accumulate: int, want: list[list[tuple[str, str]]]) -> None:
    shared = pieces(len(rows), processes=processes, accumulate=accumulate)
    got = [
        [("".join(str(rows[place]) for place in p.places), "".join(str(int(r)) for r in p.real.tolist())) for p in own]
        for own in shared
    ]
    assert got == want
