"""A value that one process chooses for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object

from maskcls.errors import ResultError

T = TypeVar("T")


def decided_by_first(decide: Callable[[], T], accelerator: Accelerator) -> T:
    """Call `decide` in the first process and return its value in all of them."""
    made = [decide() if accelerator.is_main_process else None]
    if accelerator.num_processes > 1:
        broadcast_object_list(made)
    (value,) = made
    return value  # type: ignore[return-value]


def refuse_differences(what: str, mine: str, accelerator: Accelerator, *, where: str) -> None:
    """Raise ResultError where processes have read different things; all of them call this together.

    what  is read, in words; mine: what this process has read, such as a hash. where: the folder it was read from.
    """
    if accelerator.num_processes == 1:
        return
    found = gather_object([mine])
    if others := [number for number, one in enumerate(found) if one != found[0]]:
        raise ResultError(
            f"the processes have read different {what}",
            where=where,
            got=f"process {others[0]} has read other {what} than process 0",
            fix="let all machines see the same files under this path; a network disk may show new ones late",
        )
