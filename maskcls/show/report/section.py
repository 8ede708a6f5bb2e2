"""A section of the report page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maskcls.runs.reported.paired_runs import PairedRuns
from maskcls.runs.reported.reported_run import ReportedRun
from maskcls.show.pages.figure import Figure


@dataclass(frozen=True)
class PageSettings:
    """How a page is written.

    page         the file; links to photos are relative to its folder.
    with_photos  whether photos are embedded; otherwise they are links by name.
    prefix       begins every HTML id and every figure's name, so that they differ between the runs of a page.
    paired       the differences between several runs; None for one.
    cams         class activation maps: {(run folder, task, row): {title: data URI}}.
    changed      {run folder: ids of its photos that changed since the training}.
    unreadable   {run folder: {id: why the photo cannot be read}}.
    """

    page: Path
    with_photos: bool = False
    prefix: str = ""
    paired: PairedRuns | None = None
    cams: Mapping[tuple[Path, str, int], Mapping[str, str]] = field(default_factory=dict)
    changed: Mapping[Path, tuple[str, ...]] = field(default_factory=dict)
    unreadable: Mapping[Path, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class RunSection:
    """A section about one run.

    id     names it: the HTML id, and the template `report/<id>.html.j2`, which uses the values as `v`.
    title  its heading, also in the table of contents; a value named `title` replaces it.
    fill   returns the template's values; None: nothing to show, and the section is left out. Figures among the values,
           also in lists and mappings, are those that `--png` writes; their names begin with the prefix and the id.
    """

    id: str
    title: str
    fill: Callable[[ReportedRun, PageSettings], Mapping[str, Any] | None]


@dataclass(frozen=True)
class JointSection:
    """A section about all runs of a page together; as `RunSection`, but `fill` takes all runs, in the order given."""

    id: str
    title: str
    fill: Callable[[Sequence[ReportedRun], PageSettings], Mapping[str, Any] | None]


@dataclass(frozen=True)
class FilledSection:
    """A section with its values.

    id        HTML id, unique on the page.
    template  without ending.
    """

    id: str
    title: str
    template: str
    values: Mapping[str, Any]

    @property
    def figures(self) -> list[Figure]:
        """Every figure among the values, in their order."""
        return list(_figures(self.values))


def filled(
    section: RunSection | JointSection, values: Mapping[str, Any] | None, settings: PageSettings
) -> list[FilledSection]:
    """Return the section with its values as a list of one, empty where there is nothing to show."""
    template = f"report/{section.id}"
    if values is None:
        return []
    return [FilledSection(settings.prefix + section.id, values.get("title", section.title), template, values)]


def _figures(value: Any) -> Iterator[Figure]:
    if isinstance(value, Figure):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _figures(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _figures(part)
