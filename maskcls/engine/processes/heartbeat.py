"""Processes of one command watch each other, so that none waits for ever for one that does not answer.

Every process counts its beats in the launcher's key-value store, and reads those of the next process. A collective
operation alone would wait for half an hour: gloo and NCCL notice a closed connection, but not a process that hangs or
a cable that is cut. The first error of a process is kept in the store too, and ends the others.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Protocol

import psutil
from torch._C._distributed_c10d import PrefixStore, TCPStore

from maskcls.errors import Exit, ResourceError
from maskcls.machine import process_count, process_number, process_prefix

EVERY_S = 1.0  # between two beats
MOST_BEATS = 20  # of this process, without one of the next process; a process that is stopped itself counts none
LEFT = 1 << 40  # added to the beats of a process that has ended in order
FAULT = "fault"


class KeyValues(Protocol):
    """What is used of torch's key-value stores."""

    def add(self, key: str, amount: int, /) -> int: ...
    def compare_set(self, key: str, expected: str, desired: str, /) -> bytes: ...


class Heartbeat(threading.Thread):
    """Beats for this process and watches the next one.

    end  is called once, with the reason, when this process must end: another one failed, hangs or cannot be reached.
    """

    def __init__(self, store: KeyValues, process: int, count: int, end: Callable[[str], None]) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self.store, self.process, self.count, self.end = store, process, count, end
        self.next, self.heard, self.silent = (process + 1) % count, -1, 0
        self.left = threading.Event()

    def run(self) -> None:
        """Beat until this process leaves, or must end."""
        while not self.left.wait(EVERY_S):
            if reason := self.beat():
                self.end(reason)
                return

    def beat(self) -> str:
        """Beat once; return why this process must end, "" as long as all is well."""
        try:
            self.store.add(_key(self.process), 1)
            if found := self.fault():
                return found
            beats = self.store.add(_key(self.next), 0)
        except RuntimeError:  # torch's errors of a lost or silent connection
            return "" if self.left.is_set() else "the store of the launcher does not answer"
        if beats >= LEFT:
            self.next, self.heard, self.silent = (self.next + 1) % self.count, -1, 0
            return ""
        self.silent = 0 if beats != self.heard or self.next == self.process else self.silent + 1
        self.heard = beats
        if self.silent < MOST_BEATS:
            return ""
        end_sibling(self.next)
        silent = f"process {self.next} has not answered for {MOST_BEATS * EVERY_S:.0f} s"
        return self._first_fault(silent)  # its connections stay open, so the others wait for it too

    def fault(self) -> str:
        """Return the first error that a process has told, "" if there is none."""
        return self._first_fault("")

    def tell(self, error: str) -> None:
        """Tell the other processes why this one ends; the first error counts."""
        self._first_fault(f"process {self.process}: {error}")

    def _first_fault(self, fault: str) -> str:
        return self.store.compare_set(FAULT, "", fault).decode(errors="replace")

    def leave(self) -> None:
        """End in order: nobody waits for this process any more."""
        self.left.set()
        try:
            self.store.add(_key(self.process), LEFT)
        except RuntimeError:
            return  # the launcher has gone before


def _key(process: int) -> str:
    return f"beats of {process}"


def open_heartbeat() -> Heartbeat:
    """Return a heartbeat for this process, on the launcher's store, that ends the process where it must."""
    address = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    limit = timedelta(seconds=MOST_BEATS * EVERY_S)
    store = TCPStore(*address, is_master=False, timeout=limit, wait_for_workers=False)
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return Heartbeat(PrefixStore(f"maskcls {attempt}", store), process_number(), process_count(), _end_process)


def end_sibling(number: int) -> None:
    """Kill the process of this command with this number if it is on this machine: torchrun would wait for 30 s more."""
    with suppress(psutil.Error):
        for sibling in psutil.Process(os.getppid()).children():
            if sibling.environ().get("RANK") == str(number):
                sibling.kill()


def lost(reason: str) -> ResourceError:
    """Return the error of a process that ends because of another; reason: "" where it is not known."""
    return ResourceError(
        "another process of this command has ended or does not answer, so this one ends too",
        got=reason or None,
        fix="read the error of the other process",
    )


def _end_process(reason: str) -> None:
    """Print the error and end this process at once: its main thread may wait in an operation with the lost one."""
    print("\n".join(process_prefix() + line for line in lost(reason).lines()), file=sys.stderr, flush=True)
    os._exit(Exit.RESOURCE)
