"""What `maskcls data check` returns and prints: findings, error rates, classes, and each part of the data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from maskcls.data.duplicates.search import NearDuplicates, NearPair
from maskcls.data.duplicates.threshold import Threshold
from maskcls.data.findings import LEVELS, DataFinding, Item, Level, meaning, worst_level
from maskcls.data.rows.repeated_photos import SamePhoto
from maskcls.errors import Exit, visible
from maskcls.groupnouns import PEOPLE, PHOTOS, Noun
from maskcls.labels import LabelSpace
from maskcls.results.shift.between_parts import SIGNIFICANT, Shift
from maskcls.show.data.class_counts import class_counts, class_table
from maskcls.show.terminal.json_output import NONE, Versions, print_json
from maskcls.show.terminal.text import number_of, plural, say, show

SHOWN = 2  # cases of a finding that are printed; --json has all


@dataclass(frozen=True, eq=False)
class DataCheck:
    """The tables of a data set, and what was found.

    frames    `train` with labels, and `eval` where there is one; root: the folder their paths are relative to.
    findings  the most serious first, each with at least one case.
    shift     None without rows to predict.
    same      photos that several rows have.
    noun      what the people are called, one and several.
    """

    frames: Mapping[str, pd.DataFrame]
    space: LabelSpace
    root: Path
    findings: tuple[DataFinding, ...]
    near: NearDuplicates
    shift: Shift | None
    same: tuple[SamePhoto, ...] = ()
    noun: Noun = PEOPLE

    @property
    def worst(self) -> Level | None:
        """The most serious level that was found."""
        return worst_level(self.findings)

    def exit_code(self, fail_on: Level) -> Exit:
        """Return Exit.DATA if something of this level, or a more serious one, was found."""
        found = self.worst is not None and LEVELS.index(self.worst) <= LEVELS.index(fail_on)
        return Exit.DATA if found else Exit.OK

    def people(self, part: str) -> int | None:
        """Return the number of people; None where nobody knows, as in eval."""
        return int(self.frames[part]["person"].nunique()) if part == "train" else None

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        parts = {part: {"photos": len(frame), "people": self.people(part)} for part, frame in self.frames.items()}
        counts = class_counts(self.frames["train"], self.space)
        classes = [{"task": t, "class": c, "people": people, "photos": photos} for t, c, people, photos in counts]
        thresholds = {"across": self.near.across, "within": self.near.within}
        return {
            "parts": parts,
            "classes": classes,
            "worst": self.worst,
            "findings": [one.to_json(self.noun) for one in self.findings],
            "same_photos": [_same_json(one) for one in self.same],
            "near_duplicates": {
                "pairs": [self._pair_json(pair) for pair in self.near.pairs],
                **{name: one.to_json() if one else None for name, one in thresholds.items()},
            },
            "shift": self.shift.to_json() if self.shift else None,
        }

    def _pair_json(self, pair: NearPair) -> dict[str, Any]:
        paths = [path for frame in self.frames.values() for path in frame["path"].tolist()]
        both = [paths[pair.first], paths[pair.second]]
        return {"paths": both, "agreement": pair.score, "mirrored": pair.mirrored, "rated": pair.rated}


def print_data_check(found: DataCheck, *, versions: Versions = NONE, json: bool = False) -> None:
    """Print the counts per class, the findings, and how certain near duplicates and differences of the parts are."""
    if json:
        print_json(found.to_json() | {"other_versions": dict(versions)})
        return
    show(class_table(found.frames["train"], found.space, found.noun))
    say()
    unreadable = any(one.kind == "unreadable" for one in found.findings)
    for part, frame in found.frames.items():
        people = found.people(part)
        of = f" of {number_of(people, found.noun)}" if people and found.noun != PHOTOS else ""
        say(f"{part}: {plural(len(frame), 'photo')}{of}" + ("" if unreadable else ", all readable"))
    say()
    for line in finding_lines(found):
        say(line, indent=4)
    say()
    for line in certainty_lines(found):
        say(line)


def finding_lines(found: DataCheck) -> list[str]:
    """Return a table of the findings: level, count and meaning, and below each the first cases."""
    if not found.findings:
        return ["nothing was found"]
    lines = [f"{'level':<13}{'count':>5}  finding"]
    for one in found.findings:
        lines.append(f"{one.level:<13}{len(one.items):>5}  {meaning(one.kind, found.noun)}")
        lines += [f"    {visible(case_text(item))}" for item in one.items[:SHOWN]]
        if len(one.items) > SHOWN:
            lines.append(f"    … and {len(one.items) - SHOWN:,} more; --json lists all")
    return lines


def case_text(item: Item) -> str:
    """Return one case as text that names its first photos."""
    if not item.paths or item.paths[0] in item.text:
        return item.text
    shown = ", ".join(item.paths[:SHOWN]) + (" …" if len(item.paths) > SHOWN else "")
    return f"{shown}: {item.text}" if item.text else shown


def certainty_lines(found: DataCheck) -> list[str]:
    """Return what is known about the error rates of near duplicates, and about train against eval."""
    one, many = found.noun
    named = ((f"different {many}", found.near.across), (f"one {one}", found.near.within))
    lines = [f"near duplicates, pairs of {name}: {_rates(one)}" for name, one in named if one is not None]
    if lines:
        lines.append("    agreement: 1 for equal photos; pairs from this value on are listed; brackets: 95 % intervals")
    if found.shift is not None:
        alone = "each photo on its own" if found.noun == PHOTOS else ""
        by = alone or (many if found.shift.grouped else f"photos to predict counted as {many}, so p is too small")
        for name, test in found.shift.tests.items():
            lines.append(
                f"eval against train, {name}: AUC {test.auc:.3f}, by chance up to {test.chance:.3f}, "
                f"p = {test.p:.4f} ({by})"
            )
        if found.shift.tests:
            lines.append(f"    AUC: 0.5 if they cannot be told apart; p below {SIGNIFICANT:g} is a warning")
    return lines


def _rates(one: Threshold) -> str:
    share, low, high = one.recall
    found = f"{share:.1%} [{low:.1%}..{high:.1%}] of {one.copies} made copies found"
    if one.false_pairs is None or one.low is None or one.high is None:
        return f"agreement from {one.score:.3f}; {found}; too few pairs to estimate false ones"
    per = 1e5 / max(one.pairs, 1)
    return (
        f"agreement from {one.score:.3f}; {found}; expected false pairs {one.false_pairs:.2g} "
        f"[{one.low:.2g}..{one.high:.2g}] of {one.pairs:,}, {one.false_pairs * per:.2g} per 100,000"
    )


def _same_json(one: SamePhoto) -> dict[str, Any]:
    copies = [{"path": c.path, "part": c.part, "person": c.person, "labels": dict(c.labels)} for c in one.copies]
    return {"kinds": list(one.kinds), "different_labels": list(one.labels), "photos": copies}
