"""What `maskcls submission check` returns and prints: one line per check, its faults below."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from maskcls.errors import visible
from maskcls.results.submissions.checks import Check
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import say

SHOWN = 5  # faults of a check that are printed


@dataclass(frozen=True)
class SubmissionChecks:
    """The checks of one submission, in order."""

    path: Path
    checks: tuple[Check, ...]

    @property
    def failed(self) -> list[Check]:
        """The checks that failed; warnings are none of them."""
        return [check for check in self.checks if check.verdict == "FAILED"]

    @property
    def warned(self) -> list[Check]:
        """The checks that gave a warning."""
        return [check for check in self.checks if check.verdict == "warning"]


def print_checks(found: SubmissionChecks, *, json: bool = False) -> None:
    """Print every check with its faults."""
    if json:
        checks = [asdict(check) for check in found.checks]
        print_json({"file": str(found.path), "ok": not found.failed, "checks": checks})
        return
    for check in found.checks:
        for line in _lines(check):
            say(visible(line), 18)


def _lines(check: Check) -> Iterator[str]:
    yield f"{check.verdict:<8} {check.name:<8} {check.about}"
    for fault in check.faults[:SHOWN]:
        yield f"{'':<17} {fault}"
    if len(check.faults) > SHOWN:
        yield f"{'':<17} … and {len(check.faults) - SHOWN:,} more"
