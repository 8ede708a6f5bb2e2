"""Arrays in npy and npz files: what they say about their size is compared with what is there before memory is taken.

NumPy reserves what the header of an array asks for before it reads, and a compressed entry of some kilobytes may hold
gigabytes.
"""

from __future__ import annotations

import io
import struct
import sys
import zipfile
from collections.abc import Sequence
from math import prod
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Of one npz, uncompressed: the probabilities of a million photos in float64, and as many ids of a hundred characters.
MOST_BYTES = 1 << 29
# Records of an archive: of its end, of the end of one beyond 4 GB, which a locator follows, and before an entry.
END, END_MARK = struct.Struct("<4s4H2IH"), b"PK\x05\x06"
LARGE_END, LOCATOR_MARK, LOCATOR_BYTES = struct.Struct("<4sQ2H2I4Q"), b"PK\x06\x07", 20
ENTRY = struct.Struct("<4s5H3I2H")  # the last two: lengths of the name and of the extra field
FIRST_SURROGATE, LAST_SURROGATE = 0xD800, 0xDFFF


def read_arrays(data: bytes, *, stored: bool = True) -> dict[str, NDArray[Any]]:
    """Return the arrays of an npz file by name, without Python objects.

    stored  no entry is compressed, and every byte belongs to the archive, as in every file of maskcls; False: at most
            `MOST_BYTES` uncompressed.

    Raises ValueError and other exceptions of `zipfile` for a damaged file.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if stored and any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("an entry is compressed")
        if stored:
            _check_whole(data, entries)
        total, most = sum(entry.file_size for entry in entries), len(data) if stored else max(MOST_BYTES, len(data))
        if total > most:
            raise ValueError(f"entries of {total:,} bytes, at most {most:,}")
        if len({entry.filename for entry in entries}) < len(entries):
            raise ValueError("an entry occurs twice")
        return {entry.filename.removesuffix(".npy"): read_array(_content(archive, entry)) for entry in entries}


def _check_whole(data: bytes, entries: Sequence[zipfile.ZipInfo]) -> None:
    """Raise ValueError for bytes before, between or behind the parts of an archive, which `zipfile` does not read.

    It searches for the last record from the end of the file, and for the entries where the list of them says.
    """
    last = len(data) - END.size
    signature, *_, length, start, comment = END.unpack_from(data, last)
    if signature == END_MARK and data[max(0, last - LOCATOR_BYTES) :].startswith(LOCATOR_MARK):
        last -= LOCATOR_BYTES + LARGE_END.size
        *_, length, start = LARGE_END.unpack_from(data, last)
    if signature != END_MARK or comment or start + length != last:
        raise ValueError("bytes behind the end of the archive, or in its list of entries")
    place = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset == place:
            place += ENTRY.size + sum(ENTRY.unpack_from(data, place)[-2:]) + entry.compress_size
    if place != start:
        raise ValueError("bytes of the archive that belong to no entry")


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
