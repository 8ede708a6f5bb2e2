"""What `maskcls pseudo-label` returns and prints: how many photos got a label, by class and by label set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskcls.errors import visible
from maskcls.rundir import REFIT
from maskcls.show.terminal.json_output import NONE, Versions, print_json
from maskcls.show.terminal.text import number, plain_table, plural, say, show

# Why a photo is not taken: the name in the summary, and the column's head.
REASONS = {"threshold": "unsure", "agreement": "disputed", "cap": "over\nlimit", "balance": "over\nbalance"}


@dataclass(frozen=True)
class PseudoLabels:
    """What was written. sets: {fold, or REFIT: rows}; lines: the summary, one line per set and class."""

    path: Path
    sha256: str
    photos: int
    sets: dict[int, int]
    lines: list[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        sets = {_set_name(k): rows for k, rows in self.sets.items()}
        lines = [line | {"set": _set_name(line["set"])} for line in self.lines]
        return {"file": str(self.path), "sha256": self.sha256, "photos": self.photos, "sets": sets, "lines": lines}


def print_pseudo_labels(found: PseudoLabels, *, versions: Versions = NONE, json: bool = False) -> None:
    """Print how many photos of each class were labelled for the networks of all rows, and the size of each set."""
    if json:
        print_json(found.to_json() | {"other_versions": dict(versions)})
        return
    table = plain_table("for all rows", "predicted", "taken", *REASONS.values(), "confidence", width=16)
    for line in (line for line in found.lines if line["set"] == REFIT and line["task"] != "joint"):
        counts = [line["considered"], line["taken"], *(line[reason] for reason in REASONS)]
        name = visible(f"{line['task']} {line['class']}")
        table.add_row(name, *(f"{count:,}" for count in counts), number(line["confidence"], 3))
    show(table)
    each = ", ".join(f"{rows:,} for {'all rows' if k == REFIT else f'fold {k}'}" for k, rows in found.sets.items())
    say(f"\n{found.path}  {plural(found.photos, 'photo')} read; labelled: {each}")


def _set_name(k: int) -> str:
    return "all" if k == REFIT else str(k)
