"""A wait of a quick verb: what it does is shown after two seconds, so that a short one loads and prints nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

FIRST_S = 2.0


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show what is being done while the block runs, its imports too, once it has taken FIRST_S seconds."""
    ended = threading.Event()
    shown = threading.Thread(target=_show, args=(what, ended), daemon=True)
    shown.start()
    try:
        yield
    finally:
        ended.set()
        shown.join()


def _show(what: str, ended: threading.Event) -> None:
    if ended.wait(FIRST_S):
        return
    from maskcls.show.terminal.progress import Reporter, main_process

    with Reporter(quiet=not main_process()) as report, report.busy(what, waited_s=FIRST_S):
        ended.wait()
