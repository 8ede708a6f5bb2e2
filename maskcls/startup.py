"""Python's garbage collector while heavy packages are imported.

Imports make about a million objects and hardly any garbage, and the collector walks over all of them again and again:
a quarter of the time until torch and timm are there. So the command line lets it rest until something is computed.
"""

from __future__ import annotations

import atexit
import gc

RESTING = (300_000, 50, 100)  # thresholds of the three generations; the interpreter's own are far lower

_usual: list[tuple[int, int, int]] = []


def rest_collector() -> None:
    """Let the collector rest while packages are imported; it still runs where very much is created."""
    _usual.append(gc.get_threshold())
    gc.set_threshold(*RESTING)


def wake_collector() -> None:
    """Collect as usual again, and leave what was imported out of it for good; nothing if it was not resting."""
    if _usual:
        gc.freeze()
        atexit.register(gc.unfreeze)  # extension modules report what is not cleared at the end as leaks
        gc.set_threshold(*_usual.pop())
