"""The machine: its cores, and what it refuses."""

from maskcls.machine.processors import cores, processor, reading_threads
from maskcls.machine.refusals import is_memory_error, machine_error, memory_for

__all__ = ["cores", "is_memory_error", "machine_error", "memory_for", "processor", "reading_threads"]
