"""Folds trained side by side, each in a process of its own; the files are the same as from one process.

A child reads the experiment from the run folder, as a resume does, and sends its progress through a pipe.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from maskcls import files
from maskcls.errors import Exit, MaskclsError, ResourceError, Stopped
from maskcls.machine import machine_error
from maskcls.machine.child_processes import end_children, start_child
from maskcls.rundir import RunDir
from maskcls.show.terminal.progress import Reporter
from maskcls.training.experiment import Experiment, Member

GRACE_S = 9.0  # for a child to save its last step; it takes at most `stopping.GRACE_S` of these
POLL_S = 1.0  # between two checks that a child is alive
Running = dict[Connection, tuple[SpawnProcess, int]]  # each child and its fold, by the pipe it sends through


class ChildError(Exception):
    """An unexpected exception in a child process, a bug; the message is its traceback."""


def train_side_by_side(
    experiment: Experiment, member: Member, folds: Sequence[int], jobs: int, report: Reporter
) -> None:
    """Train a member's folds, `jobs` at a time; the first error of a child stops the others and is raised here.

    Raises ResourceError when a child died without sending an error, ChildError when a bug ended it.
    """
    # A new interpreter for each: a forked one could not use the GPU, and would lack the threads of the parent.
    context = multiprocessing.get_context("spawn")
    left = list(folds)
    running: Running = {}
    try:
        while left or running:
            while left and len(running) < jobs:
                ours, theirs = context.Pipe(duplex=False)
                fold = left.pop(0)
                child = context.Process(
                    target=_child,
                    args=(theirs, experiment.run, member.name, fold, bool(experiment.views), experiment.data),
                )
                report.starting(experiment.title(member, fold))
                start_child(child)
                theirs.close()
                running[ours] = child, fold
            for pipe in _pipes_to_read(running):
                _receive(pipe, running, report)
    finally:
        end_children([child for child, _ in running.values()], GRACE_S)


def _pipes_to_read(running: Running) -> list[Connection]:
    """Wait until a child has sent something, or has ended; return the pipes of these children.

    The end of a pipe, or multiprocessing's sentinel, does not show the end of a child: its loader processes hold them
    too, and may live longer.
    """
    while True:
        ready = wait(list(running), POLL_S)
        if found := [pipe for pipe, (child, _) in running.items() if pipe in ready or not child.is_alive()]:
            return found


def _receive(pipe: Connection, running: Running, report: Reporter) -> None:
    """Handle one message of a child: progress, its error, or its end, which comes after all its messages."""
    child, fold = running[pipe]
    try:
        ended = not child.is_alive()  # checked first, as the child may send and end in between
        if ended and not pipe.poll():
            raise EOFError
        name, arguments = pipe.recv()
    except (EOFError, OSError):  # the pipe may end in the middle of a message
        del running[pipe]
        child.join()
        if child.exitcode:
            raise ResourceError(
                "a training process died",
                where=f"fold {fold}",
                got=_ending(child.exitcode),
                fix="free memory, or train one fold after the other with train.fold_jobs=1; then resume the run",
            ) from None
        return
    if name == "error":
        raise arguments
    if name == "crash":
        raise ChildError(f"fold {fold}, in a process of its own\n\n{arguments}")
    getattr(report, name)(*arguments)


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


class _Sender:
    """Replaces the Reporter in a child: sends every call to the parent, and ends the child if the parent is gone."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe

    def __getattr__(self, name: str) -> Any:
        def send(*arguments: object) -> None:
            try:
                self.pipe.send((name, arguments))
            except OSError:
                os._exit(1)

        return send


def _stop(*_: object) -> None:
    raise Stopped


def _child(pipe: Connection, run: RunDir, member: str, fold: int, cached: bool, data: Path) -> None:
    # The parent decides on Ctrl-C, which reaches the whole group, and sends SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    from maskcls.engine.device import start
    from maskcls.training.checks import with_photos
    from maskcls.training.fold import train_fold
    from maskcls.training.stored_experiment import open_experiment
    from maskcls.training.tracking.guard import Guard

    report: Any = _Sender(pipe)
    try:
        experiment, _ = open_experiment(run, data)
        accelerator = start(experiment.cfg.device)
        if cached:
            experiment = with_photos(experiment, accelerator, report, build=False)
        (mine,) = (m for m in experiment.members if m.name == member)
        with files.filling(run.path), Guard(experiment.cfg.track, report) as guard:
            train_fold(experiment, mine, fold, accelerator, report, guard)
    except Stopped:
        raise SystemExit(Exit.TERMINATED) from None
    except MaskclsError as error:
        with suppress(OSError):
            pipe.send(("error", error))
    except Exception as bug:
        if (known := machine_error(bug)) is not None:
            with suppress(OSError):
                pipe.send(("error", known))
            return
        with suppress(OSError):
            pipe.send(("crash", traceback.format_exc()))
        raise SystemExit(Exit.INTERNAL) from None  # prints nothing: the parent reports the bug
