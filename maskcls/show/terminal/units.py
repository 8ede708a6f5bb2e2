"""Times and sizes, written for people."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Write a time for people.

    >>> duration(89), duration(90), duration(5400), duration(200_000)
    ('89 s', '1.5 min', '1.5 h', '56 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    value, unit = (seconds / 60, "min") if seconds < 5400 else (seconds / 3600, "h")
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"


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
