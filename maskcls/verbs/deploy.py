"""Use a run elsewhere: files for other programs, a server."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from maskcls.verbs.help import VerbApp
from maskcls.verbs.older import current
from maskcls.verbs.options import Force, Json, MovedData, PredictionOverrides, RunPath, answering, run_folders

TOKEN_VARIABLE = "MASKCLS_TOKEN"

app = VerbApp()


@app.command()
def export(
    run: RunPath,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="predict.views=… or predict.networks=…", show_default=False),
    ] = None,
    to: Annotated[
        Literal["onnx", "torch-export", "safetensors", "model-card"],
        typer.Option(
            help="onnx: one file for onnxruntime; torch-export: one file for torch alone; safetensors: a folder of timm"
            " checkpoints with a loader; model-card: the model card alone"
        ),
    ] = "onnx",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="file or folder to write; default, in RUN/export: model.onnx, model.int8.onnx, model.pt2, checkpoints"
            " or model-card.md",
            show_default=False,
        ),
    ] = None,
    decide: Annotated[bool, typer.Option("--decide", help="include the decision rule that calibrate found")] = False,
    check: Annotated[
        int | None,
        typer.Option(
            metavar="N", show_default="64", help="photos of the run to compare the file with the run on; 0: none"
        ),
    ] = None,
    int8: Annotated[
        bool,
        typer.Option("--int8", help="networks of the ONNX file in 8 bits; the cost is measured out of fold"),
    ] = False,
    calibration: Annotated[
        int | None,
        typer.Option(metavar="N", show_default="128", help="with --int8: photos that set the ranges of values"),
    ] = None,
    max_loss: Annotated[
        float | None,
        typer.Option(
            metavar="F1", show_default="0.01", help="with --int8: largest significant loss of macro-F1 to accept"
        ),
    ] = None,
    licence: Annotated[
        str | None, typer.Option(metavar="TEXT", help="licence of the weights, for metadata and model card")
    ] = None,
    data: MovedData = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write a run for other programs: as one file from photo to probabilities, or as plain checkpoints.

    A file is compared with the run before it is written. A model card is written beside it.

    \b
    maskcls export runs/a -o model.onnx
    maskcls export runs/a -o small.onnx --int8
    maskcls export runs/a --to safetensors -o checkpoints
    maskcls export runs/a predict.views=none --decide
    """
    from maskcls.rundir import RunDir
    from maskcls.show.answers.export import ExportedCard, print_export
    from maskcls.show.terminal.progress import LOADING, Reporter

    folder, given = RunDir(run), current(overrides)
    from maskcls.export.export_checks import check_export, refuse_unused
    from maskcls.export.int8.options import Int8Options
    from maskcls.export.targets import default_output

    refuse_unused(to, check=check, int8=int8, calibration=calibration, max_loss=max_loss, data=data)
    photos = 64 if check is None else check
    options = Int8Options() if int8 else None
    if options and calibration is not None:
        options = replace(options, calibration=calibration)
    if options and max_loss is not None:
        options = replace(options, most_loss=max_loss)
    written = output or default_output(folder, to, int8=int8)
    check_export(folder, written, to, given, decide=decide, check=photos, int8=options, force=force)
    with Reporter() as report:
        with report.busy(LOADING):
            from maskcls.commands.export import export as work
        found = work(
            folder,
            output,
            to=to,
            overrides=given,
            decide=decide,
            check=photos,
            licence=licence,
            data=data,
            int8=options,
            force=force,
            report=report,
        )
    from maskcls.runs.records.versions import other_versions

    print_export(found, versions={} if isinstance(found, ExportedCard) else other_versions(folder), json=json)


@app.command()
def serve(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|MODEL",
            help="a run folder, or an exported model (.onnx)",
            autocompletion=run_folders,
            callback=answering,
        ),
    ],
    overrides: PredictionOverrides = None,
    host: Annotated[str, typer.Option(help="address to listen on; 0.0.0.0: all addresses of this machine")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="port to listen on; 0: any free port")] = 8000,
    token: Annotated[
        str | None, typer.Option(envvar=TOKEN_VARIABLE, help="clients must send it: Authorization: Bearer TOKEN")
    ] = None,
    decide: Annotated[bool, typer.Option("--decide", help="use the decision rule that calibrate fitted")] = False,
    max_photos: Annotated[int, typer.Option(min=1, help="most photos in one request")] = 32,
    max_megabytes: Annotated[int, typer.Option(min=1, help="largest request, in MB")] = 16,
    max_pixels: Annotated[int, typer.Option(min=1, help="most pixels of a photo")] = 25_000_000,
    batch: Annotated[int, typer.Option(min=1, help="most photos computed together")] = 32,
    wait_ms: Annotated[float, typer.Option(min=0, help="how long a photo waits for others, in ms")] = 5.0,
    queue: Annotated[int, typer.Option(min=1, help="most photos that wait; beyond, requests are refused")] = 256,
) -> None:
    """Predict photos over HTTP: POST /predict, and a page for uploads at /. Nothing is written to disk.

    \b
    maskcls serve runs/a --port 8000
    maskcls serve runs/a --host 0.0.0.0 --batch 64 predict.views=none
    """
    from maskcls.config.installed_extras import check_extra

    check_extra("serve", needed_by="maskcls serve")
    from maskcls.serve.limits import ServerLimits, check_limits, check_token
    from maskcls.show.terminal.progress import LOADING, Reporter

    limits = ServerLimits(max_photos, max_megabytes, max_pixels, batch, wait_ms, queue)
    check_limits(limits)
    check_token(os.environ.get(TOKEN_VARIABLE) if token is None else token)  # Click takes an empty variable for none
    with Reporter() as report:
        with report.busy(LOADING):
            from maskcls.commands.serve import serve as work
        served = work(
            model,
            host=host,
            port=port,
            limits=limits,
            token=token,
            decide=decide,
            overrides=current(overrides),
            report=report,
        )
        report.note(f"stopped: {served.requests} requests answered, {served.photos} photos predicted")
