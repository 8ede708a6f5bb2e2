"""What follows a training: the report page that it writes at its end, and the command to give next."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from maskcls import config, files
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
    """What to look at and to do next. page: None where train.report is false, or the page could not be written."""

    page: Path | None
    command: str


def after_training(run: RunDir, report: Reporter, data: Path | None = None) -> AfterTraining:
    """Write the page of a finished run, unless its configuration says not to, and return what comes next.

    data  where the run's data set is now; None: where it was.

    The training is finished and saved: where the page cannot be written, one warning names the command to repeat.
    """
    cfg, env = config.of_run(run.config), read_environment(run)
    page = None
    if cfg.train.report:
        with report.busy("writing the report"):
            page = _page_or_warning(run, report)
    return AfterTraining(page, next_command(run, data or Path(env.data), cfg))


def next_command(run: RunDir, data: Path, cfg: Config) -> str:
    """Return the command that predicts the data set's own photos, or PHOTOS where it has none to predict.

    PHOTOS is any photo, folder or table, except for a run that averages similar photos, which needs a data set.
    """
    what = ["--data", str(near(data))]
    if not layout_named(cfg.data.format).has_unlabelled(data):
        what = [PHOTOS] if cfg.predict.groups == "none" else ["--data", PHOTOS]
    return shlex.join(["maskcls", "predict", str(run.path), *what, "-o", f"{run.path.resolve().name}.csv"])


def _page_or_warning(run: RunDir, report: Reporter) -> Path | None:
    try:
        _write_page(run)
    except MaskclsError as error:
        why = ": ".join(filter(None, [error.what, error.got]))
        again = shlex.join(["maskcls", "report", str(run.path)])
        report.note(f"warning: the run is complete, but its report is not written: {why}. Write it with: {again}")
        return None
    return run.report


def _write_page(run: RunDir) -> None:
    """Write the page; any failure is a MaskclsError."""
    try:
        with files.filling(run.path):
            files.commit(run.report, report_files([read_reported_run(run)], run.report)[1])
    except MaskclsError:
        raise
    except Exception as error:
        raise ResultError("an error in the report", got=f"{type(error).__name__}: {error}") from error
