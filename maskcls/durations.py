"""Lengths of time: read from what a person wrote, and written for people."""

from __future__ import annotations

import re

from maskcls.errors import UsageError

SECONDS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0}  # from long to short, the order in which they are written
LONGEST = 366 * SECONDS["d"]

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_PARTS = re.compile("".join(rf"(?:(?P<{unit}>{_NUMBER})\s*{unit}\s*)?" for unit in SECONDS), re.IGNORECASE)


def parse_duration(text: str, where: str | None = None) -> float:
    """Return a length of time in seconds: days, hours, minutes and seconds in this order, or a number of seconds.

    where  the option or key it was given as, for the error.

    >>> parse_duration("2h"), parse_duration("1h30m"), parse_duration("90s"), parse_duration("45")
    (7200.0, 5400.0, 90.0, 45.0)

    Raises UsageError for another text, for 0, and for more than a year.
    """
    written = text.strip()
    seconds: float | None = None
    if re.fullmatch(_NUMBER, written):
        seconds = float(written)
    elif written and (found := _PARTS.fullmatch(written)):
        seconds = sum(float(value) * SECONDS[unit] for unit, value in found.groupdict().items() if value)
    if seconds is None or not 0 < seconds <= LONGEST:
        raise UsageError(
            "not a length of time" if seconds is None else "this length of time cannot be used",
            where=where,
            got=text,
            expected="more than 0 and at most 366d: days, hours, minutes and seconds, such as 2h, 1h30m or 90s; "
            "a number alone is in seconds",
            fix="write it as 2h, 1h30m or 90s",
        )
    return seconds


def duration(seconds: float) -> str:
    """Write a time for people.

    >>> duration(89), duration(90), duration(5400), duration(200_000)
    ('89 s', '1.5 min', '1.5 h', '56 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    value, unit = (seconds / 60, "min") if seconds < 5400 else (seconds / 3600, "h")
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"
