"""The machine: its cores, what it refuses, and the processes that a launcher started."""

from maskcls.machine.launched import process_count, process_number, process_prefix, processes_here, refuse_several
from maskcls.machine.processors import cores, processor, reading_threads
from maskcls.machine.refusals import is_memory_error, machine_error, memory_for

__all__ = [
    "cores",
    "is_memory_error",
    "machine_error",
    "memory_for",
    "process_count",
    "process_number",
    "process_prefix",
    "processes_here",
    "processor",
    "reading_threads",
    "refuse_several",
]
