"""Which exceptions are no bugs: memory that is full, and what the operating system refuses.

Libraries report full memory with exceptions of many types; some of them only their text tells from a bug.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from maskcls.errors import MaskclsError, ResourceError, UsageError

# In torch, cuDNN, cuBLAS, OpenCV, onnxruntime and C++.
ON_DEVICE = ("CUDA out of memory", "MPS backend out of memory", "CUDA error: out of memory", "_STATUS_ALLOC_FAILED")
ON_HOST = (
    *("can't allocate memory", "not enough memory", "Cannot allocate memory", "Insufficient memory"),
    *("Failed to allocate memory", "bad allocation", "std::bad_alloc", "unable to mmap"),
)
NO_THREADS = ("can't start new thread", "Resource temporarily unavailable")
LESS_DEVICE = (
    "train with a larger train.accumulate, a smaller train.batch_size or device.precision=bf16, or predict with a"
    " smaller predict.batch_size"
)
LESS_HOST = (
    "close other programs, or train with train.fold_jobs=1, a larger train.accumulate, device.workers=0 or"
    " data.cache=off, or predict with a smaller predict.batch_size"
)


def is_memory_error(error: BaseException) -> bool:
    """Return whether memory of the machine or of a GPU is full."""
    return _on_device(error) or _on_host(error)


def machine_error(error: BaseException) -> MaskclsError | None:
    """Return the message for what the machine refuses or a name makes impossible; None for any other error, a bug.

    It is for the places where no code has a better message.
    """
    if _on_device(error):
        return ResourceError("the memory of the GPU is full", got=_first_line(error), fix=LESS_DEVICE)
    if _on_host(error):
        return ResourceError("the memory of this machine is full", got=_first_line(error), fix=LESS_HOST)
    if isinstance(error, RuntimeError) and any(text in str(error) for text in NO_THREADS):
        fix = "raise the limit on processes (ulimit -u), or set device.threads and device.workers lower"
        return ResourceError("no thread can be started", got=_first_line(error), fix=fix)
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):  # nobody reads the output any more
        return _system_error(error)
    if isinstance(error, RuntimeError) and "Symlink loop" in str(error):  # of pathlib before Python 3.13
        return UsageError("a link leads to itself", got=_first_line(error), fix="choose another name")
    if isinstance(error, ValueError) and ("embedded null" in str(error) or "surrogates not allowed" in str(error)):
        got = "a NUL" if "null" in str(error) else "half a character (a surrogate)"
        return UsageError("the name of a file or folder cannot be used", got=got, fix="choose another name")
    return None


@contextmanager
def memory_for(describe: Callable[[], tuple[str, str]]) -> Iterator[None]:
    """Say what was computed, and what to set, where memory is full inside; other errors pass.

    describe  returns both: what was computed, in its current sizes, and the settings with their new values. It is
              called after such an error alone.
    """
    try:
        yield
    except Exception as error:
        if not is_memory_error(error):
            raise
        where, fix = describe()
        what = "the memory of the GPU is full" if _on_device(error) else "the memory of this machine is full"
        raise ResourceError(what, where=where, got=_first_line(error), fix=fix) from error


def _on_device(error: BaseException) -> bool:
    if type(error).__name__ == "OutOfMemoryError":  # torch's; torch itself need not be imported here
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in ON_DEVICE)


def _on_host(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    # cv2.error and onnxruntime's exceptions are not RuntimeErrors; others, such as a ValueError, may quote any text.
    of_library = isinstance(error, RuntimeError) or type(error).__module__.split(".")[0] in ("cv2", "onnxruntime")
    return of_library and any(text in str(error) for text in ON_HOST)


def _system_error(error: OSError) -> MaskclsError:
    got, name = error.strerror or str(error) or type(error).__name__, error.filename
    where = os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else None
    if error.errno == errno.ENAMETOOLONG:
        return UsageError("the name of a file or folder is too long", where=where, fix="choose a shorter name")
    if error.errno in (errno.EMFILE, errno.ENFILE):
        what, fix = "too many files are open", "raise the limit (ulimit -n), or set device.workers lower"
        return ResourceError(what, where=where, got=got, fix=fix)
    return ResourceError(
        "the operating system refused an operation",
        where=where,
        got=got,
        fix="check free space, rights and limits (ulimit -a), then give the command again",
    )


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.split("\n")[0] if text else type(error).__name__
