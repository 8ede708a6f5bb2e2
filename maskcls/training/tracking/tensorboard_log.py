"""TensorBoard: an event file per place and process.

A resumed training adds a file to the same folder. It begins with a mark that its first step replaces what earlier
files hold of this and later steps, so that an epoch that was cut off is not shown twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from maskcls.training.tracking.log import LAST, Place

EVENTS = "events.out.tfevents.*"  # TensorBoard's own name


class TensorBoardLog:
    """A log as event files; see `log.Log`."""

    def __init__(self, place: Place, epochs: int) -> None:
        self.folder = place.folder("tensorboard").path
        self.held = epochs_in(self.folder)
        if self.held > epochs:
            for path in self.folder.glob(EVENTS):
                path.unlink()
            self.held = 0

    @cached_property
    def writer(self) -> Any:
        """The writer of this process's event file."""
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(self.folder), purge_step=self.held)

    def settings(self, settings: Mapping[str, str]) -> None:
        """Write the settings as a table in Markdown."""
        rows = [f"| `{key}` | `{value}` |" for key, value in settings.items()]
        self.writer.add_text("settings", "\n".join(["| key | value |", "|---|---|", *rows]))

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Write one scalar per number, and the file to disk."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, epoch)
        self.writer.flush()
        self.held = epoch + 1

    def scores(self, values: Mapping[str, float]) -> None:
        """Write one scalar per score, at step 0."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, 0)

    def picture(self, name: str, path: Path) -> None:
        """Write the picture."""
        from PIL import Image

        with Image.open(path) as image:
            self.writer.add_image(name, np.asarray(image.convert("RGB")), dataformats="HWC")

    def file(self, name: str, path: Path) -> None:
        """Write the path as text."""
        self.writer.add_text(name, f"`{path}`")

    def close(self, *, complete: bool) -> None:
        """Close the file, if one was begun."""
        if "writer" in self.__dict__:
            self.writer.close()


def epochs_in(folder: Path) -> int:
    """Return how many complete epochs the event files of a folder hold."""
    if not any(folder.glob(EVENTS)):
        return 0
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 1, "tensors": 1}).Reload()
    if LAST not in events.Tags()["scalars"]:
        return 0
    last: int = max(event.step for event in events.Scalars(LAST))
    return last + 1
