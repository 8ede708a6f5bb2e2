"""What `maskcls synth train` and `synth resume` return and print: how far each generator came, and its faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from maskcls.durations import duration
from maskcls.errors import shell_word
from maskcls.groupnouns import Noun
from maskcls.results.synth.training_watch import WatchFinding
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import number, plain_table, say, show


@dataclass(frozen=True)
class TrainedGenerator:
    """One generator. set: a fold's number, or "all"; people, rows: of `classes`, in its training rows.

    step, steps  finished, and in all; steps_now, seconds: of this command.
    findings     faults that its log shows. last: the last line of the log.
    """

    set: str
    classes: Mapping[str, tuple[str, ...]]
    people: int
    rows: int
    step: int
    steps: int
    steps_now: int
    seconds: float
    findings: tuple[WatchFinding, ...]
    last: Mapping[str, float]

    @property
    def finished(self) -> bool:
        """Whether its last step is done."""
        return self.step == self.steps

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self) | {"finished": self.finished}


@dataclass(frozen=True)
class SynthTraining:
    """A folder of generators. noun: what the groups of the data set are called."""

    path: Path
    kind: str
    noun: Noun
    generators: tuple[TrainedGenerator, ...]

    @property
    def finished(self) -> bool:
        """Whether all generators are finished."""
        return all(one.finished for one in self.generators)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        generators = [one.to_json() for one in self.generators]
        return {"folder": str(self.path), "kind": self.kind, "finished": self.finished, "generators": generators}


def print_synth_training(found: SynthTraining, *, json: bool = False) -> None:
    """Print one line per generator, then the faults with advice, then how to go on."""
    if json:
        print_json(found.to_json())
        return
    table = plain_table("for", found.noun[1], "photos", "steps", "steps/s", "diversity", width=10)
    for one in found.generators:
        name = "all rows" if one.set == "all" else f"fold {one.set}"
        steps = f"{one.step:,}" if one.finished else f"{one.step:,} of {one.steps:,}"
        pace = number(one.steps_now / one.seconds, 2) if one.steps_now and one.seconds else ""
        table.add_row(name, f"{one.people:,}", f"{one.rows:,}", steps, pace, number(one.last.get("diversity"), 2))
    show(table)
    for fault, sets in _faults(found).items():
        say()
        say(f"{fault.name} ({', '.join(sets)}): {fault.what}")
        say(f"  advice: {fault.advice}")
    spent = duration(sum(one.seconds for one in found.generators))
    if found.finished:
        say(f"\n{found.path}  all generators are trained ({found.kind}, {spent}). Look at their sheets before use.")
    else:
        again = f"maskcls synth resume {shell_word(found.path)}"
        say(f"\n{found.path}  not finished ({found.kind}, {spent}). Continue with: {again}")


def _faults(found: SynthTraining) -> dict[WatchFinding, list[str]]:
    """Return each kind of fault once, as its first generator has it, with the sets of all that have it."""
    first: dict[str, WatchFinding] = {}
    sets: dict[str, list[str]] = {}
    for one in found.generators:
        for fault in one.findings:
            first.setdefault(fault.name, fault)
            sets.setdefault(fault.name, []).append("all rows" if one.set == "all" else f"fold {one.set}")
    return {first[name]: names for name, names in sets.items()}
