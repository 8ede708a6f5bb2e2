"""Numbers and errors as one line of text."""

from __future__ import annotations

from maskcls.errors import MaskclsError


def one_line(error: MaskclsError) -> str:
    """Return an error's message on one line.

    >>> from maskcls.errors import UsageError
    >>> one_line(UsageError("not so", fix="do this"))
    'not so; fix: do this'
    """
    return "; ".join(line.strip() for line in error.lines()).removeprefix(f"error[{error.code}] ")


def number(value: float | None) -> str:
    """Return a score with four decimals, or a dash for None."""
    return "-" if value is None or value != value else f"{value:.4f}"
