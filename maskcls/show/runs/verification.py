"""What `maskcls verify` returns and prints: the files that are wrong, and how many are right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from maskcls.errors import visible
from maskcls.results.submissions.checks import Check
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import plural, say

FEW = 2  # files with the same result that are named; more are counted
NOUN: Mapping[str, str] = {
    "run": "file",
    "stages": "file",
    "repeats": "file",
    "file": "part",
    "cache": "pack",
}


@dataclass(frozen=True)
class Verification:
    """The checks of the files of `path`, a file or a folder. kind: `run`, `stages`, `repeats`, `cache` or
    `file`."""

    path: Path
    kind: str
    checks: tuple[Check, ...]

    @property
    def failed(self) -> list[Check]:
        """The checks that failed; warnings are none of them."""
        return [check for check in self.checks if check.verdict == "FAILED"]


def print_verification(found: Verification, *, json: bool = False) -> None:
    """Print the files that are wrong or not compared, each with the reason, and how many are right; then the result."""
    if json:
        checks = [asdict(check) for check in found.checks]
        print_json({"path": str(found.path), "kind": found.kind, "ok": not found.failed, "checks": checks})
        return
    for line in _verification_lines(found):
        say(visible(line), 9)


def _verification_lines(found: Verification) -> Iterator[str]:
    for check in found.checks:
        if check.verdict in ("FAILED", "warning"):
            yield f"{check.verdict:<8} {check.name}: {'; '.join(check.faults) or check.about}"
    for verdict in ("skipped", "ok"):
        names: dict[str, list[str]] = {}
        for check in found.checks:
            if check.verdict == verdict:
                names.setdefault(check.about, []).append(check.name)
        for about, same in names.items():
            few = ", ".join(same) if len(same) <= FEW else plural(len(same), NOUN[found.kind])
            yield f"{verdict:<8} {few}: {about}"
    if not found.failed:
        right = sum(check.verdict == "ok" for check in found.checks)
        yield f"{found.path}: {plural(right, NOUN[found.kind])} compared, each as maskcls wrote it"
