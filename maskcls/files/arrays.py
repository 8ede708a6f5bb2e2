"""Arrays in npy and npz files: what they say about their size is compared with what is there before memory is taken.

NumPy reserves what the header of an array asks for before it reads, and a compressed entry of some kilobytes may hold
gigabytes.
"""

from __future__ import annotations

import io
import sys
import zipfile
from math import prod
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Of one npz, uncompressed: the probabilities of a million photos in float64, and as many ids of a hundred characters.
MOST_BYTES = 1 << 29
FIRST_SURROGATE, LAST_SURROGATE = 0xD800, 0xDFFF


def read_arrays(data: bytes, *, stored: bool = True) -> dict[str, NDArray[Any]]:
    """Return the arrays of an npz file by name, without Python objects.

    stored  no entry is compressed, as in every file of maskcls; False: at most `MOST_BYTES` uncompressed.

    Raises ValueError and other exceptions of `zipfile` for a damaged file.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if stored and any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("an entry is compressed")
        total, most = sum(entry.file_size for entry in entries), len(data) if stored else max(MOST_BYTES, len(data))
        if total > most:
            raise ValueError(f"entries of {total:,} bytes, at most {most:,}")
        if len({entry.filename for entry in entries}) < len(entries):
            raise ValueError("an entry occurs twice")
        return {entry.filename.removesuffix(".npy"): read_array(_content(archive, entry)) for entry in entries}


def read_array(data: bytes) -> NDArray[Any]:
    """Return the array of an npy file; ValueError for a header that is damaged or does not fit the length."""
    array, rest = read_array_and_rest(data)
    if rest:
        raise ValueError(f"{len(rest):,} bytes after the end of the array")
    return array


def read_array_and_rest(data: bytes) -> tuple[NDArray[Any], bytes]:
    """Return the array that an npy file begins with, and the bytes after it; raises ValueError as `read_array`."""
    stream = io.BytesIO(data)
    shape, dtype = _header(stream)
    there, said = len(data) - stream.tell(), prod(shape) * dtype.itemsize
    if dtype.hasobject:
        raise ValueError("an array of Python objects")
    if min(shape, default=0) < 0 or there < said:
        raise ValueError(f"an array of shape {shape} needs {said:,} bytes, and has {there:,}")
    stream.seek(0)
    array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    if dtype.kind == "U":
        _check_text(array)
    return array, data[stream.tell() :]


def _header(stream: io.BytesIO) -> tuple[tuple[int, ...], np.dtype[Any]]:
    major, _ = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
    try:
        shape, _, dtype = read_header(stream)
    except TokenError as error:  # numpy reads a header that is no literal once more, as Python 2 wrote them
        raise ValueError(f"the header of an array cannot be read: {error}") from None
    return shape, dtype


def _check_text(text_N: NDArray[np.str_]) -> None:
    # numpy takes any number for a character; Python fails on it only where the text is used, or printed.
    code_N = np.ascontiguousarray(text_N).reshape(-1).view(np.dtype(np.uint32).newbyteorder(text_N.dtype.byteorder))
    if ((code_N > sys.maxunicode) | ((code_N >= FIRST_SURROGATE) & (code_N <= LAST_SURROGATE))).any():
        raise ValueError("an array of text holds numbers that are no characters")


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """Return an entry's bytes; of one that is longer than the archive says, no more than that is uncompressed."""
    with archive.open(entry) as file:
        data = file.read(entry.file_size)
        if len(data) < entry.file_size or file.read(1):  # the end is where the checksum is compared
            raise ValueError(f"the entry {entry.filename} has another length than the archive says")
    return data
