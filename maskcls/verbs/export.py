"""Take a run out: files for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maskcls.verbs.help import VerbApp
from maskcls.verbs.older import current
from maskcls.verbs.options import Force, Json, RunPath

app = VerbApp()


@app.command()
def export(
    run: RunPath,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="predict.views=… or predict.networks=…", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="the .onnx file to write; default: RUN/export/model.onnx, in the run folder",
            show_default=False,
        ),
    ] = None,
    decide: Annotated[bool, typer.Option("--decide", help="include the decision rule that calibrate found")] = False,
    check: Annotated[
        int, typer.Option(metavar="N", help="photos of the run to compare the file with the run on; 0: do not compare")
    ] = 64,
    licence: Annotated[
        str | None, typer.Option(metavar="TEXT", help="licence of the weights, for the file's metadata")
    ] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write all networks of a run as one ONNX file: photos of any size in, probabilities and classes out.

    The file is compared with the run before it is written. It needs onnxruntime, but neither torch nor the run.

    \b
    maskcls export runs/a -o model.onnx
    maskcls export runs/a predict.views=none --decide
    """
    from maskcls.rundir import RunDir
    from maskcls.show.answers.export import print_export
    from maskcls.show.terminal.progress import LOADING, Reporter

    folder, given = RunDir(run), current(overrides)
    from maskcls.export.export_checks import check_onnx_export

    check_onnx_export(folder, output or folder.onnx, given, decide=decide, check=check, force=force)
    with Reporter() as report:
        with report.busy(LOADING):
            from maskcls.commands.export import export as work
        found = work(
            folder,
            output,
            overrides=given,
            decide=decide,
            check=check,
            licence=licence,
            force=force,
            report=report,
        )
    print_export(found, json=json)
