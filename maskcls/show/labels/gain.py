"""What `maskcls data labels --prove` returns and prints: the paired gain of corrected labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from maskcls.groupnouns import PEOPLE, Noun
from maskcls.results.comparison.difference import Difference
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import number, number_of, say, span


@dataclass(frozen=True)
class LabelGain:
    """The score with corrected labels minus that with the labels as they are, on untouched people.

    joint      macro-F1 of the joint classes, the mean over the seeds; its interval is over people and, of several
               seeds, over seeds. seeds: each seed's own.
    tasks      {task: the same of its macro-F1}.
    corrected  people with a corrected label, who are not scored; people: those who are.
    noun       what the groups of the photos are called.
    """

    joint: Difference
    seeds: tuple[float, ...]
    tasks: Mapping[str, Difference]
    corrected: int
    people: int
    noun: Noun = PEOPLE

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {name: value for name, value in asdict(self).items() if name != "noun"}


def print_gain(found: LabelGain, *, json: bool = False) -> None:
    """Print the gain of the joint classes and of each task, with intervals, and whether it is shown."""
    if json:
        print_json(found.to_json())
        return
    say(f"corrected labels of {number_of(found.corrected, found.noun)}, scored on {found.people:,} others")
    for name, one in {"joint": found.joint, **found.tasks}.items():
        say(f"{name:10}  {number(one.value, sign=True)} macro-F1 ({span(one.low, one.high, sign=True)})")
    say("per seed    " + ", ".join(number(value, sign=True) for value in found.seeds))
    if len(found.seeds) == 1:
        say(f"one seed: the intervals are over {found.noun[1]} only; another seed may differ more (--seeds 3)")
    if found.joint.low > 0:
        say("the corrections help: the interval lies above 0")
    elif found.joint.high < 0:
        say("the corrections harm: the interval lies below 0")
    else:
        say("no gain is shown: the interval contains 0")
