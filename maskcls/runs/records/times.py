"""times.json: how long the parts of each command took that trained a run, in seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pydantic import Field

from maskcls import owned
from maskcls.rundir import RunDir
from maskcls.typedjson import JsonFile

READING, CHECKING, PHOTOS, PLANS, PEOPLE, NETWORKS = (
    "reading the data",
    "checking photos and starting weights",
    "cache of decoded photos",
    "choosing number format and threads",
    "learning which photos show one person",
    "networks",
)


class CommandTimes(JsonFile):
    """One command's seconds by part; an interrupted command has no seconds of networks."""

    command: str
    seconds: dict[str, float] = Field(default_factory=dict)


class RunTimes(JsonFile):
    """The content of times.json: `train` first, then each `resume`."""

    commands: tuple[CommandTimes, ...] = ()


class PartTimer:
    """Measures the parts of one command. now: a clock in seconds."""

    def __init__(self, command: str, now: Callable[[], float] = time.monotonic) -> None:
        self.command, self.now = command, now
        self.seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the seconds of the block to a part, also when it fails."""
        started = self.now()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + self.now() - started

    @property
    def times(self) -> CommandTimes:
        """What was measured so far."""
        return CommandTimes(command=self.command, seconds={name: round(s, 3) for name, s in self.seconds.items()})


def read_times(run: RunDir) -> RunTimes | None:
    """Read a run's times.json; None for a run of an earlier version, ResultError when it is damaged."""
    return owned.read(run.times, run.path, RunTimes) if run.times.exists() else None


def add_times(run: RunDir, before: RunTimes | None, new: CommandTimes) -> None:
    """Write the times of a command behind those that were there before it."""
    owned.write(run.times, run.path, RunTimes(commands=(*(before.commands if before else ()), new)))
