"""The rule by which one candidate replaces another: clearly faster, and repeatedly.

A candidate replaces the best one so far only if it was at least `MARGIN` times as fast in each of at least `ROUNDS`
rounds. Within a round the candidates are timed one after the other, so a slower machine slows all of them. The exact
number format (fp32), the default memory format and all cores come first, so they are replaced only by something clearly
faster. One slow round keeps the earlier candidate: noise can prevent a change, but it rarely causes one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from maskcls.engine.compute.candidates import Candidate

MARGIN = 1.10
ROUNDS = 3

Timings = Mapping[Candidate, Sequence[float]]  # seconds of one pass per round, the preferred candidate first


def faster_by_margin(new_s: float, old_s: float) -> bool:
    """Return whether new seconds are fewer by the margin; rounding errors are ignored.

    >>> faster_by_margin(1.0, 1.1), faster_by_margin(1.0, 1.09)
    (True, False)
    """
    return old_s >= new_s * MARGIN * (1 - 1e-9)


def repeatedly_faster(new_s: Sequence[float], old_s: Sequence[float]) -> bool:
    """Return whether the new seconds are fewer by the margin in every round, and there are enough rounds.

    >>> repeatedly_faster([1.0, 1.0, 1.0], [1.1, 1.2, 1.3])
    True
    >>> repeatedly_faster([1.0, 1.0, 1.0], [1.1, 1.2, 1.05])
    False
    >>> repeatedly_faster([1.0, 1.0], [2.0, 2.0, 2.0])
    False
    """
    enough = min(len(new_s), len(old_s)) >= ROUNDS
    return enough and all(faster_by_margin(new, old) for new, old in zip(new_s, old_s, strict=False))


def winner(timings: Timings) -> Candidate:
    """Return the first candidate, unless a later one is repeatedly faster than the best so far."""
    candidates = iter(timings)
    best = next(candidates)
    for candidate in candidates:
        if repeatedly_faster(timings[candidate], timings[best]):
            best = candidate
    return best
