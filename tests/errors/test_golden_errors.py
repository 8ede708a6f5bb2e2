"""Errors as they are printed: the commands of golden/ are given again, and every line of stderr is compared.

A file for each exit code. To add an error, add its line `$ maskcls …` and rewrite: pytest tests/errors --rewrite-golden
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path

import pytest
from failing_commands import make_world
from pages import verb_of, verbs
from project import CONFIGS_DIR
from tiny import hashes

from maskcls.cli import run_app
from maskcls.errors import SHOWN_OFFENDERS, Exit
from maskcls.machine.time_limit import TimeLimit
from maskcls.rundir import StagesDir
from maskcls.runs.stages.ladder import StageSettings
from maskcls.runs.stages.record import StageEntry
from maskcls.show.runs.stages import StagesOutcome
from maskcls.verbs.options import Stopped

GOLDEN_DIR = Path(__file__).with_name("golden")
FILES = sorted(GOLDEN_DIR.glob("*.txt"), key=lambda file: int(file.stem.partition("_")[0]))
WITHOUT = {"config schema", "data cache list"}  # verbs that no input makes fail
FIRST = ("error[", "Usage: ", "interrupted")  # how a message begins


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of failing_commands.py."""
    return make_world(tmp_path_factory.mktemp("failing") / "world")


@pytest.fixture
def inside(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in that folder, on a terminal of 80 columns, with another folder for temporary files."""
    monkeypatch.chdir(world)
    monkeypatch.setattr("sys.argv", ["maskcls"])
    monkeypatch.setattr(sys.modules["__main__"], "__package__", None, raising=False)  # of which click makes the name
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return world


def blocks(file: Path) -> dict[str, str]:
    """Return the command lines of a file, each with what it prints."""
    found = [part.strip("\n").partition("\n") for part in file.read_text(encoding="utf8").split("\n\n") if part.strip()]
    assert all(line.startswith("$ maskcls ") for line, _, _ in found)
    assert len({line for line, _, _ in found}) == len(found)
    return {line.removeprefix("$ maskcls "): text for line, _, text in found}


def printed(command: str, inside: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Give a command; returns its exit code and what is on stderr, without the folders of this test."""
    words, *circumstances = command.split("  # ")
    with CIRCUMSTANCES[circumstances[0]]() if circumstances else nullcontext():
        code = run_app(shlex.split(words))
    text = capsys.readouterr().err.replace(str(inside), "/home/me").replace(str(CONFIGS_DIR), "configs")
    text = re.sub(rf"{re.escape(tempfile.gettempdir())}/maskcls-(\w+)-\w+\.txt", r"/tmp/maskcls-\1.txt", text)
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    first = next((number for number, line in enumerate(lines) if line.startswith(FIRST)), len(lines))
    return code, "\n".join(lines[first:])  # without notes and progress


# --- circumstances that a command line alone does not make


def raising(error: BaseException) -> Callable[[], AbstractContextManager[None]]:
    """Make a training, begun or continued, end in this way."""

    @contextmanager
    def patched() -> Iterator[None]:
        def refuse(*_: object, **__: object) -> None:
            raise error

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("maskcls.commands.train.train", refuse)
            patch.setattr("maskcls.commands.resume.resume", refuse)
            yield

    return patched


@contextmanager
def no_gpu() -> Iterator[None]:
    """Take the GPU away."""
    import torch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        yield


@contextmanager
def no_cache_folder() -> Iterator[None]:
    """Name a file as the folder of the cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MASKCLS_CACHE", "tiny.png")
        yield


@contextmanager
def port_taken() -> Iterator[None]:
    """Listen on a port, unless somebody does."""
    with ExitStack() as stack:
        with suppress(OSError):
            stack.enter_context(socket.create_server(("127.0.0.1", 8765)))
        yield


@contextmanager
def two_processes() -> Iterator[None]:
    """Set what torchrun sets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORLD_SIZE", "2")
        yield


@contextmanager
def time_is_up() -> Iterator[None]:
    """Let the time of --budget be up in the first stage."""
    begun = StageEntry(settings=StageSettings(size=(32, 32), epochs=1, folds=2, seeds=1), forecast_s=None, left_s=None)

    def stop(folder: StagesDir, *_: object, limit: TimeLimit, **__: object) -> StagesOutcome:
        return StagesOutcome(folder.path, (begun,), {}, None, True, limit.seconds, limit.seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("maskcls.commands.budget.train_stages.begin_stages", stop)
        yield


CIRCUMSTANCES: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "Ctrl-C": raising(KeyboardInterrupt()),
    "SIGTERM": raising(Stopped()),
    "| head": raising(BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))),
    "no GPU": no_gpu,
    "the cache folder is a file": no_cache_folder,
    "another program uses the port": port_taken,
    "two processes": two_processes,
    "the time is up": time_is_up,
}


# --- tests


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_errors_are_printed_as_written(
    file: Path, inside: Path, capsys: pytest.CaptureFixture[str], pytestconfig: pytest.Config
) -> None:
    expected, before = blocks(file), hashes(inside)
    found = {command: printed(command, inside, capsys) for command in expected}
    if pytestconfig.getoption("--rewrite-golden"):
        file.write_text("\n\n".join(f"$ maskcls {c}\n{text}".strip() for c, (_, text) in found.items()) + "\n")
    assert {command: text for command, (_, text) in found.items()} == blocks(file)
    code = int(file.stem.partition("_")[0])
    assert {command: got for command, (got, _) in found.items() if got != code} == {}
    changed = {name.split("/")[1] for name, _ in hashes(inside).items() ^ before.items()}
    assert changed <= {"x", "diverged", "uncached"}  # runs that began


def test_every_exit_code_and_every_verb_has_an_error() -> None:
    commands = {command for file in FILES for command in blocks(file)}
    assert len(commands) >= 100
    codes = {int(file.stem.partition("_")[0]) for file in FILES}
    assert codes == {int(code) for code in Exit} - {Exit.OK, Exit.INTERNAL}
    named = {verb for command in commands for verb in verb_of(shlex.split(command.partition("  #")[0]))}
    assert verbs().keys() - named == WITHOUT


def test_every_message_has_at_most_six_lines_in_one_order() -> None:
    seen = 0
    for text in (text for file in FILES for text in blocks(file).values() if text.startswith("error[")):
        first, *lines = text.splitlines()
        assert len(lines) <= 5, text
        assert all(line.isprintable() for line in (first, *lines))
        names = [match[1] if (match := re.match(r"  (where|got|expected|fix): ", line)) else "" for line in lines]
        assert names == sorted(names, key=("", "where", "got", "expected", "fix").index), text
        assert names.count("") == ("in total: " in text), text
        assert text.count("; ") <= 2 * SHOWN_OFFENDERS
        seen += 1
    assert seen >= 90


def test_an_error_is_known_by_its_kind() -> None:
    """The word in brackets belongs to the exit code."""
    kinds = {file.stem.partition("_")[2]: set(re.findall(r"^error\[(\w+)\]", file.read_text(), re.M)) for file in FILES}
    assert {name for name, found in kinds.items() if not found} == {"interrupted", "pipe", "terminated"}
    assert {name: found for name, found in kinds.items() if found - {name}} == {}
