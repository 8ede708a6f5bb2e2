"""Wrong copies of files with parts: npz archives, safetensors, PyTorch's archives, PNG and JPEG photos."""

from __future__ import annotations

import io
import json
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from random import Random

from soak.mutate_bytes import NUMBERS, mutated, number
from soak.mutate_text import mutated_json

SHAPES = ("()", "(0,)", "(-1,)", "(1,)", "(10**9,)", "(9999999999,)", "(2, 9)", "(1, 2, 3)", "(4294967296, 4294967296)")
TYPES = (
    "'<f4'",
    "'<f8'",
    "'|O'",
    "'|V8'",
    "'<U9'",
    "'|S3'",
    "'<i8'",
    "'>f4'",
    "'<f2'",
    "'<m8'",
    "'<c16'",
    "[('a', '<f4')]",
)
DTYPES = ("F32", "F64", "BF16", "F16", "I64", "U8", "BOOL", "F8_E4M3", "C64", "X", "")


def mutated_zip(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Return a wrong copy of an npz or of PyTorch's archive: members changed, renamed, doubled, dropped, packed."""
    if rng.random() < 0.3:
        return mutated(rng, data, others)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(one.filename, archive.read(one)) for one in archive.infolist()]
    for _ in range(rng.choice((1, 1, 2))):
        place = rng.randrange(len(members)) if members else None
        if place is None:
            break
        name, content = members[place]
        kind = rng.random()
        if kind < 0.5:
            members[place] = (name, _array(rng, content) if name.endswith(".npy") else mutated(rng, content, others))
        elif kind < 0.6:
            members[place] = (
                rng.choice(("x.npy", "../x", "", name.upper(), name + "/", "ids.npy", "prob.npy")),
                content,
            )
        elif kind < 0.7:
            del members[place]
        elif kind < 0.8:
            members.append((name, rng.choice(members)[1]))
        elif kind < 0.9:
            members[place] = (name, rng.choice(members)[1])
        else:
            members[place] = (name, content + bytes(rng.choice((1, 100, 1 << 20))))
    out = io.BytesIO()
    packing = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(out, "w", packing) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that occurs twice
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)
    written = out.getvalue()
    return number(rng, written, others) if rng.random() < 0.1 else written


def mutated_safetensors(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Return a wrong copy of a safetensors file: its header's JSON, offsets, shapes and length; values; or bytes."""
    if rng.random() < 0.3 or len(data) < 8:
        return mutated(rng, data, others)
    length = int.from_bytes(data[:8], "little")
    header, body = data[8 : 8 + length], data[8 + length :]
    kind = rng.random()
    if kind < 0.35:
        header = mutated_json(rng, header, others)
    elif kind < 0.7:
        header = _entry(rng, header)
    elif kind < 0.85:
        body = mutated(rng, body, others)
    size = rng.choice(NUMBERS) if rng.random() < 0.1 else len(header)
    return (size & 2**64 - 1).to_bytes(8, "little") + header + body


def mutated_photo(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Return a wrong copy of a photo: sizes in the headers of PNG (with right checksums), JPEG and BMP; or bytes."""
    if rng.random() < 0.6:
        return mutated(rng, data, others)
    if data.startswith(b"\x89PNG"):
        return _png(rng, data)
    if data.startswith(b"\xff\xd8"):
        return _jpeg(rng, data)
    return number(rng, data, others)


def _array(rng: Random, content: bytes) -> bytes:
    """Change shape, type or order in the header of an .npy, or its values."""
    if rng.random() < 0.4:
        return mutated(rng, content, ())
    text = content[10:].split(b"\n", 1)[0].decode("latin-1")
    change = rng.randrange(4)
    if change == 0:
        text = re.sub(r"'shape': \([^)]*\)", f"'shape': {rng.choice(SHAPES)}", text)
    elif change == 1:
        text = re.sub(r"'descr': [^,]+", f"'descr': {rng.choice(TYPES)}", text)
    elif change == 2:
        text = text.replace("False", "True")
    else:
        text = text.replace("{", rng.choice(("{'x': 1, ", "", "[", "{" * 200)), 1)
    header = text.encode("latin-1") + b"\n"
    start = 10 + int.from_bytes(content[8:10], "little")
    return content[:8] + len(header).to_bytes(2, "little") + header + content[start:]


def _entry(rng: Random, header: bytes) -> bytes:
    """Change type, shape or offsets of one tensor."""
    try:
        tree = json.loads(header)
    except ValueError:
        return header
    names = [name for name in tree if name != "__metadata__"]
    if not names:
        return header
    one = tree[rng.choice(names)]
    kind = rng.randrange(4)
    if kind == 0:
        one["dtype"] = rng.choice(DTYPES)
    elif kind == 1:
        one["shape"] = rng.choice(([], [0], [1], [2**40], [-1], [2**63], one["shape"][::-1], [*one["shape"], 1]))
    elif kind == 2:
        one["data_offsets"] = rng.choice(([0, 0], [0, 2**40], [4, 2], tree[rng.choice(names)]["data_offsets"]))
    else:
        tree[rng.choice(("", "module.x", "_orig_mod." + names[0], "trunk.stem", "\x00"))] = tree.pop(names[0])
    return json.dumps(tree).encode()


def _png(rng: Random, data: bytes) -> bytes:
    """Change a field of one chunk and give the chunk a right checksum; or repeat, drop or move a chunk."""
    chunks, place = [], 8
    while place + 8 <= len(data):
        (size,) = struct.unpack(">I", data[place : place + 4])
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + size]))
        place += 12 + size
    chosen = rng.randrange(len(chunks))
    kind, content = chunks[chosen]
    change = rng.random()
    if change < 0.7:
        chunks[chosen] = (kind, number(rng, content, ()))
    elif change < 0.8:
        chunks.insert(rng.randrange(len(chunks)), chunks[chosen])
    elif change < 0.9:
        del chunks[chosen]
    else:
        new = rng.choice((b"iCCP", b"tEXt", b"zTXt", b"eXIf", b"acTL", b"tRNS", b"PLTE"))
        chunks.insert(1, (new, b"a\x00\x00" + zlib.compress(bytes(rng.choice((10, 1 << 20, 8 << 20))))))
    packed = (struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    return data[:8] + b"".join(packed)


def _jpeg(rng: Random, data: bytes) -> bytes:
    """Change height, width, components or length in a marker segment of a JPEG."""
    marks = [found.start() for found in re.finditer(rb"\xff[\xc0-\xc4\xda\xdb\xdd\xe0-\xef]", data[:4096])]
    start = rng.choice(marks) + rng.randrange(2, 12)
    value = rng.choice(NUMBERS) & 0xFFFF
    return data[:start] + value.to_bytes(2, "big") + data[start + 2 :]
