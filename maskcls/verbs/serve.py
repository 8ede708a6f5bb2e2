"""Predict photos over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maskcls.verbs.help import VerbApp
from maskcls.verbs.older import current
from maskcls.verbs.options import PredictionOverrides

app = VerbApp()


@app.command()
def serve(
    model: Annotated[Path, typer.Argument(metavar="RUN|MODEL", help="a run folder, or an exported model (.onnx)")],
    overrides: PredictionOverrides = None,
    host: Annotated[str, typer.Option(help="address to listen on; 0.0.0.0: all addresses of this machine")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="port to listen on; 0: any free port")] = 8000,
    token: Annotated[
        str | None, typer.Option(envvar="MASKCLS_TOKEN", help="clients must send it: Authorization: Bearer TOKEN")
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
    from maskcls.serve.packages import check_server_packages

    check_server_packages()
    from maskcls.serve.limits import ServerLimits, check_limits, check_token
    from maskcls.show.terminal.progress import LOADING, Reporter

    limits = ServerLimits(max_photos, max_megabytes, max_pixels, batch, wait_ms, queue)
    check_limits(limits)
    check_token(token)
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
