"""Errors as they are printed: the commands of golden/ are given again, and every line of stderr is compared.

A file for each exit code. To add an error, add its line `$ maskcls …` and rewrite: pytest tests/errors --rewrite-golden
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from failing_commands import make_world
from pages import verb_of, verbs
from project import CONFIGS_DIR

from maskcls.cli import run_app
from maskcls.errors import SHOWN_OFFENDERS, Exit
from maskcls.verbs.options import Stopped

GOLDEN_DIR = Path(__file__).with_name("golden")
FILES = sorted(GOLDEN_DIR.glob("*.txt"), key=lambda file: int(file.stem.partition("_")[0]))
WITHOUT = {"config schema", "data cache path", "data cache list"}  # verbs that no input makes fail
FIRST = ("error[", "Usage: ", "interrupted")  # how a message begins
PARTS = ("where", "got", "expected", "fix", "all", "")  # the last: the offenders


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
    with CIRCUMSTANCES[circumstances[0]]() if circumstances else _nothing():
        code = run_app(shlex.split(words))
    text = capsys.readouterr().err.replace(str(inside), "/home/me").replace(str(CONFIGS_DIR), "configs")
    text = re.sub(rf"{re.escape(tempfile.gettempdir())}/maskcls-(\w+)-\w+\.txt", r"/tmp/maskcls-\1.txt", text)
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    first = next((number for number, line in enumerate(lines) if line.startswith(FIRST)), len(lines))
    return code, "\n".join(lines[first:])  # without notes and progress


# --- circumstances that a command line alone does not make


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def raising(error: BaseException) -> Callable[[], object]:
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
def port_taken() -> Iterator[None]:
    """Listen on a port."""
    with socket.create_server(("127.0.0.1", 8765)):
        yield


CIRCUMSTANCES: dict[str, Callable[[], object]] = {
    "Ctrl-C": raising(KeyboardInterrupt()),
    "SIGTERM": raising(Stopped()),
    "| head": raising(BrokenPipeError()),
    "another program uses the port": port_taken,
}


# --- tests


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_errors_are_printed_as_written(
    file: Path, inside: Path, capsys: pytest.CaptureFixture[str], pytestconfig: pytest.Config
) -> None:
    expected = blocks(file)
    found = {command: printed(command, inside, capsys) for command in expected}
    if pytestconfig.getoption("--rewrite-golden"):
        file.write_text("\n\n".join(f"$ maskcls {c}\n{text}".strip() for c, (_, text) in found.items()) + "\n")
    assert {command: text for command, (_, text) in found.items()} == blocks(file)
    code = int(file.stem.partition("_")[0])
    assert {command: got for command, (got, _) in found.items() if got != code} == {}
