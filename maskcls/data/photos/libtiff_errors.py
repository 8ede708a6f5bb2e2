"""Errors that libtiff reports while Pillow decodes a TIFF: raised with the photo's name, instead of printed without.

libtiff prints errors and warnings to stderr, and goes on after some errors with pixels that are wrong. Where its
functions are not exported (a Pillow with libtiff built in), it prints as before.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Iterator

from PIL import _imaging

_Handler = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
_of_thread = threading.local()


def _record(module: bytes | None, _text: bytes | None, _values: int | None) -> None:
    with contextlib.suppress(AttributeError):  # outside `no_errors` nobody asks
        _of_thread.modules.append((module or b"").decode(errors="replace"))


def _ignore(_module: bytes | None, _text: bytes | None, _values: int | None) -> None:
    """Drop a warning: unknown tags, and others that leave the pixels right."""


_HANDLERS = _Handler(_record), _Handler(_ignore)  # kept: libtiff calls them as long as the process lives


def _set_handlers() -> bool:
    """Have libtiff call the functions above instead of printing; returns whether that was possible."""
    try:
        libtiff = ctypes.CDLL(_imaging.__file__)  # also finds the functions of the libraries it is linked to
        libtiff.TIFFSetErrorHandler(_HANDLERS[0])
        libtiff.TIFFSetWarningHandler(_HANDLERS[1])
    except (OSError, AttributeError, TypeError):
        return False
    return True


HEARD = _set_handlers()


@contextlib.contextmanager
def no_errors() -> Iterator[None]:
    """Raise OSError after the block if libtiff has reported an error in this thread."""
    _of_thread.modules = []
    try:
        yield
        modules = _of_thread.modules
    finally:
        del _of_thread.modules
    if modules:
        raise OSError(f"libtiff reports an error: {', '.join(dict.fromkeys(modules))}")
