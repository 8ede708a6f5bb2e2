"""TensorBoard: an event file per place and process.

A resumed training adds a file to the same folder. It begins with a mark that its first step replaces what earlier
files hold of this and later steps, so that an epoch that was cut off is not shown twice. Events are written at once,
and not by the thread of torch's SummaryWriter, whose errors would reach the terminal alone.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from maskcls import files
from maskcls.training.tracking.log import LAST, Place

EVENTS = "events.out.tfevents."  # TensorBoard's own names begin so
VERSION = "brain.Event:2"  # of its format
RGB = 3


class TensorBoardLog:
    """A log as event files; see `log.Log`."""

    def __init__(self, place: Place, epochs: int) -> None:
        self.folder = place.folder("tensorboard").path
        self.held = epochs_in(self.folder)
        if self.held > epochs:
            for path in self.folder.glob(f"{EVENTS}*"):
                path.unlink()
            self.held = 0

    @cached_property
    def events(self) -> BinaryIO:
        """This process's event file, begun with the mark that replaces later steps."""
        from tensorboard.compat.proto.event_pb2 import SessionLog

        self.folder.mkdir(parents=True, exist_ok=True)
        # Files are read in the order of their names. Without a buffer, an error belongs to the call that caused it.
        name = f"{EVENTS}{time.time():.6f}.{os.getpid()}"
        file: BinaryIO = (self.folder / name).open("xb", buffering=0)
        _write(file, self.held, file_version=VERSION)
        _write(file, self.held, session_log=SessionLog(status=SessionLog.START))
        return file

    def settings(self, settings: Mapping[str, str]) -> None:
        """Write the settings as a table in Markdown."""
        rows = [f"| `{key}` | `{value}` |" for key, value in settings.items()]
        self._text("settings", "\n".join(["| key | value |", "|---|---|", *rows]))

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Write one scalar per number."""
        for name, value in values.items():
            self._value(epoch, tag=name, simple_value=value)
        self.held = epoch + 1

    def scores(self, values: Mapping[str, float]) -> None:
        """Write one scalar per score, at step 0."""
        for name, value in values.items():
            self._value(0, tag=name, simple_value=value)

    def picture(self, name: str, path: Path) -> None:
        """Write the picture."""
        from PIL import Image
        from tensorboard.compat.proto.summary_pb2 import Summary

        png = files.read_file(path, files.RUN_FILE)
        with Image.open(io.BytesIO(png)) as image:
            width, height = image.size
        picture = Summary.Image(height=height, width=width, colorspace=RGB, encoded_image_string=png)
        self._value(0, tag=name, image=picture)

    def file(self, name: str, path: Path) -> None:
        """Write the path as text."""
        self._text(name, f"`{path}`")

    def close(self, *, complete: bool) -> None:
        """Close the file, if one was begun."""
        if "events" in self.__dict__:
            self.events.close()

    def _value(self, step: int, **value: Any) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        _write(self.events, step, summary=Summary(value=[Summary.Value(**value)]))

    def _text(self, name: str, text: str) -> None:
        from torch.utils.tensorboard.summary import text as text_summary

        _write(self.events, 0, summary=text_summary(name, text))  # type: ignore[no-untyped-call]


def epochs_in(folder: Path) -> int:
    """Return how many complete epochs the event files of a folder hold."""
    if not any(folder.glob(f"{EVENTS}*")):
        return 0
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 1, "tensors": 1}).Reload()
    if LAST not in events.Tags()["scalars"]:
        return 0
    last: int = max(event.step for event in events.Scalars(LAST))
    return last + 1


def _write(file: BinaryIO, step: int, **content: Any) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    RecordWriter(file).write(Event(wall_time=time.time(), step=step, **content).SerializeToString())
