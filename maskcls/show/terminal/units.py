"""Sizes, written for people."""

from __future__ import annotations


def size(count: int) -> str:
    """Write a number of bytes for people, a thousand to the next unit.

    >>> size(999), size(1_500_000), size(20_400_000_000)
    ('999 B', '1.5 MB', '20 GB')
    """
    if count < 1000:
        return f"{count} B"
    value, units = float(count), iter(("kB", "MB", "GB", "TB"))
    unit = ""
    while value >= 999.5 and (further := next(units, None)):
        value, unit = value / 1000, further
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"
