"""The report page: the sections of each run, put together and written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from maskcls.files import OutputFile
from maskcls.runs.reported.paired_runs import PairedRuns
from maskcls.runs.reported.reported_run import ReportedRun
from maskcls.show.pages.figure import Figure, to_png
from maskcls.show.pages.page import render_page
from maskcls.show.report.section import FilledSection, PageSettings, filled
from maskcls.show.report.sections import OF_ALL, OF_EACH


@dataclass(frozen=True)
class Part:
    """The sections of one run, or of all together; name: the run's, "" for all."""

    name: str
    sections: tuple[FilledSection, ...]


def report_parts(runs: Sequence[ReportedRun], settings: PageSettings) -> tuple[Part, ...]:
    """Return the sections of all runs together, where there are any, then those of each run."""
    joint = tuple(one for section in OF_ALL for one in filled(section, section.fill(runs, settings), settings))
    parts = [Part("", joint)] if joint else []
    for number, run in enumerate(runs, 1):
        own = replace(settings, prefix=f"run{number}-" if len(runs) > 1 else "")
        found = (one for section in OF_EACH for one in filled(section, section.fill(run, own), own))
        parts.append(Part(run.name, tuple(found)))
    return tuple(parts)


def report_figures(parts: Sequence[Part]) -> list[Figure]:
    """Return every figure of the page, in its order."""
    return [figure for part in parts for section in part.sections for figure in section.figures]


def render_report(runs: Sequence[ReportedRun], parts: Sequence[Part]) -> str:
    """Return the HTML of the page."""
    names = [run.name for run in runs]
    title = f"Report of {names[0]}" if len(names) == 1 else f"Report of {len(names)} runs"
    return render_page("report/index", title=title, parts=parts, names=names)


def report_files(
    runs: Sequence[ReportedRun],
    page: Path,
    *,
    png: Path | None = None,
    with_photos: bool = False,
    paired: PairedRuns | None = None,
    cams: Mapping[tuple[Path, str, int], Mapping[str, str]] | None = None,
    changed: Mapping[Path, tuple[str, ...]] | None = None,
    unreadable: Mapping[Path, Mapping[str, str]] | None = None,
) -> tuple[list[OutputFile], bytes]:
    """Return the figures of the report as PNGs in the folder `png`, none without one, and the page.

    with_photos, paired, cams, changed, unreadable  see `PageSettings`.
    """
    settings = PageSettings(
        page, with_photos, paired=paired, cams=cams or {}, changed=changed or {}, unreadable=unreadable or {}
    )
    parts = report_parts(runs, settings)
    html = render_report(runs, parts).encode()
    figures = [] if png is None else report_figures(parts)
    return [OutputFile((png or Path()) / f"{figure.name}.png", to_png(figure)) for figure in figures], html
