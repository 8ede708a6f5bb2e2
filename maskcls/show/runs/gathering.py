"""What `maskcls runs gather` returns and prints: the folds of each run, what is left to train, and the scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskcls.errors import shell_word
from maskcls.groupnouns import PEOPLE, Noun
from maskcls.runs.summary import RunSummary
from maskcls.show.report.after_training import AfterTraining
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import say, say_whole
from maskcls.show.training.finished import print_training, say_after


@dataclass(frozen=True)
class GatherResult:
    """A gathered run.

    parts     each run that was given, with its folds.
    missing   lines about folds that are in none of them.
    accepted  lines about differences in how the folds were computed.
    left      titles of networks that are trained on all rows, after the folds.
    summary   None while networks are left.
    """

    run: Path
    parts: tuple[tuple[str, Sequence[int]], ...]
    missing: tuple[str, ...]
    accepted: tuple[str, ...]
    left: tuple[str, ...]
    summary: RunSummary | None

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "run": str(self.run),
            "gathered": {name: list(folds) for name, folds in self.parts},
            "missing": list(self.missing),
            "accepted": list(self.accepted),
            "left": list(self.left),
            "summary": self.summary.to_json() if self.summary else None,
        }


def print_gathering(
    found: GatherResult, after: AfterTraining | None, noun: Noun = PEOPLE, *, json: bool = False
) -> None:
    """Print what was gathered and the run's scores, and what comes next."""
    if json:
        print_json(found.to_json() | (after.to_json() if after else {}))
        return
    each = ", ".join(f"{_folds(folds)} of {name}" for name, folds in found.parts)
    say(f"{found.run}  gathered: {each}")
    if found.accepted:
        say("  the folds were not computed in one way, see env.json")
    print_training(found.run, found.summary, noun=noun)
    for line in found.missing:
        say(f"  {line}")
    if found.left:
        say(f"  left to train: {', '.join(found.left)}; the run is scored after that")
        say_whole(f"next: maskcls resume {shell_word(found.run)}\n")
    elif after:
        say_after(after)


def _folds(folds: Sequence[int]) -> str:
    return f"{'fold' if len(folds) == 1 else 'folds'} {', '.join(map(str, folds))}"
