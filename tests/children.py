"""A stand-in for a training process in the tests of side_by_side. Imports no torch, so that it starts quickly."""

from __future__ import annotations

import os
import signal
import struct
import time
from multiprocessing.connection import Connection
from pathlib import Path

from maskcls.errors import DivergedError
from maskcls.rundir import RunDir

LONG_S = 600.0


def telling(pipe: Connection, run: RunDir, member: str, fold: int, cached: bool, data: Path) -> None:
    """Say what was asked for, and end well."""
    pipe.send(("note", (f"{run.path.name} {member} {fold} {cached}",)))


def failing(pipe: Connection, run: RunDir, member: str, fold: int, cached: bool, data: Path) -> None:
    """Report an error of its own on fold 1, and go on for long on any other."""
    if fold == 1:
        pipe.send(("error", DivergedError("it diverged", where="epoch 1, step 2", got="NaN", fix="lower it")))
        return
    sleeping(pipe, run, member, fold, cached, data)


def sleeping(pipe: Connection, run: RunDir, member: str, fold: int, cached: bool, data: Path) -> None:
    """Go on for long, but stop when told to."""
    pipe.send(("note", (f"fold {fold}",)))
    time.sleep(LONG_S)


def deaf(pipe: Connection, run: RunDir, member: str, fold: int, cached: bool, data: Path) -> None:
    """Go on for long, whatever it is told."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sleeping(pipe, run, member, fold, cached, data)


def killed(pipe: Connection, run: RunDir, member: str, fold: int, cached: bool, data: Path) -> None:
    """Die without a word."""
    os.kill(os.getpid(), signal.SIGKILL)


def killed_while_speaking(pipe: Connection, run: RunDir, member: str, fold: int, cached: bool, data: Path) -> None:
    """Die in the middle of a message: of a thousand bytes, four are sent."""
    os.write(pipe.fileno(), struct.pack("!i", 1000) + b"half")
    os.kill(os.getpid(), signal.SIGKILL)


def leaving(pipe: Connection, run: RunDir, member: str, fold: int, cached: bool, data: Path) -> None:
    """End with a number and without a word."""
    os._exit(3)


def stumbling(pipe: Connection, run: RunDir, member: str, fold: int, cached: bool, data: Path) -> None:
    """Run the real child into a bug: a pipe is no run folder."""
    from maskcls.training.side_by_side import _child

    _child(pipe, pipe, member, fold, cached, data)  # type: ignore[arg-type]


def killed_after_an_epoch(pipe: Connection, run: RunDir, member: str, fold: int, cached: bool, data: Path) -> None:
    """Train, but die on fold 0 before its second epoch is saved."""
    from maskcls.training import side_by_side

    class Dying(side_by_side._Sender):
        epochs = 0

        def epoch(self, *arguments: object) -> None:
            self.pipe.send(("epoch", arguments))
            self.epochs += 1
            if self.epochs == 2:
                os.kill(os.getpid(), signal.SIGKILL)

    if fold == 0:
        side_by_side._Sender = Dying  # type: ignore[misc]
    side_by_side._child(pipe, run, member, fold, cached, data)


def outlived(pipe: Connection, run: RunDir, member: str, fold: int, cached: bool, data: Path) -> None:
    """Die, and leave behind what a loader process is to a pipe: a process that holds it for long."""
    helper = os.fork()
    if helper == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(LONG_S / 10)
        os._exit(0)
    for word in (helper, "last"):
        pipe.send(("note", (str(word),)))
    if fold == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(LONG_S)
