"""Ctrl-C and SIGTERM during a training: held back until the optimizer step is over and its state is saved."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
AGAIN_S = 1.0  # a second Ctrl-C within this time is the same one: launchers signal a process and then its group
GRACE_S = 8.0  # for the step and its commit; schedulers commonly kill 10 s after SIGTERM

Handler = Callable[[int, FrameType | None], object] | int | None


class HeldSignals:
    """Holds Ctrl-C and SIGTERM back within a `with` block, which looks at `received` and calls `act` when it is safe.

    A second Ctrl-C acts at once, and so does the first signal after GRACE_S, at whatever point the block is. Further
    SIGTERMs change nothing: who does not want to wait sends SIGKILL. Ignored signals stay ignored. Outside the main
    thread nothing is held, because Python handles signals there.

    received  the number of the first signal; None before it.
    at_rest   the signal acted within `let_through`.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.at_rest = self._open = False
        self._since_s, self._late = 0.0, False
        self._before: dict[int, Handler] = {}
        self._timer: threading.Timer | None = None

    def __enter__(self) -> HeldSignals:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()
        if self.received is not None and error is None:
            self.act()

    @contextmanager
    def let_through(self) -> Iterator[None]:
        """Let a signal act at once while the block changes nothing that is saved, such as a wait for images."""
        self._open = True
        try:
            if self.received is not None:
                self.at_rest = True
                self.act()
            yield
        finally:
            self._open = False

    def act(self) -> None:
        """Do what the signal would have done without this block; SIGTERM where another process received it."""
        self._release()
        signal.raise_signal(signal.SIGTERM if self.received is None else self.received)
        self.received = None  # the program's own handler has decided to go on

    def _hear(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.received is None:
            self.received, self._since_s = number, now
            if self._open:
                self.at_rest = True
                self.act()
            self._timer = threading.Timer(GRACE_S, self._again)
            self._timer.daemon = True
            self._timer.start()
        elif self._late or (number == signal.SIGINT and now - self._since_s >= AGAIN_S):
            self.act()

    def _again(self) -> None:
        # To the main thread, so that a wait in it ends too.
        main, received = threading.main_thread().ident, self.received
        if self._before and main is not None and received is not None:
            self._late = True
            signal.pthread_kill(main, received)

    def _release(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)
