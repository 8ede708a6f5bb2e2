"""The command line: all verbs in one app, and the exit code and message of every error.

Verbs are thin functions that import what they need when they run, so that --help is fast.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import traceback
from typing import Annotated

import typer

from maskcls.errors import SHOWN_OFFENDERS, Exit, MaskclsError, Stopped, UsageError
from maskcls.machine import machine_error, process_prefix
from maskcls.machine.time_limit import end_if_late
from maskcls.show.terminal.streams import open_streams, write_out
from maskcls.startup import rest_collector
from maskcls.verbs import (
    bench,
    config,
    data,
    debug,
    deploy,
    predicting,
    runs,
    sealed,
    submission,
    synth,
    training,
)
from maskcls.verbs.after_training import combining, scoring
from maskcls.verbs.help import VerbApp
from maskcls.verbs.tuning import tune

app = VerbApp(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Train face mask, gender and age classifiers, and write a checked submission.csv.

    \b
    maskcls data make faces --people 60
    maskcls train faces --config tiny_cpu --run runs/a
    maskcls predict runs/a --data faces -o submission.csv
    maskcls evaluate submission.csv --answers faces/eval/answers.csv

    Exit codes: 0 done, 1 a bug, 2 usage, 3 configuration, 4 data, 5 weights, 6 machine, 7 output exists or run is busy,
    8 diverged, 9 a result failed its check, 130 interrupted, 143 terminated.
    """,
)
app.add_typer(training.app)
app.add_typer(tune.app)
app.add_typer(predicting.app)
app.add_typer(scoring.app)
app.add_typer(combining.app)
app.add_typer(deploy.app)
app.add_typer(sealed.app)
app.add_typer(debug.app)
app.add_typer(runs.app, name="runs")
app.add_typer(submission.app, name="submission")
app.add_typer(synth.app, name="synth")
app.add_typer(data.app, name="data")
app.add_typer(bench.app, name="bench")
app.add_typer(config.app, name="config")


def show_version(value: bool) -> None:
    """Print the version and exit."""
    if value:
        from maskcls import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """Handle the options that come before a verb."""


def main() -> None:
    """Run the command line and exit with its code; every error is printed as one message on stderr."""
    # How long an idle OpenMP thread spins before it sleeps: a long spin takes cores from other threads, no spin makes
    # the next operation start late. The library reads this when torch is first imported; see docs/adr/0005.
    if not os.environ.keys() & {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}:
        os.environ["GOMP_SPINCOUNT"] = "3000"
    rest_collector()
    open_streams()
    code = int(run_app(sys.argv[1:]))
    end_if_late(code)
    sys.exit(code)


def run_app(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        code = _exit_code(arguments)
        write_out()
        return code
    except MaskclsError as error:
        _print_error(error)
        return error.exit_code
    except BrokenPipeError:
        return Exit.PIPE
    except Stopped:
        return Exit.TERMINATED
    except Exception as error:
        if os.environ.get("MASKCLS_DEBUG"):
            raise
        if (known := machine_error(error)) is not None:
            _print_error(known)
            return known.exit_code
        _print_error(MaskclsError("this is a bug in maskcls", where=_kept("crash", traceback.format_exc()), fix=REPORT))
        return Exit.INTERNAL
    finally:
        signal.signal(signal.SIGTERM, previous)


REPORT = "report it with that file; MASKCLS_DEBUG=1 prints the traceback"


def expanded_argument(argument: str) -> str:
    """Return an argument with `~/` at its start, or after `--option=`, `-o` or `@`, as the home folder.

    A shell replaces it at the start of a word alone.

    >>> expanded_argument("a~/b"), expanded_argument("seed=~")
    ('a~/b', 'seed=~')
    """
    option = match[0] if (match := re.match(r"(--[a-z-0-9]+=|-[a-z]|@)(?=~/)", argument)) else ""
    return (
        option + os.path.expanduser(argument[len(option) :]) if argument[len(option) :].startswith("~/") else argument
    )


def _check_arguments(arguments: list[str]) -> None:
    """Raise UsageError for an empty argument: as a path, it would be the working folder."""
    for place, argument in enumerate(arguments):
        if not argument or re.fullmatch(r"--[a-z-]+=", argument):
            after = "" if place == 0 else f" after {arguments[place - 1]}"
            got = f"argument {place + 1}{after} has no text"
            raise UsageError("an argument is empty", got=got, fix="give a value; a shell variable may be unset")


def _exit_code(arguments: list[str]) -> int:
    _check_arguments(arguments)
    try:
        app([expanded_argument(text) for text in arguments])
    except SystemExit as error:
        # Typer and rich exit with 1 only when our output is a closed pipe.
        if error.code == 1:
            return Exit.PIPE
        if hint := _setting_hint(error.__context__):
            print(hint, file=sys.stderr)
        return int(error.code or 0)
    return Exit.OK


def _setting_hint(cause: BaseException | None) -> str | None:
    """Return a hint if a setting was given as an option, such as --epochs instead of train.epochs=VALUE; else None."""
    name = getattr(cause, "option_name", None)
    verb = getattr(getattr(cause, "ctx", None), "command", None)
    if name is None or all(parameter.name not in ("overrides", "words") for parameter in getattr(verb, "params", ())):
        return None
    from maskcls.schema.options import keys_by_name

    wanted = name.lstrip("-").replace("-", "_")
    keys = {key: (key,) for keys in keys_by_name().values() for key in keys} | keys_by_name()
    if wanted not in keys:
        return None
    return f"{name} is a setting, not an option: give it as {' or '.join(f'{key}=VALUE' for key in keys[wanted])}"


def _terminate(*_: object) -> None:
    raise Stopped


def _print_error(error: MaskclsError) -> None:
    lines = error.lines()
    if len(error.offenders) > SHOWN_OFFENDERS:
        lines[1] += f"; all of them: {_kept('offenders', chr(10).join(error.offenders))}"
    from maskcls.show.terminal.text import wrapped

    print("\n".join(wrapped(process_prefix() + line, 4, sys.stderr) for line in lines), file=sys.stderr)


def _kept(kind: str, text: str) -> str:
    """Write text to a new file in the system's temporary folder and return its path, or why it was not written."""
    import tempfile

    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix=f"maskcls-{kind}-", suffix=".txt", delete=False, encoding="utf8", errors="surrogateescape"
        ) as file:
            file.write(text + "\n")
    except OSError as error:
        return f"no file for them can be written ({error.strerror or error})"
    return file.name
