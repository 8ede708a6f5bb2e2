"""What `maskcls self-train` returns and prints: its rounds, and the run to use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from maskcls.results.comparison.difference import Difference
from maskcls.show.report.after_training import AfterTraining
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import plural, say, span
from maskcls.show.training.finished import say_after


@dataclass(frozen=True)
class Round:
    """One training. photos: pseudo-labelled ones, of the set for networks of all rows; gain: over the best so far."""

    run: str
    photos: int
    macro_f1: float
    gain: Difference | None


@dataclass(frozen=True)
class SelfTraining:
    """All rounds, and the number of the one to use: the last whose score rose."""

    rounds: list[Round]
    best: int

    @property
    def run(self) -> str:
        """The run to use."""
        return self.rounds[self.best].run

    def to_json(self) -> Mapping[str, Any]:
        """Return plain data."""
        return {"best": self.run, "rounds": [asdict(one) for one in self.rounds]}


def print_self_training(
    found: SelfTraining, folder: Path, after: AfterTraining | None = None, *, json: bool = False
) -> None:
    """Print one line per round, the run to use, and what comes next."""
    if json:
        steps = after.to_json() if after else {}
        print_json({**found.to_json(), **steps})
        return
    for one in found.rounds:
        gain = one.gain
        text = (
            "" if gain is None else f"  {gain.value:+.4f} ({span(gain.low, gain.high, sign=True)}) over the best before"
        )
        say(f"{one.run}  macro-F1 {one.macro_f1:.4f}  {plural(one.photos, 'pseudo-labelled photo')}{text}")
    why = "" if found.best == len(found.rounds) - 1 else f"; {found.rounds[-1].run} did not score higher"
    say(f"use {folder / found.run}{why}")
    if after:
        say_after(after)
