"""What `maskcls synth judge` returns and prints: every arm, the gains over them, and what is recommended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, assert_never

from maskcls.errors import visible
from maskcls.groupnouns import PEOPLE, Noun
from maskcls.labels import LabelSpace
from maskcls.results.comparison.difference import Difference
from maskcls.results.synth.verdict import Gap, TableVerdict, Verdict
from maskcls.show.answers.tried import NOT_COUNTED
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import number, number_of, plain_table, plural, say, show, span

SCREENING = "screening: heads on frozen features, not trainings. Give --fit training for the verdict"


@dataclass(frozen=True)
class ArmFacts:
    """How one arm was trained.

    changed  its settings beside the configuration's. steps: optimizer steps of one seed; None for heads.
    samples  the table of samples; "" without one.
    """

    name: str
    changed: tuple[str, ...]
    steps: int | None
    minutes: float
    samples: str = ""


@dataclass(frozen=True)
class ArmsVerdict:
    """A verdict with all that it rests on.

    rare     the rare classes, per task. rows, people: scored; rare_people: those with a row of the rare classes.
    written  the configuration that --use wrote; None: none.
    kept     whether the comparisons could be registered.
    """

    verdict: Verdict
    arms: tuple[ArmFacts, ...]
    space: LabelSpace
    rare: Mapping[str, tuple[str, ...]]
    fit: Literal["training", "heads"]
    seeds: tuple[int, ...]
    rows: int
    people: int
    rare_people: int
    written: Path | None = None
    kept: bool = True
    noun: Noun = PEOPLE

    @property
    def rare_text(self) -> str:
        """The rare classes in words, such as `age >=60`."""
        return ", ".join(f"{task} {' or '.join(names)}" for task, names in self.rare.items())

    def facts(self, name: str) -> ArmFacts:
        """Return how an arm was trained."""
        return next(one for one in self.arms if one.name == name)

    def to_json(self) -> dict[str, Any]:
        """Return plain data; classes by name."""
        scores = {one.name: one for one in self.verdict.arms}
        arms = [
            {
                **asdict(one),
                "macro_f1": scores[one.name].mean,
                "sd": scores[one.name].deviation,
                "by_seed": scores[one.name].seeds,
            }
            for one in self.arms
        ]
        tables = [
            {
                "arm": one.arm,
                "outcome": one.outcome,
                "findable": one.findable,
                "gains": [self._gap(gap) for gap in one.gaps],
            }
            for one in self.verdict.tables
        ]
        best = self.verdict.best
        return {
            "recommended": best.arm if best else None,
            "fit": self.fit,
            "screening": self.fit == "heads",
            "level": self.verdict.level,
            "tables_tried": self.verdict.tried,
            "seeds": self.seeds,
            "rows": self.rows,
            "people": self.people,
            "rare": {task: list(names) for task, names in self.rare.items()},
            "rare_people": self.rare_people,
            "arms": arms,
            "tables": tables,
            "written": None if self.written is None else str(self.written),
        }

    def _gap(self, gap: Gap) -> dict[str, Any]:
        names = self.space.joint_names
        classes = [
            {"class": names[one.joint], "rows": one.rows, "people": one.people, **asdict(one.difference)}
            for one in gap.classes
        ]
        joined = {name: None if one is None else asdict(one) for name, one in gap.groups.items()}
        return {
            "over": gap.other,
            **asdict(gap.difference),
            "by_seed": gap.seeds,
            "findable": gap.findable,
            **joined,
            "classes": classes,
        }


def print_verdict(found: ArmsVerdict, page: Path | None, *, json: bool = False) -> None:
    """Print every arm with its score, the gain over it of each table, and what is recommended."""
    if json:
        print_json(found.to_json())
        return
    of = number_of(found.people, found.noun)
    say(f"{plural(found.rows, 'row')} of {of}, {found.rare_people:,} with {visible(found.rare_text)}")
    say(f"{plural(len(found.seeds), 'seed')}; {steps_line(found)}")
    for one in found.verdict.tables:
        say("")
        show(_table(found, one))
        for line in verdict_lines(found, one):
            say(line)
    say("")
    say(recommendation(found))
    if found.fit == "heads":
        say(SCREENING)
    if found.written is not None:
        say(f"{found.written}  the configuration with these samples")
    if page is not None:
        say(f"{page}  the page")
    if not found.kept:
        say(NOT_COUNTED)


def steps_line(found: ArmsVerdict) -> str:
    """Say how many optimizer steps the arms have."""
    steps = [one.steps for one in found.arms if one.steps is not None]
    if not steps:
        return "heads fitted until they no longer change, so there are no steps to compare"
    if len(set(steps)) == 1:
        return f"{steps[0]:,} optimizer steps of every arm and seed"
    listed = ", ".join(f"{one.name} {one.steps:,}" for one in found.arms)
    return f"optimizer steps per seed, as equal as the folds allow: {listed}"


def _table(found: ArmsVerdict, table: TableVerdict) -> Any:
    percent = f"{100 * found.verdict.level:.4g} % interval"
    made = plain_table("arm", "macro-F1", "sd", f"gain of {table.arm}", percent, "minutes")
    gaps = {gap.other: gap for gap in table.gaps}
    for score in found.verdict.arms:
        if score.name != table.arm and score.name not in gaps:
            continue  # another table
        cells = ["", ""]
        if score.name in gaps:
            gain = gaps[score.name].difference
            cells = [number(gain.value, sign=True), span(gain.low, gain.high, sign=True)]
        minutes = f"{found.facts(score.name).minutes:.1f}"
        made.add_row(visible(score.name), number(score.mean), number(score.deviation), *cells, minutes)
    return made


def verdict_lines(found: ArmsVerdict, table: TableVerdict) -> Iterator[str]:
    """Yield the verdict on one table, what it rests on, and what happens to the classes."""
    least = table.least
    gain = f"{least.difference.value:+.4f} ({span(least.difference.low, least.difference.high, sign=True)})"
    match table.outcome:
        case "use":
            yield f"{table.arm}: use. Against every other arm the interval of its gain lies above 0"
        case "no":
            worse = next(gap for gap in table.gaps if gap.difference.high <= 0)
            yield f"{table.arm}: no. It is not better than {worse.other}: the interval does not reach above 0"
        case "not shown":
            yield f"{table.arm}: not shown. Its gain over {least.other} is {gain}, which includes 0"
        case _:
            assert_never(table.outcome)
    yield f"a true gain of {table.findable:.3f} over every other arm would be shown in 4 of 5 repetitions"
    for gap in table.gaps:
        parts = [f"{_words(name, found)} {_short(one)}" for name, one in gap.groups.items() if one is not None]
        yield f"F1 over {gap.other}: {'; '.join(parts)}"


def recommendation(found: ArmsVerdict) -> str:
    """Say which table to use, or that none is to be used, and which arm has the highest score.

    No interval was asked for between arms without samples, so the highest score is no recommendation.
    """
    best = found.verdict.best
    if best is not None:
        return f"recommended: {best.arm}, {', '.join(found.facts(best.arm).changed)}"
    highest = max(found.verdict.arms, key=lambda one: one.mean)
    return f"recommended: no samples. Highest macro-F1: {highest.name}, {highest.mean:.4f}"


def _words(name: str, found: ArmsVerdict) -> str:
    return f"classes with {visible(found.rare_text)}" if name == "rare" else "other classes"


def _short(one: Difference) -> str:
    return f"{one.value:+.3f} ({span(one.low, one.high, sign=True)})"
