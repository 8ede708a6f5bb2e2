"""What `maskcls synth train RUN --kind smote` returns and prints: scores of all heads, and whether it helped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskcls.groupnouns import Noun
from maskcls.results.synth.heads_scores import BALANCED, MIXED, PLAIN, TRAINED, HeadsComparison
from maskcls.runs.summary import RunSummary
from maskcls.show.report.after_training import AfterTraining
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import number, number_of, plain_table, say, show, span
from maskcls.show.training.finished import say_after

NAMES = {
    MIXED: "heads with interpolated examples",
    PLAIN: "heads without",
    BALANCED: "heads without, equal weight per class",
    TRAINED: "heads of the run",
}


@dataclass(frozen=True)
class RetrainedHeads:
    """A finished run of retrained heads.

    path      its folder. source: the folder of the run it was made from.
    noun      what the groups of the data set are called.
    """

    path: Path
    source: Path
    noun: Noun
    summary: RunSummary
    comparison: HeadsComparison

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "run": str(self.path),
            "source": str(self.source),
            "summary": self.summary.to_json(),
            "comparison": self.comparison.to_json(),
        }


def print_retrained_heads(found: RetrainedHeads, after: AfterTraining | None = None, *, json: bool = False) -> None:
    """Print one line per kind of heads, in words whether the interpolated examples helped, and what comes next."""
    if json:
        print_json({**found.to_json(), **(after.to_json() if after else {})})
        return
    compared = found.comparison
    table = plain_table("out-of-fold macro-F1 of", "score", "95 % interval", "gain of the examples", width=10)
    for one in (compared.mixed, *compared.others):
        gain = one.gain
        text = "" if gain is None else f"{gain.value:+.4f} ({span(gain.low, gain.high, sign=True)})"
        table.add_row(NAMES[one.name], number(one.macro_f1), span(one.interval.low, one.interval.high), text)
    show(table)
    say(f"intervals over {number_of(compared.people, found.noun)}")
    say(verdict(compared))
    if after:
        say_after(after)


def verdict(compared: HeadsComparison) -> str:
    """Say whether the interpolated examples helped."""
    if compared.helped:
        return "The examples helped: the gain over both kinds of heads without them is above zero."
    missed = [
        NAMES[one.name]
        for one in compared.others
        if one.name in (PLAIN, BALANCED) and (one.gain is None or one.gain.low <= 0)
    ]
    return f"No help is shown: the interval of the gain over {' and '.join(missed)} is not above zero."
