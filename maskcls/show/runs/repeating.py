"""What `maskcls train` and `resume` print of a repeated cross-validation."""

from __future__ import annotations

from pathlib import Path

from maskcls.errors import shell_word
from maskcls.groupnouns import PEOPLE, Noun
from maskcls.runs.repeats.repeat_scores import RepeatedScores
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import number, number_of, percent, plural, say, say_whole, span
from maskcls.show.training.baseline import repeated_baseline_line


def print_repeats(folder: Path, found: RepeatedScores, noun: Noun = PEOPLE, *, json: bool = False) -> None:
    """Print the score of the mean, that of each repeat, and how much they differ."""
    if json:
        print_json({"run": str(folder), "repeats": found.to_json()})
        return
    pooled, interval = found.pooled, found.interval
    ends = f" (95 % interval {span(interval.low, interval.high)})" if interval else ""
    say(f"{folder}  mean of {plural(len(found.each), 'repeat')}: out-of-fold macro-F1 {number(pooled.macro_f1)}{ends}")
    tasks = "  ".join(f"{name} {number(task.macro_f1)}" for name, task in pooled.tasks.items())
    say(f"  {tasks}  ({plural(found.folds, 'fold')}, {number_of(found.people, noun)}, each counted once)")
    each = "  ".join(f"{name} {number(value)}" for name, value in found.each.items())
    say(f"  each repeat alone: {each}" + ("" if found.sd is None else f"  (sd {number(found.sd)})"))
    if found.baseline is not None:
        say(f"  {repeated_baseline_line(found.baseline)}")
    say(f"  {percent(found.changed)} of the rows do not get the same class in all repeats")
    say_whole(f"next, with {plural(found.networks, 'network')}: maskcls predict {shell_word(folder)} --data DATA\n")
