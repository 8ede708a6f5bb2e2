"""The processes that a launcher (torchrun, accelerate launch) started for one command, by its environment."""

from __future__ import annotations

import os

from maskcls.errors import UsageError


def process_count() -> int:
    """Return the number of processes of this command, on all machines; 1 without a launcher."""
    return _number("WORLD_SIZE", 1)


def processes_here(processes: int) -> int:
    """Return how many of the processes of this command, so many in all, run on this machine; at least 1."""
    return max(1, min(_number("LOCAL_WORLD_SIZE", processes), processes))


def process_number() -> int:
    """Return the number of this process, from 0; the process with number 0 speaks and writes."""
    return _number("RANK", 0)


def process_prefix() -> str:
    """Return what begins each line of an error of this process: nothing in the first one."""
    return f"[process {number}] " if (number := process_number()) else ""


def refuse_several(what: str, where: str | None = None) -> None:
    """Raise UsageError if a launcher started several processes. what: is done in one process, such as "explain"."""
    if (processes := process_count()) > 1:
        raise UsageError(
            f"{what} runs in one process",
            where=where,
            got=f"{processes} processes",
            fix="start it without torchrun or accelerate launch",
        )


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else default
