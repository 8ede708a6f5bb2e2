"""What `maskcls synth sample` returns and prints: how many samples of each class were made, left out and kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from maskcls.errors import visible
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import plain_table, plural, say, show

COUNTS = ("wanted", "made", "copies", "disputed", "kept")


@dataclass(frozen=True)
class SampleCount:
    """The samples of one set and joint class. set: a fold's number, or "all"; copies, disputed: left out."""

    set: str
    label: str
    wanted: int
    made: int
    copies: int
    disputed: int
    kept: int

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        plain = asdict(self)
        return {"set": plain.pop("set"), "class": plain.pop("label"), **plain}


@dataclass(frozen=True)
class MadeSamples:
    """A table of samples. sets: {name: rows}; counts: by set and class, without sets that are made of others."""

    path: Path
    sha256: str
    kind: str
    sets: Mapping[str, int]
    counts: Sequence[SampleCount]

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        counts = [one.to_json() for one in self.counts]
        table = {"file": str(self.path), "sha256": self.sha256, "kind": self.kind, "sets": dict(self.sets)}
        return {**table, "counts": counts}


def print_samples(found: MadeSamples, *, json: bool = False) -> None:
    """Print a line per class, summed over the folds, and how many samples each fold has."""
    if json:
        print_json(found.to_json())
        return
    folds = [one for one in found.counts if one.set != "all"]
    table = plain_table("of all folds", *COUNTS, width=16)
    for label in dict.fromkeys(one.label for one in folds):
        rows = [one for one in folds if one.label == label]
        table.add_row(visible(label), *(f"{sum(getattr(one, name) for one in rows):,}" for name in COUNTS))
    show(table)
    if short := [one for one in folds if one.kept < one.wanted]:
        say(f"\n{plural(len(short), 'quota')} not full: too many samples were left out, or there was no more to make")
    each = ", ".join(
        f"{rows:,} for {'all rows' if name == 'all' else f'fold {name}'}" for name, rows in found.sets.items()
    )
    say(f"\n{found.path}  {found.kind} samples: {each}")
    say("next: judge them before use; a training takes them with data.synth=" + str(found.path))
