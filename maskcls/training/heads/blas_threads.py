"""Heads are fitted with one thread of BLAS. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def one_thread_of_blas() -> Iterator[None]:
    """Let every matrix product of the process take one thread: more would add in another order."""
    import scipy.linalg
    import scipy.optimize  # noqa: F401

    with threadpool_limits(1, user_api="blas"):
        yield
