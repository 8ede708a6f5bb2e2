"""Where an interrupted training stands within an epoch, from its state, read without torch and without the tensors."""

from __future__ import annotations

import json
from typing import NamedTuple

from maskcls.errors import WeightsError
from maskcls.files import FileKind, opened
from maskcls.rundir import FoldDir

STATE = FileKind("the resume state", WeightsError, 64 << 30)
HEADER_BYTES = 64 << 20  # most; a header has about 100 bytes per tensor, and the lines of the log


class RunningEpoch(NamedTuple):
    """The epoch that a training is in, from 1, and the optimizer steps done in it."""

    epoch: int
    steps: int


def running_epoch(folder: FoldDir) -> RunningEpoch | None:
    """Return where a training stands within an epoch.

    None at the end of an epoch, before the first save, and for a state that cannot be read, which `resume` reports.
    """
    try:
        with opened(folder.state, STATE) as file:
            header = file.read(min(HEADER_BYTES, int.from_bytes(file.read(8), "little")))
        progress = json.loads(json.loads(header)["__metadata__"]["progress"])
        return RunningEpoch(progress["epoch"] + 1, progress["so_far"]["steps"])
    except (OSError, WeightsError, ValueError, LookupError, TypeError):
        return None
