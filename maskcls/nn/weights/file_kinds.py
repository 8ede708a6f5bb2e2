"""What a file is that holds no weights of torch, by its first bytes or its name, and what to do about it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from maskcls.files import FileKind
from maskcls.rundir import FoldDir, RepeatsDir, RunDir, StagesDir

AGAIN = "download the file again, or save the state_dict() again, preferably as safetensors"
JOIN = "join the parts in one file: load each with safetensors.torch.load_file, then save_file({**a, **b}, FILE)"
UNPACK = "unpack it, and give the file of weights in it"
LOAD_PAGE = "download the file itself: open the page in a browser, which says why it came instead"
PULL = "get the file itself: run git lfs pull in its folder"
TORCH_ONLY = "give weights of torch for this backbone: safetensors, or a file of torch.save"
OF_THE_RUN = f"give the weights it was made from, such as {RunDir(Path('RUN')).fold(0).best.tensors.as_posix()}"
SHOWN_FILES = 3
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")

FIRST_BYTES = (
    (b"\x89HDF", "an HDF5 file, such as weights of Keras", TORCH_ONLY),
    (b"GGUF", "a GGUF file of a language model", TORCH_ONLY),
    (b"\x93NUMPY", "an array of NumPy", TORCH_ONLY),
    (b"\x1f\x8b", "compressed by gzip", UNPACK),
    (b"\xfd7zXZ", "compressed by xz", UNPACK),
    (b"BZh", "compressed by bzip2", UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", UNPACK),
    (b"7z\xbc\xaf", "a 7z archive", UNPACK),
    (b"Rar!", "a RAR archive", UNPACK),
    (b"\xff\xd8\xff", "a photo (JPEG)", TORCH_ONLY),
    (b"\x89PNG", "a picture (PNG)", TORCH_ONLY),
    (b"%PDF", "a PDF document", TORCH_ONLY),
    (b"\x08\x01\x12", "a SavedModel of TensorFlow", TORCH_ONLY),
    (bytes(8), "begins with zeros, as a download leaves that was not finished", AGAIN),
)
ONNX = re.compile(rb"\x08[\x03-\x20][\x12\x1a\x22\x2a\x32\x3a\x42]")  # a version of the format, then another field
TEXTS = (  # in lower case
    ("<!doctype html", "an HTML page, probably a failed download", LOAD_PAGE),
    ("<html", "an HTML page, probably a failed download", LOAD_PAGE),
    ("<?xml", "an XML page, probably the refusal of a download", LOAD_PAGE),
    ("version https://git-lfs", "a Git LFS pointer", PULL),
)
NAMES = (
    (re.compile(r"group\d+-shard\d+of\d+(\.bin)?"), "a part of a TensorFlow.js model"),
    (re.compile(r".*\.(data-\d+-of-\d+|index)"), "a part of a TensorFlow checkpoint"),
)


@dataclass(frozen=True)
class OtherKind:
    """what: the file is, in words; fix: what to do."""

    what: str
    fix: str


def kind_of_bytes(path: Path, data: bytes) -> OtherKind:
    """Return what a file is that is neither safetensors nor torch's."""
    for first, what, fix in FIRST_BYTES:
        if data.startswith(first):
            return OtherKind(what, fix)
    if data[4:8] == b"TFL3":
        return OtherKind("a model of TensorFlow Lite", TORCH_ONLY)
    if data[257:262] == b"ustar":
        return OtherKind("a tar archive", UNPACK)
    if ONNX.match(data):
        return OtherKind("an ONNX file", OF_THE_RUN)
    for name, what in NAMES:
        if name.fullmatch(path.name):
            return OtherKind(what, TORCH_ONLY)
    return _kind_of_text(path, data) or OtherKind(f"begins with {data[:8]!r}", AGAIN)


def kind_of_archive(names: Sequence[str]) -> OtherKind | None:
    """Return what a zip archive is, from the names in it; None for one of torch.save."""
    lasts = {name.rpartition("/")[2] for name in names}
    if "model.weights.h5" in lasts:
        return OtherKind("weights of Keras", TORCH_ONLY)
    if "archive_format" in lasts:
        return OtherKind("a program of torch.export", OF_THE_RUN)
    if any("/code/" in name for name in names):
        return OtherKind("a TorchScript program", OF_THE_RUN)
    if "data.pkl" in lasts:
        return None
    if names and all(name.endswith(".npy") for name in names):
        return OtherKind("arrays of NumPy", TORCH_ONLY)
    shown = ", ".join(names[:SHOWN_FILES]) + (" …" if len(names) > SHOWN_FILES else "")
    return OtherKind(f"a zip archive with {shown or 'nothing in it'}", UNPACK)


def with_advice(kind: FileKind, path: Path) -> FileKind:
    """Return the kind with advice for a folder that was given in place of a file of weights: a file in it."""
    found = _weights_within(path) if path.is_dir() else None
    return kind if found is None else replace(kind, fix=f"give a file in it, such as {path / found}")


def _weights_within(folder: Path) -> Path | None:
    """Return a file of weights in a folder, as a path within it: of a run and of its networks the best one."""
    marks = (RunDir(folder).env, StagesDir(folder).config, RepeatsDir(folder).config)
    if any(mark.is_file() for mark in marks) and (best := RunDir(folder).best_weights()):
        return min(best).relative_to(folder)
    plain = sorted(path for path in folder.glob("*") if path.suffix in SUFFIXES)
    found = next((path for path in (FoldDir(folder).best.tensors, *plain) if path.is_file()), None)
    return None if found is None else found.relative_to(folder)


def _kind_of_text(path: Path, data: bytes) -> OtherKind | None:
    start = data[:200].decode("utf-8", errors="replace").lstrip()
    for first, what, fix in TEXTS:
        if start.lower().startswith(first):
            return OtherKind(what, fix)
    if start.startswith("{"):
        return _kind_of_json(path, data)
    line = start.splitlines()[0][:40] if start else ""
    return (
        OtherKind(f"text that begins with {line!r}", _beside(path)) if line.isprintable() and line.isascii() else None
    )


def _kind_of_json(path: Path, data: bytes) -> OtherKind:
    try:
        entries = json.loads(data)
    except (ValueError, RecursionError):
        entries = {}
    if "weight_map" in entries:
        return OtherKind("JSON, the index of weights in several files", JOIN)
    if "weightsManifest" in entries or "modelTopology" in entries:
        return OtherKind("a model of TensorFlow.js", TORCH_ONLY)
    return OtherKind("JSON", _beside(path))


def _beside(path: Path) -> str:
    """Return the advice to give a file of weights of the same folder, if there is any."""
    found = _weights_within(path.parent)
    return f"give a file of weights, such as {path.parent / found}" if found else TORCH_ONLY
