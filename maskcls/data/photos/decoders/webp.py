"""Still WebP photos, decoded by Pillow's own libwebp, but without its decoder of animations.

Pillow decodes still photos with that one, too. It takes 16 bytes per pixel, and reserves 8 of them when a file is
opened, before its size can be checked; without it, it is 7 at most, and the pixels are the same: the same functions
of libwebp read the file's parts and decode the frame. H height, W width.
"""

from __future__ import annotations

import ctypes
from typing import NamedTuple

import numpy as np
from PIL import Image

from maskcls.data.photos.rgb import Pixels

DEMUX_ABI, DECODER_ABI = 0x0100, 0x0200  # libwebp only compares the upper byte
FLAGS, WIDTH, HEIGHT = 0, 1, 2  # what WebPDemuxGetI returns
ANIMATED = 0x02  # bit of the flags
METADATA = {b"EXIF": "exif", b"XMP ": "xmp"}  # chunks, and their names in Pillow


class _WebPData(ctypes.Structure):
    _fields_ = (("start", ctypes.c_void_p), ("count", ctypes.c_size_t))


class _WebPFrame(ctypes.Structure):
    _fields_ = (
        ("numbers", ctypes.c_int * 9),
        ("fragment", _WebPData),
        ("rest", ctypes.c_int * 4),
        ("own", ctypes.c_void_p),
    )


class _WebPChunk(ctypes.Structure):
    _fields_ = (
        ("numbers", ctypes.c_int * 2),
        ("content", _WebPData),
        ("rest", ctypes.c_int * 6),
        ("own", ctypes.c_void_p),
    )


class _WebPFeatures(ctypes.Structure):
    _fields_ = (*((name, ctypes.c_int) for name in ("width", "height", "has_alpha")), ("rest", ctypes.c_int * 7))


class WebPHeader(NamedTuple):
    """What a file says about its photo before it is decoded.

    start, length  where the encoded pixels are among the bytes of the file, and how many bytes they take.
    info           EXIF and XMP data, named as by Pillow.
    """

    width: int
    height: int
    has_alpha: bool
    start: int
    length: int
    info: dict[str, bytes]


def webp_header(data: bytes) -> WebPHeader | None:
    """Return the header of a still WebP photo; None for other files, which Pillow reads or rejects.

    None, too, for a file whose parts do not fit together, which Pillow rejects with the same function of libwebp, and
    where these functions are not exported (a Pillow with libwebp built in).
    """
    if LIBWEBP is None or data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    parts = LIBWEBP.WebPDemuxInternal(ctypes.byref(_WebPData(_address(data), len(data))), 0, None, DEMUX_ABI)
    if not parts:
        return None
    try:
        return _header(data, parts, LIBWEBP)
    finally:
        LIBWEBP.WebPDemuxDelete(parts)


def _header(data: bytes, parts: int, libwebp: ctypes.CDLL) -> WebPHeader | None:
    flags, width, height = (libwebp.WebPDemuxGetI(parts, number) for number in (FLAGS, WIDTH, HEIGHT))
    frame, features, info = _WebPFrame(), _WebPFeatures(), dict[str, bytes]()
    if libwebp.WebPGetFeaturesInternal(data, len(data), ctypes.byref(features), DECODER_ABI):
        return None
    if flags & ANIMATED or not libwebp.WebPDemuxGetFrame(parts, 1, ctypes.byref(frame)):
        return None
    start, count = frame.fragment.start - _address(data), frame.fragment.count
    libwebp.WebPDemuxReleaseIterator(ctypes.byref(frame))
    for chunk, name in METADATA.items():
        found = _WebPChunk()
        if libwebp.WebPDemuxGetChunk(parts, chunk, 1, ctypes.byref(found)):
            info[name] = ctypes.string_at(found.content.start, found.content.count)
            libwebp.WebPDemuxReleaseChunkIterator(ctypes.byref(found))
    return WebPHeader(width, height, bool(features.has_alpha), start, count, info)


def webp_image(data: bytes, header: WebPHeader) -> Image.Image | Pixels:
    """Decode the photo: uint8 (H, W, 3), or an RGBA image if it may be transparent.

    Raises OSError for a file that is truncated or damaged.
    """
    assert LIBWEBP is not None
    channels = 4 if header.has_alpha else 3
    decode = LIBWEBP.WebPDecodeRGBAInto if header.has_alpha else LIBWEBP.WebPDecodeRGBInto
    pixels_HWC, encoded = np.empty((header.height, header.width, channels), np.uint8), _address(data) + header.start
    if not decode(encoded, header.length, pixels_HWC.ctypes.data, pixels_HWC.nbytes, channels * header.width):
        raise OSError("failed to read next frame")
    return Image.fromarray(pixels_HWC) if header.has_alpha else pixels_HWC


def _address(data: bytes) -> int:
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0


def _libwebp() -> ctypes.CDLL | None:
    size, place, number = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int
    try:
        from PIL import _webp

        found = ctypes.CDLL(_webp.__file__)  # also finds the functions of the libraries it is linked to
        for name, result, arguments in (
            ("WebPDemuxInternal", place, (place, number, place, number)),
            ("WebPDemuxGetI", ctypes.c_uint32, (place, number)),
            ("WebPDemuxGetFrame", number, (place, number, place)),
            ("WebPDemuxReleaseIterator", None, (place,)),
            ("WebPDemuxGetChunk", number, (place, ctypes.c_char_p, number, place)),
            ("WebPDemuxReleaseChunkIterator", None, (place,)),
            ("WebPDemuxDelete", None, (place,)),
            ("WebPGetFeaturesInternal", number, (ctypes.c_char_p, size, place, number)),
            ("WebPDecodeRGBInto", place, (place, size, place, size, number)),
            ("WebPDecodeRGBAInto", place, (place, size, place, size, number)),
        ):
            function = getattr(found, name)
            function.restype, function.argtypes = result, arguments
    except (ImportError, OSError, AttributeError, TypeError):
        return None
    return found


LIBWEBP = _libwebp()
