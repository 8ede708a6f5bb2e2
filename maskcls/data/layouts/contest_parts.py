"""How a folder in the contest's layout is recognised; without pandas, so that wrong settings are reported at once."""

from __future__ import annotations

from pathlib import Path

ONLY_THERE = ("train/train.csv", "train/images", "eval")


def has_contest_parts(data: Path) -> bool:
    """Return whether a folder has something that only the contest's layout has."""
    return any((data / name).exists() for name in ONLY_THERE)
