"""Image files written byte by byte, in forms that no encoder at hand writes: TIFF, PNG, BMP. H height, W width."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def packed(samples_HK: Ints, bits: int, order: str = "<") -> bytes:
    """Return rows of K samples of `bits` bits each; every row begins at a byte. order: of the bytes of a sample."""
    if bits in (8, 16, 32):
        return samples_HK.astype(f"{order}u{bits // 8}").tobytes()
    places = np.arange(bits - 1, -1, -1)
    row_bits = (samples_HK[:, :, None] >> places & 1).astype(np.uint8).reshape(len(samples_HK), -1)
    return np.packbits(row_bits, axis=1).tobytes()


def tiff(
    samples_HWC: Ints,
    *,
    photometric: int,
    bits: int,
    order: str = "<",
    planar: bool = False,
    extra: Sequence[int] = (),
    tags: Mapping[int, Sequence[int]] | None = None,
    rows_per_strip: int | None = None,
    tile: int | None = None,
    data: bytes | None = None,
) -> bytes:
    """Return an uncompressed TIFF of one picture.

    photometric  0 white is zero, 1 black is zero, 2 RGB, 3 palette, 5 CMYK, 6 YCbCr, 8 CIELAB.
    planar       one plane per channel, instead of whole pixels one after the other.
    extra        meaning of the channels beyond the colours: 0 none, 1 premultiplied alpha, 2 alpha.
    tags         further tags of SHORT values, by number; they replace those written here.
    tile         side in pixels of square tiles, in place of strips.
    data         the bytes of the picture, where they are not the samples.
    """
    height, width, channels = samples_HWC.shape
    rows = rows_per_strip or height
    planes = [samples_HWC[:, :, [c]] for c in range(channels)] if planar else [samples_HWC]
    strips = [
        packed(plane[top : top + rows].reshape(-1, width * plane.shape[2]), bits, order)
        for plane in planes
        for top in range(0, height, rows)
    ]
    strips = strips if data is None else [data]
    strips = strips if tile is None else _tiles(samples_HWC, bits, order, tile)
    starts = 8 + np.cumsum([0, *map(len, strips)])
    entries: dict[int, Sequence[int]] = {
        256: [width], 257: [height], 258: [bits] * channels, 259: [1], 262: [photometric],
        273: starts[:-1].tolist(), 277: [channels], 278: [rows], 279: [*map(len, strips)], 284: [2 if planar else 1],
    }  # fmt: skip
    if tile is not None:
        del entries[278]
        entries |= {322: [tile], 323: [tile], 324: entries.pop(273), 325: entries.pop(279)}
    entries |= {338: extra} if extra else {}
    entries |= tags or {}
    directory = int(starts[-1]) + int(starts[-1]) % 2
    values_at, body, values = directory + 2 + 12 * len(entries) + 4, b"", b""
    for tag, numbers in sorted(entries.items()):
        kind, letter = (4, "L") if tag in (273, 279, 324, 325) else (3, "H")
        if tag in (529, 532):  # rationals
            kind, letter = 5, "L"
        raw = struct.pack(f"{order}{len(numbers)}{letter}", *numbers)
        count = len(numbers) // 2 if kind == 5 else len(numbers)
        place = raw.ljust(4, b"\0") if len(raw) <= 4 else struct.pack(f"{order}L", values_at + len(values))
        values += raw if len(raw) > 4 else b""
        body += struct.pack(f"{order}HHL", tag, kind, count) + place
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HL", 42, directory)
    picture = b"".join(strips)
    picture += b"\0" * (directory - 8 - len(picture))
    return head + picture + struct.pack(f"{order}H", len(entries)) + body + b"\0" * 4 + values


def _tiles(samples_HWC: Ints, bits: int, order: str, side: int) -> list[bytes]:
    height, width, channels = samples_HWC.shape
    filled = np.pad(samples_HWC, ((0, -height % side), (0, -width % side), (0, 0)))
    return [
        packed(filled[y : y + side, x : x + side].reshape(side, side * channels), bits, order)
        for y in range(0, height, side)
        for x in range(0, width, side)
    ]


PNG_COLOUR = {"grey": 0, "rgb": 2, "palette": 3, "grey_alpha": 4, "rgb_alpha": 6}
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def png(
    samples_HWC: Ints, colour: str, bits: int, *, chunks: Sequence[tuple[bytes, bytes]] = (), interlaced: bool = False
) -> bytes:
    """Return a PNG. colour: a key of PNG_COLOUR; chunks: (name, content) between header and pixels."""
    height, width, _ = samples_HWC.shape
    head = struct.pack(">IIBBBBB", width, height, bits, PNG_COLOUR[colour], 0, 0, interlaced)
    passes = [samples_HWC[y::dy, x::dx] for y, x, dy, dx in ADAM7] if interlaced else [samples_HWC]
    lines = b"".join(b"\0" + packed(row.reshape(1, -1), bits, ">") for part in passes if part.size for row in part)
    every = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in every
    )


def bmp(
    rows: bytes, width: int, height: int, bits: int, *, palette: bytes = b"", compression: int = 0, masks: bytes = b""
) -> bytes:
    """Return a BMP with a header of 40 bytes. rows: from below, padded to 4 bytes; from above if height is negative."""
    start = 14 + 40 + len(masks) + len(palette)
    head = struct.pack("<2sIHHI", b"BM", start + len(rows), 0, 0, start)
    about = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(rows), 0, 0, len(palette) // 4, 0)
    return head + about + masks + palette + rows


def padded(rows_HB: Sequence[bytes]) -> bytes:
    """Return rows of bytes, each filled up to a multiple of four."""
    return b"".join(row + b"\0" * (-len(row) % 4) for row in rows_HB)
