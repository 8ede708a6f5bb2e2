"""What `maskcls report` wrote, and how it is printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from maskcls.errors import visible
from maskcls.runs.integrity.photos_now import changed_in_words, unreadable_in_words
from maskcls.show.terminal.json_output import NONE, Versions, print_json
from maskcls.show.terminal.text import near, plural, say
from maskcls.show.terminal.units import size


@dataclass(frozen=True)
class WrittenReport:
    """A page about runs.

    page    the HTML file; size_bytes: its size.
    png     the figures, where they were asked for.
    scores  {run folder: out-of-fold macro-F1}; None for a leaky run.
    changed_photos  ids of the photos on the page that changed since the training.
    unreadable_photos  {id: why it cannot be read} of the photos that should be on the page.
    """

    page: Path
    size_bytes: int
    png: tuple[Path, ...]
    scores: Mapping[str, float | None]
    changed_photos: tuple[str, ...] = ()
    unreadable_photos: Mapping[str, str] = field(default_factory=dict)


def print_report(found: WrittenReport, *, versions: Versions = NONE, json: bool = False) -> None:
    """Print where the page is, its size, and where its figures are; as JSON with the scores."""
    if json:
        runs = [{"run": run, "macro_f1": score} for run, score in found.scores.items()]
        png = [str(path) for path in found.png]
        photos = {"changed_photos": list(found.changed_photos), "unreadable_photos": dict(found.unreadable_photos)}
        about = {"page": str(found.page), "size_bytes": found.size_bytes, "png": png}
        print_json({**about, "runs": runs, **photos, "other_versions": dict(versions)})
        return
    say(f"report: {near(found.page)} ({size(found.size_bytes)})")
    if found.png:
        say(f"{plural(len(found.png), 'figure')}: {near(found.png[0].parent)}")
    if found.changed_photos:
        say(f"warning: {visible(changed_in_words(found.changed_photos))}")
    if found.unreadable_photos:
        say(f"warning: {visible(unreadable_in_words(found.unreadable_photos))}")
