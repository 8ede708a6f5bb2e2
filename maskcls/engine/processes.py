"""Several processes of one command: a value chosen by the first process, and an error when another has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch.distributed import DistError

from maskcls.errors import ResourceError

T = TypeVar("T")


def decided_by_first(decide: Callable[[], T], accelerator: Accelerator) -> T:
    """Call `decide` in the first process and return its value in all of them."""
    made = [decide() if accelerator.is_main_process else None]
    if accelerator.num_processes > 1:
        broadcast_object_list(made)
    (value,) = made
    return value  # type: ignore[return-value]


@contextmanager
def lost_processes_as_errors() -> Iterator[None]:
    """Turn a failed exchange between processes into a ResourceError that points to the process that ended first.

    The failing process prints its own error; the others only lose the connection.
    """
    try:
        yield
    except RuntimeError as error:
        # gloo, which connects processes on CPUs, has no error type of its own; its messages name its source files.
        if not isinstance(error, DistError) and "/gloo/" not in str(error):
            raise
        raise ResourceError(
            "another process of this command has ended, so this one ends too",
            fix="read the error of the other process; after that, maskcls resume continues a training",
        ) from None
