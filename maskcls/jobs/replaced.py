"""The function that submitit runs: it replaces its own process by that of the job."""

from __future__ import annotations

import os
from collections.abc import Sequence


def become(command: Sequence[str]) -> None:
    """Run this command in the place of this process: signals then reach the job, and its exit code the engine."""
    os.execv(command[0], list(command))
