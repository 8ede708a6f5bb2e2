"""What follows a training: the report page that it writes at its end, and the command to give next.

The page needs the packages of the extra `report`. A training without them is complete, but has no page; it says so when
it starts, and again at its end.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from maskcls import config, files
from maskcls.config.installed_extras import FIGURES, check_extra, missing_extra
from maskcls.data.layouts.source import layout_named
from maskcls.errors import MaskclsError, ResultError
from maskcls.rundir import RunDir
from maskcls.runs.environment import read_environment
from maskcls.runs.reported.reported_run import read_reported_run
from maskcls.schema import Config
from maskcls.show.report.page import report_files
from maskcls.show.terminal.progress import Reporter
from maskcls.show.terminal.text import near

PHOTOS = "PHOTOS"  # stands for the photos to predict where the data set has none


@dataclass(frozen=True)
class AfterTraining:
    """What to look at and to do next.

    page     None where train.report is false, or the page could not be written.
    command  the one to give next.
    no_page  why the page could not be written.
    """

    page: Path | None
    command: str
    no_page: str | None = None

    def to_json(self) -> dict[str, str | None]:
        """Return plain data; `no_report` only where the page could not be written."""
        why = {} if self.no_page is None else {"no_report": self.no_page}
        return {"report": None if self.page is None else str(self.page), **why, "next": self.command}


def note_missing_report(cfg: Config, report: Reporter) -> None:
    """Say at the start of a training which pictures it will not draw, for want of packages."""
    wanted = ["no report page"] if cfg.train.report else []
    wanted += ["no pictures of the confusion for trackers"] if cfg.track else []
    if wanted and (lacking := missing_extra("report", needed_by="train", packages=FIGURES)):
        report.note(f"{' and '.join(wanted)} at the end of this training, as {lacking.what}: {lacking.fix}")


def after_training(run: RunDir, report: Reporter) -> AfterTraining:
    """Write the page of a finished run, unless its configuration says not to, and return what comes next.

    The training is finished and saved: where the page cannot be written, one warning names the command to repeat.
    """
    cfg, env = config.of_run(run.config), read_environment(run)
    no_page = None
    if cfg.train.report:
        with report.busy("writing the report"):
            no_page = _why_no_page(run)
    page = run.report if cfg.train.report and no_page is None else None
    if no_page is not None:
        again = shlex.join(["maskcls", "report", str(run.path)])
        report.note(f"warning: the run is complete, but its report is not written: {no_page}. Write it with: {again}")
    return AfterTraining(page, next_command(run, Path(env.data), cfg), no_page)


def next_command(run: RunDir, data: Path, cfg: Config) -> str:
    """Return the command that predicts the data set's own photos, or PHOTOS where it has none to predict.

    PHOTOS is any photo, folder or table, except for a run that averages similar photos, which needs a data set.
    """
    what = ["--data", str(near(data))]
    if not layout_named(cfg.data.format).has_unlabelled(data):
        what = [PHOTOS] if cfg.predict.groups == "none" else ["--data", PHOTOS]
    return shlex.join(["maskcls", "predict", str(run.path), *what, "-o", f"{run.path.resolve().name}.csv"])


def _why_no_page(run: RunDir) -> str | None:
    """Write the page; returns why it cannot be written, or None."""
    try:
        _write_page(run)
    except MaskclsError as error:
        return ": ".join(filter(None, [error.what, error.got or error.fix]))
    return None


def _write_page(run: RunDir) -> None:
    """Write the page; any failure is a MaskclsError."""
    check_extra("report", needed_by="the report page", packages=FIGURES)
    try:
        with files.filling(run.path):
            files.commit(run.report, report_files([read_reported_run(run)], run.report)[1])
    except MaskclsError:
        raise
    except Exception as error:
        raise ResultError("an error in the report", got=f"{type(error).__name__}: {error}") from error
