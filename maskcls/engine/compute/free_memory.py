"""Free memory: of the machine, within the container's limit, and of a GPU."""

from __future__ import annotations

import os
from pathlib import Path

import torch

MEMORY_SHARE = 0.6  # share of the free memory that the tensors of a step may use


def device_room() -> float:
    """Return how many processes fit on the GPU if each needs the peak memory that this process has just reached."""
    return torch.cuda.mem_get_info()[0] * MEMORY_SHARE / torch.cuda.max_memory_allocated()


def available_bytes() -> int:
    """Return the free memory for this process in bytes: the kernel's estimate, or less by the container's limit."""
    meminfo, group = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
    if meminfo.exists():
        free = int(_numbers(meminfo)["MemAvailable:"]) << 10
    else:
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    limit = group / "memory.max"
    if limit.exists() and (text := limit.read_text().strip()).isdecimal():
        # The page cache counts as free: the kernel releases it when memory is needed.
        used = int((group / "memory.current").read_text()) - _numbers(group / "memory.stat")["file"]
        free = min(free, max(0, int(text) - used))
    return free


def _numbers(table: Path) -> dict[str, int]:
    """Read a table with a name and a number per line."""
    return {words[0]: int(words[1]) for words in map(str.split, table.read_text().splitlines())}
