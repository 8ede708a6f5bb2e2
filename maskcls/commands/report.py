"""maskcls report: one HTML page about finished runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maskcls import files
from maskcls.errors import UsageError
from maskcls.files import none_for_nan
from maskcls.rundir import RunDir
from maskcls.runs.checks import refuse_repeated
from maskcls.runs.reported.paired_runs import pair_runs
from maskcls.runs.reported.reported_run import ReportedRun, read_reported_run
from maskcls.show.report.page import write_report
from maskcls.show.runs.report import WrittenReport

MOST_RUNS = 8  # as many as there are colours of lines


def report(
    runs: Sequence[RunDir],
    *,
    output: Path | None = None,
    png: Path | None = None,
    with_photos: bool = False,
    cam: bool = False,
    force: bool = False,
) -> WrittenReport:
    """Write a page about one or several finished runs.

    output       the HTML file; BusyError when it exists, unless `force`. None: in the run's folder, where an earlier
                 page is replaced; several runs need a name.
    png          folder in which each figure is written as a PNG too; BusyError when it holds PNGs, unless `force`.
    with_photos  embed photos; otherwise they are links by name.
    cam          add class activation maps of the wrong photos that are listed, by the networks of the run; they show
                 the photos, so UsageError unless `with_photos`.

    Raises UsageError for no run, a run given twice, or several runs without `output`; ResultError for a run that is not
    finished or was changed.
    """
    page = _page(runs, output)
    if cam and not with_photos:
        fix = "add --with-photos, or leave out --cam"
        raise UsageError("activation maps show the photos", where="--cam", fix=fix)
    if output is not None:
        files.check_page_name(output, where="-o")
        files.refuse_taken(output, force=force)
    if png is not None:
        _check_pictures(png, force=force)
    found = [read_reported_run(run) for run in runs]
    paired = pair_runs(found) if len(found) > 1 else None
    maps = _cams(found) if cam else {}
    pictures = write_report(found, page, png=png, with_photos=with_photos, paired=paired, cams=maps)
    return WrittenReport(page, page.stat().st_size, pictures, {str(one.run.path): _score(one) for one in found})


def _check_pictures(folder: Path, *, force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(
            "pictures are written into a folder",
            where="--png",
            got=f"{folder}, a file",
            fix="name a new folder, or one that exists",
        )
    files.refuse_taken(*sorted(folder.glob("*.png"))[:1], force=force)


def _cams(runs: Sequence[ReportedRun]) -> dict[tuple[Path, str, int], dict[str, str]]:
    from maskcls.training.explaining.mistake_cams import (
        mistake_cams,  # brings torch, which a page without maps needs not
    )

    return {place: maps for run in runs for place, maps in mistake_cams(run).items()}


def _page(runs: Sequence[RunDir], output: Path | None) -> Path:
    if not runs:
        raise UsageError("no run to report", expected="RUN, one or several run folders")
    refuse_repeated(runs)
    if len(runs) > MOST_RUNS:
        raise UsageError("too many runs for one page", got=str(len(runs)), expected=f"at most {MOST_RUNS}")
    if output is None and len(runs) > 1:
        raise UsageError("a page about several runs needs a name", expected="-o FILE.html", fix="add -o report.html")
    return runs[0].report if output is None else output


def _score(one: ReportedRun) -> float | None:
    return None if one.rows is None else none_for_nan(one.rows.evaluation.scores.macro_f1)
