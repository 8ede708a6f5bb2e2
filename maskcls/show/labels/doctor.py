"""What `maskcls data labels` returns and prints: suspected label faults, the most suspicious people first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maskcls.errors import visible
from maskcls.groupnouns import PEOPLE, Noun
from maskcls.runs.integrity.photos_now import changed_in_words, unreadable_in_words
from maskcls.runs.labels.cases import Case
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import near, number_of, plain_table, plural, say, show

KIND = {"person": "all photos", "photo": "one photo", "exchange": "two photos", "contradiction": "photos that differ"}


@dataclass(frozen=True)
class LabelDoctor:
    """The suspects.

    cases     the most suspicious first, as many as asked for.
    labels    that were compared with the networks: one per person and task.
    least     suspicion from which a correction is proposed.
    people, photos, runs  how many.
    noun      what the groups of the photos are called.
    changed_photos  ids of photos of the cases that changed since a training.
    unreadable_photos  {id: why it cannot be read} of the photos that should be on the page.
    fixes     the file of proposed corrections that was written; page: the page; None: not asked for.
    """

    cases: Sequence[Case]
    labels: int
    least: float
    people: int
    photos: int
    runs: int
    fixes: Path | None = None
    page: Path | None = None
    noun: Noun = PEOPLE
    changed_photos: tuple[str, ...] = ()
    unreadable_photos: Mapping[str, str] = field(default_factory=dict)

    @property
    def proposed(self) -> list[Case]:
        """The cases whose correction is proposed."""
        return [case for case in self.cases if is_proposed(case, self.least)]

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        counts = {"labels": self.labels, "people": self.people, "photos": self.photos, "runs": self.runs}
        files = {name: None if path is None else str(path) for name, path in (("o", self.fixes), ("page", self.page))}
        cases = [{**case.to_json(), "proposed": is_proposed(case, self.least)} for case in self.cases]
        photos = {"changed_photos": list(self.changed_photos), "unreadable_photos": dict(self.unreadable_photos)}
        about = {"fixes": files["o"], "page": files["page"]}
        return {**counts, "least": self.least, "cases": cases, **about, **photos}


def is_proposed(case: Case, least: float) -> bool:
    """Tell whether a correction is proposed: the label is suspicious enough, and the layout can express it."""
    return case.suspicion >= least and bool(case.fix)


def suspicion_text(value: float) -> str:
    """Write a suspicion with three digits; it is never certain.

    >>> suspicion_text(0.51234), suspicion_text(0.99996)
    ('0.512', '>0.999')
    """
    return f"{value:.3f}" if value < 0.9995 else ">0.999"


def _label(case: Case) -> str:
    """Write the task, the given class, with its value, and the likely one."""
    if case.kind == "exchange":
        return f"{case.task}: {case.better}"
    return f"{case.task}: {case.given}{f' ({case.value})' if case.value else ''}, likely {case.better}"


def print_labels(found: LabelDoctor, *, json: bool = False) -> None:
    """Print one line per case, and what was written."""
    if json:
        print_json(found.to_json())
        return
    table = plain_table(found.noun[0], width=24)
    table.add_column("label", overflow="fold")
    for name in ("suspicion", "photos", ""):
        table.add_column(name, justify="right", no_wrap=True)
    for case in found.cases:
        mark = "fix" if is_proposed(case, found.least) else ""
        photos = f"{case.against} of {len(case.ids)}"
        table.add_row(case.person, _label(case), suspicion_text(case.suspicion), photos, mark)
    show(table)
    say("\nsuspicion: probability that the label is wrong; photos: those to which the networks give another class;")
    say(f"fix: a correction is proposed, from suspicion {found.least:g} on")
    compared = f"{plural(found.labels, 'label')} of {number_of(found.people, found.noun)}"
    say(f"{compared}, compared with {plural(found.runs, 'run')}")
    say(f"corrections proposed: {len(found.proposed)}")
    if found.proposed and not found.fixes and not found.page:
        say("to decide on them: --page labels.html --with-photos; to write them: -o fixes.csv")
    if found.fixes:
        say(f"wrote {near(found.fixes)}; look at the photos before you train with data.fixes={near(found.fixes)}")
    if found.page:
        say(f"wrote {near(found.page)}; open it in a browser and decide with the keys")
    if found.changed_photos:
        say(f"warning: {visible(changed_in_words(found.changed_photos))}")
    if found.unreadable_photos:
        say(f"warning: {visible(unreadable_in_words(found.unreadable_photos))}")
