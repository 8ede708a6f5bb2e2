"""Names that no file can have, and things that are no files, in every place of a verb: never a bug, never a wait."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import typer.main
from finished_run import finish_run

from maskcls import cli
from maskcls.errors import Exit

LONG, DEEP = "x" * 300, "a/" * 2500 + "b"
ODD = {
    "a long name": LONG,
    "a long table": "y" * 260 + ".csv",
    "a deep path": DEEP,
    "half a character": "gone/half\udcff.csv",
    "a NUL": "gone/a\0b.csv",
    "empty": "",
    "a home of nobody": "~nobody/gone/x.csv",
    "a pipe": "pipe",
    "a pipe named as a table": "pipe.csv",
    "a folder named as a table": "folder.csv",
    "a link to itself": "loop",
    "below a file": "text.csv/x",
    "a device": "/dev/null",
    "a full device": "/dev/full",
    "memory": "/proc/self/mem",
}
CODES = {code for code in Exit if code not in (Exit.INTERNAL, Exit.PIPE, Exit.INTERRUPTED, Exit.TERMINATED)}
GIVEN = {"data": "data", "what": "text.csv", "words": "photo.jpg"}  # what the other places of a verb get; else "run"
LITTLE = {"people": "1", "eval_people": "1"}  # where an odd name is a possible one, the verb works: then on little
LONGEST_S = 300  # a waiting pipe would wait for ever
# Places where any text is right, or where a file of any name may be made: the verb would begin its work.
FREE = {
    ("train", "run"),
    ("self-train", "run"),
    ("tune", "study"),
    ("demo", "directory"),
    ("export", "licence"),
    ("report", "png"),
}


class WaitedError(BaseException):
    """A verb took too long. No Exception, so that nothing takes it for a fault of a file."""


@cache
def verbs() -> dict[tuple[str, ...], Any]:
    """Return every verb's command by its words."""
    return dict(leaves(typer.main.get_command(cli.app), ()))


def leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, below in command.commands.items():
        yield from leaves(below, (*path, name))


def places() -> list[tuple[tuple[str, ...], str]]:
    """Return every verb with each of its arguments and options that take text."""
    return [
        (path, parameter.name)
        for path, command in verbs().items()
        for parameter in command.params
        if parameter.name != "help" and not getattr(parameter, "is_flag", False)
    ]


def words(path: tuple[str, ...], name: str, odd: str) -> list[str]:
    """Return a command line with `odd` in one place, and something usual wherever the verb needs more."""
    line = list(path)
    for parameter in verbs()[path].params:
        usual = GIVEN.get(parameter.name, "run") if parameter.required else LITTLE.get(parameter.name)
        if (value := odd if parameter.name == name else usual) is not None:
            line += [parameter.opts[0], value] if parameter.opts[0].startswith("-") else [value]
    return line


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, with a finished run, and things that are no files."""
    finish_run(tmp_path / "run")
    for name in ("data/eval/images", "folder.csv"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("pipe", "pipe.csv"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "text.csv").write_text("a,b\n1,2\n")
    (tmp_path / "photo.jpg").write_bytes(b"no photo")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket, "getaddrinfo", unknown_host)
    return tmp_path


def unknown_host(host: str, *_: object, **__: object) -> Any:
    """Fail as the real one without a network does: first on text that no host's name can be, then on the name."""
    host.encode("idna")
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def code_of(line: list[str]) -> int:
    """Run a command line; WaitedError when it takes too long."""

    def ring(_: int, __: FrameType | None) -> None:
        raise WaitedError(line)

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(LONGEST_S)
    try:
        return cli.run_app(line)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def wrong_codes(tried: list[tuple[tuple[str, ...], str]], odd: str, capsys: pytest.CaptureFixture[str]) -> list[Any]:
    """Return verb, place, code and message wherever an odd name ends with a code that is none of a wrong name."""
    found = []
    for path, name in tried:
        code = code_of(words(path, name, ODD[odd]))
        message = capsys.readouterr().err[-300:]
        if code not in CODES:
            found.append((odd, " ".join(path), name, code, message))
    return found


def test_odd_names_in_one_place(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = ("evaluate",), "what"
    assert place in places()
    assert [wrong for odd in ODD for wrong in wrong_codes([place], odd, capsys)] == []


@pytest.mark.slow
@pytest.mark.parametrize("odd", ODD)
def test_odd_names_in_every_place_of_every_verb(here: Path, odd: str, capsys: pytest.CaptureFixture[str]) -> None:
    tried = [place for place in places() if (" ".join(place[0]), place[1]) not in FREE]
    assert len(tried) > 150
    assert wrong_codes(tried, odd, capsys) == []
