"""The time of a stage, written while it works: a killed process can write nothing at its end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from maskcls.errors import MaskclsError
from maskcls.machine.repeated import repeated

KEEP_S = 5.0  # seconds between two writes: a kill loses no more


@contextlib.contextmanager
def time_kept(write: Callable[[], object]) -> Iterator[None]:
    """Call `write` every KEEP_S seconds until the block ends.

    A write that fails is tried again with the next: what fails for long, such as a full disk, the work itself reports.
    """

    def keep() -> None:
        with contextlib.suppress(MaskclsError, OSError):
            write()

    with repeated(keep, KEEP_S, "time of the stage"):
        yield
