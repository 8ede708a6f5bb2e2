"""What workers do in the tests of tuning/test_workers.py; each imports this module, so it imports little."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from maskcls.errors import ResourceError


def fails(what: str) -> None:
    """Fail as a worker does."""
    if what == "error":
        raise ResourceError("the disk is full")
    if what == "bug":
        raise AssertionError("strange")
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)


def seen(folder: Path, kill: str) -> None:
    """Write what a worker has got; of those on the GPU `kill`, the first one kills itself before."""
    gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "none")
    with suppress(FileExistsError):
        (folder / f"begun {gpu}").touch(exist_ok=False)
        if gpu == kill:
            os.kill(os.getpid(), signal.SIGKILL)
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    (folder / f"{gpu} {os.getpid()}").write_text(str(cores))
