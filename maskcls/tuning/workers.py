"""Several workers of a study, each a process of its own; this process only shows what they do."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from maskcls.errors import Exit, MaskclsError, ResourceError, Stopped
from maskcls.machine import machine_error
from maskcls.machine.child_processes import end_children, start_child
from maskcls.machine.gpus import DEVICES, own_device, set_devices

POLL_S = 0.5
GRACE_S = 15.0  # for a worker to save its trial and give it back
MOST_DEATHS = 20  # of workers, after which no new one is started


class WorkerBugError(Exception):
    """An unexpected exception in a worker; the message is its traceback."""


def run_workers(
    count: int, target: Callable[..., object], arguments: Sequence[Any], watch: Callable[[], object], gpus: int = 0
) -> None:
    """Run `target(*arguments)` in `count` processes until all have ended.

    target  a function of a module, which a new interpreter can import.
    watch   called every now and then, and at the end.
    gpus    those that this process sees; each worker gets one of them, in turn.

    A worker that is killed is replaced by one with its processors and its GPU; what it worked on is left to the others.
    The first error of a worker ends all, and is raised here. Ctrl-C and SIGTERM end all after they have saved.
    """
    context = multiprocessing.get_context("spawn")
    running: dict[SpawnProcess, tuple[int, Connection]] = {}
    deaths, shares = 0, _processor_shares(count)

    def start(number: int) -> None:
        ours, theirs = context.Pipe(duplex=False)
        device = own_device(number, os.environ.get(DEVICES), gpus)
        words = (theirs, target, tuple(arguments), shares[number % len(shares)], device)
        child = context.Process(target=_child, args=words)
        start_child(child)
        theirs.close()
        running[child] = number, ours

    try:
        for number in range(count):
            start(number)
        while running:
            time.sleep(POLL_S)
            watch()
            for child in [one for one in running if not one.is_alive()]:
                number, pipe = running.pop(child)
                _raise_error(pipe, child)
                if child.exitcode is not None and child.exitcode < 0:
                    deaths += 1
                    if deaths > MOST_DEATHS:
                        raise ResourceError(
                            "workers are killed again and again",
                            got=f"{deaths} times, the last time by {signal.Signals(-child.exitcode).name}",
                            fix="free memory, or take fewer --workers; the same command goes on",
                        )
                    start(number)
    finally:
        end_children(list(running), GRACE_S)
        watch()


def _processor_shares(count: int) -> list[set[int] | None]:
    """Divide the processors among the workers; None: all of them, where they cannot be divided."""
    if not hasattr(os, "sched_getaffinity"):
        return [None]
    cores = sorted(os.sched_getaffinity(0))
    if count >= len(cores):
        return [{core} for core in cores]
    return [set(cores[number::count]) for number in range(count)]


def _raise_error(pipe: Connection, child: SpawnProcess) -> None:
    """Raise what a worker that has ended sent."""
    try:
        found = pipe.recv() if pipe.poll() else None
    except (EOFError, OSError):
        found = None
    pipe.close()
    child.join()
    if isinstance(found, MaskclsError):
        raise found
    if found is not None:
        raise WorkerBugError(str(found))


def _stop(*_: object) -> None:
    raise Stopped


def _child(
    pipe: Connection,
    target: Callable[..., object],
    arguments: tuple[Any, ...],
    processors: set[int] | None,
    device: str | None,
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if processors is not None:
        os.sched_setaffinity(0, processors)
    set_devices(device)
    try:
        target(*arguments)
    except Stopped:
        raise SystemExit(Exit.TERMINATED) from None
    except MaskclsError as error:
        with suppress(OSError):
            pipe.send(error)
    except Exception as bug:
        with suppress(OSError):
            pipe.send(machine_error(bug) or traceback.format_exc())
        raise SystemExit(Exit.INTERNAL) from None  # prints nothing: the parent reports it


def _end_with_parent() -> None:
    """End this process as SIGTERM does, when the one that started it is gone."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
