"""maskcls report: one HTML page about finished runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maskcls import files
from maskcls.errors import UsageError
from maskcls.files import none_for_nan
from maskcls.rundir import RunDir
from maskcls.runs.reported.reported_run import ReportedRun, read_reported_run
from maskcls.show.report.page import write_report
from maskcls.show.runs.report import WrittenReport


def report(
    runs: Sequence[RunDir],
    *,
    output: Path | None = None,
    png: Path | None = None,
    with_photos: bool = False,
    force: bool = False,
) -> WrittenReport:
    """Write a page about one or several finished runs.

    output       the HTML file; BusyError when it exists, unless `force`. None: in the run's folder, where an earlier
                 page is replaced; several runs need a name.
    png          folder in which each figure is written as a PNG too.
    with_photos  embed photos; otherwise they are links by name.

    Raises UsageError for no run, a run given twice, or several runs without `output`; ResultError for a run that is not
    finished or was changed.
    """
    page = _page(runs, output)
    if output is not None and not force:
        files.refuse_taken(output)
    found = [read_reported_run(run) for run in runs]
    pictures = write_report(found, page, png=png, with_photos=with_photos)
    return WrittenReport(page, page.stat().st_size, pictures, {str(one.run.path): _score(one) for one in found})


def _page(runs: Sequence[RunDir], output: Path | None) -> Path:
    if not runs:
        raise UsageError("no run to report", expected="RUN, one or several run folders")
    folders = [str(run.path) for run in runs]
    if twice := sorted({name for name in folders if folders.count(name) > 1}):
        raise UsageError("a run is given twice", got=", ".join(twice), fix="give each run once")
    if output is None and len(runs) > 1:
        raise UsageError("a page about several runs needs a name", expected="-o FILE.html", fix="add -o report.html")
    return runs[0].report if output is None else output


def _score(one: ReportedRun) -> float | None:
    return None if one.rows is None else none_for_nan(one.rows.evaluation.scores.macro_f1)
