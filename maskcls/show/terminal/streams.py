"""stdout and stderr of one command: characters they cannot show, a full disk, a closed pipe.

A result that cannot be written is an error. A message that cannot be written is lost and stops nothing.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import TYPE_CHECKING

from maskcls.errors import ResourceError
from maskcls.show.terminal.spark import BARS

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

HANDLER = "maskcls.ascii"
STDERR = 2  # the last of the three numbers
# ASCII for the special characters that we print; the bars of a sparkline rise from _ to #.
ASCII = (
    dict(zip(BARS, "_.-:=+*#", strict=True))
    | dict.fromkeys("▏▎▍", ".")
    | dict.fromkeys("▌▋▊▉", ":")
    | {"…": "...", "─": "-", "━": "-"}
)


def ascii_instead(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that an encoding lacks: by ASCII that looks similar, else by escapes such as `\\xe9`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = error.object[error.start : error.end]
    return "".join(ASCII.get(c) or c.encode("ascii", "backslashreplace").decode() for c in found), error.end


def open_streams() -> None:
    """Replace stdout and stderr by streams that show every character, and treat a full disk as said above."""
    codecs.register_error(HANDLER, ascii_instead)
    _fill_closed()
    sys.stdout, sys.stderr = _opened(sys.stdout, ResultFile), _opened(sys.stderr, MessageFile)


def _fill_closed() -> None:
    """Open nothing in place of closed stdin, stdout and stderr; libraries print into whatever file has their number."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        pass
    os.close(handle)


def write_out() -> None:
    """Write what stdout still holds; ResourceError when it cannot be, BrokenPipeError when nobody reads it."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        discard(sys.stdout.fileno())
        raise


def discard(handle: int) -> None:
    """Send what is written to an open file from now on nowhere, so that it cannot fail once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, handle)
    os.close(nowhere)


class ResultFile(io.FileIO):
    """A file for results: ResourceError when they cannot be written, BrokenPipeError when nobody reads them."""

    def write(self, data: ReadableBuffer) -> int:
        """Write bytes; returns how many were written."""
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            discard(self.fileno())
            got = error.strerror or str(error)
            raise ResourceError(
                "the result cannot be printed", where="stdout", got=got, fix="free disk space"
            ) from None


class MessageFile(io.FileIO):
    """A file for messages: what a full disk refuses is lost."""

    def write(self, data: ReadableBuffer) -> int:
        """Write bytes; returns how many were written or lost."""
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError:
            return memoryview(data).nbytes


def _opened(stream: object, kind: type[ResultFile | MessageFile]) -> io.TextIOWrapper:
    if stream is None:  # closed
        return open(os.devnull, "w", encoding="utf-8")
    assert isinstance(stream, io.TextIOWrapper)
    at_once = stream.line_buffering or stream.write_through
    buffer = io.BufferedWriter(kind(stream.fileno(), "w", closefd=False))
    return io.TextIOWrapper(
        buffer, stream.encoding, HANDLER, line_buffering=at_once, write_through=stream.write_through
    )
