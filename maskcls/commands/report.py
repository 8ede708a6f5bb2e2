"""maskcls report: one HTML page about finished runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from maskcls import files
from maskcls.errors import UsageError
from maskcls.files import OutputFile, none_for_nan
from maskcls.rundir import RunDir
from maskcls.runs.checks import refuse_repeated
from maskcls.runs.identity import files_read
from maskcls.runs.integrity.photos_now import other_contents, other_sizes, unreadable_photos
from maskcls.runs.reported.choices_made import read_choices
from maskcls.runs.reported.paired_runs import pair_runs
from maskcls.runs.reported.reported_run import ReportedRun, read_reported_run
from maskcls.show.pages.photos import SIDE_PX
from maskcls.show.report.mistakes import listed_photos, reported_photo_root
from maskcls.show.report.page import report_files
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
    png          folder in which each figure is written as a PNG too; BusyError when it holds other PNGs of these names,
                 unless `force`.
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
    if png is not None and png.exists() and not png.is_dir():
        raise UsageError(
            "pictures are written into a folder",
            where="--png",
            got=f"{png}, a file",
            fix="name a new folder, or one that exists",
        )
    read = files_read(*(run.path for run in runs))
    files.check_place(page)
    if png is not None:
        files.check_outputs(png, inputs=read)
        files.check_place(png / "figure.png")
    pictures = [] if png is None else sorted(png.glob("*.png"))[:1]
    if output is not None:
        files.refuse_finished(*pictures, output, inputs=read, force=force)
    found = [read_reported_run(run) for run in runs]
    paired = pair_runs(found) if len(found) > 1 else None
    if paired is not None:  # what it registered is counted, so that the same command makes the same page again
        found = [replace(one, choices=read_choices(one.run, one.rows.labelled if one.rows else None)) for one in found]
    maps = _cams(found) if cam else {}
    find = other_contents if with_photos else other_sizes  # contents only where photos are read anyway
    changed = {one.run.path: find(one.run, reported_photo_root(one), listed_photos(one)) for one in found}
    gone = {one.run.path: _unreadable(one) for one in found} if with_photos else {}
    figures, html = report_files(
        found, page, png=png, with_photos=with_photos, paired=paired, cams=maps, changed=changed, unreadable=gone
    )
    if output is not None:
        files.commit_outputs([*figures, OutputFile(page, html)], force=force)
    else:
        with files.filling(runs[0].path):
            if figures:
                files.commit_outputs(figures, force=force)
            files.commit(page, html)
    drawn = tuple(figure.path for figure in figures)
    others = tuple(dict.fromkeys(name for names in changed.values() for name in names))
    scores = {str(one.run.path): _score(one) for one in found}
    lost = {name: reason for reasons in gone.values() for name, reason in reasons.items()}
    return WrittenReport(page, len(html), drawn, scores, others, lost)


def _unreadable(one: ReportedRun) -> dict[str, str]:
    return unreadable_photos(reported_photo_root(one), listed_photos(one), px=SIDE_PX)


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
