"""What several verbs take, and how they are stopped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="dotted.key=value, such as optim.lr=1e-4; all keys: maskcls config list", show_default=False),
]
Answering = Annotated[
    list[str] | None,
    typer.Argument(help="predict.*, device.* or data.cache, such as predict.batch_size=32", show_default=False),
]
Config = Annotated[
    list[Path] | None,
    typer.Option(
        "--config",
        "-c",
        help="YAML file, or a shipped name: faces_best, multi, joint, separate, tiny_cpu, swin_large_gpu, recipes/…;"
        " may be given several times, the later one wins; default: the built-in values",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="a run folder that train made")]
Folds = Annotated[str | None, typer.Option(help="fold numbers, such as 0,2; default: all", show_default=False)]


class Stopped(BaseException):
    """SIGTERM was received. Not an Exception, so that nothing on the way handles it."""


@contextmanager
def resumable(run: Path) -> Iterator[None]:
    """Tell how to continue when the work inside is interrupted."""
    try:
        yield
    except (KeyboardInterrupt, Stopped):
        from maskcls.rundir import RunDir

        if RunDir(run).env.exists():
            typer.echo(f"interrupted; finished epochs are kept. Continue with: maskcls resume {run}", err=True)
        raise
