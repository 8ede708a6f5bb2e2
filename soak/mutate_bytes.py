"""Wrong copies of any file: flipped and changed bytes, cuts, insertions, pieces of other files, extreme numbers."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from random import Random

Mutator = Callable[[Random, bytes, Sequence[bytes]], bytes]

NUMBERS = (0, 1, 2, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)


def mutated(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Return a copy with one to four changes."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = rng.choice(CHANGES)(rng, data, others)
    return data


def flip(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Flip one to eight bits."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8)) if data else 0):
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def overwrite(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Replace a short piece by random bytes, or by one byte repeated."""
    start, size = _piece(rng, data, 64)
    new = rng.randbytes(size) if rng.random() < 0.5 else bytes([rng.choice((0, 10, 32, 34, 44, 255))]) * size
    return data[:start] + new + data[start + size :]


def number(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Write an extreme number of 1, 2, 4 or 8 bytes over a place, most often near the start, where headers are."""
    size = rng.choice((1, 2, 4, 8))
    if len(data) < size:
        return data
    end = min(len(data), 256) if rng.random() < 0.7 else len(data)
    start = rng.randrange(max(1, end - size + 1))
    value = rng.choice(NUMBERS) & (1 << 8 * size) - 1
    return data[:start] + value.to_bytes(size, rng.choice(("little", "big"))) + data[start + size :]


def cut(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Keep the beginning, or the end, or nothing."""
    place = rng.randrange(len(data) + 1)
    return rng.choice((data[:place], data[:place], data[place:], b""))


def remove(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Remove a piece."""
    start, size = _piece(rng, data, 4096)
    return data[:start] + data[start + size :]


def insert(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Insert random bytes, or a piece of the same file, sometimes many times."""
    start, size = _piece(rng, data, 256)
    new = rng.choice((rng.randbytes(size), data[start : start + size] * rng.choice((1, 2, 1000))))
    place = rng.randrange(len(data) + 1)
    return data[:place] + new + data[place:]


def splice(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Continue with another file from some place on."""
    other = rng.choice(others) if others else data
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def float_value(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Write NaN, infinity or a huge number over four bytes."""
    if len(data) < 4:
        return data
    start = rng.randrange(len(data) // 4) * 4
    new = struct.pack("<f", rng.choice((float("nan"), float("inf"), -float("inf"), 3e38, -1.0, 0.0)))
    return data[:start] + new + data[start + 4 :]


CHANGES: tuple[Mutator, ...] = (flip, flip, overwrite, number, number, cut, remove, insert, splice, float_value)


def _piece(rng: Random, data: bytes, most: int) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(rng.randint(1, most), len(data) - start)
