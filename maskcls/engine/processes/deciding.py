"""A value that one process chooses for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

T = TypeVar("T")


def decided_by_first(decide: Callable[[], T], accelerator: Accelerator) -> T:
    """Call `decide` in the first process and return its value in all of them."""
    made = [decide() if accelerator.is_main_process else None]
    if accelerator.num_processes > 1:
        broadcast_object_list(made)
    (value,) = made
    return value  # type: ignore[return-value]
