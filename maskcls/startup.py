"""Python's garbage collector while heavy packages are imported.

Imports create about a million objects and hardly any garbage, but the collector visits all of them repeatedly: this
takes a quarter of the time to import torch and timm. So the command line raises its thresholds until computing starts.
"""

from __future__ import annotations

import atexit
import gc

RESTING = (300_000, 50, 100)  # thresholds of the three generations; the interpreter's own are far lower

_usual: list[tuple[int, int, int]] = []


def rest_collector() -> None:
    """Raise the collector's thresholds while packages are imported; it still runs after very many allocations."""
    _usual.append(gc.get_threshold())
    gc.set_threshold(*RESTING)


def wake_collector() -> None:
    """Restore the thresholds, and exclude all present objects from collection; nothing unless they were raised."""
    if _usual:
        gc.freeze()
        atexit.register(gc.unfreeze)  # extension modules report what is not cleared at the end as leaks
        gc.set_threshold(*_usual.pop())
