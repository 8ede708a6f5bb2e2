"""Processes of one command end together: the first error of one of them ends the others, and they name it."""

from __future__ import annotations

import atexit
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from torch.distributed import DistError

from maskcls.engine.processes.heartbeat import Heartbeat, lost, open_heartbeat
from maskcls.errors import MaskclsError
from maskcls.machine import machine_error, process_count

_heartbeats: list[Heartbeat] = []  # of this process: one, or none where it is alone


def watch_others() -> None:
    """Begin to watch the other processes of this command, once per process."""
    if process_count() > 1 and not _heartbeats:
        _heartbeats.append(open_heartbeat())
        _heartbeats[0].start()
        atexit.register(_heartbeats[0].leave)


@contextmanager
def lost_processes_as_errors() -> Iterator[None]:
    """Tell the other processes of an error in the block, and turn a lost exchange with them into a ResourceError.

    The failing process prints its own error; the others lose the connection, and say what the failing one has told.
    """
    try:
        yield
    except MaskclsError as error:
        _tell(error.lines()[0])
        raise
    except Exception as error:
        # gloo, which connects processes on CPUs, has no error type of its own; its messages name its source files.
        if process_count() > 1 and (isinstance(error, DistError) or "/gloo/" in str(error)):
            raise lost(_told()) from None
        known = machine_error(error)
        _tell(known.lines()[0] if known is not None else f"a bug in maskcls, {type(error).__name__}")
        raise


def _tell(error: str) -> None:
    for heartbeat in _heartbeats:
        with suppress(RuntimeError):  # the launcher may have gone
            heartbeat.tell(error)
        _write_report(error)


def _told() -> str:
    """Return what another process has told before it ended; "" where it said nothing, because it was killed."""
    for heartbeat in _heartbeats:
        with suppress(RuntimeError):
            return heartbeat.fault()
    return ""


def _write_report(error: str) -> None:
    """Write the error where torchrun looks for it: its report then has the error, and names the first one as cause."""
    if path := os.environ.get("TORCHELASTIC_ERROR_FILE"):
        extra = {"py_callstack": error, "timestamp": str(int(time.time()))}
        with suppress(OSError):
            Path(path).write_text(json.dumps({"message": {"message": error, "extraInfo": extra}}), encoding="utf-8")
