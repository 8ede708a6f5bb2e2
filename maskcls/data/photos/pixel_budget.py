"""How many pixels the threads of this process decode at the same time: large photos are decoded one after another."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from maskcls.machine.freed_memory import return_freed_memory

LARGE_PIXELS = 8_000_000  # what a photo of more took is given back to the system; at 0.1 s to decode, that costs little
MOST_PIXELS = 64_000_000  # decoded at once: one photo of the largest size that is read, or five of 12 million pixels


class PixelBudget:
    """Pixels that may be decoded at once, shared by threads; a thread that finds too few left waits.

    most  pixels; a photo of more is decoded alone.
    """

    def __init__(self, most: int) -> None:
        self.most = self.free = most
        self.changed = threading.Condition()
        self.mine = threading.local()  # .held: pixels that this thread keeps until the end of `kept`

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        """Wait until `pixels` are free, and take them for the block; within `kept`, until its end."""
        share, held = min(pixels, self.most), getattr(self.mine, "held", None)
        if held is not None:
            if share > held:
                self._give(held)  # first, as two threads that hold some and wait for more would wait for ever
                self.mine.held = 0
                self._take(share)
                self.mine.held = share
            yield
            return
        self._take(share)
        try:
            yield
        finally:
            self._give(share)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep what this thread takes within the block until its end, for work that still uses the decoded pixels."""
        self.mine.held = 0
        try:
            yield
        finally:
            self._give(self.mine.held)
            self.mine.held = None

    def _take(self, share: int) -> None:
        with self.changed:
            self.changed.wait_for(lambda: self.free >= share)
            self.free -= share

    def _give(self, share: int) -> None:
        if share >= LARGE_PIXELS:
            return_freed_memory()  # before the next one is decoded, by a thread that could not use it
        with self.changed:
            self.free += share
            self.changed.notify_all()


class WaitingBytes:
    """Bytes of decoded photos that wait to be used in order, bounded; the photo that is used next never waits.

    most  bytes.
    """

    def __init__(self, most: int) -> None:
        self.most, self.bytes, self.next = most, 0, 0
        self.changed = threading.Condition()
        self.of: dict[int, int] = {}

    def admit(self, place: int, size: int) -> None:
        """Wait until photo `place`, of `size` bytes, may be decoded."""
        with self.changed:
            self.changed.wait_for(lambda: self.bytes + size <= self.most or place <= self.next)
            self.bytes += size
            self.of[place] = size

    def reduced(self, place: int, size: int) -> None:
        """Count photo `place` as `size` bytes from now on."""
        with self.changed:
            self.bytes += size - self.of.get(place, 0)
            self.of[place] = size
            self.changed.notify_all()

    def wanted(self, place: int) -> None:
        """Let photo `place` be decoded now: it is waited for."""
        with self.changed:
            self.next = place
            self.changed.notify_all()

    def used(self, place: int) -> None:
        """Count photo `place` as used."""
        with self.changed:
            self.bytes -= self.of.pop(place, 0)
            self.changed.notify_all()

    def end(self) -> None:
        """Let every photo pass: nobody uses them any more."""
        with self.changed:
            self.most = sys.maxsize
            self.changed.notify_all()


DECODING = PixelBudget(MOST_PIXELS)


def _renew() -> None:
    """Give a forked child a budget of its own: threads that hold a share of the parent's do not exist in it."""
    DECODING.__init__(MOST_PIXELS)  # type: ignore[misc]


os.register_at_fork(after_in_child=_renew)
