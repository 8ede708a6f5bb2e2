"""Read a file of weights, safetensors or torch's, without running code from it.

What a file says about its size is compared with its bytes before memory is taken for it.
"""

from __future__ import annotations

import io
import json
import re
import warnings
import zipfile
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from maskcls.errors import WeightsError
from maskcls.files import FileKind, read_file, size_text
from maskcls.nn.weights.file_kinds import AGAIN, OtherKind, kind_of_archive, kind_of_bytes, with_advice

WEIGHTS = FileKind("the weights", WeightsError, 64 << 30)  # larger than those of any network in timm
NESTED = 4  # names at most before the name of a tensor in a checkpoint; such files hold them below one or two
HEADER_BYTES = 16 << 20  # of safetensors: some hundred thousand tensors
GLOBAL = re.compile(r"GLOBAL ([\w.]+)")  # in torch's message about a name that a pickle asks for
PART = re.compile(r"-\d+-of-\d+\.")  # in the names of weights in several files
TORCH = (b"PK", b"\x80")  # first bytes of torch's files: a zip archive, and in older ones a pickle
COPY = "copy or download the file again"
SAFE = "where it was made, save the tensors alone: safetensors.torch.save_file(model.state_dict(), 'w.safetensors')"


def read_tensors(path: Path, *, most: int = WEIGHTS.most) -> dict[str, Tensor]:
    """Read a state dict, or all state dicts of a checkpoint; the content decides on the format, not the name.

    most  largest file in bytes.

    Raises WeightsError for any other file, and for a file that asks for code.
    """
    # Read, not memory-mapped: if a mapped file is replaced while in use, the weights change.
    data = read_file(path, with_advice(FileKind(WEIGHTS.name, WeightsError, most), path))
    if data[8:9] == b"{":
        return _read_safetensors(path, data)
    if data.startswith(TORCH):
        return _read_torch(path, data)
    if not data:
        raise _no_weights(path, OtherKind("an empty file (0 bytes)", AGAIN))
    kind = kind_of_bytes(path, data)
    raise _no_weights(path, OtherKind(f"{size_text(len(data))}; {kind.what}", kind.fix))


def _no_weights(path: Path, kind: OtherKind) -> WeightsError:
    return WeightsError(
        "this is not a weights file",
        where=str(path),
        got=kind.what,
        expected="safetensors, or a torch state dict",
        fix=kind.fix,
    )


def _read_safetensors(path: Path, data: bytes) -> dict[str, Tensor]:
    header = int.from_bytes(data[:8], "little")
    if header > HEADER_BYTES:
        got, expected = f"a header of {size_text(header)}", f"at most {size_text(HEADER_BYTES)}"
        raise WeightsError(
            "the weights file is damaged",
            where=str(path),
            got=got,
            expected=expected,
            fix=COPY,
        )
    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError) as error:  # the last: a number type torch does not have
        cut = 8 + header > len(data)
        full = f"{size_text(header)} of header before the tensors" if cut else _full_size(data, header)
        raise WeightsError(
            "the weights file is damaged",
            where=str(path),
            got=f"{size_text(len(data))} in all" if cut else str(error),
            expected=full,
            fix=COPY,
        ) from None


def _full_size(data: bytes, header: int) -> str | None:
    """Return how large a safetensors file should be, where it has another size; None where that is not known."""
    try:
        entries = json.loads(data[8 : 8 + header])
        full = 8 + header + max(one["data_offsets"][1] for name, one in entries.items() if name != "__metadata__")
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return None
    return f"{full} bytes; the file has {len(data)}" if full != len(data) else None


def _read_torch(path: Path, data: bytes) -> dict[str, Tensor]:
    if data.startswith(b"PK"):
        _check_archive(path, data)
    try:
        with (
            warnings.catch_warnings(),
            torch.serialization.safe_globals([Namespace]),
        ):  # timm's script saves its options
            warnings.simplefilter("ignore")  # about how a pickle was written
            found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch reports damage and unsafe contents with many types
        if isinstance(error, MemoryError):
            raise
        raise _unloaded(path, str(error)) from None
    if not isinstance(found, dict):
        raise WeightsError(
            "the file contains no plain state dict",
            where=str(path),
            got=type(found).__name__,
            fix="save only the state_dict(), preferably as safetensors",
        )
    tensors, odd = _nested_entries(found)
    if odd or not tensors:
        raise WeightsError("the file contains no plain state dict", where=str(path), offenders=odd, fix=SAFE)
    return tensors


def _nested_entries(found: Mapping[object, object]) -> tuple[dict[str, Tensor], list[str]]:
    """Return the tensors of a checkpoint, and what keeps it from being used.

    A checkpoint keeps a state dict below any name, beside others and beside numbers, which are left out. The names on
    the way to a tensor stand before its key: "state_dict.stem.weight". What occurs twice is kept once.
    """
    tensors, odd, seen = dict[str, Tensor](), list[str](), set[int]()
    layer: list[tuple[str, Mapping[object, object]]] = [("", found)]
    for _ in range(NESTED):
        below: list[tuple[str, Mapping[object, object]]] = []
        for prefix, entries in layer:
            if id(entries) in seen:
                continue
            seen.add(id(entries))
            below += [(f"{prefix}{key}.", value) for key, value in entries.items() if isinstance(value, dict)]
            here = {f"{prefix}{key}": value for key, value in entries.items() if isinstance(value, Tensor)}
            tensors |= {key: value for key, value in here.items() if _is_dense(value)}
            odd += [f"{key!r} is a tensor that is not dense" for key, value in here.items() if not _is_dense(value)]
        layer = below
    return tensors, odd or ([] if tensors else [f"{key!r} is {type(value).__name__}" for key, value in found.items()])


def _check_archive(path: Path, data: bytes) -> None:
    """Raise WeightsError for an archive of another kind, and for one whose entries are compressed or larger than the
    file: torch stores them.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        cut = not zipfile.is_zipfile(io.BytesIO(data))
        got = f"the first part of a zip archive: {size_text(len(data))}, its end is missing" if cut else str(error)
        raise WeightsError("the weights file is damaged", where=str(path), got=got, fix=COPY) from None
    if (kind := kind_of_archive([entry.filename for entry in entries])) is not None:
        raise _no_weights(path, kind)
    total = sum(entry.file_size for entry in entries)
    if total > len(data) or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        got = f"entries of {size_text(total)} in a file of {size_text(len(data))}"
        expected = "entries that are not compressed, as torch.save writes them"
        raise WeightsError("the weights file is compressed", where=str(path), got=got, expected=expected, fix=SAFE)


def _unloaded(path: Path, message: str) -> WeightsError:
    """Return the error for a file that torch did not load; torch's own advice, to load it unsafely, is left out."""
    if (name := GLOBAL.search(message)) or "weights_only" in message:
        got = f"the file asks for {name[1]}" if name else "the file holds other Python objects"
        what = "the file contains more than tensors and is not loaded for safety"
        return WeightsError(what, where=str(path), got=got, expected="a state dict of tensors alone", fix=SAFE)
    line = message.strip().split("\n")[0] or "its end is missing"
    return WeightsError("the weights file is damaged", where=str(path), got=line, fix=AGAIN)


def _is_dense(value: Tensor) -> bool:
    return value.layout == torch.strided and not (value.is_meta or value.is_quantized)
