"""Check a submission."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maskcls.verbs.help import VerbApp
from maskcls.verbs.options import Json, answering

app = VerbApp(no_args_is_help=True, help="Check a submission before you upload it.")


@app.command("check")
def submission_check(
    submission: Annotated[Path, typer.Argument(metavar="FILE", help="the submission, a CSV")],
    data: Annotated[
        Path | None, typer.Option("--data", help="the data that was predicted: root with eval/, a table, or photos")
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            help="the run it was predicted with",
            callback=answering,
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="a warning counts as a fault, too: exit with 9")] = False,
    json: Json = False,
) -> None:
    """Check header, ids, order, labels, class shares and provenance of a submission, and print every error.

    \b
    maskcls submission check submission.csv --data faces --run runs/a
    """
    from maskcls.commands.submission.check import check_submission, refuse_faulty
    from maskcls.rundir import RunDir
    from maskcls.show.answers.submission_checks import print_checks

    found = check_submission(submission, data, None if run is None else RunDir(run))
    print_checks(found, json=json)
    refuse_faulty(found, strict=strict)
