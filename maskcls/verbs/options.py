"""Options that several verbs take, and what an interrupted verb says."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskcls.errors import ResourceError, Stopped
from maskcls.machine import machine_error
from maskcls.verbs.older import current, current_config

if TYPE_CHECKING:
    from maskcls.config import SettingOrigin
    from maskcls.schema import Config as Settings

NOT_BEGUN = "the training had not begun, so there is nothing to resume"
RUNS = Path("runs")  # where train makes runs unless told otherwise


def config_names(incomplete: str) -> list[str]:
    """Return what a shell completes of the name of a configuration."""
    from maskcls.config.completion import shipped_names

    return shipped_names(incomplete)


def run_folders(incomplete: str) -> list[str]:
    """Return the run folders that begin so: those of the folder that is typed, and of runs/ if nothing is typed."""
    from maskcls.rundir import RepeatsDir, RunDir, StagesDir

    folder = RUNS if not incomplete else Path(incomplete if incomplete.endswith("/") else Path(incomplete).parent)
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    return [
        str(path)
        for path in inside
        if str(path).startswith(incomplete)
        and any(file.is_file() for file in (RunDir(path).env, RepeatsDir(path).config, StagesDir(path).config))
    ]


def settings(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return what a shell completes of a setting."""
    from maskcls.config.completion import complete_setting, known_settings

    return complete_setting(known_settings(), ctx.params.get("overrides") or (), incomplete)


def prediction_settings(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return what a shell completes of a setting that a prediction may change."""
    from maskcls.config.completion import complete_setting, known_settings
    from maskcls.runs.overrides import changes_prediction

    known = {key: value for key, value in known_settings().items() if changes_prediction(key)}
    before = ctx.params.get("overrides") or ctx.params.get("words") or ()  # words: of predict, photos among them
    return complete_setting(known, before, incomplete)


def answering(path: Path | None) -> Path | None:
    """Return the run that a verb works on: for a folder of stages its best one, which is said; else the path itself."""
    if path is None:
        return None
    from maskcls.rundir import StagesDir

    if not os.path.isfile(StagesDir(path).config):  # False for what is no path at all
        return path
    from maskcls.runs.stages.answering import answering_run

    stage = answering_run(path)
    say_on_stderr(f"{path}: its best stage is used, {stage}")
    return stage


def all_answering(paths: list[Path] | None) -> list[Path] | None:
    """Return the runs that a verb works on; see `answering`."""
    return None if paths is None else [answering(path) or path for path in paths]


Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="settings: dotted.key=value, such as optim.lr=1e-4; all keys: maskcls config list",
        show_default=False,
        autocompletion=settings,
    ),
]
PredictionOverrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="settings: predict.*, device.* or data.cache, such as predict.views=hflip",
        show_default=False,
        autocompletion=prediction_settings,
    ),
]
Config = Annotated[
    list[Path] | None,
    typer.Option(
        "--config",
        "-c",
        help="YAML file, or a shipped name: first_minutes, faces_frozen, faces_best, multi, joint, separate,"
        " tiny_cpu, swin_large_gpu, recipes/…; may be given several times, the later one wins;"
        " default: the built-in values",
        show_default=False,
        autocompletion=config_names,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object, with a version")]
Force = Annotated[bool, typer.Option("--force", help="replace the output; the old one is kept as .bak")]
RunPath = Annotated[
    Path,
    typer.Argument(metavar="RUN", help="a run folder that train made", autocompletion=run_folders, callback=answering),
]
WholeRun = Annotated[
    Path, typer.Argument(metavar="RUN", help="a run folder that train made", autocompletion=run_folders)
]
Data = Annotated[Path, typer.Argument(metavar="DATA", help="data root with train/, or a CSV table")]
ToPredict = Annotated[Path, typer.Option("--data", help="data root with eval/, a CSV table, or any folder of photos")]
MovedData = Annotated[
    Path | None,
    typer.Option("--data", help="where the run's data set is now; default: where it was", show_default=False),
]
Budget = Annotated[
    str | None,
    typer.Option(
        help="time limit, such as 2h, 1h30m or 90s: a usable run is there when the time is up", show_default=False
    ),
]
On = Annotated[
    str | None,
    typer.Option(
        "--on",
        metavar="ENGINE",
        help="do the work as jobs: local:2 (two at the same time), slurm:partition=gpu,gpus=1,time=4h or"
        " ray:auto,gpus=0.5; see docs/several_machines.md",
        show_default=False,
    ),
]
Folds = Annotated[str | None, typer.Option(help="fold numbers, such as 0,2; default: all", show_default=False)]


def load_config(
    config: list[Path] | None, overrides: Sequence[str] | None
) -> tuple[Settings, dict[str, SettingOrigin]]:
    """Resolve `--config` and the overrides; returns the configuration and the origin of each value."""
    from maskcls import config as configuration

    cfg, origins = configuration.load(config, current(overrides))
    return current_config(cfg, origins), origins


def load_config_for(
    data: Path, config: list[Path] | None, overrides: Sequence[str] | None
) -> tuple[Settings, dict[str, SettingOrigin]]:
    """Resolve as `load_config`; tasks that nobody gave are read from a table or class folders, and a note says so."""
    from maskcls.data.described_config import load_described

    cfg, origins, note = load_described(data, config, current(overrides))
    if note and os.environ.get("RANK", "0") == "0":
        say_on_stderr(note)
    return current_config(cfg, origins), origins


def say_on_stderr(text: str) -> None:
    """Print one line about the work on stderr; a terminal breaks it between words."""
    from maskcls.show.terminal.text import wrapped

    typer.echo(wrapped(text, None, sys.stderr), err=True)


@contextmanager
def interruptible(describe: Callable[[], str]) -> Iterator[None]:
    """Say what is kept, and how to continue, when the work inside is interrupted or the machine refuses it.

    An interrupt prints one line; an error of the machine is raised as a ResourceError that says it.
    """
    try:
        yield
    except (KeyboardInterrupt, Stopped):
        say_on_stderr(f"interrupted; {describe()}")
        raise
    except BrokenPipeError:  # the program that reads the output has ended
        raise
    except Exception as error:
        known = error if isinstance(error, ResourceError) else machine_error(error)
        if isinstance(known, ResourceError):
            raise _with_advice(known, describe()) from error
        raise


def _with_advice(error: ResourceError, continued: str) -> ResourceError:
    """Return the error of the machine with how to continue after it."""
    if continued == NOT_BEGUN:
        return error
    return error.with_fix(f"{error.fix}; {continued}" if error.fix else continued)


def how_to_resume(run: Path, on: str | None = None, said: Container[str] = ()) -> str:
    """Say how to continue an interrupted training, or that there is nothing to continue yet.

    on    the engine of its jobs; None: it has none.
    said  what the training has printed, which tells whether its jobs go on without it.
    """
    from maskcls.rundir import RepeatsDir, RunDir, StagesDir

    begun = (RunDir(run), RepeatsDir(run).repeat(0), StagesDir(run).stage(0))
    if not any(one.env.exists() for one in begun):
        return NOT_BEGUN
    again = shlex.join(["maskcls", "resume", str(run), *([] if on is None else ["--on", on])])
    if on is not None and jobs_go_on(said):
        return f"the jobs go on. Watch them, and finish the run, with: {again}"
    return f"what was trained is kept. Continue with: {again}"


def jobs_go_on(said: Container[str]) -> bool:
    """Tell whether jobs go on when their command ends, from the lines that it has printed."""
    from maskcls.jobs.engines.engine_words import JOBS_END

    return JOBS_END not in said
