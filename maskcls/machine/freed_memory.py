"""Memory that this process has freed, and that the C library keeps for later."""

from __future__ import annotations

import ctypes


def return_freed_memory() -> None:
    """Give freed memory back to the system; no effect with another C library than glibc.

    glibc keeps it for the thread that freed it, so it does not serve the other threads.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
