"""Exceptions that are no bugs: full memory, and what the operating system refuses."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from maskcls.errors import MaskclsError, ResourceError, UsageError
from maskcls.machine import is_memory_error, machine_error


class OrtRuntimeError(Exception):
    """Stands for an exception of onnxruntime, which is no RuntimeError."""


OrtRuntimeError.__module__ = "onnxruntime.capi.onnxruntime_pybind11_state"

GPU, HOST = "the memory of the GPU is full", "the memory of this machine is full"
MEMORY = [
    (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore"), GPU),
    (RuntimeError("CUDA error: out of memory"), GPU),
    (RuntimeError("MPS backend out of memory (MPS allocated: 17.99 GB)"), GPU),
    (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), GPU),
    (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), GPU),
    (RuntimeError("[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: 12"), HOST),
    (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."), HOST),
    (MemoryError(), HOST),
    (OSError(errno.ENOMEM, "Cannot allocate memory"), HOST),
    (OrtRuntimeError("Failed to allocate memory for requested buffer of size 8"), HOST),
]


@pytest.mark.parametrize(("error", "what"), MEMORY, ids=lambda value: str(value)[:30])
def test_full_memory_says_what_to_set(error: Exception, what: str) -> None:
    assert is_memory_error(error)
    known = machine_error(error)
    assert isinstance(known, ResourceError)
    assert known.what == what
    assert "\n" not in str(known.got)
    settings = {"train.accumulate", "predict.batch_size"}
    settings |= {"train.batch_size", "device.precision"} if what == GPU else {"train.fold_jobs", "device.workers"}
    assert all(name in str(known.fix) for name in settings), known.fix


def test_what_libraries_raise_is_known() -> None:
    """Not made up: torch and NumPy are asked for more memory than there is."""
    for ask in (lambda: torch.empty(1 << 60), lambda: np.empty(1 << 60, np.uint8), lambda: bytes(1 << 60)):
        with pytest.raises((RuntimeError, MemoryError)) as caught:
            ask()
        assert is_memory_error(caught.value), caught.value


@pytest.mark.parametrize(
    "error",
    [
        ValueError("CUDA out of memory"),
        BrokenPipeError(errno.EPIPE, "Broken pipe"),
        RuntimeError("shapes differ"),
        KeyError("a"),
        AssertionError(),
    ],
)
def test_a_bug_stays_a_bug(error: Exception) -> None:
    assert not is_memory_error(error)
    assert machine_error(error) is None


def of(error: BaseException) -> MaskclsError:
    known = machine_error(error)
    assert known is not None
    return known


def test_what_the_system_refuses_has_path_and_reason() -> None:
    for number in (errno.ENOENT, errno.EACCES, errno.EROFS, errno.EIO, errno.EEXIST, errno.ENOTDIR):
        known = of(OSError(number, os.strerror(number), "a/b"))
        assert isinstance(known, ResourceError)
        assert (known.where, known.got) == ("a/b", os.strerror(number))
    assert of(PermissionError(errno.EACCES, "Permission denied", b"b\xff")).where == "b\udcff"
    assert of(OSError("no number")).got == "no number"
    assert "ulimit -n" in str(of(OSError(errno.EMFILE, "Too many open files", "c")).fix)


def test_a_name_that_cannot_be_is_a_usage_error() -> None:
    long = of(OSError(errno.ENAMETOOLONG, "File name too long", "aaa"))
    assert isinstance(long, UsageError)
    assert long.where == "aaa"
    for name in ("a\0b", "half\ud800"):
        with pytest.raises(ValueError, match=r"null|surrogates") as caught:
            os.open(Path(name), os.O_RDONLY)
        assert isinstance(of(caught.value), UsageError)
