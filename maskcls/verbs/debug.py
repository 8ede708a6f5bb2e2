"""Check a training, explain the error of a run, or check its files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maskcls.errors import Exit, UsageError
from maskcls.verbs.help import VerbApp
from maskcls.verbs.options import Config, Force, Json, MovedData, Overrides, answering, load_config_for

app = VerbApp()


@app.command()
def debug(
    what: Annotated[
        Path,
        typer.Argument(
            metavar="DATA|RUN", help="data root with train/, a CSV table, or a run folder", callback=answering
        ),
    ],
    overrides: Overrides = None,
    config: Config = None,
    quick: Annotated[bool, typer.Option("--quick", help="train nothing beyond one batch: a minute")] = False,
    check: Annotated[
        list[str] | None,
        typer.Option("--check", help="a check to make, such as 'one batch'; may be repeated", show_default=False),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0.1, show_default="10", help="most minutes to train; fewer people are used where they do not suffice"
        ),
    ] = None,
    page: Annotated[Path | None, typer.Option(help="HTML page to write", show_default=False)] = None,
    data: MovedData = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Check a training before it is started, and name the cause of what is wrong; or explain the error of a run.

    Exit code 9 if a check fails.

    \b
    maskcls debug faces --config multi --quick
    maskcls debug faces --config multi --minutes 5 --page debug.html
    maskcls debug faces --config multi --check 'one batch' optim.lr=1e-2
    maskcls debug runs/a    (a run: nothing is trained)
    """
    from maskcls.rundir import RunDir
    from maskcls.show.terminal.progress import LOADING, Reporter, main_process

    if page is not None:
        from maskcls.config.installed_extras import FIGURES, check_extra

        check_extra("report", needed_by="--page", packages=FIGURES)
        from maskcls import files
        from maskcls.runs.identity import files_read

        files.check_page_name(page)
        files.refuse_finished(page, inputs=files_read(what), force=force)
    from maskcls.runs.repeats.repeat_runs import is_repeated

    is_run = RunDir(what).env.exists() or is_repeated(RunDir(what))
    if is_run and (overrides or config or quick or check or minutes is not None):
        fix = "leave out the options, or name the data set"
        raise UsageError("a run has its own settings and checks", where=str(what), fix=fix)
    if data is not None and not is_run:
        raise UsageError("--data is for a run whose data set has moved", where=str(what), fix="leave it out")
    if is_run:
        with Reporter(quiet=not main_process()) as report:
            with report.busy(LOADING):
                from maskcls.commands.debug import debug_run
            found = [debug_run(RunDir(what), report, data)]
    else:
        from maskcls.config.unused_settings import unused_in_training
        from maskcls.runs.checks import check_training

        cfg, origins = load_config_for(what, config, overrides)
        for line in unused_in_training(cfg, origins):
            typer.echo(line, err=True)
        check_training(what, cfg, None)
        with Reporter(quiet=not main_process()) as report:
            with report.busy(LOADING):
                from maskcls.commands.debug import debug as work
                from maskcls.commands.debug import wanted_checks
            checks = wanted_checks(check, quick=quick, minutes=minutes)
            found = work(what, cfg, checks=checks, minutes=10.0 if minutes is None else minutes, report=report)
    from maskcls.runs.records.versions import other_versions
    from maskcls.show.debug import failures, print_diagnoses

    print_diagnoses(found, versions=other_versions(RunDir(what)) if is_run else {}, json=json)
    if page is not None:
        from maskcls.show.debug_page import write_debug_page

        write_debug_page(page, found, str(what), force=force)
    if failures(found):
        raise typer.Exit(Exit.RESULT)


@app.command()
def verify(
    what: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|FILE|cache",
            help="a run folder, a submission, or the cache of photos",
        ),
    ],
    run: Annotated[
        Path | None,
        typer.Option(
            help="of a submission: the run it was predicted with",
            callback=answering,
        ),
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="of a submission: the data that was predicted")] = None,
    json: Json = False,
) -> None:
    """Check that every file is as maskcls wrote it, and belongs where it is; name those that are not.

    Exit code 9 if one is not. The cheap part of these checks is made by every command that reads the files.

    \b
    maskcls verify runs/a
    maskcls verify submission.csv --run runs/a --data faces
    maskcls verify cache
    """
    from maskcls.commands.integrity.verify import refuse_unverified
    from maskcls.commands.integrity.verify import verify as work
    from maskcls.rundir import RunDir
    from maskcls.show.runs.verification import print_verification
    from maskcls.show.terminal.waiting import waiting

    with waiting("reading files"):
        found = work(what, None if run is None else RunDir(run), data)
    print_verification(found, json=json)
    refuse_unverified(found)
